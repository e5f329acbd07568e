"""Letters on their way back: offers those that somebody wants offered again to their sinks.

A letter disappears only when its sink has the record, so whatever dies in between, the letter
is still there and still wanted: what comes of it is a repetition, never a loss. It knows what a
store and whoever takes records promise, and neither of them.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import accumulate
from typing import Protocol

from collector import telemetry
from collector.model import Records
from collector.routing.letters import LONGEST_REASON
from collector.sinks.base import Rejection, Sink, SinkUnavailable
from collector.store.base import Letter, Store

MOST, MOST_BYTES = 200, 8 * 2**20
"""Letters and bytes of a round: a sink that makes many durable together is used well, memory hardly."""


class Taker(Protocol):
    """A lane, or a sink without one."""

    format: str

    async def take_again(self, records: Records) -> Sequence[Rejection]:
        """As ``Sink.write``: everything but the rejections is safe. Raises ``SinkUnavailable``."""


class Direct:
    """A sink that is offered letters while no collector runs; one that keeps silent for *patience* s is unavailable."""

    def __init__(self, sink: Sink, patience: float) -> None:
        self.format = sink.format
        self._sink = sink
        self._patience = patience

    async def take_again(self, records: Records) -> Sequence[Rejection]:
        return await write_in_time(self._sink, records, self._patience)


async def write_in_time(sink: Sink, records: Records, patience: float) -> Sequence[Rejection]:
    """``Sink.write``, but after *patience* seconds the sink is unavailable."""
    try:
        async with asyncio.timeout(patience):
            return await sink.write(records)
    except TimeoutError as error:
        raise SinkUnavailable(f"no answer within {patience:g} s") from error


@dataclass(frozen=True, slots=True)
class _Outcome:
    """Of letters of one sink. *trouble* is why the sink could not be reached; what is in neither list stays wanted."""

    delivered: Sequence[str] = ()
    returned: Sequence[Letter] = ()
    trouble: str = ""


class Replay:
    """Offers the wanted letters of *store* to *takers*, by the names of their sinks."""

    def __init__(self, store: Store, takers: Mapping[str, Taker]) -> None:
        self._store = store
        self._takers = takers

    async def round(self) -> bool:
        """Offer the next of them; whether there were any. Raises ``Backpressure`` when the store fails."""
        letters = self._store.wanted_letters(MOST, MOST_BYTES)
        if not letters:
            return False
        # A store that could not forget them afterwards would have them offered in every round: ask it first.
        await self._store.want_letters([letter.id for letter in letters])
        sinks: dict[str, list[Letter]] = {}
        for letter in letters:
            sinks.setdefault(letter.sink, []).append(letter)
        # one store that fails must not leave the others' writes behind, unawaited
        failures = await asyncio.gather(
            *(self._offer(sink, mine) for sink, mine in sinks.items()), return_exceptions=True
        )
        for failure in failures:
            if failure is not None:
                raise failure
        return True

    async def _offer(self, sink: str, letters: Sequence[Letter]) -> None:
        taker = self._takers.get(sink)
        if taker is None:
            outcomes = [_Outcome(trouble=f"the settings of the running collector have no sink {sink}")]
        else:
            outcomes = await asyncio.gather(*(_write(taker, batch) for batch in _batches(letters)))
        delivered = [identifier for outcome in outcomes for identifier in outcome.delivered]
        returned = [letter for outcome in outcomes for letter in outcome.returned]
        trouble = next((outcome.trouble for outcome in outcomes if outcome.trouble), "")
        if returned:
            await self._store.save_letters(returned)
        if delivered:
            await self._store.remove_letters(delivered)
        if trouble:
            await self._store.postpone_letters(sink, trouble)
        telemetry.letters_replayed(sink, len(delivered), len(returned), trouble)


async def _write(taker: Taker, letters: Sequence[Letter]) -> _Outcome:
    """What became of letters that have the same origin and format."""
    if letters[0].format not in ("", taker.format):
        reason = f"the record is spelled in {letters[0].format}, and the sink now takes {taker.format}"
        return _Outcome(returned=[_returned(letter, reason) for letter in letters])
    try:
        rejections = await taker.take_again(records_of(letters, taker.format))
    except SinkUnavailable as error:
        return _Outcome(trouble=str(error)[:LONGEST_REASON])
    reasons = {rejection.row: rejection.reason for rejection in rejections}
    return _Outcome(
        [letter.id for row, letter in enumerate(letters) if row not in reasons],
        [_returned(letters[row], reason) for row, reason in reasons.items()],
    )


def _returned(letter: Letter, reason: str) -> Letter:
    return replace(letter, reason=reason[:LONGEST_REASON])


def _batches(letters: Iterable[Letter]) -> list[list[Letter]]:
    """Letters that can travel as one value, in their order."""
    found: dict[tuple[str, str, str, datetime], list[Letter]] = {}
    for letter in letters:
        found.setdefault((letter.format, letter.source, letter.subscription, letter.received), []).append(letter)
    return list(found.values())


def records_of(letters: Sequence[Letter], format: str) -> Records:
    """Letters of one origin as the records that they were."""
    first = letters[0]
    return Records(
        format,
        b"".join(letter.record + b"\n" for letter in letters),
        array("Q", accumulate(len(letter.record) + 1 for letter in letters)),
        [letter.event_id for letter in letters],
        [letter.key for letter in letters],
        first.source,
        first.subscription,
        first.received,
    )
