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
from pathlib import Path
from urllib.parse import urlsplit

from collector.clock import Clock, SystemClock
from collector.errors import OperatorError
from collector.simulate.certificates import Certificates
from collector.simulate.conversation import Conversation
from collector.simulate.delivery import FAREWELL, Manner, target_of
from collector.simulate.feed import Fed, dealt, read_lines
from collector.simulate.generator import Machine, fleet_names
from collector.simulate.happenings import Pace, from_file, happen, made_up, unfold
from collector.simulate.ledger import Verdict
from collector.simulate.log import EventLog
from collector.simulate.replies import Judgement, Offered, Refused, Taken, TryAgain
from collector.simulate.source import Nature, Source
from collector.simulate.wire import Charset
from collector.wsman.messages import Offer
from collector.wsman.requests import Speaker, write_events

UNREACHABLE = 69
FIRST_CONTACT = 15.0
"""Seconds in which somebody has to answer at all; a collector that is just starting needs a few."""
DOORS = 64
"""Connections a fleet opens at the same moment: TLS handshakes are work for both sides."""
MACHINES = 10
"""Sources of a fleet for which nobody said how many."""
LAST_WORDS = 10.0
"""Seconds for what is still to be acknowledged after being told to stop; a service manager waits longer."""
MOST_NOTES = 20
GUID = f"uuid:{uuid.UUID(int=0)}"  # as long as every other
TICK = 0.1  # seconds between two looks at how it goes; short beside any network, long beside the events


@dataclass(frozen=True, slots=True)
class FleetOptions:
    """What ``wef simulate`` may be told (contract.md 6). Times in seconds, *rate* in events/s of the whole fleet.

    *events* is a file for ``feed``; without it the sources make up their own. *sources* None: each Computer
    of the file, or ten. *ca*, *cert* and *key* are PEM files, ``{source}`` in them is the source's name.
    *history* is how many events each source has logged before its first subscription. *log_size* is how many
    records a source's log holds when it makes them up; a file is kept whole.
    """

    url: str
    sources: int | None = None
    events: Path | None = None
    rate: float | None = None
    duration: float | None = None
    charset: str = "utf-16"
    compression: str = "offer"
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    channel_default: str = "Application"
    refresh: float = 60.0
    retry_interval: float | None = None
    give_up: float = 60.0
    timeout: float = 60.0
    seed: int = 1
    history: int = 0
    log_size: int = 100_000
    greets: bool = True


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
    certificates. Cancelling it drops every connection at once, like a power cut.
    """
    return await Fleet(options, clock or SystemClock()).run(on_progress, stop)


class Fleet:
    """The sources of one run, by folded name, and the run itself.

    *notes* are sentences for people: what kept the verdict from being ok.
    """

    def __init__(self, options: FleetOptions, clock: Clock) -> None:
        self.sources: dict[str, Source] = {}
        self.notes: list[str] = []
        self._options = options
        self._clock = clock
        self._charset = Charset(options.charset)
        self._certificates = Certificates(options.ca, options.cert, options.key, tls=_is_https(options.url))
        self._machines: dict[str, Machine] = {}
        self._file: list[Fed] = []
        self._populate()
        self._logged = 0
        self._complete = False  # all that was to happen has happened
        self._answered = False
        self._barred: set[str] = set()  # sources whose Enumerate was refused
        self._trouble = options.url
        self._failing_since: float | None = None

    @property
    def shares_one_identity(self) -> bool:
        """Several sources show one certificate: a collector cannot tell them apart."""
        return self._certificates.shared and len(self.sources) > 1

    async def run(
        self, on_progress: Callable[[Progress], None] | None = None, stop: asyncio.Event | None = None
    ) -> Verdict:
        """See ``run_fleet``."""
        try:
            return await self._run(on_progress or (lambda _: None), stop or asyncio.Event())
        except BaseExceptionGroup as group:
            raise _told(group) or group from None

    async def _run(self, tell: Callable[[Progress], None], stop: asyncio.Event) -> Verdict:
        began = self._clock.monotonic()
        conversations = self._conversations()

        def show() -> None:
            tell(self._progress(self._clock.monotonic() - began))

        async with asyncio.TaskGroup() as talk:
            tasks = [talk.create_task(conversation.run()) for conversation in conversations]
            await self._meet(began, stop, show)
            await self._live(conversations, stop, show)
            seconds = self._clock.monotonic() - began
            for conversation in conversations:
                conversation.stop()
            await asyncio.wait(tasks, timeout=2 * FAREWELL)
            for task in tasks:
                task.cancel()
        show()
        return self._verdict(seconds)

    async def _meet(self, began: float, stop: asyncio.Event, show: Callable[[], None]) -> None:
        """Until every source is subscribed or turned away, or there is no more hope for the others."""
        patience = min(FIRST_CONTACT, self._options.give_up)
        while not stop.is_set() and not all(source.subscribed for source in self._expected()):
            waited = self._clock.monotonic() - began
            if not self._answered and waited > patience:
                raise OperatorError(
                    f"The collector cannot be reached: {self._trouble}. Give the URL that it listens on, such as "
                    "https://wec.corp.example:5986/wsman/SubscriptionManager/WEC.",
                    exit_code=UNREACHABLE,
                )
            if waited > self._options.give_up:
                return
            show()
            await asyncio.sleep(TICK)

    async def _live(self, conversations: Sequence[Conversation], stop: asyncio.Event, show: Callable[[], None]) -> None:
        """Let things happen, then wait until all of it is acknowledged or it makes no sense to wait."""
        happenings = asyncio.create_task(self._unfold(stop))
        acknowledged = 0
        left: float | None = None
        try:
            while not (happenings.done() and all(source.settled for source in self._expected())):
                if happenings.done():
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
                await asyncio.sleep(TICK)
            self._complete = happenings.result()
        finally:
            happenings.cancel()

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

        rate, logs = self._options.rate, {name: source.log for name, source in self.sources.items()}
        if self._options.events is not None:
            events = from_file(self._file, logs)
        else:
            events = made_up(self._machines, logs, self._clock)
            rate = rate or len(self._machines)
        whole = await unfold(events, Pace(self._clock, rate, self._options.duration), stop, count)
        # made-up events without a duration have no end, so being told to stop cuts nothing short
        return whole or (self._options.events is None and self._options.duration is None)

    def _expected(self) -> Iterator[Source]:
        return (source for name, source in self.sources.items() if name not in self._barred)

    # Who there is --------------------------------------------------------------------------------------------------

    def _populate(self) -> None:
        options = self._options
        if options.events is None:
            for name, role in self._certificates.names(fleet_names(options.sources or MACHINES)):
                self._machines[name.lower()] = Machine(name, role, options.seed)
                self._add(name, options.log_size)
            return
        names = [name for name, _ in self._certificates.names(fleet_names(options.sources or 0))]
        self._file = list(dealt(read_lines(options.events), names, options.channel_default))
        for name in names or [fed.source for fed in self._file]:
            self._add(name, None)

    def _add(self, name: str, capacity: int | None) -> None:
        """One source; names that differ in case only are one machine, as everywhere in Windows."""
        folded = name.lower()
        if folded not in self.sources:
            nature = Nature(self._options.greets, self._charset.size, partial(self._frame, name))
            self.sources[folded] = Source(name, EventLog(name, capacity), nature, lambda: self._remember(folded))

    def _remember(self, name: str) -> None:
        """What a made-up machine had logged before anybody subscribed to it."""
        for _ in range(self._options.history if name in self._machines else 0):
            happen(self._machines[name], self.sources[name].log, self._clock)

    def _frame(self, source: str, offer: Offer) -> int:
        """Bytes of an Events envelope without its events and its bookmark's rows."""
        speaker = Speaker(source, session_id=GUID, locale=offer.locale or "en-US")
        text = write_events(speaker, target_of(offer), (), "", message_id=GUID, operation_id=GUID)
        return self._charset.size(text) + 2  # and the byte order mark

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
        )
        doors = asyncio.Semaphore(DOORS)
        context = self._certificates.context
        return [
            Conversation(source, manner, partial(context, source.name), self._hear, doors)
            for source in self.sources.values()
        ]

    # How it goes ---------------------------------------------------------------------------------------------------

    def _hear(self, source: Source, judgement: Judgement) -> None:
        match judgement:
            case TryAgain(reason, answered):
                self._trouble = f"{source.name}: {reason}"
                self._answered = self._answered or answered
                if self._failing_since is None:
                    self._failing_since = self._clock.monotonic()
            case Refused(reason):
                self._answered = True
                self._note(f"{source.name} was refused: {reason}.")
                if not source.subscribed and source.name.lower() not in self._barred:
                    self._barred.add(source.name.lower())
                    source.ledger.refused += 1
            case Taken() | Offered():
                self._answered = True

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
            total=len(self._file) if self._options.events is not None else None,
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
            self._note(f"{lost} events left a log or were too large for an envelope before they could be sent.")
        if self._logged and not sent:
            self._note("None of the events was selected by a subscription; see wef subscriptions list.")
        settled = self._complete and all(source.settled for source in self.sources.values())
        proven = bool(acknowledged) or not self._logged
        ok = settled and proven and acknowledged == sent and not (refused or lost or complaints)
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
    parts = urlsplit(url)
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        raise OperatorError(
            f'url "{url}" is none; write http://host:5985/wsman or https://host:5986/wsman.', exit_code=64
        )
    return parts.scheme.lower() == "https"
