"""No text at all makes the normalizer fail: whatever arrives, rows come out and agree with each other."""

from __future__ import annotations

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.formats import FORMATS, spell
from collector.normalize import FLAWS, Options, harvest
from tests.normalize.samples import BOOKMARK_EVENT, CLASSIC, RENDERING, batch, event

WHOLE = [event(), event(RENDERING), CLASSIC, BOOKMARK_EVENT, event("<UserData><R><A><B>1</B></A></R></UserData>")]
ANYTHING = st.text(st.characters(exclude_categories=()), max_size=60)  # surrogates and control characters too
SNIPPETS = st.sampled_from(
    ["<", ">", "</Event>", "<Event>", "<RenderingInfo>", "&#x0;", "&#xD800;", "]]>", "<![CDATA[", "<!--", "\x00",
     "\ud800", "<!DOCTYPE a>", "'", "&", "<Data>", "<?xml version='1.0' encoding='utf-16'?>", "\ufffe", "9" * 40]
)  # fmt: skip
QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A real event with a piece cut out and something put in its place."""
    text = draw(st.sampled_from(WHOLE))
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, min(len(text), start + 40)))
    return text[:start] + draw(st.one_of(ANYTHING, SNIPPETS)) + text[end:]


@QUICK
@given(st.lists(st.one_of(mutated(), ANYTHING), max_size=4), st.booleans(), st.booleans())
def test_every_text_gives_sound_rows(texts: list[str], exact: bool, original: bool) -> None:
    """An exception here is a batch that its source sends again and again, for ever."""
    found = harvest(batch(*texts), Options(exact=exact, original=original))

    assert len(found.ids) == len(found.keys) == len(found.texts) == len(found.fields()) >= len(texts)
    assert set(found.flaws) <= FLAWS
    assert all(len(event_id) == 22 for event_id in found.ids)
    for name in FORMATS:
        records = spell(found, name)
        assert len(records) == len(found.ids)
        assert records.block.count(b"\n") == len(records)
        if name != "raw":
            for row in range(len(records)):
                parts = records.record(row).split(b"\t")  # "stored" holds two documents, the others one
                assert len(parts) == (2 if name == "stored" else 1)
                assert [orjson.loads(part) is not None for part in parts]


@QUICK
@given(mutated())
def test_the_same_text_always_gives_the_same_rows(text: str) -> None:
    """Duplicates collapse only when the second delivery is read like the first."""
    first, second = harvest(batch(text)), harvest(batch(text))

    assert (first.ids, first.keys, first.texts) == (second.ids, second.keys, second.texts)
    assert first.fields() == second.fields()


@QUICK
@given(st.lists(st.sampled_from(WHOLE), min_size=2, max_size=4), mutated())
def test_a_neighbour_changes_nothing(whole: list[str], bad: str) -> None:
    """One bad event must not spoil the events beside it."""
    alone, together = harvest(batch(*whole)), harvest(batch(bad, *whole))

    assert together.ids[-len(whole) :] == alone.ids
    assert together.fields()[-len(whole) :] == alone.fields()
