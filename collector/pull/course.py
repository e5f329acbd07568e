"""What to do next with one source: every decision of a pulled subscription, and nothing that is done. Pure.

Answers, setbacks and clock readings (monotonic seconds) go in; ``next`` gives the move. Two rules carry the promise:
a Pull is asked for only when what the last one brought is safe, and a Pull whose answer was lost is never sent again:
the source has moved on, and only the bookmark in the store leads back (protocol.md 7.2).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import assert_never

from collector.errors import CollectorError
from collector.pull.verdicts import LONGEST, Verdict, verdict
from collector.wsman.answers import (
    Answer,
    Pulled,
    Renewed,
    SourceFault,
    Subscribed,
    Unsubscribed,
)

PATIENCE = 45.0
"""Seconds after an answer in which the source still waits for the next Pull: EnumerationTimeoutms is 60,000 in the
specification and 240,000 as shipped (protocol.md 11.3); the way there is part of it."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 300.0
"""Seconds of back-off: doubling, and each cut by chance to anything below (full jitter)."""
QUOTA_PAUSE = 30.0
"""First back-off when the source is out of operations: those that we lost there live for a minute or four."""
SETTLED = 60.0
"""Seconds that a subscription must have lived before its next trouble counts as the first again."""
QUICK = 1.0
"""A source that says "nothing" faster than this did not wait for events, whatever it was asked."""
GREATEST_PAUSE = 5.0
"""Seconds between two Pulls at most: p99 of the lag shall stay below ten."""
IMPATIENT = 1.0
"""Whoever wants events within this many seconds gets no pauses."""
HURRY = 2.0
"""OperationTimeout of a Pull that holds room for a full answer: nobody shall hold it for a minute in vain."""
ORPHAN = 300.0
"""Seconds after which a subscription that nobody pulls is gone at the source, with a margin to the shipped 240."""
SUSPECTED = 1024
"""Events in an answer that was too large, when we never saw one: 512,000 bytes hold about as many."""
GROWTH = 4
"""Full answers in a row before MaxElements may double again."""
LARGEST_ENVELOPE = 8 * 2**20
"""Bytes of MaxEnvelopeSize that we raise to for a single event: half of what we read, as it may come as UTF-16."""
ALMOST = 0.8
"""The share of MaxEnvelopeSize from which on an answer counts as full."""


class Setback(CollectorError):
    """No answer that can be used. *reason* is one of ``verdicts.REASONS``, ``str()`` a sentence.

    *sent*: the source may have seen the request; False: it certainly has not.
    """

    def __init__(self, reason: str, sentence: str, *, sent: bool) -> None:
        super().__init__(sentence[:LONGEST])
        self.reason = reason
        self.sent = sent


@dataclass(frozen=True, slots=True)
class Habits:
    """What a subscription and ``[pull]`` ask for. Seconds, bytes and elements."""

    heartbeat: float
    max_latency: float
    max_items: int
    max_envelope_size: int

    @property
    def timeout(self) -> float:
        """OperationTimeout of a Pull: Windows allows 60 s (MaxTimeoutms), and wants to be asked every heartbeat."""
        return max(0.5, min(60.0, self.heartbeat))

    @property
    def pause(self) -> float:
        """Between two Pulls that brought little, so that batches grow."""
        if self.max_latency <= IMPATIENT:
            return 0.0
        return min(self.max_latency / 3, self.heartbeat / 3, GREATEST_PAUSE)


# Moves -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Subscribe:
    """From the bookmark in the store; *afresh*: without it, and with everything that the log still holds."""

    max_envelope_size: int
    afresh: bool = False


@dataclass(frozen=True, slots=True)
class Pull:
    """*full*: expect a full answer, so have room for it before."""

    context: str
    references: Sequence[str]
    max_elements: int
    max_envelope_size: int
    timeout: float
    full: bool


@dataclass(frozen=True, slots=True)
class Renew:
    """For *expires* seconds from now."""

    references: Sequence[str]
    expires: float


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """By best effort; *until*: when the source has forgotten it anyway (monotonic)."""

    references: Sequence[str]
    until: float


@dataclass(frozen=True, slots=True)
class Hand:
    """Make *pulled* safe, then say ``safe`` or ``held``."""

    pulled: Pulled


@dataclass(frozen=True, slots=True)
class Wait:
    """*reason* ``""``: nothing is wrong, events shall gather."""

    seconds: float
    reason: str = ""
    sentence: str = ""


Move = Subscribe | Pull | Renew | Unsubscribe | Hand | Wait


@dataclass(slots=True)
class _Living:
    """One enumeration at the source."""

    references: Sequence[str]
    context: str
    since: float
    expires: float | None
    renew_at: float | None
    answered: float
    full: bool = True


class Course:
    """The course of one conversation. *chance* gives numbers from 0 (included) to 1 (excluded)."""

    def __init__(self, habits: Habits, chance: Callable[[], float]) -> None:
        self._habits = habits
        self._chance = chance
        self._plan: deque[Move] = deque()
        self._asked: Move | None = None
        self._asked_at = 0.0
        self._living: _Living | None = None
        self._held: Pulled | None = None
        self._holds = 0
        self._failures = 0
        self._troubled = float("-inf")
        self._again = False
        self._quick = 0
        self._afresh = False
        self._most = habits.max_items
        self._envelope = habits.max_envelope_size
        self._seen = 0
        self._filled = 0
        self._steady = False

    @property
    def subscribed(self) -> bool:
        return self._living is not None

    @property
    def holding(self) -> bool:
        """There is an answer that is not safe yet."""
        return self._held is not None

    def next(self, now: float) -> Move:
        """The move to make now. It is made once; then its outcome is told here, but for a ``Wait``."""
        move = self._chosen(now)
        self._asked, self._asked_at = move, now
        return move

    def farewell(self) -> Unsubscribe | None:
        """What is left to say when the conversation ends."""
        living, self._living, self._held = self._living, None, None
        if living is not None:
            return Unsubscribe(living.references, living.answered + ORPHAN)
        orphans = [move for move in (*self._plan, self._asked) if isinstance(move, Unsubscribe)]
        self._plan.clear()
        self._asked = None
        return orphans[0] if orphans else None

    # What happened -------------------------------------------------------------------------------------------------

    def answered(self, answer: Answer, size: int, now: float) -> None:
        """The source answered what it was asked, with *size* bytes."""
        match self._asked, answer:
            case Subscribe(), Subscribed():
                self._subscribed(answer, now)
            case Pull() as asked, Pulled():
                self._pulled(asked, answer, size, now)
            case Renew(), Renewed(expires) if self._living is not None:
                self._living.expires = expires
                self._living.renew_at = _renewal(expires, now)
            case Unsubscribe(), Unsubscribed() | SourceFault():
                self._asked = None  # gone, or as good as gone
            case Renew(), SourceFault():
                self._lose(now, first=True)  # Windows renews nothing: subscribe again (protocol.md 7.4)
            case _, SourceFault():
                self._faulted(verdict(answer), now)
            case _:
                kind = type(answer).__name__
                self.set_back(Setback("protocol", f"the source answered something else ({kind})", sent=True), now)

    def set_back(self, setback: Setback, now: float) -> None:
        """There was no answer that can be used."""
        match self._asked:
            case Unsubscribe() as orphan:
                self._asked = None
                if not setback.sent and now < orphan.until:
                    self._plan.extend((self._backoff(setback.reason, str(setback), now), orphan))
                return
            case Pull() | Renew() if not setback.sent:  # it never came there: the context is as good as before
                self._plan.append(self._backoff(setback.reason, str(setback), now))
                return
            case _:
                pass
        if setback.reason == "too-large":
            self._shrunk()  # and yet a pause: who sends more than it was asked for may do so again
        self._lose(now, wait=self._backoff(setback.reason, str(setback), now))

    def safe(self, marked: bool, now: float) -> None:
        """What was handed is safe; *marked*: and the source's bookmark with it."""
        assert self._held is not None
        brought, self._held, self._holds = self._held, None, 0
        self._afresh = self._afresh and not marked
        self._succeeded(now)
        if marked and brought.pieces:  # it gets on, with however many troubles
            self._failures = max(0, self._failures - 1)
        living = self._living
        if living is not None and not living.full and brought.pieces:
            self._gather()

    def held(self, reason: str, sentence: str, now: float) -> None:
        """What was handed is not safe: the same again in a while, as long as the source waits for the next Pull."""
        living = self._living
        assert self._held is not None
        assert living is not None
        pause = min(FIRST_PAUSE * 2**self._holds, 8.0) * (0.5 + self._chance() / 2)
        self._holds += 1
        if now + pause - living.answered < PATIENCE:
            self._plan.append(Wait(pause, reason, sentence))
        else:  # nothing is lost: it is asked again from the bookmark
            self._lose(now, first=True, wait=self._backoff(reason, sentence, now))

    def unwanted(self, sentence: str, now: float) -> None:
        """What was handed must not be taken: the source keeps it, and is asked again in a long while."""
        self._lose(now, first=True, wait=self._backoff("protocol", sentence, now))

    # How it is decided ---------------------------------------------------------------------------------------------

    def _chosen(self, now: float) -> Move:
        if self._plan:
            return self._plan.popleft()
        if self._held is not None:
            return Hand(self._held)
        living = self._living
        if living is None:
            return Subscribe(self._envelope, self._afresh)
        if living.renew_at is not None and now >= living.renew_at and living.expires is not None:
            return Renew(living.references, living.expires)
        timeout = min(HURRY, self._habits.timeout) if living.full else self._habits.timeout
        return Pull(living.context, living.references, self._most, self._envelope, timeout, living.full)

    def _subscribed(self, answer: Subscribed, now: float) -> None:
        if answer.context is None:
            orphan = Unsubscribe(answer.references, now + ORPHAN)
            said = "the source subscribed us without n:EnumerationContext, so there is nothing to pull"
            self._plan.extend((orphan, self._backoff("protocol", said, now)))
            return
        renewal = _renewal(answer.expires, now)
        self._living = _Living(answer.references, answer.context, now, answer.expires, renewal, now)

    def _pulled(self, asked: Pull, answer: Pulled, size: int, now: float) -> None:
        living = self._living
        assert living is not None
        living.answered = now
        if answer.context is not None:
            living.context = answer.context
        count = len(answer.pieces)
        self._seen = max(self._seen, count)
        living.full = count > 0 and (count >= asked.max_elements or size >= ALMOST * asked.max_envelope_size)
        if living.full:
            self._grow(count >= asked.max_elements)
        if count:
            self._quick = 0
        else:
            self._nothing(now)
        if count or answer.bookmark is not None:
            self._held, self._holds = answer, 0

    def _nothing(self, now: float) -> None:
        """Nothing now. A source that does not wait for events, though asked to, is not asked all the time."""
        self._succeeded(now)
        living = self._living
        assert living is not None
        living.full, self._filled = False, 0
        self._quick = self._quick + 1 if now - self._asked_at < QUICK else 0
        if self._quick:
            self._plan.append(Wait(min(2.0 ** min(self._quick - 1, 3), GREATEST_PAUSE, self._habits.heartbeat / 3)))

    def _faulted(self, said: Verdict, now: float) -> None:
        pulling = isinstance(self._asked, Pull)
        match said.meaning:
            case "quiet" if pulling and self._living is not None:
                self._living.answered = now
                self._nothing(now)  # the same context stays (R10.2.9.5-5)
            case "gone" if pulling:  # once is what every reboot does; again and again is trouble
                wait = self._backoff(said.reason, said.sentence, now)
                self._lose(now, wait=wait if self._again else None, orphan=False)
            case "confused" if pulling:
                self._lose(now, first=True, wait=self._backoff(said.reason, said.sentence, now))
            case "bookmark" if isinstance(self._asked, Subscribe) and not self._asked.afresh:
                self._afresh = True  # it can never work again; what the log still holds comes a second time
            case "smaller" if self._shrunk():
                self._lose(now, first=True)
            case "steady" if pulling and not self._steady:
                self._steady = True
                self._lose(now, first=True)
            case "quiet" | "gone" | "confused" | "bookmark" | "smaller" | "steady" | "refused":
                self._lose(now, first=True, wait=self._backoff(said.reason, said.sentence, now))
            case _:
                assert_never(said.meaning)

    def _lose(self, now: float, *, first: bool = False, wait: Wait | None = None, orphan: bool = True) -> None:
        """The context is dead to us. *first*: the connection works, so Unsubscribe before waiting, else after."""
        living, self._living, self._held, self._holds = self._living, None, None, 0
        moves: list[Move] = [wait] if wait is not None else []
        if living is not None and orphan:
            moves.insert(0 if first else len(moves), Unsubscribe(living.references, living.answered + ORPHAN))
        self._filled = self._quick = 0
        self._plan.extend(moves)

    def _backoff(self, reason: str, sentence: str, now: float) -> Wait:
        self._again = self._failures > 0 or now - self._troubled < SETTLED
        self._troubled = now
        base = QUOTA_PAUSE if reason == "quota" else FIRST_PAUSE
        longest = min(base * 2.0 ** min(self._failures, 20), LONGEST_PAUSE)
        self._failures += 1
        return Wait(longest * self._chance(), reason, sentence)

    def _succeeded(self, now: float) -> None:
        if self._living is not None and now - self._living.since >= SETTLED:
            self._failures = 0

    def _gather(self) -> None:
        """Not all equally long: whoever was made safe by one write of a sink would ask again in one moment."""
        if self._habits.pause > 0:
            self._plan.append(Wait(self._habits.pause * (1 - self._chance() / 4)))

    def _shrunk(self) -> bool:
        """Ask for less from now on; False: it was no Pull, or it cannot be less than one event in a large envelope."""
        if not isinstance(self._asked, Pull):
            return False
        if self._most > 1:
            self._most = max(1, min(self._most, self._seen or SUSPECTED) // 2)
        elif self._envelope < LARGEST_ENVELOPE:
            self._envelope = min(self._envelope * 2, LARGEST_ENVELOPE)
        else:
            return False
        self._seen = 0
        return True

    def _grow(self, by_count: bool) -> None:
        """Full by count and not by size: there is room for more."""
        self._filled = self._filled + 1 if by_count else 0
        if self._filled >= GROWTH and not self._steady and self._most < self._habits.max_items:
            self._most, self._filled = min(self._most * 2, self._habits.max_items), 0


def _renewal(expires: float | None, now: float) -> float | None:
    """When to renew: with a fifth of its time left. One that lives for seconds ends before, as a trouble."""
    return None if expires is None else now + max(expires * 0.8, GREATEST_PAUSE)
