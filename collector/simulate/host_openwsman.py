"""How openwsman answers where it does not do as Windows does (protocol.md 15.1, seen with version 2.8.1).

Text only; its statuses are the matter of the host's door.
"""

from __future__ import annotations

from collector.wsman import names
from collector.wsman.xml import escaped

_SPACES = (
    f'xmlns:s="{names.SOAP}" xmlns:wsa="{names.ADDRESSING}" xmlns:wse="{names.EVENTING}"'
    f' xmlns:wsen="{names.ENUMERATION}" xmlns:wsman="{names.WSMAN}"'
)


def write_pull_response(event: str, context: str, bookmark: str | None, *, message_id: str, relates_to: str) -> str:
    """One event directly below PullResponse, the event's own action, no a:To."""
    marked = f"<wsman:Bookmark>{bookmark}</wsman:Bookmark>" if bookmark is not None else ""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<s:Envelope {_SPACES}><s:Header>'
        f"<wsa:Action>{names.EVENT_ITEM}</wsa:Action><wsa:RelatesTo>{escaped(relates_to)}</wsa:RelatesTo>"
        f"<wsa:MessageID>{escaped(message_id)}</wsa:MessageID>{marked}</s:Header><s:Body><wsen:PullResponse>"
        f"<wsen:EnumerationContext>{escaped(context)}</wsen:EnumerationContext>{event}"
        "</wsen:PullResponse></s:Body></s:Envelope>"
    )


def write_subscribe_response(
    manager: str, identifier: str, context: str | None, *, message_id: str, relates_to: str
) -> str:
    """ReferenceParameters, an identifier with ``uuid:``, no Expires where none was asked for."""
    pulled = f"<wsen:EnumerationContext>{escaped(context)}</wsen:EnumerationContext>" if context is not None else ""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<s:Envelope {_SPACES}><s:Header>'
        f"<wsa:To>{names.ANONYMOUS}</wsa:To><wsa:Action>{names.SUBSCRIBE}Response</wsa:Action>"
        f"<wsa:RelatesTo>{escaped(relates_to)}</wsa:RelatesTo><wsa:MessageID>{escaped(message_id)}</wsa:MessageID>"
        f"</s:Header><s:Body><wse:SubscribeResponse><wse:SubscriptionManager><wsa:Address>{escaped(manager)}"
        f"</wsa:Address><wsa:ReferenceParameters><wse:Identifier>{escaped(identifier)}</wse:Identifier>"
        f"</wsa:ReferenceParameters></wse:SubscriptionManager>{pulled}</wse:SubscribeResponse></s:Body></s:Envelope>"
    )
