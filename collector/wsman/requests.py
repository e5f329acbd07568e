"""What a source says, spelled as Windows spells it: for the simulator, and for tests of the reader.

Byte for byte the form of captured messages, header order and blanks included, so that a
collector which reads these has read Windows. No state: ids and times are handed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from collector.wsman import names
from collector.wsman.duration import duration
from collector.wsman.subscribing import locales
from collector.wsman.writer import envelope_start
from collector.wsman.xml import escaped, quoted

_REPLY_TO = f'<a:ReplyTo><a:Address s:mustUnderstand="true">{names.ANONYMOUS}</a:Address></a:ReplyTo>'
_ACK_REQUESTED = "<w:AckRequested/>"


@dataclass(frozen=True, slots=True)
class Speaker:
    """What all messages of one source on one connection have in common.

    *session_id* is ``uuid:`` and a GUID; "" leaves SessionId, OperationID and SequenceId
    out, as Windows 7 and 2008 R2 do ([MS-WSMV] product notes 97, 99). Seconds and bytes.
    """

    machine_id: str
    session_id: str = ""
    locale: str = "en-US"
    max_envelope_size: int = 512000
    operation_timeout: float = 60.0


@dataclass(frozen=True, slots=True)
class DroppedEvents:
    """What stands in the place of an event that was too large: the running total of those ([DSP0226] 10.9)."""

    total: int


@dataclass(frozen=True, slots=True)
class Target:
    """Where deliveries go, and the reference parameters that come back as headers; "" was not among them."""

    to: str
    identifier: str
    version: str = ""
    revision: str = ""


def write_enumerate(
    speaker: Speaker, *, to: str, message_id: str, operation_id: str = "", max_elements: int = 32000
) -> str:
    """Which subscriptions are meant for me? ([MS-WSMV] 3.1.4.1.30)."""
    resource = f'<w:ResourceURI s:mustUnderstand="true">{names.SUBSCRIPTION_MANAGER}</w:ResourceURI>'
    header = _header(speaker, to, names.ENUMERATE, message_id, operation_id, speaker.operation_timeout, resource)
    body = f"<n:Enumerate><w:OptimizeEnumeration/><w:MaxElements>{max_elements}</w:MaxElements></n:Enumerate>"
    start = envelope_start("sanwp") + f' xmlns:b="{names.CIM_BINDING}">'
    return f"{start}<s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>"


def write_heartbeat(speaker: Speaker, target: Target, *, message_id: str, operation_id: str = "") -> str:
    """I am here and had nothing to send ([DSP0226] 10.2.5)."""
    header = _delivery_header(speaker, target, names.HEARTBEAT, message_id, operation_id, speaker.operation_timeout)
    return _delivered(header, "<w:Events></w:Events>")


def write_events(
    speaker: Speaker,
    target: Target,
    events: Sequence[str | DroppedEvents],
    bookmark: str | None,
    *,
    message_id: str,
    operation_id: str = "",
    dropped: int | None = None,
) -> str:
    """One batch of *events* (XML texts in CDATA, markers where one is missing), their *bookmark* (XML) in the header.

    *dropped* adds a DroppedEvents marker with that running total at the end.
    """
    header = _delivery_header(
        speaker, target, names.EVENTS, message_id, operation_id, speaker.operation_timeout, bookmark
    )
    items = "".join(_item(event) for event in events)
    if dropped is not None:
        items += _item(DroppedEvents(dropped))
    return _delivered(header, f"<w:Events>{items}</w:Events>")


def write_event(
    speaker: Speaker,
    target: Target,
    event: str,
    bookmark: str | None,
    *,
    message_id: str,
    operation_id: str = "",
    acknowledged: bool,
) -> str:
    """One *event* (XML) by itself, as in the modes Push and PushWithAck; *acknowledged*: an Ack is asked for."""
    header = _delivery_header(
        speaker, target, names.EVENT_ITEM, message_id, operation_id, speaker.operation_timeout, bookmark
    )
    if not acknowledged:
        header = header.removesuffix(_ACK_REQUESTED).replace(_REPLY_TO, "")
    return _delivered(header, event)


def write_subscription_end(
    speaker: Speaker,
    target: Target,
    *,
    manager_id: str,
    message_id: str,
    operation_id: str = "",
    status: str = "SourceShuttingDown",
    reason: tuple[int, str] | None = None,
) -> str:
    """The source ends a subscription ([MS-WSMV] 4.6.5). *reason* is the code and text of the WSManFault that tells why.

    *manager_id* is the source's own id of the subscription. It waits half a second for the answer.
    """
    header = _delivery_header(speaker, target, names.SUBSCRIPTION_END, message_id, operation_id, 0.5)
    fault = ""
    if reason is not None:
        code, text = reason
        fault = (
            f'<f:WSManFault xmlns:f="{names.WSMAN_FAULT}" Code="{code}" Machine="{quoted(speaker.machine_id)}">'
            '<f:Message><f:ProviderFault provider="Unknown provider" path="Unknown path">'
            f'<t:ProviderError xmlns:t="{names.PROVIDER_ERROR}">{escaped(text)}</t:ProviderError>'
            "</f:ProviderFault></f:Message></f:WSManFault>"
        )
    body = (
        f"<e:SubscriptionEnd><e:SubscriptionManager><a:Address>{escaped(target.to)}</a:Address>"
        f"<a:ReferenceProperties><e:Identifier>{escaped(manager_id)}</e:Identifier></a:ReferenceProperties>"
        f"</e:SubscriptionManager><e:Status>{names.EVENTING}/{escaped(status)}</e:Status>{fault}</e:SubscriptionEnd>"
    )
    return _delivered(header, body)


def write_end(*, message_id: str, operation_id: str) -> str:
    """The full-duplex operation is over ([MS-WSMV] 3.1.4.1.39); it has no ReplyTo and wants no envelope back."""
    return (
        f"{envelope_start('sawp')}><s:Header><a:To>{names.ANONYMOUS}</a:To>"
        f'<w:ResourceURI s:mustUnderstand="true">{names.FULL_DUPLEX}</w:ResourceURI>'
        f'<a:Action s:mustUnderstand="true">{names.END}</a:Action><a:MessageID>{escaped(message_id)}</a:MessageID>'
        f"<p:OperationID>{escaped(operation_id)}</p:OperationID></s:Header><s:Body></s:Body></s:Envelope>"
    )


def _item(event: str | DroppedEvents) -> str:
    if isinstance(event, DroppedEvents):
        return (
            f'<w:Event Action="{names.DROPPED_EVENTS}">'
            f'<w:DroppedEvents Action="{names.EVENT_ITEM}">{event.total}</w:DroppedEvents></w:Event>'
        )
    return f'<w:Event Action="{names.EVENT_ITEM}"><![CDATA[{_cdata(event)}]]></w:Event>'


def _cdata(event: str) -> str:
    """*event* for a CDATA section, which ends at the first ``]]>``: that is split over two."""
    return event.replace("]]>", "]]]]><![CDATA[>")


def _header(
    speaker: Speaker, to: str, action: str, message_id: str, operation_id: str, timeout: float, resource: str = ""
) -> str:
    operation = (
        f'<p:SessionId s:mustUnderstand="false">{escaped(speaker.session_id)}</p:SessionId>'
        f'<p:OperationID s:mustUnderstand="false">{escaped(operation_id)}</p:OperationID>'
        '<p:SequenceId s:mustUnderstand="false">1</p:SequenceId>'
        if speaker.session_id
        else ""
    )
    return (
        f"<a:To>{escaped(to)}</a:To>{resource}"
        f'<m:MachineID xmlns:m="{names.MACHINE_ID}" s:mustUnderstand="false">'
        f"{escaped(speaker.machine_id)}</m:MachineID>"
        f"{_REPLY_TO}"
        f'<a:Action s:mustUnderstand="true">{action}</a:Action>'
        f'<w:MaxEnvelopeSize s:mustUnderstand="true">{speaker.max_envelope_size}</w:MaxEnvelopeSize>'
        f"<a:MessageID>{escaped(message_id)}</a:MessageID>{locales(speaker.locale)}{operation}"
        f"<w:OperationTimeout>{duration(timeout)}</w:OperationTimeout>"
    )


def _delivery_header(
    speaker: Speaker,
    target: Target,
    action: str,
    message_id: str,
    operation_id: str,
    timeout: float,
    bookmark: str | None = None,
) -> str:
    version = f"<Version>{escaped(target.version)}</Version>" if target.version else ""
    revision = f"<Revision>{escaped(target.revision)}</Revision>" if target.revision else ""
    marked = f"<w:Bookmark>{bookmark}</w:Bookmark>" if bookmark is not None else ""
    return (
        _header(speaker, target.to, action, message_id, operation_id, timeout)
        + f'<e:Identifier xmlns:e="{names.EVENTING}">{escaped(target.identifier)}</e:Identifier>'
        + f"{version}{revision}{marked}{_ACK_REQUESTED}"
    )


def _delivered(header: str, body: str) -> str:
    return f"{envelope_start('saewp')}><s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
