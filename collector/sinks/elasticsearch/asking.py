"""One bulk and its way to the fates of its records: other hosts, halves, a few repetitions.

A lane that is told "not now" sends everything through its spool, so one 429 is answered here with a short
wait. What does not pass soon is kept, and said. Whether a refusal is about a record or about everything is
not left to whoever answers: when nothing at all is taken, no record is at fault. It knows lines of a bulk
and a client; it does not know whose records they are.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from collector import telemetry
from collector.clock import Clock
from collector.sinks.elasticsearch.clients import Client, NoAnswer, Reply
from collector.sinks.elasticsearch.fates import (
    Outcome,
    Unreadable,
    Whole,
    items_outcome,
    retry_after,
    whole,
)

BULK = "/_bulk?filter_path=errors,items.*.status,items.*.error,items.*.failure_store"
STREAMS_ONLY = "&require_data_stream=true"
"""Without a template a bulk makes a plain index, with guessed types and no end (8.13+; servers.md 4.6)."""
TRIES = 3
FIRST_PAUSE = 0.5
"""Seconds before the second try, doubled before the third, each with jitter: a full write queue passes in that time."""
LONGEST_PAUSE = 3.0
"""A longer Retry-After is the lane's to wait for: its patience is 5 s."""
STRANGERS = 8
"""Records refused one by one, with none taken in between, after which the refusal is not about records."""
ELSEWHERE = frozenset({408, 429, 502, 503, 504})
"""Statuses of one host, or of the proxy before it: another host may do better."""


Line = tuple[bytes, str]
"""Action and document, each with its line end; and the data stream, for people. One for each record, so a tuple."""


@dataclass(slots=True)
class _Search:
    """The search for malformed records in one bulk: how many were refused alone, and whether any was ever taken."""

    refused: int = 0
    taken: bool = False
    malformed: bool = False

    @property
    def senseless(self) -> bool:
        return self.refused >= STRANGERS and not self.taken


class Asker:
    """Asks *client* what becomes of records. *largest*: bytes of a body that its proxy let pass; learned from 413."""

    def __init__(
        self,
        name: str,
        client: Client,
        clock: Clock,
        pause: Callable[[float], Awaitable[None]],
        chance: Callable[[], float],
        *,
        patience: float,
        streams_only: bool,
    ) -> None:
        self.largest: int | None = None
        self._name, self._client, self._clock = name, client, clock
        self._pause, self._chance = pause, chance
        self._patience = patience
        self._refused = 0  # as malformed, and nothing was taken since: small bulks are one search together
        self._path = BULK + (STREAMS_ONLY if streams_only else "")

    async def settle(self, lines: Sequence[Line]) -> Outcome:
        """The fate of every row of *lines*. Ends by itself: no try begins after *patience* seconds."""
        begun = self._clock.monotonic()
        settled, rows = Outcome(), list(range(len(lines)))
        for attempt in range(TRIES):
            search = _Search()
            outcome = self._believed(rows, await self._ask(lines, rows, search), search)
            settled.kept, settled.blocked, settled.retry_after = {}, False, 0.0  # what holds is what was said last
            settled.add(outcome)
            pause = max(FIRST_PAUSE * 2**attempt * (0.5 + self._chance()), outcome.retry_after)
            late = self._clock.monotonic() - begun + pause > self._patience
            if not outcome.kept or outcome.blocked or pause > LONGEST_PAUSE or late or attempt == TRIES - 1:
                break
            await self._pause(pause)
            rows = sorted(outcome.kept)
        telemetry.bulk_settled(self._name, settled.present, settled.failures, self._clock.monotonic() - begun)
        return settled

    async def _ask(self, lines: Sequence[Line], rows: list[int], search: _Search) -> Outcome:
        """Ask about *rows*, and about halves of them where the answer is about all of them."""
        body = b"".join([lines[row][0] for row in rows])
        try:
            reply = await self._send(body)
        except NoAnswer as error:
            return Outcome.all_kept(rows, str(error), blocked=error.blocked)
        meaning, text = whole(reply.status, reply.body)
        match meaning:
            case Whole.ITEMS:
                return self._read(reply, lines, rows, search)
            case Whole.SPLIT | Whole.BISECT:
                if meaning is Whole.SPLIT:
                    self._learn(len(body), len(rows))
                else:
                    search.malformed = True
                return await self._halved(lines, rows, search, text)
            case Whole.WITHOUT if STREAMS_ONLY in self._path:
                telemetry.plain_indices_possible(self._name)
                self._path = BULK
                return await self._ask(lines, rows, search)
            case Whole.LATER:
                wanted = retry_after(reply.headers.get("retry-after"), self._clock.now())
                return Outcome.all_kept(rows, f"{reply.host}: {text}", retry_after=wanted)
            case _:
                return Outcome.all_kept(rows, f"{reply.host}: {text}", blocked=True)

    def _read(self, reply: Reply, lines: Sequence[Line], rows: list[int], search: _Search) -> Outcome:
        try:
            outcome = items_outcome(reply.body, rows, [lines[row][1] for row in rows])
        except Unreadable as error:
            return Outcome.all_kept(rows, f"{reply.host}: {error}")
        search.taken = True
        return outcome

    def _believed(self, rows: list[int], outcome: Outcome, search: _Search) -> Outcome:
        """*outcome*, unless a record is said to be at fault after too many others: a bulk of one proves nothing."""
        if search.taken:
            self._refused = 0
        elif search.malformed and outcome.rejected:
            if self._refused + search.refused >= STRANGERS:
                text = next(iter(outcome.rejected.values()))
                return Outcome.all_kept(rows, f"every record is refused: {text}", blocked=True)
            self._refused += search.refused
        return outcome

    async def _halved(self, lines: Sequence[Line], rows: list[int], search: _Search, text: str) -> Outcome:
        if len(rows) == 1:
            search.refused += 1
            return Outcome(rejected={rows[0]: text})
        outcome, middle = Outcome(), len(rows) // 2
        for half in (rows[:middle], rows[middle:]):
            if search.senseless:
                return Outcome.all_kept(rows, f"every record is refused: {text}", blocked=True)
            if outcome.kept:  # it went away meanwhile; the other half would only wait for it, too
                outcome.add(Outcome.all_kept(half, next(iter(outcome.kept.values()))))
            else:
                outcome.add(await self._ask(lines, half, search))
        if search.senseless:
            return Outcome.all_kept(rows, f"every record is refused: {text}", blocked=True)
        return outcome

    async def _send(self, body: bytes) -> Reply:
        """To one host after the other, until one can be asked; not longer than *patience* and one request."""
        begun = self._clock.monotonic()
        for left in range(self._client.hosts - 1, -1, -1):
            last = not left or self._clock.monotonic() - begun > self._patience
            try:
                reply = await self._client.request("POST", self._path, body, "x-ndjson")
            except NoAnswer:
                if last:
                    raise
                continue
            if last or reply.status not in ELSEWHERE:
                return reply
        raise NoAnswer("there is no host to ask")

    def _learn(self, size: int, rows: int) -> None:
        """A proxy that lets less pass than we send would have every bulk sent twice."""
        if rows > 1 and (self.largest is None or size // 2 < self.largest):
            self.largest = size // 2
            telemetry.bulks_made_smaller(self._name, self.largest)
