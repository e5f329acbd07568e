"""A Subscribe of a collector, read as strictly as Windows reads it.

What is queried, and whether there is such a log, is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from collector.wsman import names
from collector.wsman.duration import seconds
from collector.wsman.messages import Header
from collector.wsman.refusing import FEATURE, Asked, refused
from collector.wsman.xml import BLANKS, Element, XmlError, alone, parse


@dataclass(frozen=True, slots=True)
class Delivering:
    """The settings inside e:Delivery. Seconds and bytes; None: not said.

    *notify_to* is "" in pull mode. *references* are NotifyTo's reference properties and parameters, each an XML text
    that stands alone, to be repeated as headers of every delivery. *profile* is the last part of the policy's security
    profile (``https/mutual``), *issuer* its thumbprint.
    """

    mode: str  # "Pull" | "Events" | "Push" | "PushWithAck"
    heartbeat: float | None = None
    notify_to: str = ""
    references: Sequence[str] = ()
    identifier: str = ""
    version: str = ""
    revision: str = ""
    profile: str | None = None
    issuer: str | None = None
    retry_interval: float | None = None
    retry_total: int | None = None
    max_elements: int | None = None
    max_time: float | None = None
    max_envelope_size: int | None = None
    locale: str | None = None
    encoding: str | None = None


@dataclass(frozen=True, slots=True)
class Subscribe:
    """*query* is the QueryList as XML text; *bookmark* as in ``Delivery``; *expires* in seconds, None: not said.

    *options* are the w:OptionSet, a value of None was xsi:nil.
    """

    header: Header
    delivery: Delivering
    query: str
    dialect: str | None
    bookmark: str | None
    options: Sequence[tuple[str, str | None]]
    expires: float | None
    send_bookmarks: bool


_MODES = {
    None: "Push",  # [DSP0226] 10.2.9
    names.MODE_PUSH: "Push",
    names.MODE_PUSH_WITH_ACK: "PushWithAck",
    names.EVENTS: "Events",
    names.MODE_PULL: "Pull",
}
_ADDRESS = f"{{{names.ADDRESSING}}}Address"
_NOTIFY_TO = f"{{{names.EVENTING}}}NotifyTo"
_END_TO = f"{{{names.EVENTING}}}EndTo"
_REFERENCE = f"{{{names.ADDRESSING}}}Reference"
_RETRY = f"{{{names.WSMAN}}}ConnectionRetry"
_LANG = f"{{{names.XML}}}lang"
_LIFETIME = re.compile(r"PT([0-9]{1,18}(?:\.[0-9]{1,9})?)S")
_VALUES = {"ContentFormat": ("Raw", "RenderedText"), "Compression": ("SLDC",)}


def read_subscribe(asked: Asked) -> Subscribe:
    """The Subscribe in the body of *asked*. Raises ``CallRefused``."""
    holder = asked.body.find(f"{{{names.EVENTING}}}Delivery")
    if holder is None:
        raise refused(asked.header, "e:InvalidMessage", "e:Delivery is missing")
    chosen = asked.options()
    for name, value in chosen:
        if name in _VALUES and value not in _VALUES[name]:
            known = " or ".join(_VALUES[name])
            raise refused(asked.header, "w:InvalidOptions", f'{name} is "{value}", not {known}', "InvalidValue")
    query, dialect = _filter(asked)
    return Subscribe(
        asked.header,
        _delivering(asked, holder),
        query,
        dialect,
        _bookmark(asked),
        chosen,
        expires(asked),
        asked.body.find(f"{{{names.WSMAN}}}SendBookmarks") is not None,
    )


def expires(asked: Asked) -> float | None:
    """e:Expires in seconds; Windows wants a duration (0x80338020), and one that is longer than nothing."""
    text = asked.text(f"{{{names.EVENTING}}}Expires")
    if text is None:
        return None
    long = _LIFETIME.fullmatch(text)
    amount = float(long[1]) if long else seconds(text)
    if amount is None:
        raise refused(asked.header, "e:UnsupportedExpirationType", f'e:Expires is "{text[:60]}", not a duration')
    if amount <= 0:
        raise refused(asked.header, "e:InvalidExpirationTime", "e:Expires is no time at all")
    return amount


def _delivering(asked: Asked, holder: Element) -> Delivering:
    said = holder.get("Mode")
    mode = _MODES.get(said.strip(BLANKS) if said is not None else None)
    if mode is None:
        raise refused(
            asked.header, "e:DeliveryModeRequestedUnavailable", f'there is no delivery mode "{(said or "")[:200]}"'
        )
    _require_compatible(asked, holder, mode)
    within = Asked(asked.header, None, holder, asked.opened)
    heartbeat = within.seconds(f"{{{names.WSMAN}}}Heartbeats")
    if heartbeat == 0:
        raise refused(asked.header, FEATURE, "w:Heartbeats is 0", "AddressingMode", code=2150858916)
    interval, total = _retry(asked, holder)
    encoding = within.text(f"{{{names.WSMAN}}}ContentEncoding")
    if encoding is not None and encoding.upper() not in ("UTF-8", "UTF-16"):
        raise refused(
            asked.header, FEATURE, f'w:ContentEncoding is "{encoding[:40]}"', "AddressingMode", code=2150859255
        )
    delivering = Delivering(
        mode,
        heartbeat,
        retry_interval=interval,
        retry_total=total,
        max_elements=within.number(f"{{{names.WSMAN}}}MaxElements"),
        max_time=within.seconds(f"{{{names.WSMAN}}}MaxTime"),
        max_envelope_size=within.number(f"{{{names.WSMAN}}}MaxEnvelopeSize"),
        locale=_locale(asked, holder),
        encoding=encoding,
    )
    return delivering if mode == "Pull" else _addressed(asked, holder, delivering)


def _require_compatible(asked: Asked, holder: Element, mode: str) -> None:
    """Batches are for Events mode, addresses for all but Pull ([DSP0226] R10.2.9.5-2; 0x80338094)."""
    unfit = {"Pull": ("MaxElements", "MaxTime", "MaxEnvelopeSize"), "Events": ()}.get(mode, ("MaxElements", "MaxTime"))
    found = [name for name in unfit if holder.find(f"{{{names.WSMAN}}}{name}") is not None]
    if mode == "Pull":
        found += ["NotifyTo"] if holder.find(_NOTIFY_TO) is not None else []
        found += ["EndTo"] if asked.body.find(_END_TO) is not None else []
    if found:
        raise refused(
            asked.header,
            FEATURE,
            f"{found[0]} does not fit the delivery mode {mode}",
            "FormatMismatch",
            code=2150858900,
        )


def _retry(asked: Asked, holder: Element) -> tuple[float | None, int | None]:
    """Both zero or both not, else the subscription fails ([MS-WSMV] 3.1.4.1.30.2)."""
    element = holder.find(_RETRY)
    if element is None:
        return None, None
    interval, total = seconds((element.text or "").strip(BLANKS)), (element.get("Total") or "").strip(BLANKS)
    number = int(total) if total.isascii() and total.isdigit() and len(total) < 10 else None
    if interval is None or number is None or (interval > 0) != (number > 0):
        raise refused(asked.header, "w:InternalError", "w:ConnectionRetry is not valid", code=2150859103)
    return interval, number


def _locale(asked: Asked, holder: Element) -> str | None:
    element = holder.find(f"{{{names.WSMAN}}}Locale")
    if element is None:
        return None
    if not element.get(_LANG):
        raise refused(asked.header, "e:InvalidMessage", "w:Locale in e:Delivery has no xml:lang", code=2150859028)
    return element.get(_LANG)


def _addressed(asked: Asked, holder: Element, delivering: Delivering) -> Delivering:
    """*delivering* with where it goes, and how that is authenticated."""
    notify = holder.find(_NOTIFY_TO)
    if notify is None:
        raise refused(asked.header, FEATURE, "e:NotifyTo is missing", "AddressingMode", code=2150858912)
    url = asked.opened.clean((notify.findtext(_ADDRESS) or "").strip(BLANKS))
    if not url:
        raise refused(asked.header, FEATURE, "e:NotifyTo has no address", "AddressingMode", code=2150858913)
    if not url.lower().startswith(("http://", "https://")):
        raise refused(asked.header, FEATURE, f'"{url[:200]}" is no URL', "AddressingMode", code=2150858914)
    end = asked.body.find(_END_TO)
    if end is not None and asked.opened.clean((end.findtext(_ADDRESS) or "").strip(BLANKS)) != url:
        raise refused(asked.header, FEATURE, "e:EndTo differs from e:NotifyTo", "AddressingMode", code=2150858902)
    references = [child for kind in ("Properties", "Parameters") for child in notify.iterfind(f"{_REFERENCE}{kind}/*")]
    said = {str(child.tag): (child.text or "").strip(BLANKS) for child in references}
    policy = next(notify.iter(f"{{{names.AUTHENTICATION}}}Authentication"), None)
    profile = (policy.get("Profile") or "").strip(BLANKS) if policy is not None else None
    issuer = policy.findtext(f".//{{{names.AUTHENTICATION}}}Thumbprint") if policy is not None else None
    return replace(
        delivering,
        notify_to=url,
        references=tuple(asked.opened.clean(alone(child)) for child in references),
        identifier=said.get(f"{{{names.EVENTING}}}Identifier", ""),
        version=said.get("Version", ""),
        revision=said.get("Revision", ""),
        profile=profile.removeprefix(names.SECURITY_PROFILE) if profile is not None else None,
        issuer=issuer.strip(BLANKS) if issuer is not None else None,
    )


def _filter(asked: Asked) -> tuple[str, str | None]:
    """The QueryList as XML text, and its dialect."""
    found = asked.body.findall(f"{{{names.WSMAN}}}Filter") + asked.body.findall(f"{{{names.EVENTING}}}Filter")
    if len(found) != 1:
        name = "e:InvalidMessage" if found else "w:CannotProcessFilter"
        raise refused(asked.header, name, f"there are {len(found)} filters; one would be right")
    dialect = found[0].get("Dialect")
    if dialect is not None and dialect.strip(BLANKS) != names.EVENT_QUERY:
        raise refused(asked.header, "e:FilteringRequestedUnavailable", f'there is no dialect "{dialect[:200]}"')
    if len(found[0]) > 1:
        raise refused(asked.header, "e:EventSourceUnableToProcess", "the filter holds more than one element")
    query = alone(found[0][0]) if len(found[0]) else (found[0].text or "").strip(BLANKS)
    query = asked.opened.clean(query)
    try:
        whole = parse(query).tag == "QueryList"
    except XmlError:
        whole = False
    if not whole:
        raise refused(asked.header, "w:CannotProcessFilter", "the filter is no QueryList", code=2150859015)
    return query, dialect.strip(BLANKS) if dialect is not None else None


def _bookmark(asked: Asked) -> str | None:
    element = asked.body.find(f"{{{names.WSMAN}}}Bookmark")
    if element is None:
        return None
    bookmark = asked.opened.clean(alone(element[0]) if len(element) else (element.text or "").strip(BLANKS))
    # One element in no namespace, or the word for "from the beginning" (R10.2.6-7).
    if (len(element) != 1 and bookmark != names.EARLIEST) or (len(element) and element[0].tag != "BookmarkList"):
        raise refused(asked.header, "w:InvalidBookmark", "the bookmark is no BookmarkList", "InvalidFormat")
    return bookmark
