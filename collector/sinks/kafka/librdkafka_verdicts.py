"""librdkafka's error codes -> what the sink should do about them, and in which words. Pure.

It knows codes and what brokers mean by them; it knows no producer.
"""

# ruff: noqa: SLF001 - the underscore is how librdkafka names the errors that it finds itself; they are public
from __future__ import annotations

from typing import Any, Final

from confluent_kafka import KafkaError

from collector.sinks.kafka.engine import Verdict

REFUSED: Final = frozenset({
    KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE, KafkaError.INVALID_MSG_SIZE,
    KafkaError.INVALID_TIMESTAMP, KafkaError.INVALID_RECORD, KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT,
    KafkaError._BAD_MSG, KafkaError._INVALID_ARG,
})  # fmt: skip
"""The broker (or the library, before it) will not have this record, however often it is asked."""

CREDENTIALS: Final = frozenset({
    KafkaError.SASL_AUTHENTICATION_FAILED, KafkaError.UNSUPPORTED_SASL_MECHANISM, KafkaError.ILLEGAL_SASL_STATE,
    KafkaError.SECURITY_DISABLED, KafkaError._AUTHENTICATION,
})  # fmt: skip
"""The broker does not believe who we are."""

RIGHTS: Final = frozenset({
    KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
})  # fmt: skip
"""The broker believes it and will not let us."""

MISSING: Final = frozenset({
    KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError.TOPIC_EXCEPTION,
})  # fmt: skip
"""There is no such topic (TOPIC_EXCEPTION: nor could there be)."""

UNFIT: Final = frozenset({KafkaError.INVALID_REQUIRED_ACKS, KafkaError.UNSUPPORTED_COMPRESSION_TYPE})
"""Our settings and this broker do not go together."""

DISTRUST: Final = (
    "certificate verify failed", "unknown ca", "bad certificate", "certificate required", "certificate expired",
    "certificate unknown", "hostname mismatch", "no shared cipher", "handshake failure",
)  # fmt: skip
"""What OpenSSL says when the two sides will not trust each other tomorrow either; other TLS trouble passes."""

GENERAL: Final = frozenset({KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._TIMED_OUT})
"""True of every outage: these never hide what was said more precisely."""

SILENT: Final = frozenset({KafkaError._MSG_TIMED_OUT, KafkaError._TIMED_OUT, KafkaError._TIMED_OUT_QUEUE})
"""The time ran out. Why is not in the message's own error, but in what was said about the connection."""


def verdict_of(error: KafkaError) -> Verdict:
    """What *error*, of a message, a topic or a connection, asks for."""
    code = error.code()
    if code in REFUSED:
        return Verdict.REFUSED
    if code in CREDENTIALS or code in RIGHTS or code in MISSING or code in UNFIT or distrusted(error):
        return Verdict.BLOCKED
    return Verdict.LATER


def fatal(error: KafkaError) -> bool:
    """Whether the producer is of no use any more."""
    return bool(error.fatal()) or error.code() == KafkaError._FATAL


def distrusted(error: KafkaError) -> bool:
    """Whether TLS failed for a reason that does not pass by itself."""
    if error.code() != KafkaError._SSL:
        return False
    said = error.str().lower()
    return any(words in said for words in DISTRUST)


def words_of(error: KafkaError) -> str:
    """*error* in one line: its name and what the library says."""
    return f"{error.name()}: {error.str()}"[:300]


def error_in(raised: BaseException) -> KafkaError:
    """The error that a ``KafkaException`` carries."""
    inside: Any = raised.args[0] if raised.args else None
    return inside if isinstance(inside, KafkaError) else KafkaError(KafkaError._FAIL, str(raised))
