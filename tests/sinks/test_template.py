"""Claims about paths made of names from the network."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.sinks.template import PathTemplate, safe_name
from tests.events.made import RECEIVED

HOSTILE = [
    "..",
    ".",
    "../../etc/passwd",
    "a/b",
    "a\\b",
    "nul\0",
    "\x1b[31m",
    "\u202egpj",
    "x" * 10_000,
    "",
    " ",
    "\ud800",
    "\n",
    "\u00e9" * 500,
]


def path(template: str, *, computer: str = "PC01", channel: str = "Security", received: datetime = RECEIVED) -> str:
    return PathTemplate(template).path(
        subscription="base", source="pc01", received=received, computer=computer, channel=channel
    )


def test_names_fill_their_places() -> None:
    """The documented example, case kept: PC01 and pc01 are what Windows said."""
    assert path("/a/{subscription}/{computer}/{source}-{channel}/{date}.jsonl") == (
        "/a/base/PC01/pc01-Security/2026-03-10.jsonl"
    )
    assert path("{channel}", channel="Microsoft-Windows-Sysmon/Operational") == "Microsoft-Windows-Sysmon_Operational"


def test_the_date_is_the_utc_day_of_receipt() -> None:
    """A collector in another zone names the same file for the same moment."""
    west = datetime(2026, 3, 9, 20, 0, tzinfo=timezone(timedelta(hours=-8)))

    assert path("{date}", received=west) == "2026-03-10"


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("template", ["/a/{computer}/x", "/a/.{computer}", "/a/{computer}{channel}{computer}.log"])
def test_no_name_leaves_its_folder_or_cannot_be_made(template: str, name: str) -> None:
    """A machine that calls itself ../../etc/cron.d/x writes into a file of that odd name, below the folder."""
    made = PurePosixPath(path(template, computer=name, channel=name))

    assert made.is_relative_to("/a")
    assert len(made.parts) == len(PurePosixPath(template).parts)
    assert ".." not in made.parts
    assert all(len(part.encode()) <= 255 for part in made.parts)
    assert str(made).isprintable()


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_becomes_one_harmless_name(text: str) -> None:
    """Whatever Unicode holds: one part, printable, not hidden, short."""
    name = safe_name(text)

    assert name
    assert name.isprintable()
    assert not set(name) & {"/", "\\"}
    assert not name.startswith(".")
    assert len(name.encode()) <= 128


def test_long_names_stay_apart() -> None:
    """Two machines whose names differ only at the end do not share a file."""
    assert safe_name("x" * 5000 + "1") != safe_name("x" * 5000 + "2")


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        ("a/{host}", r"there is no \{host\}; placeholders are \{subscription\}"),
        ("a/{computer!r}", "placeholders are"),
        ("a/{computer.__class__}", "placeholders are"),
        ("a/{computer", "a placeholder is written"),
        ("a/{computer}/", "names a folder"),
        ("{computer}/../x", "goes up"),
        ("{computer}" * 9, "make it shorter"),
    ],
)
def test_a_template_that_cannot_work_is_refused_with_a_sentence(template: str, sentence: str) -> None:
    """At start, by wef check, not at the first event."""
    with pytest.raises(ValueError, match=sentence):
        PathTemplate(template)
