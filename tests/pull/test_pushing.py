"""Type push: subscribed with our address, watched by its deliveries, renewed, subscribed again, unsubscribed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from collector.model import Bookmark, Caller
from collector.pull.line import Line
from collector.pull.pushing import Destination, Pushing, Signs
from collector.pull.turns import Allowance
from collector.subscriptions.subscription import DeliverySettings
from tests.pull.stage import (
    ID,
    PC01,
    PULLED,
    URL,
    House,
    Stage,
    bookmark,
    envelope,
    fault,
    renewed,
    subscribed,
    trouble,
)

PUSHED = replace(PULLED, type="push", delivery=DeliverySettings(heartbeat=60.0))
DESTINATION = Destination("http://wec.corp.example:5985", "http/spnego-kerberos")
KERBEROS = Caller("pc01$@corp.example", "pc01", "PC01$@CORP.EXAMPLE", "kerberos", "192.0.2.9")
DONE = envelope("x", "")


class Watched(House):
    """A house whose sleepers are woken by a plan: what happens in each sleep."""

    def __init__(self, folder: Path, stage: Stage, *plan: Callable[[Watched], None] | None) -> None:
        super().__init__(folder)
        self.plan = list(plan)
        self.stage = stage
        object.__setattr__(self.company, "sleep", self.sleep)

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        if not self.plan:
            self.stage.over.set()
            await asyncio.Event().wait()
        happens = self.plan.pop(0)
        if happens is not None:
            happens(self)

    def beat(self) -> None:
        """A heartbeat comes in at the listener."""
        self.presences.heard(KERBEROS, ID, self.clock.now())

    async def push(self) -> None:
        page = self.book.open(PC01, ID, "pushed")
        signs = Signs(self.presences, self.clock.monotonic)
        line = Line(URL, self.stage.connect)
        pushing = Pushing(PUSHED, line, page, Allowance(10), self.company, DESTINATION, signs)
        task = asyncio.ensure_future(pushing.run())
        over = asyncio.ensure_future(self.stage.over.wait())
        await asyncio.wait({task, over}, return_when=asyncio.FIRST_COMPLETED)
        over.cancel()
        pushing.retire()
        await task


async def test_it_subscribes_with_our_address_and_unsubscribes_at_the_end(tmp_path: Path) -> None:
    """The listener was there before; the deliveries are the exchange's."""
    stage = Stage(subscribed(None))
    house = Watched(tmp_path, stage)

    await house.push()

    assert stage.plot == ["Subscribe", "Unsubscribe"]
    asked = stage.heard[0]
    assert f"http://wec.corp.example:5985/wsman/subscriptions/{ID.upper()}" in asked.value("NotifyTo")
    assert "http/spnego-kerberos" in asked.text
    assert stage.connections == 2  # none stays open: there is nothing to say for hours
    assert house.refusal == ""


async def test_a_source_that_beats_is_left_alone(tmp_path: Path) -> None:
    """Heartbeats come from the machine's account, under another name than the one we call."""
    stage = Stage(subscribed(None))
    beat = Watched.beat

    await Watched(tmp_path, stage, *[beat, None, None] * 10).push()

    assert stage.plot == ["Subscribe", "Unsubscribe"]


async def test_a_source_that_falls_silent_is_subscribed_again_from_its_bookmark(tmp_path: Path) -> None:
    """It was reinstalled, or gave up after its retries: nothing comes until somebody asks."""
    stage = Stage(subscribed(None), DONE, subscribed(None, "SUB-2"))
    house = Watched(tmp_path, stage, Watched.beat, *[None] * 6)
    await house.store.save_bookmark(KERBEROS.key, ID, Bookmark(bookmark(41)))

    await house.push()

    assert stage.plot == ["Subscribe", "Unsubscribe", "Subscribe", "Unsubscribe"]
    assert stage.heard[2].value("w:Bookmark") == bookmark(41)
    assert house.refusal.startswith("timeout: no delivery and no heartbeat for ")
    assert [entry.key for entry in house.presences.all()] == [KERBEROS.key]  # one row for one machine


@pytest.mark.parametrize("answer", [renewed("PT100S"), fault("e:UnableToRenew", 0x80338024)], ids=["renewed", "not"])
async def test_an_end_is_put_off_or_begun_anew(tmp_path: Path, answer: Callable[[str], str]) -> None:
    """Windows sets no end; whoever does is asked for more before it comes."""
    stage = Stage(subscribed(None, expires="PT100S"), answer, DONE, subscribed(None))
    house = Watched(tmp_path, stage, *[Watched.beat] * 4)

    await house.push()

    assert stage.plot[:2] == ["Subscribe", "Renew"]
    assert stage.plot[2] == "Unsubscribe"
    assert house.refusal == ""


async def test_a_source_that_subscribes_for_no_time_is_not_asked_all_the_time(tmp_path: Path) -> None:
    """It would be subscribed, refused the renewal and subscribed again as fast as the network goes."""
    moment, no = subscribed(None, expires="PT0.000000001S"), fault("e:UnableToRenew", 0x80338024)
    house = Watched(tmp_path, Stage(*[moment, no, DONE] * 6), *[None] * 20)

    await house.push()

    assert house.refusal.startswith("protocol: the source subscribes us for 1e-09 s, and does not renew that")
    assert [pause for pause in house.slept if pause not in (1.0, 5.0)] == [0.5, 2.0, 4.0, 8.0, 16.0]


async def test_a_source_that_cannot_reach_us_says_so(tmp_path: Path) -> None:
    """Its test of our address failed: a firewall, a name, an advertised port (protocol.md 7.5)."""
    stage = Stage(fault("e:EventSourceUnableToProcess", 0x80338095, detail="UnusableAddress"))
    house = Watched(tmp_path, stage)

    await house.push()

    assert house.refusal.startswith("protocol: e:EventSourceUnableToProcess/UnusableAddress 0x80338095")
    assert house.slept == [0.5]


async def test_a_source_that_is_away_is_asked_with_doubling_pauses(tmp_path: Path) -> None:
    """The same patience as in pull."""
    stage = Stage(*[trouble("refused", sent=False)] * 4)
    house = Watched(tmp_path, stage, *[None] * 3)

    await house.push()

    assert house.slept == [0.5, 1.0, 2.0, 4.0]


def test_a_machine_is_known_by_every_name_it_may_be_called(tmp_path: Path) -> None:
    """Its account, its certificate, and the host name in our list are three spellings."""
    house = House(tmp_path)
    now = house.clock.now()
    house.presences.heard(KERBEROS, ID, now)
    house.presences.heard(Caller("pc02.dmz.example", "PC02.dmz.example", "PC02", "certificate", ""), ID, now)
    signs = Signs(house.presences, house.clock.monotonic)

    for host, key in (
        ("pc01.corp.example", KERBEROS.key),
        ("pc01.dmz.corp.example", KERBEROS.key),
        ("PC01", KERBEROS.key),
        ("pc02.dmz.example.", "pc02.dmz.example"),
    ):
        found = signs.of(ID, host)
        assert found is not None, host
        assert found.key == key
    elsewhere = signs.of(ID, "pc01.other.example", KERBEROS.address)
    assert elsewhere is not None  # a DNS suffix that is not the domain's: it delivers from where it answers
    for other in ("pc03.corp.example", "pc01.other.example", "pc02.corp.example", "pc01.notcorp.example"):
        assert signs.of(ID, other) is None, other  # its bookmark would make the other one lose events


async def test_a_subscribe_under_way_is_heard_out_and_taken_back(tmp_path: Path) -> None:
    """Else the source would deliver to nobody until its retries are used up."""
    stage = Stage(subscribed(None))
    stage.goes_on.clear()
    house = Watched(tmp_path, stage)
    house.company = replace(house.company, grace=60.0)
    page = house.book.open(PC01, ID, "pushed")
    signs = Signs(house.presences, house.clock.monotonic)
    pushing = Pushing(PUSHED, Line(URL, stage.connect), page, Allowance(10), house.company, DESTINATION, signs)
    task = asyncio.ensure_future(pushing.run())
    await stage.asked.wait()

    pushing.retire()
    await asyncio.sleep(0)
    stage.goes_on.set()
    await task

    assert stage.plot == ["Subscribe", "Unsubscribe"]
