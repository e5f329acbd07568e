"""The sink against a pretend Elasticsearch: what arrives there, and what comes back when it misbehaves."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import orjson
import pytest

from collector.clock import SystemClock
from collector.errors import OperatorError
from collector.model import Records
from collector.simulate.authority import issue, make_authority
from collector.sinks.base import SinkUnavailable
from collector.sinks.elasticsearch import wire
from collector.sinks.elasticsearch.settings import ElasticsearchSettings
from collector.sinks.elasticsearch.sink import ElasticsearchSink
from tests.events.made import NOON, made, records
from tests.sinks.elasticsearch.fake import PRODUCT, Endless, FakeElasticsearch, Hang, Said, error, failed

SYSMON = "Microsoft-Windows-Sysmon/Operational"
PRODUCTS = ("elasticsearch", "opensearch")


def sink(*urls: str, hurried: bool = False, **more: Any) -> ElasticsearchSink:
    settings = ElasticsearchSettings.model_validate({"type": "elasticsearch", "hosts": list(urls), **more})
    # Silence is waited for, but shorter than any setting allows; pauses between tries are not.
    quick = settings.model_copy(update={"request_timeout": min(settings.request_timeout, 1.0)}) if hurried else settings
    return ElasticsearchSink("search", quick, SystemClock(), pause=no_time)


async def no_time(_seconds: float) -> None:
    """A pause that is over at once."""


def batch(*numbers: int, **parts: Any) -> Records:
    return records([made(number, NOON + number, **parts) for number in numbers], form="winlogbeat")


async def trouble(made_sink: ElasticsearchSink, some: Records) -> SinkUnavailable:
    """What the write of *some* raises; it must raise."""
    await made_sink.open()
    try:
        with pytest.raises(SinkUnavailable) as raised:
            await made_sink.write(some)
    finally:
        await made_sink.close()
    return raised.value


async def written(made_sink: ElasticsearchSink, *batches: Records) -> list[list[tuple[int, str]]]:
    await made_sink.open()
    try:
        found = await asyncio.gather(*map(made_sink.write, batches))
    finally:
        await made_sink.close()
    return [[(entry.row, entry.reason) for entry in one] for one in found]


@pytest.mark.parametrize("product", PRODUCTS)
async def test_documents_lie_in_the_stream_of_their_channel_and_say_so(product: str) -> None:
    """Elastic's rules search these streams; Fleet's mappings refuse a document that says something else."""
    async with FakeElasticsearch(product=product == "elasticsearch") as fake:
        await written(
            sink(fake.url, product=product, namespaces={"servers": "dmz"}),
            batch(1, channel="Security"),
            records([made(2, channel=SYSMON)], form="winlogbeat", subscription="servers"),
            batch(3, channel="Some-Vendor/Log"),
        )

        assert set(fake.streams) == {
            "logs-system.security-default",
            "logs-windows.sysmon_operational-dmz",
            "logs-windows.forwarded-default",
        }
        (document,) = fake.streams["logs-windows.sysmon_operational-dmz"].values()
        assert document["data_stream"] == {"type": "logs", "dataset": "windows.sysmon_operational", "namespace": "dmz"}
        assert document["event"]["dataset"] == "windows.sysmon_operational"
        assert document["event"]["module"] == "windows"


async def test_a_fixed_name_takes_documents_as_they_are() -> None:
    """Beats shops have templates and dashboards for winlogbeat-*, and those know no data_stream fields."""
    async with FakeElasticsearch() as fake:
        some = batch(1)
        await written(sink(fake.url, data_stream="winlogbeat-8.19.0"), some)

        assert fake.streams == {"winlogbeat-8.19.0": {some.ids[0]: orjson.loads(some.record(0))}}


@pytest.mark.parametrize("product", PRODUCTS)
async def test_what_is_there_already_counts_as_stored(product: str) -> None:
    """After a doubt everything is sent again; the id makes it harmless."""
    async with FakeElasticsearch(product=product == "elasticsearch") as fake:
        some = batch(*range(5))

        assert await written(sink(fake.url, product=product), some) == [[]]
        assert await written(sink(fake.url, product=product), some) == [[]]

        assert fake.ids == list(some.ids)


async def test_a_letter_without_an_id_is_stored_without_one() -> None:
    """An empty _id refuses the whole bulk; one computed here would not be the event's."""
    async with FakeElasticsearch() as fake:
        one = batch(1)
        nameless = Records(one.format, one.block, one.ends, [""], one.keys, one.source, one.subscription, one.received)

        assert await written(sink(fake.url), nameless) == [[]]
        assert fake.nameless == 1


async def test_a_bad_document_is_rejected_and_its_neighbours_are_stored() -> None:
    """One event with a text where a number belongs must not hold up a thousand."""
    bad = lambda document: (  # noqa: E731
        (400, error("document_parsing_exception", "no long")) if document["message"] == "event 3" else None
    )
    async with FakeElasticsearch(bad) as fake:
        some = batch(*range(6))

        assert await written(sink(fake.url), some) == [[(3, "400 document_parsing_exception: no long")]]
        assert fake.ids == [id for row, id in enumerate(some.ids) if row != 3]


async def test_a_long_document_is_shortened_and_one_that_cannot_be_is_a_letter() -> None:
    """http.max_content_length would refuse the whole bulk, for ever."""
    async with FakeElasticsearch() as fake:
        long = batch(1, message="x" * 200_000)
        stubborn = batch(2, data={f"name{n}": "y" * 60 for n in range(2000)})

        (first, second) = await written(sink(fake.url, max_document_size="64KiB"), long, stubborn)

        assert first == []
        (document,) = fake.streams["logs-system.security-default"].values()
        assert len(orjson.dumps(document)) <= 64 * 2**10
        assert [row for row, _ in second] == [0]
        assert "max_document_size" in second[0][1]


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize(
    ("answer", "words", "blocked"),
    [
        (failed(401, "security_exception", "missing authentication credentials"), "credentials", True),
        (failed(403, "security_exception"), "create_doc", True),
        (Said(503, b"", {"retry-after": "90"}), "503", False),
        (Said(502, b"<html><h1>Bad Gateway</h1></html>", {"content-type": "text/html"}), "Bad Gateway", False),
        (Said(404, b"nothing here", {"content-type": "text/plain"}), "address", True),
        (Said(302, b"", {"location": "https://elsewhere.example/"}), "hosts", True),
        (Said(406, b"", {}), "opensearch", True),
        (Said(200, b"<html>Please log in</html>", {**PRODUCT, "content-type": "text/html"}), "no JSON", False),
        (Said(200, b'{"items":[]}', {**PRODUCT, "content-type": "application/json"}), "0 records", False),
        (Said(200, None), "http", False),
    ],
    ids=["401", "403", "503", "502 page", "404", "302", "406", "200 page", "item short", "cut off"],
)
async def test_an_answer_that_stores_nothing_keeps_everything(
    product: str, answer: Said, words: str, blocked: bool
) -> None:
    """Proxies, portals, locked doors: no record is at fault, and the lane is told whether waiting helps."""
    async with FakeElasticsearch(*[answer] * 3, product=product == "elasticsearch") as fake:
        found = await trouble(sink(fake.url, product=product, hurried=answer.body is None), batch(1, 2))

        assert words in str(found)
        assert found.blocked is blocked
        assert found.retry_after == (90 if answer.status == 503 else 0)


async def test_what_does_not_say_that_it_is_elasticsearch_is_not_trusted() -> None:
    """OpenSearch behind this client would fail in stranger ways; the message says which setting it is."""
    async with FakeElasticsearch(product=False) as fake:
        found = await trouble(sink(fake.url), batch(1))

        assert 'product = "opensearch"' in str(found)
        assert found.blocked


@pytest.mark.parametrize("product", PRODUCTS)
async def test_an_answer_without_an_end_does_not_fill_the_memory(product: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever answers for Elasticsearch may say anything."""
    monkeypatch.setattr(wire, "LARGEST_REPLY", 2**20)
    async with FakeElasticsearch(Endless(), Endless(), Endless(), product=product == "elasticsearch") as fake:
        found = await trouble(sink(fake.url, product=product, hurried=True), batch(1))

        assert "MiB" in str(found)


@pytest.mark.parametrize("product", PRODUCTS)
async def test_silence_ends_and_says_so(product: str) -> None:
    """A write ends by itself: a hanging server must not hold the lane for ever."""
    async with FakeElasticsearch(Hang(), product=product == "elasticsearch") as fake:
        found = await trouble(sink(fake.url, product=product, hurried=True), batch(1))

        assert "no answer within 1 s" in str(found)
        assert not found.blocked


@pytest.mark.parametrize("product", PRODUCTS)
async def test_another_host_takes_over_at_once(product: str) -> None:
    """A rolling restart of the cluster is nothing that a source should notice."""
    async with FakeElasticsearch(product=product == "elasticsearch") as living:
        gone = FakeElasticsearch()
        await gone.start()
        await gone.stop()
        several = sink(gone.url, living.url, product=product)
        await several.open()

        for number in range(6):
            assert await several.write(batch(number)) == []
        await several.close()

        assert len(living.ids) == 6


async def test_nobody_there_is_said_with_the_address() -> None:
    """The first thing an operator asks."""
    gone = FakeElasticsearch()
    await gone.start()
    await gone.stop()

    found = await trouble(sink(gone.url, hurried=True), batch(1))

    assert gone.url in str(found)
    assert not found.blocked


async def test_a_server_that_comes_back_is_used_again() -> None:
    """The client must not remember an outage longer than it lasts."""
    fake = FakeElasticsearch()
    await fake.start()
    one = sink(fake.url, hurried=True)
    await one.open()
    assert await one.write(batch(1)) == []
    port = int(fake.url.rpartition(":")[2])
    await fake.stop()
    with pytest.raises(SinkUnavailable):
        await one.write(batch(2))

    await fake.start(port)

    assert await one.write(batch(2)) == []
    await one.close()
    await fake.stop()


async def test_one_malformed_line_costs_one_record() -> None:
    """Elasticsearch refuses the whole bulk for it, and stores nothing of it."""
    async with FakeElasticsearch(poison=b'"event 13"') as fake:
        (found,) = await written(sink(fake.url), batch(*range(40)))

        assert [row for row, _ in found] == [13]
        assert len(fake.ids) == 39


async def test_a_proxy_that_lets_little_pass_gets_little() -> None:
    """nginx's default is one megabyte, and its 413 is a page."""
    async with FakeElasticsearch(most=20_000) as fake:
        one = sink(fake.url)
        await one.open()
        assert await one.write(batch(*range(200))) == []
        before = len(fake.requests)
        assert await one.write(batch(*range(200, 400))) == []
        again = len(fake.requests) - before
        await one.close()

        assert len(fake.ids) == 400
        assert again < before
        assert max(fake.sizes) <= 20_000


async def test_credentials_travel_in_one_header() -> None:
    """An API key as Kibana shows it, as id:key, or a user; nothing else is asked for."""
    async with FakeElasticsearch() as fake:
        await written(sink(fake.url, api_key="ZW5jb2RlZA=="), batch(1))
        await written(sink(fake.url, api_key="id:key"), batch(2))
        await written(sink(fake.url, username="wec", password="päss:word"), batch(3))
        await written(sink(fake.url), batch(4))

        assert [request.headers.get("authorization") for request in fake.requests] == [
            "ApiKey ZW5jb2RlZA==",
            "ApiKey aWQ6a2V5",
            "Basic d2VjOnDDpHNzOndvcmQ=",
            None,
        ]


@pytest.mark.parametrize("product", PRODUCTS)
async def test_a_slow_line_gets_gzip(product: str) -> None:
    """A tenth of the bytes for five times the CPU: the operator's choice."""
    async with FakeElasticsearch(product=product == "elasticsearch") as fake:
        await written(sink(fake.url, product=product, compression="gzip"), batch(*range(50)))

        assert len(fake.ids) == 50
        assert int(fake.requests[0].headers["content-length"]) < fake.sizes[0] / 3


class Certified:
    """A fake behind TLS, its authority, and an authority that signed nothing."""

    def __init__(self, folder: Path) -> None:
        now = SystemClock().now()
        authority = make_authority("search authority", now)
        server = issue(authority, ["localhost", "127.0.0.1"], server=True, now=now)
        client = issue(authority, ["collector"], server=False, now=now)
        self.ca, self.stranger = folder / "ca.pem", folder / "stranger.pem"
        self.ca.write_bytes(authority.pem())
        self.stranger.write_bytes(make_authority("somebody else", now).pem())
        self.certificate, self.key = folder / "client.pem", folder / "client.key"
        self.certificate.write_bytes(client.pem())
        self.key.write_bytes(client.key_pem())
        (folder / "server.pem").write_bytes(server.pem() + server.key_pem())
        self.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(self.ca))
        self.tls.load_cert_chain(folder / "server.pem")


@pytest.mark.parametrize("product", PRODUCTS)
async def test_tls_is_verified_and_a_stranger_blocks(product: str, tmp_path: Path) -> None:
    """Events go to nobody who cannot prove to be the cluster; only a person can mend that."""
    certified = Certified(tmp_path)
    fake = FakeElasticsearch(product=product == "elasticsearch")
    await fake.start(tls=certified.tls)

    assert await written(sink(fake.url, product=product, ca=str(certified.ca)), batch(1)) == [[]]
    found = await trouble(sink(fake.url, product=product, ca=str(certified.stranger), hurried=True), batch(2))
    await fake.stop()

    assert found.blocked
    assert "certificate" in str(found)
    assert len(fake.ids) == 1


async def test_a_client_certificate_is_shown(tmp_path: Path) -> None:
    """Some clusters take nobody without one."""
    certified = Certified(tmp_path)
    certified.tls.verify_mode = ssl.CERT_REQUIRED
    fake = FakeElasticsearch()
    await fake.start(tls=certified.tls)
    shown: dict[str, Any] = {
        "ca": str(certified.ca),
        "certificate": str(certified.certificate),
        "private_key": str(certified.key),
    }

    assert await written(sink(fake.url, **shown), batch(1)) == [[]]
    await trouble(sink(fake.url, ca=str(certified.ca), hurried=True), batch(2))
    await fake.stop()


@pytest.mark.parametrize("name", ["ca", "certificate"])
async def test_a_file_that_is_no_certificate_is_named_at_the_start(name: str, tmp_path: Path) -> None:
    """Not an hour later, when the first event comes."""
    certified = Certified(tmp_path)
    bad = tmp_path / "bad.pem"
    bad.write_text("no certificate")
    files: dict[str, Any] = {
        "certificate": str(certified.certificate),
        "private_key": str(certified.key),
        name: str(bad),
    }

    with pytest.raises(OperatorError, match=r"bad\.pem"):
        await sink("https://127.0.0.1:1", **files).open()


async def test_a_closed_sink_says_so_and_can_be_opened_again() -> None:
    """A reload closes and opens."""
    async with FakeElasticsearch() as fake:
        one = sink(fake.url)
        with pytest.raises(SinkUnavailable):
            await one.write(batch(1))
        await written(one, batch(1))
        await written(one, batch(2))
        await one.close()

        assert len(fake.ids) == 2


async def test_closing_waits_for_the_answer_under_way() -> None:
    """A clean stop leaves nothing in doubt."""
    async with FakeElasticsearch() as fake:
        fake.gate = asyncio.Event()
        one = sink(fake.url)
        await one.open()
        writing = asyncio.ensure_future(one.write(batch(1)))
        await fake.asked.wait()
        closing = asyncio.ensure_future(one.close())
        await asyncio.sleep(0)
        fake.gate.set()

        await closing

        assert await writing == []
        assert len(fake.ids) == 1
