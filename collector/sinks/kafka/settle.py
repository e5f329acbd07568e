"""What to do about messages that were not stored. Strategies over an ``async deliver``; no broker, no clock.

A failure says nothing about the messages behind it: they may be stored already. So whatever fails is offered
again together with everything of its key that follows. The log then holds repetitions, but reading it, each key's
messages come in their order: after every success the sequence of a key is a subsequence of its topic's log.

An answer for good says nothing about the message that got it: a producer's batch fails as a whole with its
culprit's error (servers.md 7.1). Only what fails alone, while nobody else sends, is guilty.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Final

from collector.sinks.base import SinkUnavailable
from collector.sinks.kafka.engine import Failure, Message, Verdict

Deliver = Callable[[Sequence[Message]], Awaitable[Sequence[Failure]]]

PASSES: Final = 6
"""Times that the tails of failed keys are offered before the lane, which can wait, gets everything back."""
FEW: Final = 3
"""Failures that are asked one by one, and times that this is tried, before anything is halved."""


def _never() -> bool:
    return False


async def deliver_tails(messages: Sequence[Message], deliver: Deliver, late: Callable[[], bool] = _never) -> list[int]:
    """Deliver *messages*, and again the tails of keys that failed for now, while that gets on and it is not *late*.

    Answers the rows of the tails whose first message was refused for good: ``isolate`` has to ask again.
    All others are stored. Raises ``SinkUnavailable`` when nothing gets on, or only a person can help.
    """
    rows: Sequence[int] = range(len(messages))
    refused: set[int] = set()
    for _ in range(PASSES):
        failures = await _outcome(messages, rows, deliver)
        later = [row for row, failure in failures.items() if failure.verdict is Verdict.LATER]
        refused = refused.difference(rows) | (failures.keys() - set(later))
        if not later:
            return tails(messages, range(len(messages)), refused)
        if len(failures) == len(rows) or late():
            break
        rows = tails(messages, rows, set(later))
    raise SinkUnavailable(failures[later[0]].reason)


async def isolate(messages: Sequence[Message], rows: Sequence[int], deliver: Deliver) -> dict[int, str]:
    """The guilty among *rows*, and why; when it returns all others are stored, each key in order.

    *rows* ascend and are whole tails of their keys, and nobody else may deliver during a delivery. Raises
    ``SinkUnavailable`` when anything fails for now: nothing is known then, the lane offers everything again.
    """
    guilty: dict[int, str] = {}
    for _ in range(FEW):
        failures = await _settled(messages, rows, deliver)
        if len(rows) == 1:
            guilty.update((row, failure.reason) for row, failure in failures.items())
        else:
            guilty.update(await _probed(messages, _suspects(failures), deliver))
        doubtful = failures.keys() - guilty.keys()  # also what was stored alone, before what precedes it
        found = len(doubtful) < len(failures)
        rows = tails(messages, [row for row in rows if row not in guilty], doubtful)
        if not rows:
            return guilty
        if not found:
            break
    half = (len(rows) + 1) // 2
    guilty.update(await isolate(messages, rows[:half], deliver))
    if rows[half:]:
        guilty.update(await isolate(messages, rows[half:], deliver))
    return guilty


def tails(messages: Sequence[Message], rows: Iterable[int], failed: Collection[int]) -> list[int]:
    """Of *rows* those in *failed*, and all behind them of the same key; without a key a message stands alone."""
    if not failed:
        return []
    broken: set[tuple[str, bytes]] = set()
    found: list[int] = []
    for row in rows:
        topic, key = messages[row].topic, messages[row].key
        if row in failed or (key is not None and (topic, key) in broken):
            found.append(row)
            if key is not None:
                broken.add((topic, key))
    return found


async def _outcome(messages: Sequence[Message], rows: Sequence[int], deliver: Deliver) -> dict[int, Failure]:
    """What failed of *rows*, by row. Raises ``SinkUnavailable`` when a person must act."""
    failures = await deliver([messages[row] for row in rows])
    for failure in failures:
        if failure.verdict is Verdict.BLOCKED:
            raise SinkUnavailable(failure.reason, blocked=True)
    return {rows[failure.row]: failure for failure in failures}


async def _settled(messages: Sequence[Message], rows: Sequence[int], deliver: Deliver) -> dict[int, Failure]:
    """The same, where an answer for now ends everything: half an answer would condemn the innocent."""
    failures = await _outcome(messages, rows, deliver)
    for failure in failures.values():
        if failure.verdict is Verdict.LATER:
            raise SinkUnavailable(failure.reason)
    return failures


async def _probed(messages: Sequence[Message], rows: Sequence[int], deliver: Deliver) -> dict[int, str]:
    """Those of *rows* that fail alone."""
    guilty: dict[int, str] = {}
    for row in rows:
        for failure in (await _settled(messages, [row], deliver)).values():
            guilty[row] = failure.reason
    return guilty


def _suspects(failures: Mapping[int, Failure]) -> list[int]:
    """Whom to ask first: a few failures are asked all, of many those whose reason is rare.

    kafka-python hands the culprit the broker's reason, and its batch-mates another. It is only a guess: what
    is asked decides by failing alone.
    """
    by_reason: dict[str, list[int]] = {}
    for row, failure in failures.items():
        by_reason.setdefault(failure.reason, []).append(row)
    if len(failures) <= FEW:
        return sorted(failures)
    rarest = min(by_reason.values(), key=len)
    return rarest if len(by_reason) <= FEW and len(rarest) <= FEW else []
