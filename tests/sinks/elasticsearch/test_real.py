"""The sink against real servers: every status of servers.md 4.6 that it can meet, provoked and not pretended.

Streams are named by a namespace of each test's own; the servers are shared.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from typing import Any

import pytest

from collector.clock import SystemClock
from collector.model import Records
from collector.sinks.base import Rejection, SinkUnavailable
from collector.sinks.elasticsearch.settings import ElasticsearchSettings
from collector.sinks.elasticsearch.sink import ElasticsearchSink
from collector.telemetry import REGISTRY
from tests.events.made import NOON, made, records
from tests.servers.elasticsearch import Elasticsearch, SecureElasticsearch
from tests.servers.fixtures import Factory
from tests.servers.http_server import HttpServer

pytestmark = pytest.mark.slow

TYPE = "realsink"
_numbers = itertools.count()


def stream(namespace: str) -> str:
    return f"{TYPE}-system.security-{namespace}"


@pytest.fixture
def namespace() -> str:
    """Streams of the test's own."""
    return f"n{next(_numbers)}"


def prepare(server: HttpServer, kind: str = TYPE, **template: Any) -> None:
    """The smallest template that makes data streams; priority above the built-in ones."""
    properties = {"@timestamp": {"type": "date"}, "winlog": {"properties": {"process": {"properties": PID}}}}
    body = {
        "index_patterns": [f"{kind}-*-*"],
        "data_stream": {},
        "priority": 500,
        "template": {"mappings": {"properties": properties}, **template},
    }
    server.told("PUT", f"/_index_template/{kind}", body)


PID = {"pid": {"type": "long"}}


def sink(server: HttpServer, namespace: str, **more: Any) -> ElasticsearchSink:
    table = {
        "type": "elasticsearch",
        "hosts": [server.url],
        "data_stream": f"{TYPE}-{{dataset}}-{{namespace}}",
        "namespace": namespace,
        **more,
    }
    return ElasticsearchSink("real", ElasticsearchSettings.model_validate(table), SystemClock(), pause=no_time)


async def no_time(_seconds: float) -> None:
    """A pause that is over at once."""


def batch(first: int, number: int = 1, **parts: Any) -> Records:
    return records([made(n, NOON + n, **parts) for n in range(first, first + number)], form="winlogbeat")


def bad_batch(number: int) -> Records:
    """A document with a text where the mapping has a number."""
    event = made(number)
    event.document["winlog"]["process"]["pid"] = "no number"
    return records([event], form="winlogbeat")


def together(*several: Records) -> Records:
    """One batch of several."""
    from collector.formats.records import to_json  # noqa: F401

    block = b"".join(one.block for one in several)
    ends, offset = several[0].ends[:0], 0
    for one in several:
        ends.extend(end + offset for end in one.ends)
        offset += len(one.block)
    ids = [id for one in several for id in one.ids]
    keys = [key for one in several for key in one.keys]
    return replace(several[0], block=block, ends=ends, ids=ids, keys=keys)


async def written(one: ElasticsearchSink, some: Records) -> list[Rejection]:
    await one.open()
    try:
        return list(await one.write(some))
    finally:
        await one.close()


async def trouble(one: ElasticsearchSink, some: Records) -> SinkUnavailable:
    with pytest.raises(SinkUnavailable) as raised:
        await written(one, some)
    return raised.value


def ids(server: HttpServer, namespace: str) -> list[str]:
    return sorted(hit["_id"] for hit in server.documents(stream(namespace)))


@pytest.fixture(params=["elasticsearch", "opensearch"])
def product(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def server(product: str, request: pytest.FixtureRequest) -> HttpServer:
    """The session's server of *product*, with the template."""
    found: HttpServer = request.getfixturevalue(product)
    prepare(found)
    return found


async def test_events_are_stored_once_and_a_repetition_counts_as_stored(
    server: HttpServer, product: str, namespace: str
) -> None:
    """201, then 409: what the lane offers again after a doubt is there once."""
    some = batch(0, 300)
    before = REGISTRY.get_sample_value("wef_sink_present_total", {"sink": "real"}) or 0

    assert await written(sink(server, namespace, product=product), some) == []
    assert await written(sink(server, namespace, product=product), some) == []

    hits = server.documents(stream(namespace))
    assert sorted(hit["_id"] for hit in hits) == sorted(some.ids)
    assert hits[0]["_index"].startswith(f".ds-{stream(namespace)}")
    assert hits[0]["_source"]["data_stream"]["namespace"] == namespace
    assert REGISTRY.get_sample_value("wef_sink_present_total", {"sink": "real"}) == before + 300


async def test_a_document_the_mapping_refuses_is_rejected_with_the_reason(
    server: HttpServer, product: str, namespace: str
) -> None:
    """Item 400: a letter that says what was wrong; its neighbours are stored."""
    some = together(batch(0, 2), bad_batch(2), batch(3, 2))

    (found,) = await written(sink(server, namespace, product=product), some)

    assert found.row == 2
    assert found.reason.startswith("400 ")
    assert "parsing_exception" in found.reason
    assert 'For input string: "no number"' in found.reason
    assert ids(server, namespace) == sorted(id for row, id in enumerate(some.ids) if row != 2)


async def test_one_id_that_is_too_long_does_not_refuse_its_neighbours(
    server: HttpServer, product: str, namespace: str
) -> None:
    """Whole 400 for one id over 512 bytes: nothing of the bulk was stored (servers.md 10, 11)."""
    some = batch(0, 9)
    some = replace(some, ids=[*some.ids[:4], "x" * 600, *some.ids[5:]])

    (found,) = await written(sink(server, namespace, product=product), some)

    assert found.row == 4
    assert found.reason.startswith("400 action_request_validation_exception")
    assert len(ids(server, namespace)) == 8


@pytest.mark.parametrize(("block", "words"), [("read_only_allow_delete", "disk"), ("write", "index.blocks.write")])
async def test_a_blocked_index_blocks_the_sink_until_somebody_acts(
    server: HttpServer, product: str, namespace: str, block: str, words: str
) -> None:
    """429 of a full disk and 403 of a write block: kept, with the alarm, and taken when it is lifted."""
    await written(sink(server, namespace, product=product), batch(0))
    index = server.documents(stream(namespace))[0]["_index"]
    server.told("PUT", f"/{index}/_settings", {f"index.blocks.{block}": True})

    found = await trouble(sink(server, namespace, product=product), batch(1, 3))
    server.told("PUT", f"/{index}/_settings", {f"index.blocks.{block}": None})

    assert found.blocked
    assert words in str(found)
    assert await written(sink(server, namespace, product=product), batch(1, 3)) == []
    assert len(ids(server, namespace)) == 4


async def test_a_stream_without_a_template_names_the_command(elasticsearch: HttpServer) -> None:
    """Item 404 by require_data_stream: else a plain index with guessed types would be made, and nobody would see."""
    one = sink(elasticsearch, "x", data_stream="nobodys-{dataset}-{namespace}")

    found = await trouble(one, batch(0))

    assert found.blocked
    assert "nobodys-system.security-x" in str(found)
    assert "wef setup elasticsearch --apply" in str(found)


async def test_a_failure_store_is_success_and_is_counted(elasticsearch: HttpServer, namespace: str) -> None:
    """201 with another id, in another index: Elasticsearch has it, and somebody should look."""
    prepare(elasticsearch, "failing", data_stream_options={"failure_store": {"enabled": True}})
    one = sink(elasticsearch, namespace, data_stream="failing-{dataset}-{namespace}")
    before = REGISTRY.get_sample_value("wef_sink_failure_stored_total", {"sink": "real"}) or 0

    assert await written(one, together(batch(0), bad_batch(1))) == []

    assert REGISTRY.get_sample_value("wef_sink_failure_stored_total", {"sink": "real"}) == before + 1


async def test_a_server_that_takes_little_gets_little(
    elasticsearch_factory: Factory[Elasticsearch], namespace: str
) -> None:
    """Whole 413 with an empty body: halves, and what is too large alone is a letter."""
    server = elasticsearch_factory({"http.max_content_length": "1mb"})
    prepare(server)
    some = together(batch(0, 30, message="m" * 60_000), batch(100, message="m" * 1_200_000), batch(200, 3))

    (found,) = await written(sink(server, namespace), some)

    assert (found.row, found.reason[:3]) == (30, "413")
    assert len(ids(server, namespace)) == 33


async def test_overload_is_kept_and_blocks_nobody(
    elasticsearch_factory: Factory[Elasticsearch], namespace: str
) -> None:
    """Whole 429 of indexing pressure, without Retry-After: the lane waits, no person is called."""
    server = elasticsearch_factory({"indexing_pressure.memory.limit": "100kb"})
    prepare(server)

    found = await trouble(sink(server, namespace), batch(0, 10, message="m" * 30_000))

    assert not found.blocked
    assert "429 es_rejected_execution_exception" in str(found)
    assert await written(sink(server, namespace), batch(20, 3)) == []


async def test_locks_and_keys(secure_elasticsearch_factory: Factory[SecureElasticsearch], namespace: str) -> None:
    """TLS by a private CA; API key, user and wrong ones; a right that is missing for one stream only."""
    server = secure_elasticsearch_factory()
    prepare(server)
    body = {"index_patterns": ["logs-*-*"], "data_stream": {}, "priority": 500}
    server.told("PUT", "/_index_template/plain-logs", body)

    def one(**more: Any) -> ElasticsearchSink:
        return sink(server, namespace, **{"ca": str(server.ca), "data_stream": "logs-{dataset}-{namespace}", **more})

    key, user = {"api_key": server.api_key()}, {"username": server.writer, "password": server.writer_password}
    assert await written(one(**key), batch(0, 5)) == []
    assert await written(one(**user), batch(5, 5)) == []

    nobody, stranger = await trouble(one(), batch(0)), await trouble(one(username="x", password="y"), batch(0))
    forbidden = await trouble(one(data_stream="others-{dataset}-{namespace}", **key), batch(0))
    unproven = await trouble(one(ca=str(server.stranger_ca), **key), batch(0))

    assert len(server.documents(f"logs-system.security-{namespace}")) == 10
    assert [found.blocked for found in (nobody, stranger, forbidden, unproven)] == [True] * 4
    assert "401" in str(nobody)
    assert "401" in str(stranger)
    assert "create_doc" in str(forbidden)
    assert "certificate" in str(unproven)


async def test_killed_and_restarted_it_has_everything_once(
    elasticsearch_factory: Factory[Elasticsearch], namespace: str
) -> None:
    """kill -9 in the middle: what was confirmed is there, what was not is offered again, and nothing is there twice."""
    server = elasticsearch_factory()
    prepare(server)
    one = sink(server, namespace, request_timeout="5s")
    await one.open()
    confirmed: list[str] = []
    unconfirmed: list[Records] = []

    async def offer(some: Records) -> None:
        try:
            await one.write(some)
            confirmed.extend(some.ids)
        except SinkUnavailable:
            unconfirmed.append(some)

    await offer(batch(0, 100))
    under_way = [asyncio.ensure_future(offer(batch(1000 + n * 100, 100))) for n in range(20)]
    await asyncio.sleep(0)
    server.kill()
    await asyncio.gather(*under_way)
    await offer(batch(5000, 10))
    assert unconfirmed
    await asyncio.to_thread(lambda: server.start().wait())

    assert set(confirmed) <= set(ids(server, namespace))
    await asyncio.gather(*(one.write(some) for some in unconfirmed))
    await one.close()
    assert len(ids(server, namespace)) == 100 + 2000 + 10


@pytest.mark.long
async def test_elasticsearch_9_takes_the_same(elasticsearch_factory: Factory[Elasticsearch], namespace: str) -> None:
    """One client for both: 9 understands what 8 speaks."""
    server = elasticsearch_factory(nine=True)
    prepare(server)

    (found,) = await written(sink(server, namespace), together(batch(0, 3), bad_batch(3)))

    assert found.row == 3
    assert len(ids(server, namespace)) == 3
