"""The guard of bookmarks: what may replace what."""

from __future__ import annotations

from collector.delivery.bookmarks import Keep, Replace, is_marker, judge
from collector.model import Bookmark

MARKER = (
    "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>"
    "<Provider Name='Microsoft-Windows-EventForwarder'/><EventID>111</EventID>"
    "<TimeCreated SystemTime='2026-01-01T00:00:00.000Z'/><Computer>WS-1</Computer></System>"
    "<SubscriptionBookmarkEvent><SubscriptionId></SubscriptionId></SubscriptionBookmarkEvent></Event>"
)


def bookmark(direction: str = "", **records: int) -> str:
    inside = "".join(f'<Bookmark Channel="{name}" RecordId="{record}"/>' for name, record in records.items())
    return f"<BookmarkList{direction}>{inside}</BookmarkList>"


BACKWARD = bookmark(' Direction="backward"', System=1407)


def test_the_bookmark_of_event_111_never_replaces_a_good_one() -> None:
    """It means "from now": the events between the stored one and now would never come (protocol.md 6.5.1)."""
    assert judge(Bookmark(bookmark(System=1000)), BACKWARD) == Keep("backward")


def test_without_a_bookmark_event_111_marks_where_to_begin() -> None:
    """Otherwise a source that never logs anything would start anew after each restart."""
    assert judge(None, BACKWARD) == Replace()


def test_a_newer_bookmark_replaces_an_older_one() -> None:
    """The common case."""
    assert judge(Bookmark(bookmark(System=1000)), bookmark(System=1001)) == Replace()


def test_a_cleared_log_may_go_back_but_not_unseen() -> None:
    """Windows counts from one again after a clearing; refusing would replay for ever."""
    assert judge(Bookmark(bookmark(System=1000, Security=5)), bookmark(System=3, Security=6)) == Replace(
        went_back=("System",)
    )


def test_the_marker_is_known_by_all_its_signs_together() -> None:
    """A log may hold a real event 111 that somebody collected; that one is evidence."""
    assert is_marker([MARKER], BACKWARD)
    assert not is_marker([MARKER], bookmark(System=1407))
    assert not is_marker([MARKER], None)
    assert not is_marker([MARKER, MARKER], BACKWARD)
    assert not is_marker([MARKER.replace("EventForwarder", "Other")], BACKWARD)


def test_unreadable_bookmarks_are_opaque_and_replace_each_other() -> None:
    """[DSP0226] R10.2.6-2: one element or simple text, and it is the source's own."""
    assert judge(Bookmark("somewhere"), "else <") == Replace()
