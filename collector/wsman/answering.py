"""What a Windows source answers, spelled as Windows spells it: for the simulator, and for tests of ``answers``.

The form of captured messages, header order and blanks included, so that a collector which reads these has read Windows.
No state: ids, contexts and bookmarks are handed in.
"""

from __future__ import annotations

from collections.abc import Sequence

from collector.wsman import names, subscribing
from collector.wsman.duration import duration
from collector.wsman.faults import FAULTS, MUST_UNDERSTAND
from collector.wsman.refusing import CallRefused
from collector.wsman.writer import envelope_start
from collector.wsman.xml import escaped, quoted

QUOTA_CODE = 2150859174
"""Too many operations of one user at a time (``fault-quota-max-concurrent.xml``), with ``w:InternalError``."""


def write_subscribe_response(
    *,
    message_id: str,
    relates_to: str,
    manager: str,
    identifier: str,
    context: str | None,
    expires: float | None = None,
) -> str:
    """SubscribeResponse; *context* None in push modes; *expires* None: never, PT0.000S as Windows says it.

    Also in push modes the manager's w:ResourceURI is among its reference properties, as in Windows since 2008.
    """
    enumeration = f"<n:EnumerationContext>{escaped(context)}</n:EnumerationContext>" if context is not None else ""
    body = (
        f"<e:SubscribeResponse><e:SubscriptionManager><a:Address>{escaped(manager)}</a:Address>"
        f"<a:ReferenceProperties><w:ResourceURI>{names.EVENT_LOG}</w:ResourceURI>"
        f"<e:Identifier>{escaped(identifier)}</e:Identifier></a:ReferenceProperties></e:SubscriptionManager>"
        f"<e:Expires>{duration(expires or 0.0)}</e:Expires>{enumeration}</e:SubscribeResponse>"
    )
    return _answer("saenw", names.SUBSCRIBE_RESPONSE, body, message_id, relates_to)


def write_pull_response(
    events: Sequence[str],
    context: str | None,
    bookmark: str | None,
    *,
    message_id: str,
    relates_to: str,
    ended: bool = False,
    dropped: int | None = None,
    cdata: bool = False,
    items: bool = True,
) -> str:
    """PullResponse with *events* (XML texts) as elements, or with *cdata* as text; *bookmark* as in ``Delivery``.

    *dropped* adds a DroppedEvents marker with that total. Without *items* there is no n:Items, and the events stand
    where it would, as openwsman has them.
    """
    texts = (f"<![CDATA[{event.replace(']]>', ']]]]><![CDATA[>')}]]>" for event in events) if cdata else events
    held = "".join(texts)
    if dropped is not None:
        held += (
            f'<w:Event Action="{names.DROPPED_EVENTS}">'
            f'<w:DroppedEvents Action="{names.EVENT_ITEM}">{dropped}</w:DroppedEvents></w:Event>'
        )
    held = f"<n:Items>{held}</n:Items>" if items else held
    body = f"<n:PullResponse>{_context(context)}{held}{'<n:EndOfSequence/>' if ended else ''}</n:PullResponse>"
    return _answer("sanw", names.PULL_RESPONSE, body, message_id, relates_to, marked=subscribing.bookmarked(bookmark))


def write_unsubscribe_response(*, message_id: str, relates_to: str) -> str:
    """UnsubscribeResponse; its body is empty."""
    return _answer("saenw", names.UNSUBSCRIBE_RESPONSE, "", message_id, relates_to)


def write_renew_response(expires: float, *, message_id: str, relates_to: str) -> str:
    """RenewResponse, which Windows never says (it answers ``e:UnableToRenew``)."""
    body = f"<e:RenewResponse><e:Expires>{duration(expires)}</e:Expires></e:RenewResponse>"
    return _answer("saenw", names.RENEW_RESPONSE, body, message_id, relates_to)


def write_get_response(document: str, *, message_id: str, relates_to: str) -> str:
    """GetResponse with the XML text *document*."""
    return _answer("saxwp", names.GET_RESPONSE, document, message_id, relates_to)


def write_enumerate_response(
    items: Sequence[str], context: str, *, message_id: str, relates_to: str, ended: bool, optimized: bool = True
) -> str:
    """EnumerateResponse of a resource; not *optimized* it has no items but a context ([DSP0226] R8.2.3-5)."""
    held = f"<w:Items>{''.join(items)}</w:Items>{'<w:EndOfSequence/>' if ended else ''}" if optimized else ""
    body = f"<n:EnumerateResponse>{_context('' if ended and optimized else context)}{held}</n:EnumerateResponse>"
    return _answer("sanwp", names.ENUMERATE_RESPONSE, body, message_id, relates_to)


def write_resource_pull_response(
    items: Sequence[str], context: str, *, message_id: str, relates_to: str, ended: bool
) -> str:
    """PullResponse of an enumerated resource."""
    after = "<n:EndOfSequence/>" if ended else ""
    body = (
        f"<n:PullResponse>{_context(None if ended else context)}<n:Items>{''.join(items)}</n:Items>{after}"
        "</n:PullResponse>"
    )
    return _answer("sanwp", names.PULL_RESPONSE, body, message_id, relates_to)


def write_identify_response(
    version: str, profiles: Sequence[str] = (), *, vendor: str = "Microsoft Corporation"
) -> str:
    """IdentifyResponse as Windows gives it; *profiles* (``http/spnego-kerberos``) only for who is authenticated.

    *version* is like ``OS: 10.0.20348 SP: 0.0 Stack: 3.0``, for anybody else ``OS: 0.0.0 SP: 0.0 Stack: 3.0``.
    """
    named = "".join(
        f"<wsmid:SecurityProfileName>{names.SECURITY_PROFILE}{escaped(profile)}</wsmid:SecurityProfileName>"
        for profile in profiles
    )
    start = (
        f'<s:Envelope xml:lang="en-US" xmlns:s="{names.SOAP}"><s:Header></s:Header><s:Body>'
        if named
        else f'<s:Envelope xmlns:s="{names.SOAP}"><s:Header/><s:Body>'
    )
    return (
        f'{start}<wsmid:IdentifyResponse xmlns:wsmid="{names.IDENTITY}">'
        f"<wsmid:ProtocolVersion>{names.WSMAN}</wsmid:ProtocolVersion>"
        f"<wsmid:ProductVendor>{escaped(vendor)}</wsmid:ProductVendor>"
        f"<wsmid:ProductVersion>{escaped(version)}</wsmid:ProductVersion>"
        + (f"<wsmid:SecurityProfiles>{named}</wsmid:SecurityProfiles>" if named else "")
        + "</wsmid:IdentifyResponse></s:Body></s:Envelope>"
    )


def write_source_fault(
    name: str,
    code: int,
    text: str,
    *,
    message_id: str,
    relates_to: str | None,
    detail: str | None = None,
    reason: str | None = None,
    machine: str = "",
    provider: tuple[str, str] | None = None,
    nested: bool = False,
    lang: str = "en-US",
    not_understood: tuple[str, str] | None = None,
) -> str:
    """A fault (HTTP 500) with a f:WSManFault: *code*, *text*, *machine*. ``KeyError``: no fault has that *name*.

    *provider* (name, path) wraps the text into a f:ProviderFault, *nested* that again around a f:WSManFault.
    *reason* is s:Reason, the *text* when None; *not_understood* (namespace, name) the header of ``s:MustUnderstand``.
    """
    kind = FAULTS[name]
    subcode = f"<s:Subcode><s:Value>{name}</s:Value></s:Subcode>" if name != MUST_UNDERSTAND else ""
    details = f"<w:FaultDetail>{names.FAULT_DETAIL}{escaped(detail)}</w:FaultDetail>" if detail else ""
    message = escaped(text)
    if provider is not None:
        inner = _wsman_fault(code, machine, message) if nested else message
        message = (
            f'<f:ProviderFault provider="{quoted(provider[0])}" path="{quoted(provider[1])}">{inner}</f:ProviderFault>'
        )
    body = (
        f"<s:Fault><s:Code><s:Value>{kind.code}</s:Value>{subcode}</s:Code>"
        f'<s:Reason><s:Text xml:lang="{quoted(lang)}">{escaped(text if reason is None else reason)}</s:Text></s:Reason>'
        f"<s:Detail>{details}{_wsman_fault(code, machine, message)}</s:Detail></s:Fault>"
    )
    before = ""
    if not_understood is not None:
        namespace, local = not_understood
        before = f'<s:NotUnderstood qname="ns:{quoted(local)}" xmlns:ns="{quoted(namespace)}"/>'
    return _answer("saxenwp", kind.action, body, message_id, relates_to, before=before)


def write_refusal(refused: CallRefused, *, message_id: str, machine: str = "") -> str:
    """The fault of a call that ``read_call`` refused; ``ValueError`` when it has none: that is a bare 400."""
    fault = refused.fault
    if fault is None:
        raise ValueError("this call is answered with a bare status")
    return write_source_fault(
        fault.name,
        refused.code,
        fault.text or f"The WS-Management service cannot process the request: {refused}. ",
        message_id=message_id,
        relates_to=refused.relates_to,
        detail=fault.detail,
        machine=machine,
        not_understood=fault.header,
    )


def _wsman_fault(code: int, machine: str, message: str) -> str:
    return (
        f'<f:WSManFault xmlns:f="{names.WSMAN_FAULT}" Code="{code}" Machine="{quoted(machine)}">'
        f"<f:Message>{message}</f:Message></f:WSManFault>"
    )


def _context(context: str | None) -> str:
    return f"<n:EnumerationContext>{escaped(context)}</n:EnumerationContext>" if context is not None else ""


def _answer(
    prefixes: str,
    action: str,
    body: str,
    message_id: str,
    relates_to: str | None,
    *,
    marked: str = "",
    before: str = "",
) -> str:
    start = envelope_start(prefixes).replace("<s:Envelope", '<s:Envelope xml:lang="en-US"', 1)
    related = f"<a:RelatesTo>{escaped(relates_to)}</a:RelatesTo>" if relates_to is not None else ""
    return (
        f"{start}><s:Header>{before}<a:Action>{action}</a:Action><a:MessageID>{escaped(message_id)}</a:MessageID>"
        f"<a:To>{names.ANONYMOUS}</a:To>{marked}{related}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    )
