"""One librdkafka producer: its configuration, what it says about its connections, and its end.

The library works in threads of its own; nothing here waits for them, but ``topics`` and the end, which
have a thread each for that reason. It knows neither loops nor deliveries.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Producer

from collector.errors import OperatorError
from collector.sinks.kafka.engine import TopicTrouble, Verdict
from collector.sinks.kafka.librdkafka_verdicts import GENERAL, MISSING, error_in, fatal, verdict_of, words_of
from collector.sinks.kafka.settings import KafkaSettings

Build = Callable[[dict[str, Any]], Any]
"""confluent_kafka.Producer, or a scripted one."""

MOST_MESSAGES: Final = 50_000
MOST_KIBIBYTES: Final = 64 * 1024
"""What the library may hold: two and a half times what a lane has under way (20,000 records, 32 MiB)."""
BATCH_BYTES: Final = 512 * 1024
"""Before compression: half of what a broker takes by default, and four hundred events (servers.md 7.2)."""
ROOM: Final = 16 * 1024
"""Bytes above ``max_message_size``: the library counts headers its own way."""
LARGEST: Final = 1_000_000_000
"""Bytes: where librdkafka's own range for message.max.bytes ends."""
LOOK_UP_SECONDS: Final = 5.0
"""For all topics of one look-up together: a reachable broker answers in milliseconds."""
ANSWER: Final = 8 * 2**20
"""Bytes of an answer that is read: metadata of forty thousand partitions."""
ATTEMPT_SECONDS: Final = 1.0
"""Of these: long enough for a broker far away, and by then a broker that refuses us has said so."""
RECONNECT_MS: Final = 1000
"""The longest pause between attempts to connect: a broker that is back is noticed within it (servers.md 7)."""
WARNING: Final = 30
"""The level, as Python counts, from which a line of the library's log may explain an outage."""


def configuration(name: str, settings: KafkaSettings) -> dict[str, Any]:
    """librdkafka's own words for the *settings* of sink *name*. Raises ``OperatorError``: it cannot do that."""
    if settings.sasl == "GSSAPI":
        raise OperatorError(
            f'sinks.{name}: librdkafka as it is distributed cannot do sasl = "GSSAPI"; use kafka-python.'
        )
    return {
        "bootstrap.servers": ",".join(settings.brokers),
        "client.id": f"wef-{name}",  # in brokers' logs and quotas, whichever the engine
        # Order and no repetition across retries. This library survives expired batches and poison with it,
        # which kafka-python does not (servers.md 7 and 7.1).
        "enable.idempotence": True,
        "acks": "all",
        "max.in.flight.requests.per.connection": 5,
        "delivery.timeout.ms": _milliseconds(settings.delivery_timeout),
        "request.timeout.ms": _milliseconds(settings.request_timeout),
        "linger.ms": _milliseconds(settings.linger),
        "batch.size": BATCH_BYTES,
        "compression.type": settings.compression,
        "message.max.bytes": min(settings.max_message_size + ROOM, LARGEST),
        "queue.buffering.max.messages": MOST_MESSAGES,
        "queue.buffering.max.kbytes": max(MOST_KIBIBYTES, 4 * settings.max_message_size // 1024),
        "partitioner": "murmur2_random",  # as Java and kafka-python do: changing the engine moves no computer
        "allow.auto.create.topics": False,  # ``wef setup kafka`` makes topics, and makes them right
        "reconnect.backoff.max.ms": RECONNECT_MS,
        "receive.message.max.bytes": ANSWER,
        "socket.keepalive.enable": True,
        "log.connection.close": False,
        "enable.metrics.push": False,  # what we do is nobody's business but the operator's
        **_security(settings),
    }


def _milliseconds(seconds: float) -> int:
    return max(round(seconds * 1000), 0)


def _security(settings: KafkaSettings) -> dict[str, Any]:
    found = {
        "security.protocol": settings.security,
        "ssl.ca.location": settings.ca,
        "ssl.certificate.location": settings.certificate,
        "ssl.key.location": settings.private_key or settings.certificate,  # one file may hold both
        "sasl.mechanisms": settings.sasl,
        "sasl.username": settings.username,
        "sasl.password": settings.password and settings.password.get_secret_value(),
    }
    return {name: str(value) for name, value in found.items() if value is not None}


def _files(settings: KafkaSettings) -> str:
    """The files that the settings name, because the library does not say which of them it means."""
    given = {name: getattr(settings, name) for name in ("ca", "certificate", "private_key")}
    named = ", ".join(f"{name} = {path}" for name, path in given.items() if path is not None)
    return f" ({named})" if named else ""


class Lines:
    """Takes the library's log in place of stderr; the last warning may explain an outage."""

    def __init__(self) -> None:
        self.last = ""

    def log(self, level: int, form: str, *parts: object) -> None:
        if level >= WARNING:
            self.last = (form % parts if parts else form)[:300]


class LibrdkafkaProducer:
    """A producer and what is known of its connections. Raises ``OperatorError`` when it cannot be built.

    *produce* and *poll* are the library's own; both return at once and belong to one thread.
    """

    def __init__(self, name: str, settings: KafkaSettings, build: Build = Producer) -> None:
        self._lines = Lines()
        self._said: KafkaError | None = None
        self.fatal: tuple[Verdict, str] | None = None
        """Why the producer is of no use any more, once it is not."""
        try:
            self._producer = build(
                {**configuration(name, settings), "error_cb": self._hear, "logger": self._lines},
            )
        except KafkaException as error:  # a file that cannot be read, a key that does not fit its certificate
            said = f"librdkafka refuses the settings: {words_of(error_in(error))}{_files(settings)}"
            raise OperatorError(f"sinks.{name}: {said}") from error
        self.produce: Callable[..., None] = self._producer.produce
        self._in_use = threading.Lock()  # nobody may end what is being asked for topics

    def poll(self) -> None:
        """Hand out what became of messages, and listen to what is said of connections."""
        try:
            self._producer.poll(0)
        except KafkaException as error:  # what an idempotent producer cannot recover from is raised here
            self._hear(error_in(error))

    def _hear(self, error: KafkaError) -> None:
        if fatal(error):
            verdict = Verdict.BLOCKED if verdict_of(error) is Verdict.BLOCKED else Verdict.LATER
            self.fatal = verdict, f"librdkafka gave up ({words_of(error)})"
        if self._said is None or error.code() not in GENERAL:
            self._said = error

    def forget_trouble(self) -> None:
        """A message was stored: what was said of connections before is over."""
        self._said, self._lines.last = None, ""

    @property
    def trouble(self) -> tuple[Verdict, str]:
        """What was last said of the connections, as a verdict (``LATER`` or ``BLOCKED``) and in words."""
        if self._said is None:
            return Verdict.LATER, self._lines.last
        blocked = verdict_of(self._said) is Verdict.BLOCKED
        return (Verdict.BLOCKED if blocked else Verdict.LATER), words_of(self._said)

    def topics(self, names: Collection[str]) -> Sequence[TopicTrouble]:
        """Which of *names* cannot be written to. Blocks up to LOOK_UP_SECONDS: call it in a thread of its own."""
        until = time.monotonic() + LOOK_UP_SECONDS
        found: list[TopicTrouble] = []
        with self._in_use:
            for name in names:
                found.extend(self._topic(name, until))
        return found

    def _topic(self, name: str, until: float) -> Sequence[TopicTrouble]:
        if time.monotonic() >= until:  # of thousands, those that are left are asked next time
            return [TopicTrouble(name, Verdict.LATER, f"no broker answered within {LOOK_UP_SECONDS:g} s")]
        try:
            metadata = self._metadata(name, until)
        except KafkaException as raised:
            return [TopicTrouble(name, Verdict.LATER, f"no broker answers ({words_of(error_in(raised))})")]
        except RuntimeError:  # the library's word for: it was closed meanwhile
            return [TopicTrouble(name, Verdict.LATER, "the engine is being closed")]
        error = metadata.topics[name].error if name in metadata.topics else None
        if error is None or error.code() in (KafkaError.LEADER_NOT_AVAILABLE, KafkaError.NO_ERROR):
            return []
        absent = error.code() in MISSING
        reason = "there is no such topic" if absent else words_of(error)
        return [TopicTrouble(name, verdict_of(error), reason, absent)]

    def _metadata(self, name: str, until: float) -> Any:
        """What the cluster says of a topic. In short attempts, so that what is said of connections ends them."""
        while True:
            left = until - time.monotonic()
            try:
                return self._producer.list_topics(name, timeout=min(max(left, 0.001), ATTEMPT_SECONDS))
            except KafkaException:
                if left <= ATTEMPT_SECONDS or self._said is not None:
                    raise

    def explained(self, one: TopicTrouble) -> TopicTrouble:
        """*one*, when it says no more than that nobody answers, with what was said of the connections."""
        verdict, words = self.trouble
        if one.verdict is not Verdict.LATER or not words:
            return one
        return TopicTrouble(one.topic, verdict, f"no broker answers ({words})")

    def end(self, ended: Callable[[], None]) -> None:
        """Let go of messages, sockets and threads, in a thread: the library waits for its own. Never blocks."""
        threading.Thread(target=self._end, args=(ended,), name="librdkafka-end", daemon=True).start()

    def _end(self, ended: Callable[[], None]) -> None:
        try:
            with self._in_use:
                self._producer.purge()
                self._producer.close()
        except (KafkaException, RuntimeError):  # it is gone already, or cannot go: it has no messages either way
            return
        finally:
            ended()
