"""A kafka-python producer: how it is set up, how it is ended whatever its state, and how topics are looked up.

Everything here blocks and belongs into threads. It knows the library's traps (servers.md 7 and 10,
dependencies.md 11.2) and nothing of queues or loops.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Collection
from typing import Any, Final

from kafka import KafkaProducer
from kafka import errors as kafka_errors
from kafka.net.compat import KafkaNetClient
from kafka.net.inet import KafkaNetSocket
from kafka.partitioner import DefaultPartitioner, murmur2
from kafka.protocol.metadata import MetadataRequest

from collector.sinks.kafka.engine import TopicTrouble, Verdict
from collector.sinks.kafka.python_verdicts import MISSING, verdict_of, words_of
from collector.sinks.kafka.settings import KafkaSettings

BATCH: Final = 512 * 2**10
"""Bytes that are compressed together: the throughput's plateau (servers.md 7.2)."""
METADATA_MS: Final = 2_000
"""A send to a topic whose partitions are not known waits so long for them; the thread sends nothing else then."""
BOOTSTRAP_MS: Final = 5_000
RECONNECT_MS: Final = 1_000
"""The library's own 30 s make short outages long (servers.md 7)."""
LOOK_UP_MS: Final = 4_000
ENDING: Final = 10.0
"""Seconds that a producer's thread gets to end when it is told to let everything fall."""
ANSWER: Final = 8 * 2**20
"""Bytes of an answer that is decoded: metadata of forty thousand partitions. The library's own 100 MB would become
gigabytes of objects, should the far end be no broker."""
REMEMBERED: Final = 32_768
_ROOM: Final = 64 * 2**10
"""Bytes beside the largest record that a request may have."""


class RememberingPartitioner(DefaultPartitioner):  # type: ignore[misc]
    """The library's own choice of partitions, which every client shares; it hashes in Python, so hashes are kept."""

    def __init__(self) -> None:
        self._hash = functools.lru_cache(REMEMBERED)(murmur2)

    def partition(
        self, topic: str, key: Any, serialized_key: bytes | None, value: Any, serialized_value: Any, cluster: Any
    ) -> Any:
        if serialized_key is None:
            return super().partition(topic, key, serialized_key, value, serialized_value, cluster)
        partitions = sorted(cluster.partitions_for_topic(topic))
        return partitions[(self._hash(serialized_key) & 0x7FFFFFFF) % len(partitions)]


class ClosingSocket(KafkaNetSocket):  # type: ignore[misc]
    """The library's own way to connect, which closes what did not get connected.

    The library leaves such a socket to the search for cycles, and a collector seldom searches (``wef serve``): an
    outage would use up its descriptors, six with each look-up. The scheme is how it is told to connect so.
    """

    SCHEMES = ("closing",)

    async def sock_connect(self, net: Any, sock: Any, sockaddr: Any, timeout_at: float | None = None) -> Any:
        try:
            return await super().sock_connect(net, sock, sockaddr, timeout_at=timeout_at)
        except BaseException:
            sock.close()
            raise


def client_id(name: str) -> str:
    """What brokers' logs and quotas call the sink *name*."""
    return f"wef-{name}"


def connection_settings(name: str, settings: KafkaSettings) -> dict[str, Any]:
    """How to reach the cluster, in kafka-python's words; for producers and for asking."""
    found: dict[str, Any] = {
        "bootstrap_servers": list(settings.brokers),
        "client_id": client_id(name),
        "security_protocol": settings.security.upper(),
        "reconnect_backoff_max_ms": RECONNECT_MS,
        "receive_message_max_bytes": ANSWER,
        "proxy_url": f"{ClosingSocket.SCHEMES[0]}://",
    }
    if settings.security.endswith("ssl"):
        files = {"ssl_cafile": settings.ca, "ssl_certfile": settings.certificate, "ssl_keyfile": settings.private_key}
        found.update({word: str(path) for word, path in files.items() if path is not None})
    if settings.sasl is not None:
        found["sasl_mechanism"] = settings.sasl
        found["sasl_kerberos_service_name"] = settings.kerberos_service
    if settings.username is not None and settings.password is not None:
        found["sasl_plain_username"] = settings.username
        found["sasl_plain_password"] = settings.password.get_secret_value()
    return found


def make_producer(name: str, settings: KafkaSettings) -> KafkaProducer:
    """A producer that has reached the cluster. Blocks up to BOOTSTRAP_MS; raises ``KafkaError`` or ``OSError``."""
    clients: list[KafkaNetClient] = []

    def client(**configuration: Any) -> KafkaNetClient:
        clients.append(KafkaNetClient(**configuration))
        return clients[-1]

    try:
        return KafkaProducer(kafka_client=client, **_producer_settings(name, settings))
    except (kafka_errors.KafkaError, OSError, ValueError):
        for left in clients:  # the constructor lets its connections lie where they are
            left.close()
        raise


def _producer_settings(name: str, settings: KafkaSettings) -> dict[str, Any]:
    return {
        **connection_settings(name, settings),
        "acks": "all",
        "enable_idempotence": False,  # an idempotent one is wedged by one refused or expired batch (servers.md 7.1)
        "max_in_flight_requests_per_connection": 1,  # else retries overtake (servers.md 7)
        "delivery_timeout_ms": round(settings.delivery_timeout * 1000),
        "request_timeout_ms": round(settings.request_timeout * 1000),
        "linger_ms": round(settings.linger * 1000),
        "batch_size": min(BATCH, settings.max_message_size),
        "max_request_size": max(settings.max_message_size + _ROOM, 2**20),
        "compression_type": None if settings.compression == "none" else settings.compression,
        "max_block_ms": METADATA_MS,
        "bootstrap_timeout_ms": BOOTSTRAP_MS,
        "allow_auto_create_topics": False,  # wef setup kafka makes topics, with the partitions they need
        "partitioner": RememberingPartitioner(),
        "metrics_enabled": False,
    }


def end_producer(producer: KafkaProducer, seconds: float) -> None:
    """Send what it still holds for *seconds*, then let it fall. Whatever happens, its futures are answered."""
    try:
        producer.close(seconds)
    except kafka_errors.KafkaError:
        drop_producer(producer)


def drop_producer(producer: KafkaProducer) -> None:
    """End a producer that may never answer again. Its own ``close`` raises before it stops anything."""
    sender = producer._sender  # noqa: SLF001 - the only way; the version is pinned for it
    sender.force_close()
    sender.join(ENDING)
    try:
        producer.close(0)
    except kafka_errors.KafkaError:
        return  # a thread that does not even end when told to: it holds memory, and nothing of ours


def abandon_producer(producer: KafkaProducer) -> None:
    """The same without waiting for it."""
    threading.Thread(target=drop_producer, args=(producer,), name="kafka-abandoned", daemon=True).start()


def look_up_topics(name: str, settings: KafkaSettings, topics: Collection[str]) -> list[TopicTrouble]:
    """Which of *topics* cannot be written to. A connection of its own: a producer never forgets a topic it asked for,
    nor a password that was wrong once. Blocks up to twice LOOK_UP_MS; raises ``KafkaError`` or ``OSError``.
    """
    client = KafkaNetClient(
        **connection_settings(name, settings), request_timeout_ms=LOOK_UP_MS, metrics=None, metric_group_prefix=""
    )
    try:
        manager = client._manager  # noqa: SLF001 - the admin client has no way to end when nobody answers it
        manager.bootstrap(LOOK_UP_MS)
        asked = [MetadataRequest.MetadataRequestTopic(name=topic) for topic in topics]
        reply = manager.run(manager.send, MetadataRequest(topics=asked, allow_auto_topic_creation=False))
        troubles = [_trouble(topic.name, topic.error_code) for topic in reply.topics]
    finally:
        client.close()
    return [trouble for trouble in troubles if trouble is not None]


def _trouble(topic: str, code: int) -> TopicTrouble | None:
    kind = kafka_errors.for_code(code)
    if kind is kafka_errors.NoError:
        return None
    if issubclass(kind, MISSING):
        return TopicTrouble(topic, Verdict.BLOCKED, "there is no such topic", absent=True)
    error = kind()
    return TopicTrouble(topic, verdict_of(error), words_of(error))
