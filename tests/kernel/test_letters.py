"""The kernel's letters are those that CPython decodes, and its pieces those of ``slices`` and ``cut_items``."""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from collector.formats import FORMATS, spell
from collector.normalize import harvest
from collector.wsman.answer_pieces import MARKS as ITEM_MARKS
from collector.wsman.pieces import MARKS
from tests.kernel.built import built
from tests.kernel.differential import OWN
from tests.kernel.envelopes import CHARSETS, UNITS, Judge, answer, answers, bodies, broken, envelope, witnesses
from tests.normalize.samples import batch, event

KERNEL = built("_events")
SEED = 20260305
BROKEN = 15_000


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge(KERNEL)


def pieces(*events: str) -> Any:
    rest_and_pieces = KERNEL.unfold(envelope(events).encode("utf-16-le"), 0, True).cut(*MARKS)
    assert rest_and_pieces is not None
    return rest_and_pieces[1]


@pytest.mark.parametrize("body", [*bodies(), *answers()])
def test_our_own_bodies_are_read_alike(judge: Judge, body: bytes) -> None:
    """No event, one, many; ASCII and not; with every kind of line end."""
    assert judge.difference(body) == ""


def test_captured_messages_are_read_alike(judge: Judge, shared_data: Path) -> None:
    """As Windows writes them, and as they would be in either charset."""
    texts = [file.read_text(encoding="utf-8") for file in sorted((shared_data / "captures").glob("*.xml"))]
    bodies = [text.encode(charset) for text in texts for charset in ("utf-16-le", "utf-8")]

    assert len(texts) > 20
    assert [found for found in map(judge.difference, bodies) if found] == []


def test_broken_bodies_are_read_alike(judge: Judge) -> None:
    """The network decides what stands here. A fixed seed: whoever sees it fail can see it fail again."""
    chance, whole = random.Random(SEED), bodies()
    tried = [broken(chance.choice(whole), chance) for _ in range(BROKEN)]

    assert [(body, found) for body in tried if (found := judge.difference(body))] == []
    cut = [body for body in tried if KERNEL.unfold(body, 0, True).cut(*MARKS) is not None]
    assert len(cut) > BROKEN / 50, "hardly any is of the form that is cut, so that nothing was compared"


def test_broken_answers_are_read_alike(judge: Judge) -> None:
    """A source decides what stands in what it answers."""
    chance, whole = random.Random(SEED), answers()
    tried = [broken(chance.choice(whole), chance) for _ in range(BROKEN)]

    assert [(body, found) for body in tried if (found := judge.difference(body))] == []
    cut = [body for body in tried if KERNEL.unfold(body, 0, True).cut_elements(*ITEM_MARKS) is not None]
    assert len(cut) > BROKEN / 50, "hardly any is of the form that is cut, so that nothing was compared"


def test_witnesses_are_read_alike(judge: Judge) -> None:
    """What a hunt once found stays found."""
    assert [found for found in map(judge.difference, witnesses()) if found] == []


@pytest.mark.parametrize("first", range(40))
def test_what_is_no_character_is_replaced_wherever_it_stands(judge: Judge, first: int) -> None:
    """Sixteen letters are read at a time: at their seams, and at the end, nothing may be lost or read twice."""
    for unit in (*UNITS, *(letter.encode(charset) for letter in ("é", "\U0001f600") for charset in CHARSETS)):
        for rest in (0, 1, 2, 3, 31, 32, 33, 70):
            assert judge.difference(b"a\0" * first + unit + b"b\0" * rest) == ""
            assert judge.difference(b"a" * first + unit + b"b" * rest) == ""


def test_every_beginning_of_a_body_is_read_alike(judge: Judge) -> None:
    """A body may end anywhere."""
    for text in (envelope((event(), "é\r\n")), answer((event(), event()))):
        whole = text.encode("utf-16-le")
        assert [end for end in range(len(whole)) if judge.difference(whole[:end])] == []


def test_pieces_are_a_sequence_of_texts() -> None:
    """Whoever asks for one has it as before: by number from either end, in a stretch, one after another."""
    found = pieces("a", "é", "", "d")

    assert (len(found), found[1], found[-1], found[1:3], list(found)) == (4, "é", "d", ["é", ""], ["a", "é", "", "d"])
    assert found == ["a", "é", "", "d"]
    assert found != ["a"]
    assert (found.index("d"), found.count("a"), "é" in found, next(reversed(found))) == (3, 1, True, "d")
    for place in (4, -5):
        with pytest.raises(IndexError):
            found[place]


def test_pieces_say_what_they_hold() -> None:
    """limits.bodies_size counts it: what a batch holds while it waits must not be more than what was counted."""
    small, large = pieces("x" * 10_000), pieces("x" * 1_000_000)

    assert 1_000_000 < sys.getsizeof(large) < 1_010_000
    assert 985_000 < sys.getsizeof(large) - sys.getsizeof(small) < 995_000


def test_letters_hold_no_more_than_they_are() -> None:
    """A body that needs more room than was thought gives back what it did not need."""
    for text in ("x" * 100_000, "é" * 100_000, "\u20ac" * 100_000, "\U0001f600" * 100_000):
        assert sys.getsizeof(KERNEL.unfold(text.encode("utf-16-le"), 0, True)) < len(text.encode()) + 1000


def test_a_batch_read_where_it_lies_is_the_batch(judge: Judge) -> None:
    """Documents, records and ids are those of the texts; and nobody copied the texts."""
    texts = [text for text in OWN if judge.taken(text)]
    found, lying = harvest(batch(*texts)), harvest(replace(batch(), events=pieces(*texts)))

    assert (lying.ids, lying.keys, lying.fields()) == (found.ids, found.keys, found.fields())
    assert lying.texts is lying.batch.events
    for name in FORMATS:
        assert spell(lying, name) == spell(found, name)


def test_one_event_that_is_left_leaves_its_neighbours_where_they_lie() -> None:
    """It is read by the reference, and each row has the text that it was."""
    texts = (OWN[0], OWN[0][:200], OWN[1] + OWN[3], OWN[1])
    found, lying = harvest(batch(*texts)), harvest(replace(batch(), events=pieces(*texts)))

    assert list(lying.texts) == [OWN[0], OWN[0][:200], OWN[1], OWN[3], OWN[1]]
    assert (lying.ids, lying.keys, lying.flaws, lying.fallbacks) == (found.ids, found.keys, found.flaws, 2)
    for name in FORMATS:
        assert spell(lying, name) == spell(found, name)
