"""The composition root: builds the corridor from back to front, keeps house, and takes it down again.

Nothing is decided here that another room could decide; here is only who knows whom.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from random import getrandbits
from typing import Any

from collector import __version__, telemetry
from collector.auth.gate import Gate
from collector.auth.mechanisms import MECHANISMS
from collector.clock import Clock, SystemClock
from collector.config.settings import CollectorSettings, ListenerSettings
from collector.delivery.exchange import Exchange
from collector.delivery.receiver import Receiver
from collector.delivery.winrm_config import Place, ServedConfig
from collector.errors import Backpressure, OperatorError
from collector.evidence.presence import Presences, state_of
from collector.kernel import selection
from collector.listener.budget import Budget
from collector.listener.door import Door
from collector.listener.monitoring import Monitoring
from collector.listener.server import Listener
from collector.listener.turnstile import Turnstile
from collector.pull.department import Department, House, destination_of, listener_for
from collector.pull.pushing import Destination
from collector.pull.references import require_references
from collector.routing.lane import Lane
from collector.routing.match import Taking
from collector.routing.replay import Replay
from collector.routing.router import Router
from collector.routing.spool import Spool
from collector.sinks.base import Surroundings
from collector.sinks.table import SINKS
from collector.store.sqlite import SqliteStore
from collector.store.state_folder import StateFolder
from collector.subscriptions.folder import SubscriptionSet, load_folder
from collector.subscriptions.members import Members
from collector.subscriptions.subscription import Subscription

HOUSEKEEPING = 1.0
"""Seconds between two rounds: how stale ``wef sources`` and the free-space check may be."""
FAREWELL = 0.5
"""The share of the time to drain in which sources that we pull from are told that we leave; lanes need the rest."""
SETTLING = 0.05
"""Seconds between two looks at lanes that somebody waits for."""
REPLAYS = 0.4
"""Seconds between two looks for letters that are wanted: ``wef letters replay`` is answered within one."""


DISK, DATABASE = "disk", "database"
"""What may be in trouble."""


def new_id() -> str:
    """A fresh message id, as Windows writes them: a random UUID (RFC 9562, 5.4), spelled here as each reply has one."""
    digits = f"{getrandbits(128):032X}"  # it has to be unique, and no secret: Python's own generator does
    return f"uuid:{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:]}"


def _hear(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    telemetry.loop_trouble(str(context.get("message", "")), context.get("exception"))


class Health:
    """Whether anything can be promised at the moment."""

    def __init__(self) -> None:
        self.closing = False
        self._troubles: dict[str, str] = {}

    def require(self) -> None:
        """Raises ``Backpressure`` while no batch may be accepted."""
        if self.closing:
            raise Backpressure("shutdown", "the collector is shutting down")
        for trouble in self._troubles.values():
            raise Backpressure("state", trouble)

    def report(self, what: str, trouble: str) -> None:
        """*trouble* with *what* is a sentence, or ``""`` when all is well with it; only changes are logged.

        Each has its own: that there is room on the disk says nothing about whether the database can be written.
        """
        if trouble:
            if what not in self._troubles:
                telemetry.state_trouble(trouble)
            self._troubles[what] = trouble
        elif self._troubles.pop(what, "") and not self._troubles:
            telemetry.state_mended()


class Collector:
    """One running collector. ``start``, then ``stop``; between them it needs nobody."""

    def __init__(self, settings: CollectorSettings, clock: Clock | None = None) -> None:
        self._settings = settings
        self._clock = clock or SystemClock()
        self._health = Health()
        self._ready = False
        self._members = Members()
        self._subscriptions = SubscriptionSet(())
        self._stack = AsyncExitStack()
        self._listeners: dict[str, Listener] = {}
        self._lanes: list[Lane] = []
        self._monitoring: Monitoring | None = None
        self._chores: dict[str, asyncio.Task[None]] = {}
        self._deadline = 0.0

    @property
    def addresses(self) -> dict[str, list[tuple[str, int]]]:
        """Where each listener really listens: name -> (address, port)."""
        return {name: listener.addresses for name, listener in self._listeners.items()}

    @property
    def monitoring_port(self) -> int:
        return self._monitoring.port if self._monitoring is not None else 0

    async def start(self) -> None:
        """Everything up, listeners last. Raises ``OperatorError``; what was begun is undone."""
        try:
            await self._build()
        except BaseException:
            await self._stack.aclose()
            raise
        self._ready = True
        asyncio.get_running_loop().set_exception_handler(_hear)
        telemetry.ready(__version__)

    async def delivered(self, within: float) -> Sequence[str]:
        """Wait, at most *within* seconds, until the sinks have everything; the names of those that have not."""
        until = self._clock.monotonic() + within
        while (owing := [lane.name for lane in self._lanes if lane.owes]) and self._clock.monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(SETTLING)
        return owing

    async def stop(self, reason: str) -> None:
        """Drain within the deadline of the settings: no batch half done, nothing acknowledged that is not safe."""
        telemetry.draining(reason)
        self._ready = False
        self._health.closing = True
        deadline = self._clock.monotonic() + self._settings.drain
        for listener in self._listeners.values():
            listener.close()
        await asyncio.gather(
            self._pull.stop(self._settings.drain * FAREWELL),
            *(listener.drained(self._left(deadline)) for listener in self._listeners.values()),
        )
        self._deadline = deadline
        await self._stack.aclose()
        telemetry.stopped(self._clock.monotonic() <= deadline)

    async def reload(self) -> None:
        """Read subscriptions, certificates, keys, CAs and CRLs again: all of them, or none when one is broken.

        No connection is dropped. Open ones are looked at again with their next request, so a
        certificate that was revoked meanwhile gets no further.
        """
        try:
            subscriptions = await asyncio.to_thread(self._load_subscriptions)
            renewed = [
                (listener, listener.fresh_context(), self._gate(self._settings.listeners[name]))
                for name, listener in self._listeners.items()
            ]
            accesses = self._pull.fresh_accesses()
        except OperatorError as error:
            telemetry.reload_refused(str(error))
            return
        self._subscriptions = subscriptions
        for listener, context, gate in renewed:
            listener.renew(context, gate)
        self._pull.renew(subscriptions.all, accesses)
        telemetry.subscriptions_loaded(self._enabled(), reloaded=True)

    async def _build(self) -> None:
        settings, clock = self._settings, self._clock
        self._subscriptions = self._load_subscriptions()
        telemetry.subscriptions_loaded(self._enabled(), reloaded=False)
        if selection.active() == "pure":
            compressed = [one.name for one in self._subscriptions.all if one.enabled and one.compression == "sldc"]
            telemetry.pure_kernel_works(selection.reason(), compressed)
        self._folder = StateFolder(settings.state)
        self._folder.create()
        self._folder.lock()
        self._stack.callback(self._folder.unlock)
        self._store = SqliteStore.open(self._folder.database)
        self._stack.push_async_callback(self._store.close)
        self._presences = Presences(self._store.presences())
        self._stack.push_async_callback(self._drain_lanes)
        for name in settings.sinks:
            await self._add_lane(name)
        self._check_disk()
        receiver = Receiver(Router(self._lanes), self._store, clock, self._health.require, settings.limits)
        exchange = Exchange(
            lambda: self._subscriptions,
            receiver,
            self._store,
            self._presences,
            clock,
            collector=settings.name or socket.gethostname(),
            version=__version__,
            new_id=new_id,
            config=self._served_config,
        )
        self._pull = self._department(receiver)
        accesses = self._pull.fresh_accesses()
        self._stack.push_async_callback(self._end_chores)
        self._stack.push_async_callback(self._pull.stop, FAREWELL)
        self._keep("housekeeping", self._rounds)
        self._keep("letters", self._replays)
        await self._start_monitoring()
        await self._start_listeners(exchange)
        self._pull.renew(self._subscriptions.all, accesses)
        self._keep("pull", self._pull.rounds)

    def _department(self, receiver: Receiver) -> Department:
        name = self._settings.name or socket.gethostname()
        house = House(
            receiver, self._store, self._presences, self._clock, name, new_id, self._destination, self._members
        )
        return Department(self._settings, house)

    def _destination(self, transport: str, subscription: Subscription) -> Destination:
        name = listener_for(self._settings.listeners, self._settings.pull.notify, transport)
        settings = self._settings.listeners[name]
        port = self._listeners[name].addresses[0][1]
        return destination_of(settings, port, self._gate(settings), subscription)

    async def _add_lane(self, name: str) -> None:
        settings = self._settings.sinks[name]
        sink = SINKS[settings.type].build(name, settings, Surroundings(self._folder.path, self._clock))
        lane = Lane(
            name,
            sink,
            settings,
            Spool.open(self._folder.spool(name), settings.spool),
            self._store.save_letters,
            self._clock,
            Taking.compile(settings.match, settings.exclude, settings.sample),
        )
        await lane.open()
        self._lanes.append(lane)

    async def _drain_lanes(self) -> None:
        """Side by side: one slow sink must not eat the time of the others."""
        await asyncio.gather(*(lane.drain(self._left(self._deadline)) for lane in self._lanes))
        await self._save_lanes()

    async def _start_listeners(self, exchange: Exchange) -> None:
        turnstile, budget = Turnstile(self._settings.limits), Budget(self._settings.limits.bodies_size)
        for name, settings in self._settings.listeners.items():
            door = Door(settings, self._settings.limits, self._gate(settings), exchange, new_id, budget)
            listener = Listener(name, settings, self._settings.limits, door, turnstile)
            self._listeners[name] = listener
            self._stack.callback(listener.close)
            await listener.start()

    def _served_config(self, own: ListenerSettings | None) -> ServedConfig:
        settings = self._settings.listeners
        listening = self._listeners.items()
        places = [Place(settings[name], listener.addresses, listener.thumbprint) for name, listener in listening]
        return ServedConfig(self._settings, places, own)

    def _gate(self, settings: ListenerSettings) -> Gate:
        return Gate([MECHANISMS[word](settings, self._clock) for word in settings.authentication], self._clock)

    async def _start_monitoring(self) -> None:
        settings = self._settings.monitoring
        self._monitoring = Monitoring(settings.address, settings.port, lambda: self._ready, self._measure)
        self._stack.push_async_callback(self._monitoring.stop)
        await self._monitoring.start()

    def _keep(self, name: str, chore: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run *chore* until the end; if it fails in a way that nobody foresaw, say so and begin it again."""
        task = asyncio.create_task(chore(), name=name)
        self._chores[name] = task

        def ended(task: asyncio.Task[None]) -> None:
            error = None if task.cancelled() else task.exception()
            if error is not None:
                telemetry.chore_failed(name, error)
                self._keep(name, chore)

        task.add_done_callback(ended)

    async def _end_chores(self) -> None:
        for task in self._chores.values():
            task.cancel()
        await asyncio.gather(*self._chores.values(), return_exceptions=True)
        await self._save()

    async def _replays(self) -> None:
        """Offer letters to their lanes when somebody asks for it."""
        replay = Replay(self._store, {lane.name: lane for lane in self._lanes})
        while True:
            await asyncio.sleep(REPLAYS)
            try:
                while await replay.round():
                    pass
            except Backpressure as error:
                self._health.report(DATABASE, str(error))

    async def _rounds(self) -> None:
        """Save presence and lanes, and look at the disk."""
        while True:
            await asyncio.sleep(HOUSEKEEPING)
            self._check_disk()
            await self._save()

    async def _save(self) -> None:
        self._measure()
        changed = self._presences.changed()
        try:
            await self._store.save_presences(changed)
        except Backpressure as error:
            self._presences.unsaved(changed)
            self._health.report(DATABASE, str(error))
        else:
            await self._save_lanes()

    async def _save_lanes(self) -> None:
        try:
            await self._store.save_lanes([lane.measure() for lane in self._lanes])
        except Backpressure as error:
            self._health.report(DATABASE, str(error))
        else:
            self._health.report(DATABASE, "")

    def _check_disk(self) -> None:
        try:
            free, least = self._folder.free(), self._settings.min_free
        except Backpressure as error:
            self._health.report(DISK, str(error))
            return
        telemetry.state_disk_measured(free)
        low = f"the disk of {self._folder.path} has {free} bytes free; min_free asks for {least}"
        self._health.report(DISK, low if free < least else "")

    def _measure(self) -> None:
        now = self._clock.now()
        states = {"active": 0, "alive": 0, "silent": 0}
        for presence in self._presences.all():
            subscription = self._subscriptions.by_id(presence.subscription)
            heartbeat = subscription.delivery.heartbeat if subscription else timedelta(hours=1).total_seconds()
            states[state_of(presence, heartbeat, now)] += 1
        telemetry.sources_counted(states)
        self._pull.measure()
        for lane in self._lanes:
            lane.measure()

    def _load_subscriptions(self) -> SubscriptionSet:
        settings = self._settings
        loaded = load_folder(settings.subscriptions.path, settings.subscriptions.revision, self._members)
        require_references(settings, loaded.all)
        return loaded

    def _enabled(self) -> int:
        return sum(subscription.enabled for subscription in self._subscriptions.all)

    def _left(self, deadline: float) -> float:
        return max(0.1, deadline - self._clock.monotonic())
