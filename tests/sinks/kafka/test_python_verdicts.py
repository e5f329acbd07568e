"""kafka-python tells only its log why it gets nowhere; reading it wrongly calls nobody, or somebody for nothing."""

from __future__ import annotations

import logging
import threading

import pytest

from collector.sinks.kafka.python_verdicts import Whispers

ENDED = "Bootstrap connection to bootstrap-0 failed: KafkaConnectionError: socket disconnected (backoff 0.4 secs)"
REFUSED = "Bootstrap connection to bootstrap-0 failed: KafkaConnectionError: [Errno 111] Connection refused"
LATE = "Bootstrap connection to bootstrap-0 failed: [Error 7] RequestTimedOutError: Request timed out after 189 ms"


@pytest.mark.parametrize(
    ("said", "refusal"),
    [
        ([ENDED] * 3, True),
        ([ENDED] * 4 + [LATE], True),  # our own patience ended in the middle of the fifth
        ([ENDED] * 2, False),  # a restart
        ([ENDED] * 2 + [LATE], False),
        ([LATE] + [ENDED] * 3, False),  # a broker that was slow is one that was away
        ([REFUSED] + [ENDED] * 3, False),
        ([ENDED] * 3 + [REFUSED], False),
        ([], False),
    ],
)
def test_brokers_that_take_every_connection_and_hang_up_refuse_us(said: list[str], refusal: bool) -> None:
    """A wrong password must call a person, and a broker that restarts must not."""
    whispers = Whispers()
    for text in said:
        whispers.emit(logging.makeLogRecord({"msg": text}))

    assert whispers.hung_up(0.0, {threading.current_thread().name}) is refusal
