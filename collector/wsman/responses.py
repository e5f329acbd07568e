"""What a collector answers, read from a source's side: for the simulator, and for tests of the writer.

Tolerant of a Windows collector's form as well as of ours: any prefix, reference
properties or parameters, white space round values. What a source does with an offer is
not known here.
"""

from __future__ import annotations

from collections.abc import Iterator

from collector.wsman import names
from collector.wsman.duration import seconds
from collector.wsman.faults import MUST_UNDERSTAND
from collector.wsman.header import EnvelopeError
from collector.wsman.messages import Ack, EnumerateResponse, Fault, IdentifyResponse, Offer
from collector.wsman.xml import BLANKS, Element, XmlError, alone, parse

Response = EnumerateResponse | Ack | Fault | IdentifyResponse

_PREFIXES = {
    names.SOAP: "s",
    names.ADDRESSING: "a",
    names.EVENTING: "e",
    names.ENUMERATION: "n",
    names.TRANSFER: "x",
    names.WSMAN: "w",
}


def read_response(text: str, relates_to: str | None = None) -> Response:
    """The answer that *text* is.

    With *relates_to*, the answer must repeat that MessageID to the letter ([DSP0226]
    R5.4.4-3). Raises ``EnvelopeError`` for what no source could use.
    """
    try:
        root = parse(text)
    except XmlError as error:
        raise _useless(str(error)) from None
    header, body = root.find(_s("Header")), root.find(_s("Body"))
    if root.tag != _s("Envelope") or body is None:
        raise _useless("the answer is no SOAP 1.2 envelope with a body")
    if relates_to is not None and (found := _text(header, _a("RelatesTo"))) != relates_to:
        raise _useless(f'the answer relates to "{found[:100]}" and not to "{relates_to[:100]}"')
    first = body[0] if len(body) else None
    if first is None:
        action = _text(header, _a("Action"))
        if action != names.ACK:
            raise _useless(f'the answer\'s action is "{action[:100]}" and its body is empty; an Ack would be right')
        return Ack()
    if first.tag == _s("Fault"):
        return _fault(first, header)
    if first.tag == _n("EnumerateResponse"):
        return _enumerate_response(first)
    if first.tag == f"{{{names.IDENTITY}}}IdentifyResponse":
        return _identify_response(first)
    raise _useless(f"the answer holds {str(first.tag)[:200]}, which answers nothing that was asked")


def _useless(sentence: str) -> EnvelopeError:
    return EnvelopeError(sentence, fault=None)


def _s(name: str) -> str:
    return f"{{{names.SOAP}}}{name}"


def _a(name: str) -> str:
    return f"{{{names.ADDRESSING}}}{name}"


def _e(name: str) -> str:
    return f"{{{names.EVENTING}}}{name}"


def _n(name: str) -> str:
    return f"{{{names.ENUMERATION}}}{name}"


def _w(name: str) -> str:
    return f"{{{names.WSMAN}}}{name}"


def _text(element: Element | None, path: str) -> str:
    return (element.findtext(path) or "").strip(BLANKS) if element is not None else ""


def _fault(fault: Element, header: Element | None) -> Fault:
    """Subcode by namespace, where its prefix is declared; the text as sent, without the blanks behind it."""
    value = fault.find(f"{_s('Code')}/{_s('Subcode')}/{_s('Value')}")
    reason = _text(fault, f"{_s('Reason')}/{_s('Text')}") or None
    if value is None:
        missed = header.find(_s("NotUnderstood")) if header is not None else None
        prefix, _, name = (missed.get("qname") or "" if missed is not None else "").rpartition(":")
        namespace = missed.nsmap.get(prefix or None, "") if missed is not None else ""
        code = _text(fault, f"{_s('Code')}/{_s('Value')}")
        known = code.rpartition(":")[2] == "MustUnderstand"
        return Fault(MUST_UNDERSTAND if known else code, text=reason, header=(namespace, name) if name else None)
    prefix, _, name = (value.text or "").strip(BLANKS).rpartition(":")
    prefix = _PREFIXES.get(value.nsmap.get(prefix or None, ""), prefix)
    detail = fault.find(_s("Detail"))
    named = _text(detail, _w("FaultDetail")).removeprefix(names.FAULT_DETAIL) or None
    return Fault(f"{prefix}:{name}" if prefix else name, detail=named, text=reason, extra=_extra(detail))


def _extra(detail: Element | None) -> str | None:
    """The text of the detail element that is neither w:FaultDetail nor Windows' own WSManFault."""
    for child in detail if detail is not None else ():
        if child.tag not in (_w("FaultDetail"), f"{{{names.WSMAN_FAULT}}}WSManFault"):
            return (child.text or "").strip(BLANKS)
    return None


def _identify_response(response: Element) -> IdentifyResponse:
    def wsmid(name: str) -> str:
        return f"{{{names.IDENTITY}}}{name}"

    profiles = [(name.text or "").strip(BLANKS) for name in response.iter(wsmid("SecurityProfileName"))]
    return IdentifyResponse(
        _text(response, wsmid("ProductVendor")),
        _text(response, wsmid("ProductVersion")),
        tuple(profile.removeprefix(names.SECURITY_PROFILE) for profile in profiles),
    )


# EnumerateResponse --------------------------------------------------------------------------------------------------


def _enumerate_response(response: Element) -> EnumerateResponse:
    if _text(response, _n("EnumerationContext")):
        raise _useless("the answer has an EnumerationContext: the collector wants to be pulled for the rest")
    offers, message_ids = [], []
    for item in response.iterfind(f"{_w('Items')}/{{{names.SUBSCRIPTION}}}Subscription"):
        envelope = item.find(_s("Envelope"))
        subscribe = envelope.find(f"{_s('Body')}/{_e('Subscribe')}") if envelope is not None else None
        if envelope is None or subscribe is None:
            raise _useless("an offered subscription holds no Subscribe message")
        header = envelope.find(_s("Header"))
        version = _text(item, f"{{{names.SUBSCRIPTION}}}Version").removeprefix("uuid:")
        offers.append(_offer(version, header, subscribe))
        message_ids.append(_text(header, _a("MessageID")))
    return EnumerateResponse(tuple(offers), tuple(message_ids))


def _offer(version: str, header: Element | None, subscribe: Element) -> Offer:
    options = dict(_options(header))
    delivery = subscribe.find(_e("Delivery"))
    if delivery is None or delivery.get("Mode") != names.EVENTS:
        raise _useless("an offered subscription does not ask for the delivery mode Events")
    notify_to = delivery.find(_e("NotifyTo"))
    profile, issuer = _policy(notify_to)
    retry = delivery.find(_w("ConnectionRetry"))
    locale = delivery.find(_w("Locale"))
    references = _references(notify_to)
    return Offer(
        name=options.get("SubscriptionName", ""),
        identifier=references.get(_e("Identifier"), ""),
        version=version,
        revision=references.get("Revision", ""),
        notify_to=_text(notify_to, _a("Address")),
        profile=profile,
        issuer=issuer,
        query=_inner(subscribe.find(_w("Filter"))) or "",
        bookmark=_inner(subscribe.find(_w("Bookmark"))),
        read_existing_events=_on(options.get("ReadExistingEvents")),
        content_format=options.get("ContentFormat", "Raw"),
        locale=locale.get(f"{{{names.XML}}}lang") if locale is not None else None,
        compression=options.get("Compression", "").upper() == "SLDC",
        ignore_channel_error=_on(options.get("IgnoreChannelError")),
        heartbeat=_seconds(_text(delivery, _w("Heartbeats"))),
        max_time=_seconds(_text(delivery, _w("MaxTime"))),
        max_elements=_number(_text(delivery, _w("MaxElements"))) or None,
        max_envelope_size=_number(_text(delivery, _w("MaxEnvelopeSize"))),
        retry_interval=_seconds((retry.text or "").strip(BLANKS) if retry is not None else ""),
        retry_total=_number((retry.get("Total") or "").strip(BLANKS) if retry is not None else ""),
        expires=_text(subscribe, _e("Expires")) or None,
    )


def _options(header: Element | None) -> Iterator[tuple[str, str]]:
    """Name and value of each option; an empty one is switched on ([DSP0226] 6.4)."""
    for option in header.iterfind(f"{_w('OptionSet')}/{_w('Option')}") if header is not None else ():
        yield option.get("Name") or "", (option.text or "").strip(BLANKS) or option.get(f"{{{names.XSI}}}nil") or "true"


def _on(value: str | None) -> bool:
    return value is not None and value.lower() in ("true", "1")


def _references(notify_to: Element | None) -> dict[str, str]:
    """Reference properties and parameters by tag: what comes back as headers (R10.2.1-5)."""
    found: dict[str, str] = {}
    for kind in ("ReferenceProperties", "ReferenceParameters"):
        group = notify_to.find(_a(kind)) if notify_to is not None else None
        for child in group if group is not None else ():
            found[str(child.tag)] = (child.text or "").strip(BLANKS)
    return found


def _policy(notify_to: Element | None) -> tuple[str | None, str | None]:
    """Profile and issuer thumbprint, in either namespace that specification and Windows use (protocol.md 0.2)."""
    for element in notify_to.iter() if notify_to is not None else ():
        if element.tag in (f"{{{names.AUTHENTICATION}}}Authentication", _w("Authentication")):
            profile = (element.get("Profile") or "").removeprefix(names.SECURITY_PROFILE)
            thumbprints = [e for e in element.iter() if str(e.tag).endswith("}Thumbprint")]
            return profile, (thumbprints[0].text or "").strip(BLANKS) if thumbprints else None
    return None, None


def _inner(element: Element | None) -> str | None:
    """The one element inside, as XML that stands alone, or the text; None for neither."""
    if element is None:
        return None
    return alone(element[0]) if len(element) else (element.text or "").strip(BLANKS) or None


def _seconds(text: str) -> float:
    """0 for a duration that is absent or unreadable."""
    return seconds(text) or 0.0


def _number(text: str) -> int:
    """0 for a number that is absent or unreadable."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
