"""A bookmark is the source's business; what can be read of it is read, and it never hurts."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.wsman import names
from collector.wsman.bookmark import Positions, positions
from tests.wsman.spoken import BOOKMARK


def test_each_channels_record_id_is_read() -> None:
    """What tells that a source went back: a smaller number than before."""
    xml = BOOKMARK.replace(
        "</BookmarkList>", '<Bookmark Channel="Security" RecordId="18446744073709551615"/></BookmarkList>'
    )

    assert positions(xml) == Positions(False, {"System": 42, "Security": 2**64 - 1})


def test_the_bookmark_of_event_111_points_backward(shared_data: Path) -> None:
    """It marks from now, and must never replace a good one."""
    xml = (shared_data / "captures" / "bookmark-backward.xml").read_text()

    assert positions(xml[xml.index("<BookmarkList") : xml.index("</w:")]) == Positions(True, {"System": 1407})


@pytest.mark.parametrize(
    "xml", ["", names.EARLIEST, "<a", "<!DOCTYPE a><a/>", "<a/>", '<B Channel="x" RecordId="-1"/>']
)
def test_what_cannot_be_read_says_nothing(xml: str) -> None:
    """A source may bookmark as it likes; we keep it and give it back."""
    assert positions(xml) == Positions()


@given(st.text(max_size=60))
@settings(max_examples=60, deadline=None)
def test_no_text_makes_it_raise(xml: str) -> None:
    """It is called on every batch."""
    assert positions(f"<B>{xml}</B>").records is not None


@pytest.mark.parametrize("inner", ["", '<Bookmark Channel="A" RecordId="7"/>', '<Bookmark Channel="B" RecordId="1"/>'])
def test_the_quick_way_reads_what_the_parser_reads(inner: str) -> None:
    """Two readers of one bookmark must not differ: a position that is read too high loses events."""
    quick = f'<BookmarkList>{inner}<Bookmark Channel="A b/C-1" RecordId="00012" IsCurrent="true"/></BookmarkList>'
    slow = quick.replace("<BookmarkList>", "<BookmarkList >")
    assert positions(quick) == positions(slow)
    assert positions(quick).records["A b/C-1"] == 12
