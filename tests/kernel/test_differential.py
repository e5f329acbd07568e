"""Kernel and reference agree: whatever the compiled kernel takes, it says what the pure path says, byte for byte."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from collector.kernel import fields
from collector.normalize import default_rules, harvest, pairs
from collector.normalize.spelling import Spelling
from tests.kernel.built import built
from tests.kernel.differential import LEFT, OWN, Judge, mutant, real_events, witnesses
from tests.normalize.samples import RENDERING, batch, event

KERNEL = built("_events")
SEED = 20260304
MUTANTS = 40_000


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge(KERNEL)


def reaper() -> Any:
    return KERNEL.Reaper(Spelling(default_rules()))


def made_up(number: int) -> str:
    """An event that says nothing twice."""
    rest = f"<EventData><Data Name='a.{number}'>1</Data></EventData>"
    text = event(rest, provider=f"P{number}", computer=f"C{number}")
    return text.replace("<Security/>", f"<Security UserID='S-1-5-{number}'/>")


@pytest.mark.parametrize("number", range(len(OWN)))
def test_our_own_events_are_read_alike(judge: Judge, number: int) -> None:
    """Every construct that the kernel takes stands in one of them."""
    assert judge.difference(OWN[number]) == ""


def test_the_kernel_takes_what_windows_writes(judge: Judge) -> None:
    """A kernel that takes nothing would pass every comparison."""
    assert tuple(number for number, text in enumerate(OWN) if not judge.taken(text)) == LEFT


def test_real_events_are_read_alike_and_hardly_any_is_left(judge: Judge, shared_data: Path) -> None:
    """All sections that occur in 8,000 events of forwarders, and less than one in a thousand for the slow path."""
    texts = list(real_events(shared_data))
    plain = [text for text in texts if text.startswith("<Event xmlns='")]  # as a source sends it

    assert [found for found in map(judge.difference, texts) if found] == []
    assert sum(not judge.taken(text) for text in plain[:8000]) < 8


def test_broken_events_are_read_alike_or_left(judge: Judge) -> None:
    """The network decides what stands here. A fixed seed: whoever sees it fail can see it fail again."""
    chance = random.Random(SEED)
    texts = [mutant(chance.choice(OWN), chance) for _ in range(MUTANTS)]

    assert [(text, found) for text in texts if (found := judge.difference(text))] == []


@pytest.mark.parametrize("number", range(len(witnesses())))
def test_witnesses_are_read_alike(judge: Judge, number: int) -> None:
    """What a hunt once found stays found."""
    assert judge.difference(witnesses()[number]) == ""


def test_every_beginning_of_an_event_is_left_alone(judge: Judge) -> None:
    """A cut text is no event, wherever it was cut, and nothing behind its end is read."""
    whole = OWN[11]  # it has everything
    assert judge.taken(whole)
    assert not any(judge.taken(whole[:end]) for end in range(len(whole)))


def test_what_a_hostile_source_makes_up_is_remembered_in_bounds() -> None:
    """Names are chosen by whoever sends them; memory must not be."""
    kernel = reaper()
    for start in range(0, 20_000, 1000):
        kernel.reap([made_up(number) for number in range(start, start + 1000)])

    assert all(0 < size <= 4096 for size in kernel.remembered())


def test_a_header_too_long_to_remember_is_left_alone(judge: Judge) -> None:
    """4,096 of a megabyte each would be 4 GB."""
    assert not judge.taken(event(provider="P" * 2000))
    assert not judge.taken(event(computer="C" * 2000))
    assert not judge.taken(event(f"<EventData><Data Name='{'a.' * 500}'>1</Data></EventData>"))


@pytest.mark.parametrize(
    "rest",
    [
        "<EventData><{0}></{0}></EventData>",
        "<UserData><{0}/></UserData>",
        "<UserData><r xmlns:{0}='u'><x>1</x></r></UserData>",
        "<UserData><r><a><b><c><d><e {0}='1'/></d></c></b></a><x>1</x></r></UserData>",
        "<UserData><r><a><b><c><d><{0}/></d></c></b></a><x>1</x></r></UserData>",
    ],
)
def test_a_name_that_no_parser_takes_is_left_alone(judge: Judge, rest: str) -> None:
    """libxml2 ends at 50,000 bytes, also where the name says nothing; who reads the event again must not fail."""
    assert judge.difference(event(rest.format("n" * 100))) == ""
    assert judge.difference(event(rest.format("n" * 60_000))) == ""


@pytest.mark.parametrize("name", ["xml.name", " xml_name", "xml_name　"])
def test_a_name_that_cleaning_makes_ours_is_left_alone(judge: Judge, name: str) -> None:
    """A key that stands twice in one object makes Elasticsearch refuse the document."""
    assert judge.difference(event(f"<UserData><r><x Name='{name}'>1</x></r></UserData>")) == ""
    assert judge.difference(event("<UserData><r><xml.name>1</xml.name></r></UserData>")) == ""


@pytest.mark.parametrize("above", [0, 1])
def test_the_limits_of_the_reference_are_those_of_the_kernel(judge: Judge, above: int) -> None:
    """At a limit both agree; above it the kernel leaves what the reference cuts."""
    rows = "".join(f"<Data Name='n{number}'>1</Data>" for number in range(pairs.MOST_KEYS + above))
    key = f"<Data Name='{'k' * (pairs.LONGEST_KEY + above)}'>1</Data>"
    deep = "".join(f"<d{level} a='{level}'>" for level in range(fields.DEEPEST_USER_DATA + above))
    closed = "".join(f"</d{level}>" for level in reversed(range(fields.DEEPEST_USER_DATA + above)))
    for rest in (rows, key):
        text = event(f"<EventData>{rest}</EventData>")
        assert judge.difference(text) == ""
    assert judge.difference(event(f"<UserData><r>{deep}x{closed}</r></UserData>")) == ""
    assert judge.taken(event(f"<EventData>{rows}</EventData>")) is not bool(above)


def test_an_event_whose_message_would_be_cut_is_left_alone(judge: Judge) -> None:
    """Cutting is the reference's to do; the row then says that it was cut."""
    text = event(RENDERING.replace("An account", "A" * 262_144))

    assert not judge.taken(text)
    assert harvest(batch(text)).flaws == {"truncated": 1}


@pytest.mark.parametrize(
    "time",
    [
        "2024-02-29T23:59:59.9999999Z",
        "2023-02-29T00:00:00.0000000Z",
        "2261-12-31T23:59:59.999999999Z",
        "2262-01-01T00:00:00.0000000Z",
        "1971-01-01T00:00:00.0000000Z",
        "1601-01-01T00:00:00.0000000Z",
        "2100-02-29T00:00:00.0000000Z",
        "2000-02-29T12:30:30.1Z",
        "2026-03-04T05:06:07.Z",
        "2026-03-04T05:06:07Z",
        "2026-03-04T24:00:00.0000000Z",
        "2026-03-04T05:06:60.0000000Z",
        "2026-13-04T05:06:07.0000000Z",
        "2026-03-04T05:06:07.12345678901Z",
        "2026-03-04T05:06:07.1234567+01:00",
    ],
)
def test_times_are_read_alike(judge: Judge, time: str) -> None:
    """A wrong day would put an event into another file of the store, where nobody looks for it."""
    assert judge.difference(event(time=time)) == ""


@pytest.mark.parametrize(
    "number",
    ["0", "00", "7", "007", "-1", "+5", "1e3", "999999999999999999", "9223372036854775808", "\u0661", " 7 ", ""],
)
def test_numbers_are_read_alike(judge: Judge, number: str) -> None:
    """What a store's numeric field would refuse must not get into a document by the fast way either."""
    text = event(record=f"<EventRecordID>{number}</EventRecordID>")
    assert judge.difference(text) == ""
    assert judge.difference(event().replace("ProcessID='588'", f"ProcessID='{number}' SessionID='{number}'")) == ""
    for name in ("Level>0<", "Version>2<", "Task>12544<", "Opcode>0<", "EventID>4624<"):
        assert judge.difference(event().replace(name, f"{name.split('>')[0]}>{number}<")) == ""


def test_rows_and_texts_out_of_range_are_refused() -> None:
    """A wrong place is an error of ours, never a look into memory of others."""
    reaped = reaper().reap([event()])
    for place in (1, -1, 2**40):
        with pytest.raises(IndexError):
            reaped.document(place)
    with pytest.raises(IndexError):
        reaped.splice([5], {}, b"", ["x"], b"")
    with pytest.raises(IndexError):
        KERNEL.wrap(["a", "b"], b"", b"", b"only one record\n", b"")
