"""A ``Reply`` becomes text. Built of strings: an Ack must cost a few microseconds.

Prefixes and order are those of a Windows collector, so that whatever a Windows source
has learned to accept, it gets. What is offered to whom, and in which charset the text
travels, is not known here.
"""

from __future__ import annotations

from typing import assert_never

from collector.wsman import names, subscribing
from collector.wsman.duration import duration
from collector.wsman.faults import FAULTS, MUST_UNDERSTAND
from collector.wsman.messages import (
    Ack,
    EnumerateResponse,
    Fault,
    IdentifyResponse,
    NoContent,
    Offer,
    Reply,
    ResourceResponse,
)
from collector.wsman.resources import resource_body
from collector.wsman.xml import escaped, quoted

_NAMESPACES = {
    "s": names.SOAP,
    "a": names.ADDRESSING,
    "x": names.TRANSFER,
    "e": names.EVENTING,
    "n": names.ENUMERATION,
    "w": names.WSMAN,
    "p": names.MICROSOFT,
}


def envelope_start(prefixes: str) -> str:
    """``<s:Envelope`` and the declarations of *prefixes*, one letter each, not yet closed."""
    return "<s:Envelope" + "".join(f' xmlns:{prefix}="{_NAMESPACES[prefix]}"' for prefix in prefixes)


def _reply_start(prefixes: str) -> str:
    return envelope_start(prefixes).replace("<s:Envelope", '<s:Envelope xml:lang="en-US"', 1) + "><s:Header>"


_ACK = _reply_start("saw") + f"<a:Action>{names.ACK}</a:Action><a:MessageID>"
_AFTER_HEADER = "</s:Header><s:Body>"
_END = "</s:Body></s:Envelope>"


def write_envelope(reply: Reply, *, message_id: str, relates_to: str | None, reply_to: str = names.ANONYMOUS) -> str:
    """The envelope of *reply*.

    *message_id* is a fresh ``uuid:`` id; *relates_to* repeats the request's MessageID to the
    letter ([DSP0226] R5.4.4-3), None when it had none; *reply_to* is its ReplyTo address
    (R5.4.2-4). ``NoContent`` has no envelope: ``ValueError``.
    """
    match reply:
        case Ack():
            return _ACK + _addressed(message_id, relates_to, reply_to) + _AFTER_HEADER + _END
        case EnumerateResponse():
            body = _enumerate_response(reply)
            return _enveloped("sanwp", names.ENUMERATE_RESPONSE, _addressed(message_id, relates_to, reply_to), body)
        case Fault():
            return _fault(reply, _addressed(message_id, relates_to, reply_to))
        case IdentifyResponse():
            return _identify_response(reply)
        case ResourceResponse():
            prefixes, action, body = resource_body(reply)
            return _enveloped(prefixes, action, _addressed(message_id, relates_to, reply_to), body)
        case NoContent():
            raise ValueError("NoContent is answered with a status and has no envelope")
        case _:
            assert_never(reply)


def _addressed(message_id: str, relates_to: str | None, reply_to: str) -> str:
    """The header after the start tag of a:MessageID."""
    related = f"<a:RelatesTo>{escaped(relates_to)}</a:RelatesTo>" if relates_to else ""
    to = reply_to if reply_to == names.ANONYMOUS else escaped(reply_to or names.ANONYMOUS)
    return f"{message_id}</a:MessageID><a:To>{to}</a:To>{related}"


def _enveloped(prefixes: str, action: str, addressed: str, body: str, *, before: str = "") -> str:
    start = _reply_start(prefixes)
    return f"{start}{before}<a:Action>{action}</a:Action><a:MessageID>{addressed}{_AFTER_HEADER}{body}{_END}"


# EnumerateResponse ([MS-WSMV] 3.1.4.1.30) ---------------------------------------------------------------------------


def _enumerate_response(reply: EnumerateResponse) -> str:
    items = "".join(
        _subscription(offer, message_id) for offer, message_id in zip(reply.offers, reply.message_ids, strict=True)
    )
    return (
        "<n:EnumerateResponse><n:EnumerationContext></n:EnumerationContext>"
        f"<w:Items>{items}</w:Items><w:EndOfSequence/></n:EnumerateResponse>"
    )


def _subscription(offer: Offer, message_id: str) -> str:
    """One item: the version, and a whole Subscribe message ([MS-WSMV] 2.2.4.41)."""
    return (
        f'<m:Subscription xmlns:m="{names.SUBSCRIPTION}"><m:Version>uuid:{escaped(offer.version)}</m:Version>'
        f"{envelope_start('saenwp')}><s:Header>{_subscribe_header(offer, message_id)}</s:Header>"
        f"<s:Body><e:Subscribe>{_subscribe(offer)}</e:Subscribe></s:Body></s:Envelope></m:Subscription>"
    )


def _subscribe_header(offer: Offer, message_id: str) -> str:
    return (
        f"<a:To>{names.ANONYMOUS}</a:To>"
        f'<w:ResourceURI s:mustUnderstand="true">{names.EVENT_LOG}</w:ResourceURI>'
        f'<a:ReplyTo><a:Address s:mustUnderstand="true">{names.ANONYMOUS}</a:Address></a:ReplyTo>'
        f'<a:Action s:mustUnderstand="true">{names.SUBSCRIBE}</a:Action>'
        f'<w:MaxEnvelopeSize s:mustUnderstand="true">{offer.max_envelope_size}</w:MaxEnvelopeSize>'
        f"<a:MessageID>{escaped(message_id)}</a:MessageID>{_locales(offer)}"
        f"{subscribing.option_set(subscribing.options(offer))}"
    )


def _locales(offer: Offer) -> str:
    return subscribing.locales(offer.locale) if offer.locale else ""


def _subscribe(offer: Offer) -> str:
    address = (
        f"<a:Address>{escaped(offer.notify_to)}</a:Address>"
        f"<a:ReferenceParameters>{subscribing.references(offer)}</a:ReferenceParameters>"
    )
    expires = f"<e:Expires>{escaped(offer.expires)}</e:Expires>" if offer.expires else ""
    return (
        f"<e:EndTo>{address}</e:EndTo>"
        f'<e:Delivery Mode="{names.EVENTS}">{_delivery(offer, address)}</e:Delivery>{expires}'
        f'<w:Filter Dialect="{names.EVENT_QUERY}">{offer.query}</w:Filter>'
        f"{subscribing.bookmarked(offer.bookmark)}<w:SendBookmarks/>"
    )


def _delivery(offer: Offer, address: str) -> str:
    return (
        f"<w:Heartbeats>{duration(offer.heartbeat)}</w:Heartbeats>"
        f"<e:NotifyTo>{address}{subscribing.policy(offer)}</e:NotifyTo>{subscribing.batching(offer)}"
        f"{_locales(offer)}<w:ContentEncoding>UTF-16</w:ContentEncoding>"
    )


# Identify and faults ------------------------------------------------------------------------------------------------


def _identify_response(reply: IdentifyResponse) -> str:
    """[DSP0226] 11; without WS-Addressing, like its request."""
    profiles = "".join(
        f"<wsmid:SecurityProfileName>{names.SECURITY_PROFILE}{escaped(profile)}</wsmid:SecurityProfileName>"
        for profile in reply.profiles
    )
    return (
        f'<s:Envelope xml:lang="en-US" xmlns:s="{names.SOAP}"><s:Header></s:Header><s:Body>'
        f'<wsmid:IdentifyResponse xmlns:wsmid="{names.IDENTITY}">'
        f"<wsmid:ProtocolVersion>{names.WSMAN}</wsmid:ProtocolVersion>"
        f"<wsmid:ProductVendor>{escaped(reply.vendor)}</wsmid:ProductVendor>"
        f"<wsmid:ProductVersion>{escaped(reply.version)}</wsmid:ProductVersion>"
        + (f"<wsmid:SecurityProfiles>{profiles}</wsmid:SecurityProfiles>" if profiles else "")
        + "</wsmid:IdentifyResponse></s:Body></s:Envelope>"
    )


def _fault(fault: Fault, addressed: str) -> str:
    """A fault is an ordinary envelope ([DSP0226] 14); one whose row is unknown is a mistake of ours: KeyError."""
    kind = FAULTS[fault.name]
    before = ""
    subcode = f"<s:Subcode><s:Value>{fault.name}</s:Value></s:Subcode>"
    if fault.name == MUST_UNDERSTAND:
        subcode = ""
        namespace, name = fault.header or ("", "")
        qname = f'qname="ns:{quoted(name)}" xmlns:ns="{quoted(namespace)}"' if namespace else f'qname="{quoted(name)}"'
        before = f"<s:NotUnderstood {qname}/>"
    details = f"<w:FaultDetail>{names.FAULT_DETAIL}{escaped(fault.detail)}</w:FaultDetail>" if fault.detail else ""
    if kind.extra and fault.extra is not None:
        details += f"<{kind.extra}>{escaped(fault.extra)}</{kind.extra}>"
    body = (
        f"<s:Fault><s:Code><s:Value>{kind.code}</s:Value>{subcode}</s:Code>"
        f'<s:Reason><s:Text xml:lang="en-US">{escaped(fault.text or kind.reason)}</s:Text></s:Reason>'
        + (f"<s:Detail>{details}</s:Detail>" if details else "")
        + "</s:Fault>"
    )
    return _enveloped("saxenwp", kind.action, addressed, body, before=before)
