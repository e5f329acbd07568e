"""The course by itself: whatever a source says, in whatever order, some things never happen."""

from __future__ import annotations

import random

import pytest

from collector.pull.course import (
    Course,
    Habits,
    Hand,
    Pull,
    Renew,
    Setback,
    Subscribe,
    Unsubscribe,
    Wait,
)
from collector.wsman.answers import Answer, Got, Pulled, Renewed, SourceFault, Subscribed, Unsubscribed

HABITS = Habits(heartbeat=900.0, max_latency=30.0, max_items=32000, max_envelope_size=512000)
FAULTS = (
    SourceFault("w:TimedOut", None, 0x80338029, ""),
    SourceFault("n:InvalidEnumerationContext", None, None, ""),
    SourceFault("w:InternalError", None, 0x80338084, ""),
    SourceFault("w:InternalError", None, 0x803381A6, ""),
    SourceFault("w:InternalError", None, 0x803381AD, ""),
    SourceFault("w:EncodingLimit", "MaxEnvelopeSize", None, ""),
    SourceFault("w:InvalidBookmark", "Expired", None, ""),
    SourceFault("w:AccessDenied", None, 5, ""),
    SourceFault("e:UnableToRenew", None, None, ""),
)


class World:
    """A source with moods: it remembers which contexts it has moved on from."""

    def __init__(self, seed: int, *, mean: bool = False) -> None:
        self.dice = random.Random(seed)
        self.mean = mean
        self.course = Course(HABITS, self.dice.random)
        self.now = 0.0
        self.asked = 0
        self.spent: set[str] = set()
        self.unsafe = False
        self._serial = 0

    def step(self) -> None:
        move = self.course.next(self.now)
        match move:
            case Wait(seconds):
                self.now += seconds
            case Hand():
                self._hand()
            case _:
                self._ask(move)

    def _hand(self) -> None:
        self.now += 0.01
        if self.dice.random() < 0.2:
            self.course.held("backpressure", "no", self.now)
        elif self.dice.random() < 0.05:
            self.course.unwanted("no", self.now)
            self.unsafe = False
        else:
            self.course.safe(self.dice.random() < 0.9, self.now)
            self.unsafe = False
        self.unsafe = self.unsafe and self.course.holding

    def _ask(self, move: Subscribe | Pull | Renew | Unsubscribe) -> None:
        self.asked += 1
        self.now += 0.001
        if isinstance(move, Pull):
            assert move.context not in self.spent, "the source has moved on from this context"
            assert not self.unsafe, "what came before is not safe"
            assert 1 <= move.max_elements <= 32000
            self.spent.add(move.context)  # unless it turns out that it has not
        if self.dice.random() < 0.15 or (self.mean and self.dice.random() < 0.5):
            sent = self.dice.random() < 0.6
            if isinstance(move, Pull) and not sent:
                self.spent.discard(move.context)
            reason = self.dice.choice(["timeout", "refused", "too-large", "sealing"])
            self.course.set_back(Setback(reason, "no", sent=sent), self.now)
            return
        answer = self._answer(move)
        self.course.answered(answer, self.dice.choice([1000, 600_000]), self.now)
        if isinstance(answer, Pulled) and isinstance(move, Pull):
            self.unsafe = bool(answer.pieces)

    def _answer(self, move: Subscribe | Pull | Renew | Unsubscribe) -> Answer:
        if self.dice.random() < (0.9 if self.mean else 0.2):
            fault = self.dice.choice(FAULTS)
            if isinstance(move, Pull) and fault.name == "w:TimedOut":
                self.spent.discard(move.context)  # the one fault after which it is still good
            return fault
        if self.dice.random() < 0.02:
            return Got("<x/>")
        match move:
            case Subscribe():
                return Subscribed(("<i/>",), self.dice.choice([None, None, 30.0]), self._context(), "")
            case Pull():
                count = self.dice.choice([0, 0, 1, 3, move.max_elements if move.max_elements < 100 else 100])
                return Pulled(self._context(), ["<Event/>"] * count, "<b/>" if count else None)
            case Renew():
                return Renewed(30.0)
            case Unsubscribe():
                return Unsubscribed()

    def _context(self) -> str:
        self._serial += 1
        return f"c{self._serial}"


@pytest.mark.parametrize("seed", range(40))
def test_no_context_is_asked_twice_and_nothing_is_asked_before_the_last_answer_is_safe(seed: int) -> None:
    """Either would make the source forget events that nobody has."""
    world = World(seed)

    for _ in range(2000):
        world.step()


@pytest.mark.parametrize("seed", range(10))
def test_a_source_that_fails_all_the_time_is_not_asked_all_the_time(seed: int) -> None:
    """No loop is faster than back-off, whatever the source makes of it."""
    world = World(seed, mean=True)

    for _ in range(3000):
        world.step()

    assert world.asked < 200 + world.now  # asking for less takes some rounds; then once in a second at the very most


def test_a_farewell_is_said_to_what_is_there() -> None:
    """A subscription that is left behind holds one of fifteen operations for minutes."""
    course = Course(HABITS, lambda: 0.5)
    assert course.farewell() is None

    assert isinstance(course.next(0.0), Subscribe)
    course.answered(Subscribed(("<i/>",), None, "c", ""), 100, 1.0)
    assert course.farewell() == Unsubscribe(("<i/>",), 301.0)
    assert course.farewell() is None


def test_a_farewell_that_was_pending_is_said_at_the_end() -> None:
    """The connection broke, and before we came back the collector was stopped."""
    course = Course(HABITS, lambda: 0.5)
    course.next(0.0)
    course.answered(Subscribed(("<i/>",), None, "c", ""), 100, 0.0)
    course.next(0.0)
    course.set_back(Setback("timeout", "no", sent=True), 10.0)

    assert isinstance(course.next(10.0), Wait)
    assert course.farewell() == Unsubscribe(("<i/>",), 300.0)


def test_what_nobody_could_be_told_is_forgotten_when_the_source_has_forgotten_it() -> None:
    """A machine that was away for an hour has no subscription of ours any more."""
    course = Course(HABITS, lambda: 1.0)
    course.next(0.0)
    course.answered(Subscribed(("<i/>",), None, "c", ""), 100, 0.0)
    course.next(0.0)
    course.set_back(Setback("timeout", "no", sent=True), 10.0)
    now, asked = 10.0, []

    for _ in range(40):
        move = course.next(now)
        match move:
            case Wait(seconds):
                now += seconds
            case Unsubscribe() | Subscribe():
                asked.append(type(move).__name__)
                course.set_back(Setback("unreachable", "no", sent=False), now)

    assert asked[0] == "Unsubscribe"
    assert set(asked[asked.index("Subscribe") :]) == {"Subscribe"}


def test_a_trouble_after_a_long_good_time_is_the_first_again() -> None:
    """A source that reboots every month does not wait for minutes because it did so last year."""
    course = Course(HABITS, lambda: 0.5)
    for _ in range(5):
        course.next(0.0)
        course.set_back(Setback("refused", "no", sent=False), 0.0)
        assert isinstance(course.next(0.0), Wait)
    course.next(0.0)
    course.answered(Subscribed(("<i/>",), None, "c0", ""), 100, 0.0)
    for now in (1.0, 61.0):
        course.next(now)
        course.answered(Pulled(f"c{now}", ["<Event/>"], "<b/>"), 600_000, now)
        assert isinstance(course.next(now), Hand)
        course.safe(True, now)
    course.next(70.0)

    course.set_back(Setback("refused", "no", sent=False), 70.0)

    assert course.next(70.0) == Wait(0.5, "refused", "no")


def test_the_first_pull_has_room_for_a_full_answer_and_does_not_hold_it_for_long() -> None:
    """After an outage everybody has a backlog; who has none shall not keep the room for a minute."""
    course = Course(HABITS, lambda: 0.5)
    course.next(0.0)
    course.answered(Subscribed(("<i/>",), None, "c0", ""), 100, 0.0)

    first = course.next(0.0)
    course.answered(Pulled("c1", (), None), 100, 2.0)
    second = course.next(2.0)

    assert isinstance(first, Pull)
    assert isinstance(second, Pull)
    assert (first.full, first.timeout) == (True, 2.0)
    assert (second.full, second.timeout) == (False, 60.0)


def test_a_short_heartbeat_is_kept() -> None:
    """The source closes a subscription that nobody pulls within it (0x8033800A)."""
    assert Habits(5.0, 30.0, 1, 1).timeout == 5.0
    assert Habits(5.0, 30.0, 1, 1).pause < 2.0
