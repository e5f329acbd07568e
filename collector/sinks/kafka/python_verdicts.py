"""What kafka-python's errors ask for, and what the library only tells its log.

A wrong password, a certificate that nobody trusts and a broker that is away all look like a time-out; why is in
the library's log records (servers.md 3.3). They are kept here, by thread, and go nowhere else.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Collection
from typing import Final

import kafka.errors as errors

from collector.sinks.kafka.engine import Verdict

ATTEMPTS: Final = 3
"""Connections that must have ended in the same way before a person is called; one or two are a restart."""
KEPT: Final = 64
"""Log records: a few for each connection attempt, and there is about one a second."""

REFUSED: Final[tuple[type[Exception], ...]] = (
    errors.MessageSizeTooLargeError,
    errors.RecordListTooLargeError,
    errors.InvalidTimestampError,
    errors.InvalidRecordError,
    errors.UnsupportedForMessageFormatError,
    TypeError,  # the library, of a message that it cannot spell
    ValueError,
)
"""This record will not be taken, however often it is offered - or one in its batch."""
RIGHTS: Final[tuple[type[Exception], ...]] = (
    errors.AuthorizationError,
    errors.SecurityDisabledError,
)
CREDENTIALS: Final[tuple[type[Exception], ...]] = (
    errors.SaslAuthenticationFailedError,
    errors.UnsupportedSaslMechanismError,
    errors.IllegalSaslStateError,
)
MISSING: Final[tuple[type[Exception], ...]] = (errors.UnknownTopicOrPartitionError, errors.InvalidTopicError)
UNFIT: Final[tuple[type[Exception], ...]] = (
    errors.UnsupportedVersionError,
    errors.UnsupportedCompressionTypeError,
    errors.InvalidRequiredAcksError,
    errors.PolicyViolationError,
)
"""Brokers that cannot do what the settings ask."""

_BATCH_MATE: Final = "part of a batch"
"""What the library says of a record whose batch failed for another's sake; the type says nothing."""
TICKETS: Final = (
    "No Kerberos credentials",
    "Ticket expired",
    "not found in Kerberos database",
    "client keytab",
)
"""What the Kerberos library says when there is no ticket for the brokers, and will be none until somebody acts."""
KERBEROS: Final = "Major ("
"""How each of its errors begins. A KDC that is away is one, and passes."""
DISTRUST: Final = (
    *TICKETS,
    "SaslAuthenticationFailed",
    "UnsupportedSaslMechanism",
    "CERTIFICATE_VERIFY_FAILED",
    "WRONG_VERSION_NUMBER",  # a listener that speaks no TLS
    "certificate required",
    "unknown ca",
    "bad certificate",
    "hang up during authentication",  # our own words
)
"""Words in log records of trouble that does not pass by itself, compared without regard to case."""


def verdict_of(error: BaseException) -> Verdict:
    """What *error*, of a message or a topic, asks for."""
    if isinstance(error, REFUSED) or _BATCH_MATE in str(error):
        return Verdict.REFUSED
    if isinstance(error, (*RIGHTS, *CREDENTIALS, *MISSING, *UNFIT)):
        return Verdict.BLOCKED
    return Verdict.LATER


def words_of(error: BaseException) -> str:
    """*error* in one line: its name and what it says."""
    text = " ".join(str(error).split())
    name = type(error).__name__
    return (text if text.startswith(name) else f"{name}: {text}")[:300]


def remedy(text: str, sink: str) -> str:
    """What a person can do about trouble that was told as *text*, as the end of a sentence; ``""``: nothing known."""
    if "topicauthorization" in text.lower():
        return f"; give the user of sinks.{sink} the rights Write and Describe on it"
    if not distrusted(text):
        return ""
    if KERBEROS in text:
        return (
            "; the collector's user needs a Kerberos ticket (a keytab that KRB5_CLIENT_KTNAME names, or kinit), and the"
            f" brokers' principals must begin with kerberos_service of sinks.{sink}"
        )
    if "sasl" in text.lower():
        return f"; check sasl, username and password of sinks.{sink}"
    return (
        f"; check security, ca, certificate and private_key of sinks.{sink} and the names in the brokers' certificates"
    )


def distrusted(text: str) -> bool:
    """Whether a log record tells of trouble that only a person can end."""
    said = text.lower()
    return any(words.lower() in said for words in DISTRUST)


class Whispers(logging.Handler):
    """Keeps the last warnings of the library, with the time and the thread that said them."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._said: deque[tuple[float, str, str]] = deque(maxlen=KEPT)
        self._listening = threading.Lock()

    def listen(self) -> None:
        """Take what the library logs, and let none of it pass. Doing it twice changes nothing."""
        logger = logging.getLogger("kafka")
        with self._listening:
            if self not in logger.handlers:
                logger.addHandler(self)
                logger.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        text = " ".join(record.getMessage().split())
        self._said.append((time.monotonic(), record.threadName or "", text[:300]))

    def since(self, moment: float, threads: Collection[str]) -> str:
        """Why things do not go on, as *threads* said it after *moment* (``time.monotonic``); ``""``: nothing.

        What only a person can end is told before what Kerberos says, and that before what was said last.
        """
        latest = self._heard(moment, threads)[::-1]
        for telling in (distrusted, lambda text: KERBEROS in text, bool):
            found = next(filter(telling, latest), "")
            if found:
                return found
        return ""

    def hung_up(self, moment: float, threads: Collection[str]) -> bool:
        """Whether brokers took every connection, and hung up on all of them.

        With SASL that is a refusal: the library drops the broker's answer when the end of the connection
        arrives with it. A broker that is away or starting refuses connections, or lets them run out of time;
        only the last may do so here, which the end of our patience cuts short.
        """
        ends = [text for text in self._heard(moment, threads) if text.startswith("Bootstrap connection to ")]
        hung = ["socket disconnected" in text for text in ends]
        return hung.count(True) >= ATTEMPTS and all(hung[:-1]) and (hung[-1] or "timed out" in ends[-1])

    def _heard(self, moment: float, threads: Collection[str]) -> list[str]:
        return [text for at, thread, text in list(self._said) if at >= moment and thread in threads]


WHISPERS: Final = Whispers()
"""One for the process, as the library has one logger."""
