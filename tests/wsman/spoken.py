"""Messages of this project's own writing, in forms that Windows does not send."""

from __future__ import annotations

from collector.wsman import names
from collector.wsman.messages import Offer
from collector.wsman.requests import Speaker, Target

SPEAKER = Speaker("pc01.corp.example", session_id="uuid:11111111-0000-4000-8000-000000000001")
TARGET = Target(
    "https://wec.corp.example:5986/wsman/subscriptions/22222222-0000-4000-8000-000000000002",
    "22222222-0000-4000-8000-000000000002",
    "33333333-0000-4000-8000-000000000003",
    "abc123",
)
MESSAGE_ID = "uuid:44444444-0000-4000-8000-000000000004"
OPERATION_ID = "uuid:55555555-0000-4000-8000-000000000005"
BOOKMARK = '<BookmarkList><Bookmark Channel="System" RecordId="42" IsCurrent="true"/></BookmarkList>'
EVENT = (
    f"<Event xmlns='{names.EVENT}'><System><Provider Name='P'/><EventID>7</EventID>"
    "<Computer>pc01</Computer></System><EventData><Data Name='a'>x</Data></EventData></Event>"
)

OFFER = Offer(
    name="logons & more",
    identifier="22222222-0000-4000-8000-000000000002",
    version="33333333-0000-4000-8000-000000000003",
    revision="abc123",
    notify_to="https://wec.corp.example:5986/wsman/subscriptions/22222222-0000-4000-8000-000000000002",
    profile=names.MUTUAL_TLS,
    issuer="00112233445566778899aabbccddeeff00112233",
    query='<QueryList><Query Id="0"><Select Path="System">*[System[(Level &lt; 3)]]</Select></Query></QueryList>',
    bookmark=BOOKMARK,
    read_existing_events=True,
    content_format="RenderedText",
    locale="en-US",
    compression=True,
    ignore_channel_error=True,
    heartbeat=900.0,
    max_time=30.0,
    max_elements=20,
    max_envelope_size=512000,
    retry_interval=60.0,
    retry_total=5,
    expires="P30D",
)


def envelope(action: str, body: str, header: str = "", *, message_id: str | None = MESSAGE_ID) -> str:
    """An envelope with prefixes that nobody uses; *body* and *header* may use SO, AD, EV, EN, WS."""
    identified = f"<AD:MessageID>{message_id}</AD:MessageID>" if message_id is not None else ""
    return (
        f'<SO:Envelope xmlns:SO="{names.SOAP}" xmlns:AD="{names.ADDRESSING}" xmlns:EV="{names.EVENTING}" '
        f'xmlns:EN="{names.ENUMERATION}" xmlns:WS="{names.WSMAN}"><SO:Header>'
        f"<AD:Action>{action}</AD:Action>{identified}{header}</SO:Header><SO:Body>{body}</SO:Body></SO:Envelope>"
    )


def batch(*items: str, header: str = "") -> str:
    """An Events message whose w:Event elements hold *items*."""
    inside = "".join(f'<WS:Event Action="{names.EVENT_ITEM}">{item}</WS:Event>' for item in items)
    return envelope(names.EVENTS, f"<WS:Events>{inside}</WS:Events>", header)
