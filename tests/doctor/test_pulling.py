"""A rehearsal of a pull, over real sockets: each step's finding and remedy, and that nothing is left behind."""

from __future__ import annotations

import importlib.util
import ssl
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from collector.clock import SystemClock
from collector.config.pull import CredentialsSettings
from collector.doctor import pulling
from collector.doctor.pulling import Far, Rehearsal, Seen, Step
from collector.simulate.authority import issue, make_authority
from collector.simulate.host_fleet import HostFleet, ServeOptions, new_id
from collector.simulate.host_nature import HostNature
from collector.simulate.population import FleetOptions
from collector.wire.access import Access
from collector.wire.connection import read_url
from collector.wire.tls import tls_context
from collector.wsman.answers import SourceFault
from collector.wsman.messages import Offer
from tests.conftest import absent
from tests.end_to_end.stage import free_port
from tests.servers.kdc import Kdc
from tests.simulate.caller import OFFER, Stand, standing

pytestmark = pytest.mark.slow
"""Each takes its second or more; ``./tests/run`` runs them."""

NOW = datetime.now(UTC)  # noqa: TID251 - OpenSSL checks certificates against the wall clock
NOTHING = CredentialsSettings(mechanism="none")
READING = replace(OFFER, read_existing_events=True, ignore_channel_error=False)


def rehearsal(
    url: str,
    credentials: CredentialsSettings = NOTHING,
    *,
    offer: Offer = READING,
    seconds: float = 0.1,
    context: ssl.SSLContext | None = None,
) -> Rehearsal:
    whole = f"{url}/wsman"
    where = read_url(whole)
    assert where is not None
    access = Access("test", credentials)
    far = Far(whole, where.host, where.port, context, access.proves(whole), credentials.mechanism)
    return Rehearsal(far, lambda: access.connection(whole, timeout=10.0), offer, seconds, 5.0, SystemClock(), new_id)


async def made(what: Rehearsal) -> tuple[dict[str, Step], list[Seen]]:
    """Its steps by name, and the events that it saw."""
    steps: dict[str, Step] = {}
    seen: list[Seen] = []
    async with aclosing(what.steps()) as every:
        async for one in every:
            if isinstance(one, Step):
                assert one.name not in steps
                steps[one.name] = one
            else:
                seen.append(one)
    return steps, seen


async def at(stand: Stand, **more: object) -> tuple[dict[str, Step], list[Seen]]:
    return await made(rehearsal(stand.url, **more))  # type: ignore[arg-type]


async def test_where_all_is_well_each_step_says_what_was_seen() -> None:
    """And the events themselves, by what people know them by."""
    async with standing() as stand:
        stand.happen(3)
        steps, seen = await at(stand)

        assert not stand.host.subscriptions  # it is taken back
    assert list(steps) == [
        "name", "port", "identify", "authentication", "settings", "subscribe", "pull", "unsubscribe",
    ]  # fmt: skip
    assert not any(step.kind or step.warning for step in steps.values())
    assert steps["identify"].text == "Microsoft Corporation OS: 10.0.20348 SP: 0.0 Stack: 3.0"
    assert "MaxEnvelopeSizekb 500" in steps["settings"].text
    assert steps["pull"].text.startswith("3 events in")
    assert [event.channel for event in seen] == ["System"] * 3


async def test_a_quiet_machine_is_no_trouble_but_is_said() -> None:
    """The greeting (event 111) is no event of anybody's, and proves that pulling works."""
    async with standing() as stand:
        steps, seen = await at(stand, offer=replace(READING, read_existing_events=False))

    assert seen == []
    assert (steps["pull"].kind, steps["pull"].warning) == (None, True)
    assert "greeting (event 111)" in steps["pull"].text


@pytest.mark.parametrize("quiet", ["itemless", "timedout"])
async def test_nothing_now_is_nothing_now_in_each_of_its_forms(quiet: str) -> None:
    """protocol.md 7.2: it may be a fault."""
    async with standing(nature=HostNature(quiet=quiet, greets=False)) as stand:
        steps, _ = await at(stand)

    assert steps["pull"].text.startswith("0 events")
    assert steps["unsubscribe"].kind is None


async def test_a_machine_of_another_make_is_met_too() -> None:
    """openwsman: HTTP 400 for faults, one event in an answer."""
    async with standing(nature=HostNature(style="openwsman")) as stand:
        stand.happen(2)
        steps, seen = await at(stand, seconds=0.5)

    assert len(seen) == 2
    assert steps["unsubscribe"].kind is None


@pytest.mark.parametrize(
    ("mood", "step", "kind", "remedy"),
    [
        ("subscribe:denied", "subscribe", "denied", "RootSDDL"),
        ("subscribe:locked", "subscribe", "denied", "Event Log Readers"),
        ("subscribe:channel", "subscribe", "wrong", "wevtutil gl CHANNEL"),
        ("subscribe:quota", "subscribe", "wrong", "MaxConcurrentOperationsPerUser"),
        ("subscribe:garbage", "subscribe", "wrong", "Is it WinRM"),
        ("subscribe:cut", "subscribe", "unreachable", "Microsoft-Windows-WinRM/Operational"),
        ("identify:html", "identify", "wrong", "Is it WinRM"),
        ("identify:missing", "identify", "wrong", "Is it WinRM"),
        ("pull:relates", "pull", "wrong", "Is it WinRM"),
        ("pull:expired", "pull", "wrong", ""),
        ("pull:doctype", "pull", "wrong", "Is it WinRM"),
    ],
)
async def test_what_is_wrong_is_told_with_what_would_be_right(mood: str, step: str, kind: str, remedy: str) -> None:
    """The step at which it stops, whose turn it is, and what to do; what was begun is taken back."""
    async with standing(mood) as stand:
        stand.happen(1)
        steps, _ = await at(stand)

        # what was subscribed by an answer that nobody can read cannot be taken back
        assert not stand.host.subscriptions or mood == "subscribe:garbage"
    assert steps[step].kind == kind
    assert remedy in steps[step].remedy
    assert [name for name, one in steps.items() if one.kind is not None] == [step]


async def test_settings_that_may_not_be_read_do_not_end_it() -> None:
    """Only administrators may read winrm/config; whoever pulls with least rights shall not be told to get more."""
    async with standing("get:denied") as stand:
        steps, _ = await at(stand)

    assert steps["settings"].kind is None
    assert not steps["settings"].warning
    assert "EnumerationTimeoutms and the quotas stay unknown" in steps["settings"].text
    assert "unsubscribe" in steps


async def test_settings_that_hinder_are_a_warning() -> None:
    """Answers of 32 KB, and a machine that forgets within seconds."""
    async with standing(nature=HostNature(max_envelope=32 * 1024)) as stand:
        small, _ = await at(stand)
    async with standing(nature=HostNature(enumeration_timeout=20.0)) as stand:
        quick, _ = await at(stand)

    assert small["settings"].warning
    assert "MaxEnvelopeSizekb" in small["settings"].remedy
    assert quick["settings"].warning
    assert "EnumerationTimeoutms" in quick["settings"].remedy


async def test_whoever_stops_looking_leaves_no_subscription() -> None:
    """Ctrl-C in the middle: each subscription counts against the quota of fifteen."""
    async with standing() as stand:
        stand.happen(2)
        async with aclosing(rehearsal(stand.url, seconds=60.0).steps()) as steps:
            async for one in steps:
                if isinstance(one, Seen):
                    break

        assert not stand.host.subscriptions


async def test_nobody_at_home_and_no_such_name() -> None:
    """The first steps stand alone: nobody reads about Kerberos when a name is misspelled."""
    nobody, _ = await made(rehearsal(f"http://127.0.0.1:{free_port()}"))
    unknown, _ = await made(rehearsal("http://pc01.invalid:5985"))

    assert list(nobody) == ["name", "port"]
    assert nobody["port"].kind == "unreachable"
    assert "Windows Remote Management (HTTP-In)" in nobody["port"].remedy
    assert list(unknown) == ["name"]
    assert unknown["name"].kind == "unreachable"


async def test_a_certificate_is_shown_whether_or_not_it_is_believed(tmp_path: Path) -> None:
    """What it is for, who issued it and until when: mostly that says all there is to say."""
    authority = make_authority("Lab CA", NOW)
    served = issue(authority, ("localhost",), server=True, now=NOW)
    mine = issue(authority, ("collector.lab",), server=False, now=NOW)
    for name, one in (("ca", authority), ("served", served), ("mine", mine)):
        (tmp_path / f"{name}.pem").write_bytes(one.pem())
        (tmp_path / f"{name}.key").write_bytes(one.key_pem())
    files = {name: tmp_path / name for name in ("ca.pem", "served.pem", "served.key", "mine.pem", "mine.key")}
    options = ServeOptions(
        FleetOptions("", sources=1), mechanism="certificate", ca=files["ca.pem"], certificate=files["served.pem"],
        key=files["served.key"], host_name="localhost",
    )  # fmt: skip
    known = CredentialsSettings(
        mechanism="certificate", certificate=files["mine.pem"], key=files["mine.key"], ca=files["ca.pem"]
    )
    stranger = CredentialsSettings(mechanism="certificate", certificate=files["mine.pem"], key=files["mine.key"])
    async with HostFleet(options, SystemClock()) as fleet:
        url = next(iter(fleet.urls.values()))
        trusting = tls_context(str(files["ca.pem"]), str(files["mine.pem"]), str(files["mine.key"]))
        good, _ = await made(rehearsal(url, known, context=trusting))
        bad, _ = await made(rehearsal(url, stranger, context=tls_context(None, None, None)))

    assert good["TLS"].kind is None
    assert "localhost; issued by CN=Lab CA, until" in good["TLS"].text
    assert "by our certificate" in good["authentication"].text
    assert good["unsubscribe"].kind is None
    assert list(bad) == ["name", "port", "TLS"]
    assert bad["TLS"].kind == "denied"
    assert "It serves: localhost; issued by CN=Lab CA" in bad["TLS"].text


async def test_kerberos_says_whom_it_has_met(kdc: Kdc) -> None:
    """Mutual authentication: the machine has proven to be the one that was called, and seals what it says."""
    if importlib.util.find_spec("gssapi") is None:
        absent("the Python package gssapi is not there: tests/servers/install builds it, with gcc and libkrb5-dev")
    options = ServeOptions(
        FleetOptions("", sources=1), mechanism="kerberos", keytab=kdc.keytab("HTTP/localhost"), host_name="localhost"
    )
    keytab = str(kdc.keytab("puller"))
    good = CredentialsSettings(mechanism="kerberos", principal=kdc.full("puller"), keytab=Path(keytab))
    stranger = CredentialsSettings(mechanism="kerberos", principal=kdc.full("nobody"), keytab=Path(keytab))
    async with HostFleet(options, SystemClock()) as fleet:
        url = next(iter(fleet.urls.values()))
        steps, _ = await made(rehearsal(url, good))
        denied, _ = await made(rehearsal(url, stranger))

    assert "by Kerberos; it has proven to be HTTP/localhost; what is said is sealed" in steps["authentication"].text
    assert steps["unsubscribe"].kind is None
    assert denied["authentication"].kind == "denied"
    assert "unsubscribe" not in denied


@pytest.mark.parametrize("name", ["a:ActionNotSupported", "a:DestinationUnreachable"])
def test_a_far_end_without_an_event_log_is_told_apart(name: str) -> None:
    """Whoever gives the collector itself, or a switch that speaks WS-Management, reads what is missing."""
    assert "Event Forwarding Plugin" in pulling._unexpected("subscribe", SourceFault(name, None, None, "x")).remedy


def test_an_event_that_is_none_is_shown_as_what_it_is() -> None:
    """Sources are strangers; what they call an event must not end the look at them."""
    assert pulling._seen("no event at all").provider == "no event at all"
