"""Several listeners of one collector: each with its address, its own way to prove who is calling, its own door."""

from __future__ import annotations

import asyncio
import hashlib
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from collector.app import Collector
from collector.cli.letters import offer_again
from collector.config.load import load
from collector.sinks.table import SINKS
from collector.store.sqlite import SqliteStore
from collector.store.state_folder import StateFolder
from tests.conftest import absent
from tests.delivery.conversation import bookmark, event
from tests.listener.speaking import Answer, Talk, enumerate_, envelope
from tests.listener.test_proxy_protocol import version_2
from tests.listener.test_tls import Lab
from tests.servers.kdc import Kdc

EVENTS = "http://schemas.dmtf.org/wbem/wsman/1/wsman/Events"
SETTINGS = """
min_free = "1KiB"
name = "wec"
[monitoring]
port = 0
[sinks.archive]
type = "file"
path = "out.jsonl"
[listeners.lab]
transport = "http"
address = ["127.0.0.1", "::1"]
port = 0
authentication = ["none"]
[listeners.tls]
transport = "https"
address = "*"
port = 0
certificate = "server.pem"
key = "server.key"
client_ca = ["old.pem", "new.pem"]
[listeners.balanced]
transport = "https"
address = "::1"
port = 0
hostname = "wec.corp.example"
public_port = 443
proxy_protocol = ["::1"]
certificate = "server.pem"
key = "server.key"
client_ca = ["new.pem"]
"""
DOMAIN = """
[listeners.domain]
transport = "https"
address = "127.0.0.1"
port = 0
authentication = ["kerberos"]
certificate = "server.pem"
key = "server.key"
{}
"""
SUBSCRIPTION = 'name = "one"\n[[select]]\nchannel = "System"\n[spoofing]\npolicy = "{}"\n'


@dataclass
class Site:
    """A running collector, and certificates for its callers."""

    folder: Path
    lab: Lab
    collector: Collector

    def port(self, listener: str, at: str) -> int:
        return next(port for address, port in self.collector.addresses[listener] if address in (at, "*"))

    async def call(self, listener: str, at: str, *, first: bytes = b"", name: str = "ws-1.corp.example") -> Talk:
        """A connection to *listener* at the address *at*; with TLS it shows a certificate of *name*."""
        reader, writer = await asyncio.open_connection(at, self.port(listener, at))
        writer.write(first)
        if listener != "lab":
            await writer.start_tls(self.context(name), server_hostname="localhost")
        return Talk(reader, writer)

    def context(self, name: str) -> ssl.SSLContext:
        return self.lab.client(self.lab.new if name else None, name)

    def store(self) -> SqliteStore:
        return SqliteStore.open(StateFolder(self.folder / "state").database, readonly=True)

    def documents(self) -> list[dict[str, Any]]:
        path = self.folder / "out.jsonl"
        return [orjson.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


@asynccontextmanager
async def site(folder: Path, policy: str = "off", more: str = "") -> AsyncIterator[Site]:
    lab = Lab(folder)
    (folder / "subscriptions").mkdir()
    (folder / "subscriptions" / "one.toml").write_text(SUBSCRIPTION.format(policy))
    (folder / "collector.toml").write_text(SETTINGS + more)
    collector = Collector(load(folder / "collector.toml", sinks={name: sink.settings for name, sink in SINKS.items()}))
    try:
        await collector.start()
    except OSError:
        absent("this machine has no IPv6 on loopback")
    try:
        yield Site(folder, lab, collector)
    finally:
        await collector.stop("the test is over")


def notify_to(answer: Answer) -> str:
    """Where the source shall deliver, up to the path."""
    assert answer.status == 200
    found = re.search(r"<e:NotifyTo.*?Address[^>]*>([^<]*?)/wsman/", answer.body.decode("utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


def events(identifier: str, *texts: str, record: int = 1) -> str:
    inside = "".join(f'<w:Event Action="{EVENTS[:-1]}"><![CDATA[{text}]]></w:Event>' for text in texts)
    head = f"<e:Identifier>{identifier}</e:Identifier><w:Bookmark>{bookmark(record)}</w:Bookmark><w:AckRequested/>"
    return envelope(EVENTS, f"<w:Events>{inside}</w:Events>", header=head)


def identifier(answer: Answer) -> str:
    found = re.search(r"/wsman/subscriptions/([0-9A-F-]{36})", answer.body.decode("utf-8"))
    assert found is not None
    return found[1]


@pytest.mark.parametrize("at", ["127.0.0.1", "::1"])
async def test_every_listener_says_where_it_can_be_reached(tmp_path: Path, at: str) -> None:
    """A source delivers where NotifyTo says: with the name it used itself, or with the one the balancer has."""
    async with site(tmp_path) as place:
        host = f"[{at}]" if ":" in at else at
        for listener, scheme in (("lab", "http"), ("tls", "https")):
            port = place.port(listener, at)
            talk = await place.call(listener, at)
            own = f"{scheme}://{host}:{port}"
            assert notify_to(await talk.post(enumerate_().replace("http://wec:5985", own))) == own
            nameless = enumerate_().replace("<a:To>http://wec:5985/wsman</a:To>", "<a:To>urn:nobody</a:To>")
            assert notify_to(await talk.post(nameless, Host="")) == own, "an IPv4 address is none inside IPv6"

        balanced = await place.call("balanced", "::1", first=version_2("203.0.113.9"))
        assert notify_to(await balanced.post(enumerate_())) == "https://wec.corp.example:443"


async def test_no_listener_admits_by_the_mechanism_of_another(tmp_path: Path) -> None:
    """Who is taken at his word on loopback is nobody on the network, and a CA of one listener is none of the next."""
    async with site(tmp_path) as place:
        assert (await (await place.call("lab", "127.0.0.1")).post(enumerate_())).status == 200
        assert (await (await place.call("tls", "127.0.0.1", name="")).post(enumerate_())).status == 401

        old = place.lab.client(place.lab.old)
        place.context = lambda name: old  # type: ignore[method-assign]
        assert (await (await place.call("tls", "::1")).post(enumerate_())).status == 200
        with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
            await (await place.call("balanced", "::1", first=version_2("203.0.113.9"))).post(enumerate_())


@pytest.mark.slow
async def test_a_machine_known_by_two_mechanisms_has_two_bookmarks(tmp_path: Path, kdc: Kdc) -> None:
    """By its ticket at one listener and by its certificate at another it is two sources, each with a log position."""
    from tests.listener.domain import Member  # skips where Kerberos is not there

    keytab = f'keytab = "{kdc.keytab("HTTP/localhost")}"'
    async with site(tmp_path, "quarantine", more=DOMAIN.format(keytab)) as place:
        certified = await place.call("tls", "127.0.0.1")
        which = identifier(await certified.post(enumerate_()))
        assert (await certified.post(events(which, event(1), record=1))).status == 200

        member, stranger = await place.call("domain", "127.0.0.1"), await place.call("domain", "127.0.0.1")
        assert (await stranger.post(enumerate_())).status == 401, "its certificate counts at the other listener"
        served = hashlib.sha256(member.served).digest()
        session = Member(kdc, "ws-1$").session(binding=b"tls-server-end-point:" + served)
        assert (await session.prove(member)).status == 200
        offer = await member.post(enumerate_())
        assert notify_to(offer) == "https://wec:5985", "as the source wrote it in a:To"
        assert (await member.post(events(which, event(2), event(3), record=3))).status == 200
        turned_away = await (await place.call("tls", "::1", name="")).post(
            enumerate_(), Authorization=Member(kdc, "ws-1$").session().authorization()
        )
        assert turned_away.status == 401, "its ticket counts at the other listener"

        saved = {source: found.xml for source, _, found in place.store().bookmarks()}
        assert saved == {"ws-1.corp.example": bookmark(1), "ws-1$@wef.test": bookmark(3)}
        assert [document["wef"]["client"]["name"] for document in place.documents()] == [
            "ws-1.corp.example", "ws-1", "ws-1",
        ]  # fmt: skip


async def test_documents_say_where_their_caller_really_is(tmp_path: Path) -> None:
    """Not the balancer's address, and not ::ffff:127.0.0.1."""
    async with site(tmp_path) as place:
        ways = [("tls", "127.0.0.1", b""), ("tls", "::1", b""), ("balanced", "::1", version_2("203.0.113.9"))]
        for number, (listener, at, first) in enumerate(ways, start=1):
            talk = await place.call(listener, at, first=first)
            which = identifier(await talk.post(enumerate_()))
            assert (await talk.post(events(which, event(number), record=number))).status == 200

        found = [document["wef"]["client"]["ip"] for document in place.documents()]
        assert found == ["127.0.0.1", "::1", "203.0.113.9"]


async def test_a_foreign_event_is_quarantined_listed_and_let_go_on(tmp_path: Path) -> None:
    """From the door to ``wef letters``: the Ack comes, the event waits for somebody's word, its neighbour does not."""
    foreign = event(2).replace("<Computer>WS-1<", "<Computer>DC01<")
    async with site(tmp_path, "quarantine") as place:
        talk = await place.call("tls", "::1")
        which = identifier(await talk.post(enumerate_()))
        assert (await talk.post(events(which, event(1), foreign, record=2))).status == 200

        assert [document["winlog"]["computer_name"] for document in place.documents()] == ["WS-1"]
        (letter,) = place.store().letters()
        assert letter.reason == "computer: the event says 'DC01', its caller is ws-1.corp.example"

        settings = load(tmp_path / "collector.toml", sinks={name: sink.settings for name, sink in SINKS.items()})
        (outcome,) = await offer_again(settings, {letter.id: letter.sink}, 10)
        assert outcome.outcome == "delivered"
        assert [document["winlog"]["computer_name"] for document in place.documents()] == ["WS-1", "DC01"]
        assert place.documents()[1]["tags"] == ["forwarded", "wef_computer_mismatch"]


async def test_a_foreign_event_is_rejected_with_the_fault_that_ends_the_subscription(tmp_path: Path) -> None:
    """[MS-WSMV] 3.1.4.1.30.2; nothing of the batch is taken, and the next honest one is."""
    foreign = event(2).replace("<Computer>WS-1<", "<Computer>DC01<")
    async with site(tmp_path, "reject") as place:
        talk = await place.call("tls", "127.0.0.1")
        which = identifier(await talk.post(enumerate_()))
        refused = await talk.post(events(which, event(1), foreign, record=2))
        assert (refused.status, b"DeliveryRefused" in refused.body) == (500, True)
        assert place.documents() == []

        assert (await talk.post(events(which, event(1)))).status == 200
        assert len(place.documents()) == 1
