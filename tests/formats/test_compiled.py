"""The records that the compiled kernel writes are those of the pure path, whatever a batch holds."""

from __future__ import annotations

import pytest

from collector.formats import FORMATS, spell
from collector.formats.records import assemble
from collector.normalize import Harvest, Options, default_rules, harvest
from tests.kernel.built import built
from tests.kernel.differential import LEFT, OWN
from tests.normalize.samples import batch, event

built("_events")
SEVERAL = event() + event(record="")
BROKEN = event()[:200]
HALF = event("<EventData><Data Name='x'>\ud83d</Data></EventData>")
CONTROLS = event().replace("LogonType", "Logon\x01\x08\x0c\x1f\x7fType")
MIXED = (*OWN, SEVERAL, BROKEN, CONTROLS, event(), "", HALF, *OWN)


def pure(texts: tuple[str, ...]) -> Harvest:
    return harvest(batch(*texts), Options(rules=default_rules()))


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("texts", [MIXED, MIXED[: -len(OWN) - 1], OWN, (event(),), (BROKEN,), ()])
def test_every_format_is_spelled_alike(name: str, texts: tuple[str, ...]) -> None:
    """Sinks, spools and ids know no kernel: a collector that loses its compiler must write the same records."""
    ours, theirs = harvest(batch(*texts)), pure(texts)
    expected = assemble(name, theirs, FORMATS[name].lines(theirs, ()))

    found = spell(ours, name)

    assert found.block == expected.block
    assert found.ends == expected.ends
    assert (ours.ids, ours.keys, ours.flaws) == (theirs.ids, theirs.keys, theirs.flaws)
    assert list(ours.texts) == list(theirs.texts)


def test_fields_are_those_of_the_reference() -> None:
    """Dropped fields and unusual matches look at them, in this order too."""
    ours, theirs = harvest(batch(*MIXED)), pure(MIXED)

    assert [list(found.items()) for found in ours.fields()] == [list(found.items()) for found in theirs.fields()]
    assert spell(ours, "winlogbeat", ["winlog.api", "event.created"]).block == (
        spell(theirs, "winlogbeat", ["winlog.api", "event.created"]).block
    )
    assert spell(ours, "winlogbeat").block == spell(theirs, "winlogbeat").block


def test_a_tag_reaches_the_document_that_the_kernel_had_finished() -> None:
    """An event that names another computer must be marked, and its neighbours not."""
    ours, theirs = harvest(batch(*OWN)), pure(OWN)
    for found in (ours, theirs):
        found.tag([1, 3], "_spoofed")
        found.tag([3], "_twice")

    assert spell(ours, "winlogbeat").block == spell(theirs, "winlogbeat").block
    assert b"_twice" in spell(ours, "winlogbeat").record(3)


def test_what_the_kernel_leaves_is_counted() -> None:
    """A site whose sources write unusual XML sees why its collector is slow."""
    assert harvest(batch(*MIXED)).fallbacks == 2 * len(LEFT) + 5
    assert harvest(batch(event())).fallbacks == 0
    assert pure(MIXED).fallbacks == 0
