"""Events written for these tests, in the forwarder's style, and the batch that carries them."""

from __future__ import annotations

from datetime import UTC, datetime

from collector.model import Batch, Caller, SubscriptionRef

CALLER = Caller("pc07$@corp.example", "pc07", "PC07$@CORP.EXAMPLE", "kerberos", "192.0.2.7")
SUBSCRIPTION = SubscriptionRef("6f1d6bd4-5a0c-4a6e-9d1e-0d5e3f9b8c01", "everything", "0A1B", "r7")
RECEIVED = datetime(2026, 3, 4, 5, 6, 7, 890123, tzinfo=UTC)

LOGON_DATA = "<EventData><Data Name='LogonType'>3</Data><Data Name='IpAddress'>-</Data></EventData>"


def batch(*texts: str) -> Batch:
    return Batch(CALLER, SUBSCRIPTION, RECEIVED, texts, "wec1")


def event(
    rest: str = LOGON_DATA,
    *,
    provider: str = "Microsoft-Windows-Security-Auditing",
    system: str = "",
    time: str = "2026-03-04T05:06:01.1234567Z",
    record: str = "<EventRecordID>4711</EventRecordID>",
    channel: str = "Security",
    computer: str = "PC07.corp.example",
) -> str:
    """A logon; *rest* is what follows System, *system* is added at the end of it, *record* may be ""."""
    return (
        "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>"
        f"<Provider Name='{provider}' Guid='{{54849625-5478-4994-a5ba-3e3b0328c30d}}'/><EventID>4624</EventID>"
        "<Version>2</Version><Level>0</Level><Task>12544</Task><Opcode>0</Opcode><Keywords>0x8020000000000000</Keywords>"
        f"<TimeCreated SystemTime='{time}'/>{record}<Correlation/><Execution ProcessID='588' ThreadID='652'/>"
        f"<Channel>{channel}</Channel><Computer>{computer}</Computer><Security/>{system}</System>{rest}</Event>"
    )


CLASSIC = (
    "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='Disk Watch' "
    "EventSourceName='diskwatch'/><EventID Qualifiers='49152'>7</EventID><Level>2</Level><Task>3</Task>"
    "<Keywords>0x80000000000000</Keywords><TimeCreated SystemTime='2026-03-04T05:06:01.000000000Z'/>"
    "<EventRecordID>12</EventRecordID><Channel>Application</Channel><Computer>PC07</Computer><Security/></System>"
    "<EventData><Data>C:</Data><Data></Data><Data Name='Free'>0</Data><Data>low</Data>"
    "<Binary>0AFF</Binary></EventData></Event>"
)
BOOKMARK_EVENT = (
    "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>"
    "<Provider Name='Microsoft-Windows-EventForwarder'/><EventID>111</EventID>"
    "<TimeCreated SystemTime='2026-03-04T05:06:01.123Z'/>"
    "<Computer>PC07</Computer></System><SubscriptionBookmarkEvent><SubscriptionId/></SubscriptionBookmarkEvent></Event>"
)
RENDERING = (
    "<RenderingInfo Culture='de-DE'><Message>An account was logged on.&#13;\n&#13;\nSubject: -&#13;\n</Message>"
    "<Level>Informationen</Level><Task>Anmelden</Task><Opcode>Info</Opcode><Channel>Sicherheit</Channel>"
    "<Provider>x</Provider><Keywords><Keyword>Überwachung erfolgreich</Keyword></Keywords></RenderingInfo>"
)
