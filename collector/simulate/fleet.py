"""A fleet of pretend Windows sources in one process: what they log, how long, and the verdict.

``run_fleet`` is the whole of it for the demo and for tests; ``Fleet`` lets them look at each source as
well. The fleet starts logging when its sources are subscribed, because a subscription without a bookmark
gets what happens from then on.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from collector.clock import Clock, SystemClock
from collector.errors import OperatorError
from collector.simulate.certificates import Certificates
from collector.simulate.charset import Charset
from collector.simulate.conversation import Conversation
from collector.simulate.delivery import FAREWELL, Manner
from collector.simulate.descriptors import make_room
from collector.simulate.happenings import Pace, unfold
from collector.simulate.ledger import Verdict
from collector.simulate.mishaps import Mishaps
from collector.simulate.population import USAGE, FleetOptions, Population
from collector.simulate.principals import Principals
from collector.simulate.replies import Judgement, Offered, Refused, Taken, TryAgain, Unproved
from collector.simulate.source import Source

__all__ = ["Fleet", "FleetOptions", "Progress", "run_fleet"]

UNREACHABLE = 69
FIRST_CONTACT = 15.0
"""Seconds in which somebody has to answer at all; a collector that is just starting needs a few."""
DOORS = 64
"""Connections a fleet opens at the same moment: TLS handshakes are work for both sides."""
LAST_WORDS = 10.0
"""Seconds for what is still to be acknowledged after being told to stop; a service manager waits longer."""
MOST_NOTES = 20
TICK = 0.1  # seconds between two looks at how it goes; short beside any network, long beside the events
LOOKS = 1000  # sources to look at in a tick; a larger fleet is looked at less often, so that looking stays cheap


@dataclass(frozen=True, slots=True)
class Progress:
    """How a run stands. *total* None: nobody knows how many events there will be."""

    sources: int
    subscribed: int
    logged: int
    total: int | None
    sent: int
    acknowledged: int
    seconds: float


async def run_fleet(
    options: FleetOptions,
    on_progress: Callable[[Progress], None] | None = None,
    *,
    stop: asyncio.Event | None = None,
    clock: Clock | None = None,
) -> Verdict:
    """Run a fleet to its end and say how it went; *stop* ends it early and in good order.

    Raises ``OperatorError``: 69 when the collector cannot be reached at all, 65 for a bad file, 78 for
    certificates, a missing package and too low a limit of open files. Cancelling it drops every connection at once,
    like a power cut.
    """
    return await Fleet(options, clock or SystemClock()).run(on_progress, stop)


class Fleet:
    """The sources of one run, by folded name, and the run itself.

    *notes* are sentences for people: what kept the verdict from being ok.
    """

    def __init__(self, options: FleetOptions, clock: Clock) -> None:
        self.notes: list[str] = []
        self._options = options
        self._clock = clock
        self._charset = Charset(options.charset)
        self._certificates = Certificates(options.ca, options.cert, options.key, tls=_is_https(options.url))
        self._principals = (
            Principals(options.url, options.mechanism, options.keytab, options.principal)
            if options.mechanism is not None and options.shows_tickets
            else None
        )
        self._population = Population(options, self._principals or self._certificates, self._charset, clock)
        self.sources = self._population.sources
        self._mishaps = Mishaps(options.reboots, options.crashes, options.seed)
        self._tick = TICK * max(1.0, len(self.sources) / LOOKS)
        self._logged = 0
        self._complete = False  # all that was to happen has happened
        self._answered = False
        self._barred: set[str] = set()  # sources whose Enumerate was refused
        self._trouble = options.url
        self._unproved = ""  # why a source has no ticket
        self._failing_since: float | None = None

    @property
    def shares_one_identity(self) -> bool:
        """Several sources show one certificate or ticket: a collector cannot tell them apart."""
        return (self._principals or self._certificates).shared and len(self.sources) > 1

    async def run(
        self, on_progress: Callable[[Progress], None] | None = None, stop: asyncio.Event | None = None
    ) -> Verdict:
        """See ``run_fleet``."""
        make_room(len(self.sources) + min(DOORS, len(self.sources)))
        try:
            return await self._run(on_progress, stop or asyncio.Event())
        except BaseExceptionGroup as group:
            raise _told(group) or group from None

    async def _run(self, tell: Callable[[Progress], None] | None, stop: asyncio.Event) -> Verdict:
        began = self._clock.monotonic()
        conversations = self._conversations()

        def show() -> None:
            if tell is not None:
                tell(self._progress(self._clock.monotonic() - began))

        async with asyncio.TaskGroup() as talk:
            tasks = [talk.create_task(conversation.run()) for conversation in conversations]
            await self._meet(began, stop, show)
            await self._live(conversations, stop, show)
            seconds = self._clock.monotonic() - began
            for conversation in conversations:
                conversation.stop()
            await asyncio.wait(tasks, timeout=FAREWELL * (2 + len(tasks) / LOOKS))
            for task in tasks:
                task.cancel()
        show()
        return self._verdict(seconds)

    async def _meet(self, began: float, stop: asyncio.Event, show: Callable[[], None]) -> None:
        """Until every source is subscribed or turned away, or there is no more hope for the others."""
        patience = min(FIRST_CONTACT, self._options.give_up)
        subscribed, newest = 0, began  # how many are, and when the last one was
        while not stop.is_set() and not all(source.subscribed for source in self._expected()):
            now = self._clock.monotonic()
            count = sum(source.subscribed for source in self.sources.values())
            if count > subscribed:
                subscribed, newest = count, now
            if not self._answered and now - began > patience:
                if self._unproved:
                    raise OperatorError(f"No source could get a ticket. {self._unproved.removesuffix('.')}.")
                if self._principals is not None and self._trouble == self._options.url:
                    raise OperatorError(
                        f"Nobody has answered for {patience:.0f} s: the KDC of krb5.conf, or else {self._trouble}.",
                        exit_code=UNREACHABLE,
                    )
                raise OperatorError(
                    f"The collector cannot be reached: {self._trouble}. Give the URL that it listens on, such as "
                    "https://wec.corp.example:5986/wsman/SubscriptionManager/WEC.",
                    exit_code=UNREACHABLE,
                )
            if now - newest > self._options.give_up:
                return
            show()
            await asyncio.sleep(self._tick)

    async def _live(self, conversations: Sequence[Conversation], stop: asyncio.Event, show: Callable[[], None]) -> None:
        """Let things happen, then wait until all of it is acknowledged or it makes no sense to wait."""
        happenings = asyncio.create_task(self._unfold(stop))
        began, acknowledged = self._clock.monotonic(), 0
        left: float | None = None
        try:
            while not self._finished(happenings, () if stop.is_set() else conversations, began):
                if happenings.done() and not self._complete:
                    self._complete = happenings.result()
                    for conversation in conversations:
                        conversation.flush()
                if self._sum("acknowledged") != acknowledged:
                    acknowledged, self._failing_since = self._sum("acknowledged"), None
                if stop.is_set():
                    left = self._clock.monotonic() if left is None else left
                if self._hopeless(left):
                    return
                show()
                await asyncio.sleep(self._tick)
            self._complete = happenings.result()
        finally:
            happenings.cancel()

    def _finished(self, happenings: asyncio.Task[bool], conversations: Sequence[Conversation], began: float) -> bool:
        """All has happened and is settled, and so it still is after what is due has befallen *conversations*."""
        over = happenings.done() and self._settled()
        self._mishaps.befall(1.0 if over else self._passed(began), conversations)
        return over and self._settled()

    def _passed(self, began: float) -> float:
        """How much of the run is over: of its time, else of its file."""
        if self._options.duration is None and self._population.total:
            return self._sum("acknowledged") / self._population.total
        return (self._clock.monotonic() - began) / (self._options.duration or self._mishaps.length)

    def _settled(self) -> bool:
        return all(source.settled for source in self._expected())

    def _hopeless(self, left: float | None) -> bool:
        """Whether to give up: nothing but failures for long, or no end soon after being told to stop."""
        now = self._clock.monotonic()
        if left is not None and (now - left > LAST_WORDS or not self._logged):
            self.notes.append("It was stopped before everything was acknowledged.")
            return True
        if self._failing_since is not None and now - self._failing_since > self._options.give_up:
            self.notes.append(
                f"Nothing was acknowledged for {self._options.give_up:g} s; the last trouble: {self._trouble}."
            )
            return True
        return False

    async def _unfold(self, stop: asyncio.Event) -> bool:
        def count() -> None:
            self._logged += 1

        options, population = self._options, self._population
        pace = Pace(self._clock, population.rate, options.duration)
        whole = await unfold(population.happenings(), pace, stop, count)
        # made-up events without a duration have no end, so being told to stop cuts nothing short
        return whole or (not options.reads_file and options.duration is None)

    def _expected(self) -> Iterator[Source]:
        return (source for name, source in self.sources.items() if name not in self._barred)

    def _conversations(self) -> list[Conversation]:
        options = self._options
        manner = Manner(
            url=options.url,
            charset=self._charset,
            clock=self._clock,
            new_id=lambda: f"uuid:{str(uuid.uuid4()).upper()}",
            compression=options.compression,
            refresh=options.refresh,
            retry_interval=options.retry_interval,
            timeout=options.timeout,
            away=options.away,
        )
        doors = asyncio.Semaphore(DOORS)
        context = self._certificates.context
        prove = self._principals.prove if self._principals is not None else lambda _: None
        return [
            Conversation(source, manner, partial(context, source.name), self._hear, doors, prove(source.name))
            for source in self.sources.values()
        ]

    # How it goes ---------------------------------------------------------------------------------------------------

    def _hear(self, source: Source, judgement: Judgement) -> None:
        match judgement:
            case TryAgain(reason, answered):
                self._trouble = f"{source.name}: {reason}"
                self._answered = self._answered or answered
                self._fail()
            case Unproved(reason):
                self._trouble = self._unproved = f"{source.name}: {reason}"
                self._fail()
            case Refused(reason):
                self._answered = True
                self._note(f"{source.name} was refused: {reason}.")
                if not source.subscribed and source.name.lower() not in self._barred:
                    self._barred.add(source.name.lower())
                    source.ledger.refused += 1
            case Taken() | Offered():
                self._answered = True

    def _fail(self) -> None:
        if self._failing_since is None:
            self._failing_since = self._clock.monotonic()

    def _note(self, sentence: str) -> None:
        if sentence not in self.notes and len(self.notes) < MOST_NOTES:
            self.notes.append(sentence)

    def _sum(self, count: str) -> int:
        return sum(getattr(source.ledger, count) for source in self.sources.values())

    def _progress(self, seconds: float) -> Progress:
        return Progress(
            sources=len(self.sources),
            subscribed=sum(source.subscribed for source in self.sources.values()),
            logged=self._logged,
            total=self._population.total,
            sent=self._sum("sent"),
            acknowledged=self._sum("acknowledged"),
            seconds=seconds,
        )

    def _verdict(self, seconds: float) -> Verdict:
        sent, acknowledged, refused = self._sum("sent"), self._sum("acknowledged"), self._sum("refused")
        lost = sum(source.lost for source in self.sources.values())
        complaints = [complaint for source in self.sources.values() for complaint in source.complaints]
        for complaint in complaints:
            self._note(f"{complaint}.")
        if lost:
            self._note(f"{lost} events left a log, or were skipped for want of a bookmark, before they could be sent.")
        dropped = self._sum("dropped")
        if dropped:
            self._note(f"{dropped} events were too large for an envelope; the collector was told (DroppedEvents).")
        if self._mishaps.left:
            self._note(f"The run ended before these could happen: {', '.join(self._mishaps.left)}.")
        if self._logged and not sent:
            self._note("None of the events was selected by a subscription; see wef subscriptions list.")
        settled = self._complete and all(source.settled for source in self.sources.values())
        proven = bool(acknowledged) or not self._logged
        missing = lost or (dropped and not self._options.oversized)
        ok = settled and proven and acknowledged == sent and not (refused or missing or complaints)
        return Verdict(ok, sent, acknowledged, self._sum("duplicates"), refused, round(seconds, 3))


def _told(group: BaseExceptionGroup[BaseException]) -> OperatorError | None:
    """The first thing in *group* that a person can mend."""
    for error in group.exceptions:
        found = _told(error) if isinstance(error, BaseExceptionGroup) else error
        if isinstance(found, OperatorError):
            return found
    return None


def _is_https(url: str) -> bool:
    """Raises ``OperatorError`` for what is no URL of a collector."""
    try:
        parts = urlsplit(url)
        named, port = parts.username is not None, parts.port
    except ValueError as error:
        raise OperatorError(f"url: it is none: {error}.", exit_code=USAGE) from error
    if named:  # the HTTP client would show it, and its password, to whoever answers
        raise OperatorError("url: it holds a user name; leave it out, --mechanism proves who calls.", exit_code=USAGE)
    if port == 0 or parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        raise OperatorError(
            f'url "{url}" is none; write http://host:5985/wsman or https://host:5986/wsman.', exit_code=USAGE
        )
    return parts.scheme.lower() == "https"
