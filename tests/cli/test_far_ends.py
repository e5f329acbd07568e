"""The demo counts for itself what is in the servers: only what came meanwhile, only its own, each event once."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from uuid import uuid4

import pytest
from kafka import KafkaProducer

from collector.cli.far_ends import ElasticsearchEnd, KafkaEnd
from collector.errors import OperatorError
from collector.sinks.elasticsearch.settings import ElasticsearchSettings
from collector.sinks.kafka.settings import KafkaSettings
from tests.end_to_end.stage import free_port
from tests.servers.elasticsearch import Elasticsearch
from tests.servers.kafka import Kafka

CHANNELS = ["Security", "System"]


def document(collector: str) -> bytes:
    return json.dumps({"@timestamp": "2026-01-02T03:04:05Z", "wef": {"collector": collector}}).encode()


def search(url: str, namespace: str = "default") -> ElasticsearchSettings:
    return ElasticsearchSettings.model_validate({"hosts": [url], "namespace": namespace})


def bulk(url: str, lines: bytes) -> None:
    request = urllib.request.Request(url, lines, {"Content-Type": "application/x-ndjson"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        assert not json.load(reply)["errors"]


@pytest.mark.slow
async def test_records_in_kafka_are_ours_new_and_counted_once(kafka: Kafka) -> None:
    """A topic is shared: with the demo of yesterday, with other collectors, with whatever else writes there."""
    prefix = uuid4().hex[:8]
    end = KafkaEnd(
        KafkaSettings.model_validate({"brokers": [kafka.bootstrap], "topic": f"{prefix}-{{dataset}}"}), "demo", CHANNELS
    )
    security, system = f"{prefix}-system.security", f"{prefix}-system.system"
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all", enable_idempotence=False)

    def send(topic: str, value: bytes | None, event_id: str | None) -> None:
        headers = [("event-id", event_id.encode())] if event_id else []
        producer.send(topic, value, key=b"pc01", headers=headers).get(10)

    assert list(await end.make_ready()) == []
    send(security, document("mine"), "before")
    assert list(await end.make_ready()) == []
    for event_id in ("one", "two", "one"):
        send(security, document("mine"), event_id)
    send(system, document("mine"), "three")
    for value in (document("another"), b"\xff no json", b"[]", b'{"wef": 5}', None):
        send(system, value, uuid4().hex)
    send(system, document("mine"), None)
    found = await end.find("mine")
    producer.close()

    assert dict(found.places) == {security: 2, system: 1}
    assert (found.events, found.again) == (3, 1)


@pytest.mark.slow
async def test_documents_in_elasticsearch_are_counted_by_their_collector(elasticsearch: Elasticsearch) -> None:
    """Streams that nothing came to are not there, and are no reason to stop."""
    namespace = uuid4().hex[:8]
    end = ElasticsearchEnd(
        search(elasticsearch.url, namespace), "demo", CHANNELS
    )  # fmt: skip
    await end.make_ready()
    stream = f"logs-system.security-{namespace}"
    lines = b"".join(
        b'{"create":{"_id":"%d"}}\n%s\n' % (number, document("mine" if number < 3 else "another"))
        for number in range(5)
    )
    await asyncio.to_thread(bulk, f"{elasticsearch.url}/{stream}/_bulk", lines)

    found = await end.find("mine")

    assert dict(found.places) == {stream: 3}


async def test_a_server_that_is_not_there_is_an_error_with_its_address() -> None:
    """69: contract.md 6."""
    port = free_port()
    end = ElasticsearchEnd(search(f"http://127.0.0.1:{port}"), "demo", CHANNELS)

    with pytest.raises(OperatorError, match=str(port)) as refused:
        await end.make_ready()

    assert refused.value.exit_code == 69
