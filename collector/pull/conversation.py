"""One source of one subscription: the task that does what its course says.

It holds one answer at most, and asks for the next when that one is safe. What is decided here is only how to be
interrupted: between requests at once, in the middle of one by giving up its connection, never while a batch is being
made safe.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace

from collector import telemetry
from collector.clock import Clock
from collector.delivery.intake import take_in
from collector.delivery.receiver import Receiver
from collector.delivery.spoofing import ComputerMismatch
from collector.errors import Backpressure
from collector.model import Batch, Bookmark, Caller, SubscriptionRef
from collector.pull.book import Page
from collector.pull.course import (
    PATIENCE,
    Course,
    Habits,
    Hand,
    Move,
    Pull,
    Renew,
    Setback,
    Subscribe,
    Unsubscribe,
    Wait,
)
from collector.pull.interruption import Interruption, Retired
from collector.pull.line import Line
from collector.pull.turns import Allowance, Gate
from collector.pull.verdicts import verdict
from collector.store.base import Store
from collector.subscriptions.offers import make_offer
from collector.subscriptions.subscription import Subscription
from collector.wsman import calls
from collector.wsman.answers import Answer, Pulled, SourceFault
from collector.wsman.messages import Offer

SUBSCRIBING = 60.0
"""OperationTimeout of everything but a Pull: what Windows asks for (captured)."""
GOODBYE = 5.0
"""OperationTimeout of an Unsubscribe: Windows' own (captured)."""
GRACE = 3.0
"""Seconds that a Subscribe under way has to be answered when we leave: only who knows the answer can Unsubscribe."""
TURN = 60.0
"""Seconds that a conversation may go on while others wait for its place."""
DEAR, SHARE = 0.2, 20.0
"""Whose answer took more than so many seconds to be read is asked again when others have had so many times as much: a
usual one takes milliseconds, and one source must not have all the time that there is."""
LEAST = 1.0
"""Seconds that a batch has to become safe, however late it is."""


@dataclass(frozen=True, slots=True)
class Corridor:
    """Where batches go, and what they are marked with. *collector* is its name in documents."""

    receiver: Receiver
    store: Store
    collector: str


@dataclass(frozen=True, slots=True)
class Company:
    """What all conversations share. *bytes* are those of answers that are expected to be full, *saving* those of
    answers on their way into the sinks.

    *new_id* makes message ids, *chance* numbers from 0 (included) to 1 (excluded); *sleep* waits for seconds.
    *network_delay* is what every time-out has added for the way there and back; *grace* are the seconds that a
    Subscribe under way has when we leave.
    """

    corridor: Corridor
    clock: Clock
    places: Allowance
    bytes: Allowance
    saving: Allowance
    gate: Gate
    network_delay: float
    max_items: int
    new_id: Callable[[], str]
    chance: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    grace: float = GRACE


class Conversation:
    """*host* is the allowance of conversations of this host with these credentials."""

    def __init__(self, subscription: Subscription, line: Line, page: Page, host: Allowance, company: Company) -> None:
        self.subscription = subscription
        self._line = line
        self._page = page
        self._host = host
        self._company = company
        self._caller = page.caller
        delivery = subscription.delivery
        most = min(delivery.max_items or company.max_items, company.max_items)
        habits = Habits(delivery.heartbeat, delivery.max_latency, most, delivery.max_envelope_size)
        self._course = Course(habits, company.chance)
        self._offer = told(subscription, self._caller, None)
        self._voice = calls.Voice(
            line.url, locale=subscription.locale or "en-US", options=calls.options_of(self._offer)
        )
        self._interruption = Interruption()
        self._reserved = self._size = 0
        self._answered = 0.0

    def retire(self) -> None:
        """End soon: no further Pull, Unsubscribe, and ``run`` returns. What is being made safe may become so."""
        self._interruption.retire()

    def adopt(self, subscription: Subscription) -> None:
        """The subscription changed in nothing that the source is told."""
        self.subscription = subscription

    async def run(self) -> None:
        """Converse until ``retire``."""
        try:
            while True:
                await self._turn()
        except Retired:
            pass
        finally:
            self._page.turn(None)

    # Turns ---------------------------------------------------------------------------------------------------------

    async def _turn(self) -> None:
        """One turn: as long as nobody else waits for the place, for ever. Raises ``Retired``."""
        company = self._company
        self._page.turn("waiting")
        async with AsyncExitStack() as held:
            for allowance in (self._host, company.places):
                with self._interruption.allowed():
                    await allowance.take(1)
                held.callback(allowance.give, 1)
            held.callback(self._forget)
            held.push_async_callback(self._line.close)
            ends = company.clock.monotonic() + TURN
            rest: Wait | None = None
            try:
                while rest is None and not self._over(ends):
                    move = self._course.next(company.clock.monotonic())
                    if isinstance(move, Wait) and move.reason and self._wanted and not self._course.subscribed:
                        rest = move  # somebody else has use for the place meanwhile
                    else:
                        await self._make(move)
            except Retired:
                await self._leave()
                raise
            await self._leave()
        if rest is not None:
            await self._make(rest)

    def _over(self, ends: float) -> bool:
        return self._wanted and not self._course.holding and self._company.clock.monotonic() >= ends

    @property
    def _wanted(self) -> bool:
        """Somebody waits for our place."""
        return self._host.wanted or self._company.places.wanted

    async def _make(self, move: Move) -> None:
        self._interruption.check()
        match move:
            case Wait(seconds, reason, sentence):
                await self._wait(seconds, reason, sentence)
            case Hand(pulled):
                await self._hand(pulled)
            case Subscribe() | Pull() | Renew() | Unsubscribe():
                if isinstance(move, Pull) and self._line.reading > DEAR:
                    await self._wait(min(self._line.reading * SHARE, PATIENCE), "", "")
                await self._ask(move)

    async def _wait(self, seconds: float, reason: str, sentence: str) -> None:
        if reason:
            self._page.troubled(reason, sentence, seconds)
        self._page.turn("resting" if reason else "gathering")
        with self._interruption.allowed():
            await self._company.sleep(seconds)

    async def _leave(self) -> None:
        """Say goodbye, where there is something to say it to, in bounded time."""
        farewell = self._course.farewell()
        self._forget()
        if farewell is not None:
            with suppress(Setback):  # then it finds out when nobody asks it any more
                await self._said(farewell, patience=GOODBYE)

    # Asking --------------------------------------------------------------------------------------------------------

    async def _ask(self, move: Subscribe | Pull | Renew | Unsubscribe) -> None:
        company, course = self._company, self._course
        self._page.turn("pulling" if isinstance(move, Pull) else "subscribing")
        try:
            with self._interruption.allowed(company.grace if isinstance(move, Subscribe) else 0.0):
                if isinstance(move, Pull) and move.full:
                    await company.bytes.take(move.max_envelope_size)
                    self._reserved = move.max_envelope_size
                answer, self._size = await self._said(move)
        except Setback as setback:
            course.set_back(setback, company.clock.monotonic())
        else:
            self._answered = company.clock.monotonic()
            self._note(move, answer)
            course.answered(answer, self._size, self._answered)
            if course.holding and isinstance(answer, Pulled):
                telemetry.batch_received(len(answer.pieces), answer.sliced)
                return  # it is held until it is safe
        self._forget()

    async def _said(
        self, move: Subscribe | Pull | Renew | Unsubscribe, patience: float = SUBSCRIBING
    ) -> tuple[Answer, int]:
        message_id = self._company.new_id()
        timeout = move.timeout if isinstance(move, Pull) else patience
        text = self._spelled(move, message_id, timeout)
        whole = timeout + self._company.network_delay
        if self._line.open:
            return await self._line.ask(text, message_id, whole)
        async with self._company.gate.passing():
            return await self._line.ask(text, message_id, whole)

    def _spelled(self, move: Subscribe | Pull | Renew | Unsubscribe, message_id: str, timeout: float) -> str:
        match move:
            case Subscribe(size, afresh):
                offer = self._offered(afresh)
                self._voice = replace(self._voice, max_envelope_size=size, options=calls.options_of(offer))
                return calls.write_subscribe_pull(self._voice, offer, message_id=message_id, timeout=timeout)
            case Pull(context, references, most, size):
                if size != self._voice.max_envelope_size:
                    self._voice = replace(self._voice, max_envelope_size=size)
                return calls.write_pull(
                    self._voice, context, references, message_id=message_id, timeout=timeout, max_elements=most
                )
            case Renew(references, expires):
                return calls.write_renew(self._voice, references, expires, message_id=message_id, timeout=timeout)
            case Unsubscribe(references):
                return calls.write_unsubscribe(self._voice, references, message_id=message_id, timeout=timeout)

    def _offered(self, afresh: bool) -> Offer:
        """With the bookmark as it is in the store now."""
        if afresh:
            return replace(told(self.subscription, self._caller, None), read_existing_events=True)
        saved = self._company.corridor.store.bookmark(self._caller.key, self.subscription.id)
        return told(self.subscription, self._caller, saved)

    def _note(self, move: Move, answer: Answer) -> None:
        """Who answered, and of what kind it was."""
        if self._line.address and self._line.address != self._caller.address:
            self._caller = self._page.caller = replace(self._caller, address=self._line.address)
        meaning = verdict(answer).meaning if isinstance(answer, SourceFault) else None
        telemetry.pull_answered(_kind(answer, meaning))
        if isinstance(move, Pull) and (meaning == "quiet" or (isinstance(answer, Pulled) and not answer.pieces)):
            self._page.heard(self._offer.version)
        if (
            isinstance(move, Subscribe)
            and not move.afresh
            and isinstance(answer, SourceFault)
            and meaning == "bookmark"
        ):
            telemetry.pull_bookmark_refused(self._caller.name, self.subscription.name, answer.detail or answer.text)

    # Handing on ----------------------------------------------------------------------------------------------------

    async def _hand(self, pulled: Pulled) -> None:
        """The acknowledgement rule for pull: until this returned well, no further Pull leaves."""
        company, batch = self._company, self._batch(pulled)
        self._page.turn("saving")
        with self._interruption.allowed():
            await company.saving.take(self._size)
        try:
            await self._save(batch, pulled)
        finally:
            company.saving.give(self._size)

    async def _save(self, batch: Batch, pulled: Pulled) -> None:
        """Into the sinks, with its bookmark, and what became of it to the course."""
        company, course, subscription = self._company, self._course, self.subscription
        started = company.clock.monotonic()
        deadline = max(LEAST, PATIENCE - (started - self._answered))
        try:
            accepted = await take_in(
                batch,
                pulled.bookmark,
                deadline,
                subscription.spoofing,
                receiver=company.corridor.receiver,
                presences=self._page.presences,
            )
        except Backpressure as refusal:
            course.held("backpressure", f"{refusal.reason}: {refusal}", company.clock.monotonic())
            if not course.subscribed:
                self._forget()
            return
        except ComputerMismatch as error:
            telemetry.request_refused("computer", self._caller.address, str(error), source=self._caller.name)
            course.unwanted(str(error), company.clock.monotonic())
            self._forget()
            return
        self._forget()
        ended = company.clock.monotonic()
        course.safe(pulled.bookmark is not None, ended)
        self._page.delivered(accepted.newest)
        if pulled.dropped is not None:
            self._page.dropped(pulled.dropped)
        if pulled.pieces:
            telemetry.batch_acknowledged(self._caller.name, subscription.name, len(pulled.pieces), ended - started)

    def _batch(self, pulled: Pulled) -> Batch:
        subscription = self.subscription
        reference = SubscriptionRef(subscription.id, subscription.name, self._offer.version, subscription.revision)
        return Batch(
            self._caller, reference, self._company.clock.now(), pulled.pieces, self._company.corridor.collector
        )

    def _forget(self) -> None:
        """The last answer needs no memory any more."""
        self._line.release()
        reserved, self._reserved = self._reserved, 0
        if reserved:
            self._company.bytes.give(reserved)


def told(subscription: Subscription, caller: Caller, bookmark: Bookmark | None) -> Offer:
    """What a source is told that we pull from; its version tells whether anything changed."""
    return make_offer(subscription, caller, "", None, bookmark)


def _kind(answer: Answer, meaning: str | None) -> str:
    """A word for a metric."""
    match answer:
        case Pulled(pieces=pieces):
            return "events" if pieces else "empty"
        case SourceFault():
            return "timed_out" if meaning == "quiet" else "fault"
        case _:
            return "other"
