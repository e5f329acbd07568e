"""Sources that answer anything but what was asked, beside one that does: nobody waits, nothing is lost or believed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from collector.simulate.host_door import Served
from collector.simulate.host_fleet import ServeOptions
from collector.simulate.host_manners import MOODS
from collector.simulate.host_nature import HostNature
from collector.simulate.host_transcript import Transcript
from collector.simulate.population import FleetOptions
from tests.end_to_end import holdings
from tests.end_to_end.holdings import in_archive, require_all, require_none_invented, require_once
from tests.end_to_end.machines import Machines, calling, documents, hosts_of, sources
from tests.end_to_end.stage import Stage, json_lines, wef
from tests.servers.kdc import Kdc

pytestmark = pytest.mark.slow

SINKS = """
[sinks.events]
type = "events"
[sinks.archive]
type = "file"
path = "archive/{computer}.jsonl"
"""
QUICKLY = '[delivery]\nmax_latency = "1s"\nheartbeat = "3s"\n'
SHORTLY = '[pull]\nnetwork_delay = "1s"\n'
MIB = 2**20
MOST_ATTEMPTS = 15
"""Of one source in the ten seconds that a test takes. Pauses are drawn from 0 to 1, 2, 4, 8, ... s, so four or five are
to be expected; without them it would be thousands."""

ONCE: Mapping[str, str] = {
    "well": "",
    "garbage": "protocol", "html": "protocol", "empty": "http", "charset": "protocol", "foreign-charset": "protocol",
    "endless": "too-large", "drip": "timeout", "doctype": "protocol", "context": "", "relates": "protocol",
    "doubled": "", "backwards": "", "unmarked": "", "cut-header": "unreachable", "cut-body": "unreachable",
    "cut-answer": "unreachable", "cut": "unreachable", "redirect": "http", "unauthorized": "authentication",
    "busy": "http", "error": "http", "missing": "http", "denied": "access-denied", "channel": "channel",
    "locked": "channel", "timedout": "", "internal": "protocol", "expired": "", "close": "", "slow": "",
    "dead": "timeout", "reboot": "",
}  # fmt: skip
"""What a machine does with one Pull, and the reason that ``wef sources`` gives for it; "": it is no trouble."""
SEALED_ONCE: Mapping[str, str] = {
    "well": "", "unsealed": "sealing", "tampered": "sealing", "unauthorized": "authentication", "garbage": "protocol",
    "cut-body": "unreachable", "busy": "http", "html": "sealing", "doubled": "", "denied": "access-denied",
}  # fmt: skip
ALWAYS: Mapping[str, str] = {
    "well": "",
    "garbage": "protocol", "html": "protocol", "empty": "http", "charset": "protocol", "foreign-charset": "protocol",
    "endless": "too-large", "doctype": "protocol", "relates": "protocol", "cut-header": "unreachable",
    "cut-body": "unreachable", "cut-answer": "unreachable", "cut": "unreachable", "redirect": "http",
    "unauthorized": "authentication", "busy": "http", "error": "http", "missing": "http", "quota": "quota",
    "denied": "access-denied", "channel": "channel", "locked": "channel", "timedout": "timeout",
    "internal": "protocol", "expired": "protocol", "dead": "", "drip": "",
}  # fmt: skip
"""The same of every request. Who is silent, or drips, has a minute for the answer to a Subscribe."""


ENOUGH = 15
"""Events of a machine, which logs a few of those that are asked for each second."""


def fleet(count: int, **more: Any) -> FleetOptions:
    """They log until the test has seen enough."""
    return FleetOptions("", sources=count, rate=8.0 * count, history=5, **more)


def handed_over(machines: Machines, count: int) -> bool:
    """Each of them has met what was meant for it, and handed over so many events."""

    def all_have() -> bool:
        return all(
            served.host.source.ledger.acknowledged >= count and not served.manners.left
            for served in machines.served.values()
        )

    return machines.ask(all_have)


@contextmanager
def running(stage: Stage, *crews: Machines) -> Iterator[None]:
    """Machines and collector; whatever happens, they are gone afterwards."""
    for machines in crews:
        machines.start()
    stage.start()
    try:
        yield
    finally:
        for machines in crews:
            machines.abandon()
        assert stage.stop() == 0


def once(moods: Sequence[str]) -> Any:
    def manner(machines: Sequence[Served]) -> None:
        for served, mood in zip(machines, moods, strict=True):
            served.manners.say_next(f"subscribe:{mood}" if mood == "close" else f"pull:{mood}")

    return manner


def kept(stage: Stage, machines: Machines) -> None:
    """Whatever was handed over is there, in the store once, and nothing else."""
    archive, store = in_archive(stage.folder / "archive"), [holdings.identified(one) for one in documents(stage)]
    require_once("the store", store)
    for where, held in (("the archive", archive), ("the store", store)):
        require_all(where, held, machines.acknowledged())
        require_none_invented(where, held, machines.happened())


def reason_of(row: Mapping[str, Any]) -> str:
    """The word of ``last_refusal``: what stands behind the time."""
    return "".join(str(row["last_refusal"]).split()[1:2]).removesuffix(":")


def reasons(stage: Stage, machines: Machines, moods: Sequence[str]) -> dict[str, str]:
    """What ``wef sources`` says of each; "" too of one that has not answered yet and is still waited for."""
    rows = sources(stage)
    return {
        mood: reason_of(rows.get(machines.key(name), {"last_refusal": ""}))
        for name, mood in zip(machines.served, moods, strict=True)
    }


def require_served(stage: Stage, machines: Machines) -> None:
    """The first machine, which is well, had no trouble and sent nothing twice."""
    name, served = next(iter(machines.served.items()))
    assert served.host.source.ledger.acknowledged >= ENOUGH
    assert served.host.source.ledger.duplicates == 0
    assert sources(stage)[machines.key(name)]["last_refusal"] == ""


WINDOWS, OPENWSMAN = HostNature(), HostNature("openwsman")


@pytest.mark.parametrize(
    ("nature", "moods"),
    [(WINDOWS, list(ONCE)), (OPENWSMAN, ["well", "cut-answer", "cut-body", "garbage", "expired"])],
    ids=["Windows", "openwsman"],
)
def test_a_bad_answer_costs_its_source_a_pause_and_nobody_an_event(
    tmp_path: Path, nature: HostNature, moods: list[str]
) -> None:
    """One Pull of each machine ends badly, of each in another way. Openwsman's contexts never change, so a Pull that
    was sent again would be answered, with what comes next."""
    machines = Machines(ServeOptions(fleet(len(moods)), hosts=hosts_of(tmp_path), nature=nature), once(moods))
    stage = calling(tmp_path, sinks=SINKS, settings=SHORTLY, subscription=QUICKLY)
    with running(stage, machines):
        machines.until(lambda: handed_over(machines, ENOUGH), "every machine is through with it", stage.log)
        found = reasons(stage, machines, moods)
        require_served(stage, machines)
        verdict, notes = machines.end()

    assert verdict.ok, (verdict, notes, stage.log()[-3000:])
    if "reboot" in found:  # asked while it was away
        found["reboot"] = found["reboot"].replace("refused", "").replace("unreachable", "")
    assert found == {mood: ONCE[mood] for mood in moods}
    kept(stage, machines)


def test_every_mood_of_the_simulator_is_among_them() -> None:
    """A new one has to be met here too."""
    assert ONCE.keys() | SEALED_ONCE.keys() | ALWAYS.keys() == set(MOODS)


def always(moods: Sequence[str], kind: str = "") -> Any:
    """Every answer of each machine but the first, or every one to a *kind* of requests."""

    def manner(machines: Sequence[Served]) -> None:
        for served, mood in zip(machines[1:], moods[1:], strict=True):
            served.manners.say_next(*[f"{kind}{mood}"] * 10_000)

    return manner


def attempts(machines: Machines, moods: Sequence[str]) -> dict[str, int]:
    """How many requests met each mood."""
    return {mood: len(served.manners.shown) for mood, served in zip(moods, machines.served.values(), strict=True)}


def test_who_is_always_bad_is_asked_ever_more_rarely_and_delays_nobody(tmp_path: Path) -> None:
    """Every answer, from the first on. One that is silent is still being waited for when the good one is done."""
    moods = list(ALWAYS)
    options = ServeOptions(fleet(len(moods), give_up=2.0), hosts=hosts_of(tmp_path))
    machines, stage = Machines(options, always(moods)), calling(tmp_path, sinks=SINKS, settings=SHORTLY)
    with running(stage, machines):
        machines.until(lambda: served_well(machines), "the good one is served", stage.log)
        asked, found = attempts(machines, moods), reasons(stage, machines, moods)
        require_served(stage, machines)
        written = len(stage.log())

    assert {mood: times for mood, times in asked.items() if times > MOST_ATTEMPTS} == {}
    assert asked["dead"] == asked["drip"] == 1
    assert found == ALWAYS
    assert written < 50_000, "the log says each reason once"
    require_nobody_else(stage, machines)


def served_well(machines: Machines) -> bool:
    good = next(iter(machines.served.values()))
    return good.host.source.ledger.acknowledged >= ENOUGH


def require_nobody_else(stage: Stage, machines: Machines) -> None:
    """Nothing was believed but what the first machine said."""
    kept(stage, machines)
    computers = {one.name.computer for one in in_archive(stage.folder / "archive")}
    assert computers == {next(iter(machines.served.values())).host.source.name}


def test_bodies_without_an_end_do_not_make_it_grow(tmp_path: Path) -> None:
    """16 MiB of an answer are read at most; what all of them hold together is bounded by a setting as well."""
    moods = ["well", "endless", "endless", "drip"]
    machines = Machines(ServeOptions(fleet(len(moods)), hosts=hosts_of(tmp_path)))
    stage = calling(tmp_path, sinks=SINKS, settings=SHORTLY, subscription=QUICKLY)
    with running(stage, machines):
        machines.until(lambda: handed_over(machines, 2), "all are served", stage.log)
        before = stage.memory(most=True)
        machines.ask(lambda: always(moods, "pull:")(list(machines.served.values())))
        machines.until(lambda: min(list(attempts(machines, moods).values())[1:]) >= 2, "each has done it", stage.log)
        machines.until(lambda: served_well(machines), "the good one is served", stage.log)
        asked, grown = attempts(machines, moods), stage.memory(most=True) - before
        require_served(stage, machines)

    assert max(asked.values()) <= MOST_ATTEMPTS
    assert grown < 64 * MIB
    kept(stage, machines)


@pytest.mark.usefixtures("kerberos_library")
@pytest.mark.parametrize("steady", [False, True], ids=["once", "always"])
def test_nothing_is_believed_that_is_not_sealed(tmp_path: Path, kdc: Kdc, steady: bool) -> None:
    """After a ticket was shown, anybody between could write what comes in clear, and change what is sealed."""
    moods = ["well", "unsealed", "tampered"] if steady else list(SEALED_ONCE)
    options = ServeOptions(
        fleet(len(moods)), hosts=hosts_of(tmp_path), mechanism="kerberos", host_name="localhost",
        keytab=kdc.keytab("HTTP/localhost"),
    )  # fmt: skip
    machines = Machines(options, always(moods, "pull:") if steady else once(moods))
    keytab = kdc.keytab("pulls")
    credentials = f'[credentials.domain]\nmechanism = "kerberos"\nprincipal = "pulls@WEF.TEST"\nkeytab = "{keytab}"\n'
    stage = calling(tmp_path, sinks=SINKS, settings=credentials + SHORTLY, subscription=QUICKLY)
    with running(stage, machines):
        done = served_well if steady else lambda machines: handed_over(machines, ENOUGH)
        machines.until(lambda: done(machines), "the good ones are served", stage.log)
        found = reasons(stage, machines, moods)
        require_served(stage, machines)
        asked = attempts(machines, moods)

    assert found == {mood: SEALED_ONCE[mood] for mood in moods}
    assert max(asked.values()) <= MOST_ATTEMPTS
    if steady:
        assert min(asked[mood] for mood in moods[1:]) >= 2
        require_nobody_else(stage, machines)
    else:
        kept(stage, machines)


def test_a_certificate_for_another_name_is_not_talked_to(tmp_path: Path) -> None:
    """Nor one of a CA that nobody trusts. What shows another name may be anybody."""
    folders = {}
    for name, server in (("hosts", "localhost"), ("others", "other.lab.example"), ("strangers", "localhost")):
        made = f"tls-{name}"
        wef("tls", "init", made, "--server", server, "--client", "wec.lab.example", folder=tmp_path)
        folders[name] = tmp_path / made
    # the CAs of the first two are trusted: there what differs is the name alone
    crews = {
        name: Machines(
            ServeOptions(
                fleet(1, give_up=2.0), hosts=hosts_of(tmp_path, name), mechanism="certificate", host_name="localhost",
                certificate=folder / "server.pem", key=folder / "server.key", ca=folders["hosts"] / "ca.pem",
            )
        )
        for name, folder in folders.items()
    }  # fmt: skip
    client = folders["hosts"] / "clients" / "wec.lab.example"
    (tmp_path / "cas.pem").write_bytes(
        b"".join((folders[name] / "ca.pem").read_bytes() for name in ("hosts", "others"))
    )
    credentials = (
        f'[credentials.dmz]\nmechanism = "certificate"\ncertificate = "{client}.pem"\nkey = "{client}.key"\n'
        'ca = "cas.pem"\n'
    )
    stage = calling(tmp_path, sinks=SINKS, settings=credentials, subscription=QUICKLY, lists=list(crews))
    good = crews["hosts"]
    with running(stage, *crews.values()):
        good.until(lambda: served_well(good), "the good one is served", stage.log)
        rows = sources(stage)
        said = {name: [rows[crew.key(one)]["last_refusal"] for one in crew.served] for name, crew in crews.items()}
        known = [bool(served.host.accounts) for crew in crews.values() for served in crew.served.values()]

    assert said["hosts"] == [""]
    assert "its certificate is for another name" in said["others"][0]
    assert "certificate: " in said["strangers"][0]
    assert known == [True, False, False]


def test_real_messages_are_replayed_byte_for_byte(tmp_path: Path, shared_data: Path) -> None:
    """What a Windows machine said in 2013: one event, its bookmark, then that we asked for too much at a time."""
    captures = shared_data / "captures"
    spoken = (
        "subscribe-pull-response.xml", "pull-response-event.xml", "pull-response-empty.xml",
        "fault-quota-max-concurrent.xml", "push-unsubscribe-response.xml",
    )  # fmt: skip
    machines = Machines(ServeOptions(fleet(1), hosts=hosts_of(tmp_path)))
    stage = calling(tmp_path, sinks=SINKS, subscription=QUICKLY, lists=("hosts", "recorded"))
    hosts_of(tmp_path, "recorded").write_text("")
    machines.start()
    recorded = machines.enter(Transcript.of((captures / name).read_bytes() for name in spoken))
    hosts_of(tmp_path, "recorded").write_text(f"{recorded.url}\n")
    stage.start()
    try:
        machines.until(lambda: len(recorded.asked) >= len(spoken), "everything was asked for", stage.log)
    finally:
        machines.abandon()
        assert stage.stop() == 0

    troubles = [line for line in map(json.loads, stage.log().splitlines()) if line.get("reason") == "quota"]
    assert [line["source"] for line in troubles] == ["127.0.0.1"]
    (event,) = [one for one in documents(stage) if one["winlog"]["computer_name"] == "AMAZONA-Q2R281F"]
    assert event["winlog"]["record_id"] == "3847"
    marked = json_lines(wef("bookmarks", "list", "--json", folder=tmp_path).stdout)
    (bookmark,) = [row["bookmark"] for row in marked if row["source"] == recorded.url.partition("//")[2]]
    assert 'RecordId="3847"' in bookmark
