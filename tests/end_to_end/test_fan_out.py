"""The fault matrix: real Kafka, real Elasticsearch, a collector under load, and every way in which they break.

In every case a fleet logs without a pause while something is broken for OUTAGE seconds. Afterwards everything
that was acknowledged is at every sink, nothing is invented, Elasticsearch has each event once, Kafka keeps each
computer's order - and the sinks that nothing was done to never noticed.

Outages are short here. With a minute each::

    WEF_TEST_OUTAGE=60 ./tests/run tests/end_to_end/test_fan_out.py
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from collector.clock import SystemClock
from collector.simulate.fleet import FleetOptions
from tests.end_to_end.fan_out import CLIENTS, RATE, WARM, FarEnd, FarEnds, Site
from tests.end_to_end.feed import poisonous, write_feed
from tests.end_to_end.load import Load

pytestmark = pytest.mark.slow

OUTAGE = float(os.environ.get("WEF_TEST_OUTAGE", "8"))
"""Seconds that something stays broken."""
LOOK = 0.5
"""Seconds between two looks at the healthy sinks."""
FAULTS: Mapping[str, Callable[[FarEnd], None]] = {
    "stopped": FarEnd.stop,
    "killed": FarEnd.kill,
    "stalled": FarEnd.stall,
    "slow": FarEnd.slow,
}


@dataclass(frozen=True, slots=True)
class Case:
    """What happens to whom.

    *at_start*: before the collector starts; *power_cut*: the collector is killed in the middle of it; *defaults*: the
    sick sinks have the patience that they have without a word; *long*: only in ``./tests/run --long``.
    """

    sick: Collection[str]
    fault: str
    engine: str = "librdkafka"
    at_start: bool = False
    power_cut: bool = False
    defaults: bool = False
    long: bool = False

    def __str__(self) -> str:
        words = [*self.sick, self.fault, "at-start" if self.at_start else "", "power-cut" if self.power_cut else ""]
        words += [self.engine if self.engine != "librdkafka" else "", "defaults" if self.defaults else ""]
        return "-".join(word for word in words if word)


BOTH = ("kafka", "search")
CASES = [
    Case(["kafka"], "stopped", at_start=True),
    Case(["search"], "stopped", at_start=True),
    Case(["kafka"], "stopped"),
    Case(["kafka"], "stopped", "kafka-python", long=True),
    Case(["search"], "stopped", defaults=True),
    Case(["kafka"], "killed"),
    Case(["kafka"], "killed", "kafka-python"),
    Case(["search"], "killed"),
    Case(["kafka"], "stalled"),
    Case(["kafka"], "stalled", "kafka-python"),
    Case(["search"], "stalled"),
    Case(["kafka"], "slow", "kafka-python", defaults=True),
    Case(["search"], "slow", defaults=True),
    Case([], "nothing", power_cut=True),
    Case(["kafka"], "killed", power_cut=True),
    Case(["search"], "stalled", power_cut=True),
    Case(BOTH, "stalled", "kafka-python"),
    Case(BOTH, "killed", power_cut=True),
]
MATRIX = [pytest.param(case, id=str(case), marks=pytest.mark.long if case.long else ()) for case in CASES]


@pytest.fixture(scope="module")
def servers() -> Iterator[FarEnds]:
    """Once for all cases: each has a topic and a namespace of its own."""
    with ExitStack() as ending:
        yield FarEnds(ending)


@pytest.fixture
def far_ends(servers: FarEnds) -> Iterator[FarEnds]:
    """Well before, and whatever was done to them, well afterwards."""
    servers.heal()
    yield servers
    servers.heal()


@pytest.mark.parametrize("case", MATRIX)
def test_after_every_fault_each_sink_has_what_was_acknowledged(far_ends: FarEnds, tmp_path: Path, case: Case) -> None:
    """What a source forgets must be where it was to be, whatever broke on the way; and one sink is not the other's."""
    site = Site(far_ends, tmp_path, case.sick, case.engine, defaults=case.defaults, through_doors=case.fault == "slow")
    with running(site, begin=lambda: break_(site, case) if case.at_start else None) as load:
        if not case.at_start:
            load.until(lambda: site.flows(load), "the load flows", site.stage.log)
            break_(site, case)
        outage(site, load, case)
        for sink in site.healthy():
            require_up_to_date(site, load, sink)
        far_ends.heal()
        finish(site, load)
    site.require_promises(load)
    site.require_quiet_log()


def break_(site: Site, case: Case) -> None:
    site.broken_at = len(site.stage.log())
    for sink in case.sick:
        FAULTS[case.fault](site.ends.ends[sink])


@contextmanager
def running(site: Site, begin: Callable[[], None] = lambda: None) -> Iterator[Load]:
    """The collector of *site* and its fleet; *begin* before either."""
    load = site.load()
    begin()
    try:
        site.stage.start()
        yield load.start()
    finally:
        load.abandon()
        if site.stage.running:
            site.stage.kill()


def outage(site: Site, load: Load, case: Case) -> None:
    """It is broken for as long as it is said, and everybody else works on."""
    before, until = load.count(), time.monotonic() + OUTAGE
    cut_at = until - OUTAGE / 2 if case.power_cut else None
    while (now := time.monotonic()) < until:
        load.pass_time(LOOK)
        if cut_at is not None and now > cut_at:
            cut_at = None
            site.stage.kill()
            site.stage.start()
        site.require_undisturbed()
    load.until(lambda: load.count() > before + 2 * WARM, "acknowledgements go on", site.stage.log)
    for sink in case.sick:
        assert site.gauge("wef_sink_spool_bytes", sink), f"{sink} was not away, so nothing is shown\n{site.stage.log()}"


def require_up_to_date(site: Site, load: Load, sink: str) -> None:
    """Everything that is acknowledged by now is there by now; the embedded store is looked at in the end."""
    if sink == "events":
        return
    acknowledged = load.acknowledged()
    missing = acknowledged - {one.name for one in site.held(sink)}
    assert not missing, f"{sink} lacks {len(missing)} of {len(acknowledged)} while another is away"


def finish(site: Site, load: Load) -> None:
    """Go on for a while with everything mended, then end."""
    mended = load.count()
    load.until(
        lambda: load.count() > mended + WARM and load.behind() < 2 * RATE, "the sources catch up", site.stage.log
    )
    settle(site, load)


def settle(site: Site, load: Load) -> None:
    """Let everything come to its end."""
    verdict, notes = load.end()
    assert verdict.ok, (verdict, notes, site.stage.log()[-3000:])
    site.until_drained()
    assert site.stage.stop() == 0, site.stage.log()[-3000:]


@pytest.mark.parametrize(
    ("sick", "fault", "engine"),
    [
        ("kafka", "stalled", "kafka-python"),
        ("search", "stalled", "librdkafka"),
        pytest.param("kafka", "killed", "librdkafka", marks=pytest.mark.long),
        pytest.param("search", "killed", "librdkafka", marks=pytest.mark.long),
    ],
)
def test_a_full_spool_makes_sources_wait_and_costs_nothing(
    far_ends: FarEnds, tmp_path: Path, sick: str, fault: str, engine: str
) -> None:
    """503 and not one event more is promised; the source's own log is the last spool there is."""
    case = Case([sick], fault, engine)
    site = Site(far_ends, tmp_path, [sick], engine, sinks={sick: 'spool = "1MiB"'})
    with running(site) as load:
        load.until(lambda: site.flows(load), "the load flows", site.stage.log)
        break_(site, case)
        load.until(site.refused, "the spool is full", site.stage.log)
        for _ in looks():
            load.pass_time(LOOK)
            site.require_undisturbed()
            assert site.gauge("wef_sink_spool_bytes", sick) <= 2**20
        for sink in site.healthy():
            require_up_to_date(site, load, sink)
        far_ends.heal()
        finish(site, load)
    site.require_promises(load)
    site.require_quiet_log()


@pytest.mark.parametrize("engine", ["librdkafka", "kafka-python"])
def test_what_the_broker_refuses_becomes_a_letter_and_its_neighbours_arrive(
    far_ends: FarEnds, tmp_path: Path, engine: str
) -> None:
    """One event in a hundred is above the topic's limit, which fails every batch that it is in."""
    noise = Random(5)
    site = Site(
        far_ends,
        tmp_path,
        ["kafka"],
        engine,
        sinks={"kafka": 'oversized = "letter"'},
        options=fed(tmp_path, lambda _: {"filler": noise.randbytes(50_000).hex()}),
        topic_settings={"max_message_bytes": "40000"},
    )
    through_poison(site, "kafka")


def test_what_does_not_fit_the_mapping_becomes_a_letter_and_its_neighbours_arrive(
    far_ends: FarEnds, tmp_path: Path
) -> None:
    """One event in a hundred has a text where the index has a number."""
    options = fed(tmp_path, lambda at: {"suspect": f"no number {at}"})
    site = Site(far_ends, tmp_path, ["search"], options=options)
    far_ends.require_numbers(site.namespace, "Suspect")
    through_poison(site, "search")


def fed(folder: Path, poison: Callable[[int], dict[str, str]]) -> FleetOptions:
    """A fleet that logs a feed with *poison* for as long as an outage lasts."""
    number = int(OUTAGE * RATE)
    path = write_feed(folder / "feed.jsonl", SystemClock().now(), number, len(CLIENTS), poison)
    return FleetOptions(url="", rate=RATE, events=path)


def through_poison(site: Site, sick: str) -> None:
    """Run the whole feed; the sink *sick* refuses what is poisonous, and nobody else notices."""
    with running(site) as load:
        load.until(lambda: site.flows(load), "the load flows", site.stage.log)
        site.broken_at = len(site.stage.log())
        while not load.ended_within(LOOK):
            site.require_undisturbed()
        settle(site, load)
    poison = {name for names in load.happened().values() for name in names if poisonous(name)}
    assert poison
    site.require_promises(load, letters={sick: poison})
    site.require_quiet_log("records rejected, kept as letters")


def looks() -> Iterator[None]:
    """One for each LOOK that fits into an outage."""
    yield from itertools.repeat(None, int(OUTAGE / LOOK))
