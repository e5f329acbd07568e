"""Where a subscription begins to read a machine's log, and the event that marks a beginning without a bookmark.

Pure: a log, a bookmark and a query in, record numbers out. How the events travel then is not known here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape

from collector.simulate.log import EventLog
from collector.wsman.bookmark import positions
from collector.wsman.names import EARLIEST


def beginning(
    log: EventLog, bookmark: str | None, queried: Sequence[str], *, read_existing_events: bool
) -> tuple[dict[str, int], bool]:
    """The record number per channel after which to read, and whether this is a start from now on.

    *queried* are the channels of the query.
    """
    marked = places(bookmark)
    if marked is not None:
        # A place beyond the end is of another log (cleared, reinstalled): read all there is, lose nothing.
        return {channel: at for channel, at in marked.items() if at <= log.newest(channel)}, False
    if read_existing_events:
        return {}, False
    wanted = {channel.lower() for channel in queried}
    known = [channel for channel in log.channels if channel.lower() in wanted]
    spelled = {channel.lower() for channel in known}
    channels = [*known, *(channel for channel in queried if channel.lower() not in spelled)]
    return {channel: log.newest(channel) for channel in channels}, True


def places(bookmark: str | None) -> dict[str, int] | None:
    """Record number per channel of a bookmark; None: there is none. Earliest is before every record."""
    if bookmark is None:
        return None
    if bookmark.strip() == EARLIEST:
        return {}
    return dict(positions(bookmark).records)


def bookmark_event(computer: str, moment: datetime) -> str:
    """The artificial event 111 (protocol.md 6.5.1): no log event, only the carrier of a first bookmark."""
    moment = moment.astimezone(UTC)
    return (
        "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>"
        "<Provider Name='Microsoft-Windows-EventForwarder'/><EventID>111</EventID>"
        f"<TimeCreated SystemTime='{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z'/>"
        f"<Computer>{escape(computer, quote=False)}</Computer></System><SubscriptionBookmarkEvent>"
        "<SubscriptionId></SubscriptionId></SubscriptionBookmarkEvent></Event>"
    )
