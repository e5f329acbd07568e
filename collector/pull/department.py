"""The whole of pull, put together from the settings: what ``app`` starts, renews and stops.

Nothing is decided here but who gets which credentials and which of our listeners a pushing source is told of.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from random import random

from collector.auth.gate import Gate
from collector.clock import Clock
from collector.config.pull import CredentialsSettings
from collector.config.settings import CollectorSettings, ListenerSettings
from collector.delivery.receiver import Receiver
from collector.errors import OperatorError
from collector.evidence.presence import Presences
from collector.pull import turns
from collector.pull.book import Book
from collector.pull.conversation import SUBSCRIBING, Company, Conversation, Corridor
from collector.pull.course import Setback
from collector.pull.directories import Directories
from collector.pull.line import Line, Opened
from collector.pull.pushing import Destination, Pushing, Signs
from collector.pull.roster import Assignment, roster_of
from collector.pull.schedule import Schedule, Task
from collector.pull.turns import Allowance
from collector.store.base import Store
from collector.subscriptions.members import Members
from collector.subscriptions.offers import MUTUAL
from collector.subscriptions.subscription import Subscription
from collector.wire.access import Access, ways_of

GRACE = 1.0
"""Seconds after which a connection that is still being opened no longer keeps others from it: it is the far end's
silence then and not our work."""
SAVING = 32 * 2**20
"""Bytes of answers on their way into the sinks: half of what a lane queues before it spools (``routing.lane.Bounds``).
What waits for its turn costs a source a moment; what goes through the spool costs us twice the work."""

Destinations = Callable[[str, Subscription], Destination]
"""Where a source that is called by http or https delivers to."""


@dataclass(frozen=True, slots=True)
class House:
    """What pull needs of the rest. *collector* is our name in documents."""

    receiver: Receiver
    store: Store
    presences: Presences
    clock: Clock
    collector: str
    new_id: Callable[[], str]
    destinations: Destinations
    members: Members = field(default_factory=Members)


class Department:
    """``rounds`` until it is cancelled, then ``stop``; ``renew`` in between."""

    def __init__(self, settings: CollectorSettings, house: House) -> None:
        pull = settings.pull
        self._settings = settings
        self._house = house
        self._book = Book(house.presences, house.clock)
        self._signs = Signs(house.presences, house.clock.monotonic)
        # our gate stands before theirs, and lets those go by who wait for a dead host
        self._ways = replace(ways_of(pull), doors=asyncio.Semaphore(pull.conversations))
        self._accesses: Mapping[str, Access] = {}
        self._company = Company(
            Corridor(house.receiver, house.store, house.collector),
            house.clock,
            places=Allowance(pull.conversations),
            bytes=Allowance(pull.answers_size),
            saving=Allowance(SAVING),
            gate=turns.Gate(pull.connecting, GRACE),
            network_delay=pull.network_delay,
            max_items=pull.max_items,
            new_id=house.new_id,
            chance=random,
        )
        roster = roster_of(settings, Directories(settings.credentials, house.clock), house.members)
        self._schedule = Schedule(roster, self._begin, self._company)
        self.rounds = self._schedule.rounds
        self.measure = self._book.measure

    def fresh_accesses(self) -> Mapping[str, Access]:
        """The credentials as their files make them just now. Raises ``OperatorError``."""
        settings = self._settings
        written = settings.credentials or {"": CredentialsSettings(mechanism="none")}
        return {
            name: Access(name, one, settings.pull, ways=self._ways, clock=self._house.clock)
            for name, one in written.items()
        }

    def renew(self, subscriptions: Iterable[Subscription], accesses: Mapping[str, Access]) -> None:
        """Serve these from now on; new connections use *accesses*."""
        self._accesses = accesses
        self._schedule.renew(subscriptions)

    async def stop(self, seconds: float) -> None:
        """``Schedule.stop``; then nobody looks a name up any more."""
        await self._schedule.stop(seconds)
        self._ways.hosts.close()

    def _begin(self, assignment: Assignment, host: Allowance) -> Task:
        subscription = assignment.subscription
        access = self._accesses.get(assignment.credentials or "")
        proven = access.proves(assignment.url) if access is not None else ""
        caller = replace(assignment.caller, principal=proven or assignment.caller.name)
        line = Line(assignment.url, lambda: self._connect(assignment), self._house.clock.monotonic)
        page = self._book.open(caller, subscription.id, subscription.name)
        if subscription.type == "pull":
            return Conversation(subscription, line, page, host, self._company)
        destination = self._house.destinations(assignment.url.partition(":")[0], subscription)
        return Pushing(subscription, line, page, host, self._company, destination, self._signs)

    def _connect(self, assignment: Assignment) -> Opened:
        name = assignment.credentials or ""
        access = self._accesses.get(name)
        if access is None:
            known = ", ".join(self._settings.credentials)
            said = f"there are no credentials {name!r}" if name else "the subscription names no credentials"
            raise Setback("authentication", f"{assignment.url}: {said}; there are {known}", sent=False)
        try:
            return access.connection(assignment.url, timeout=SUBSCRIBING + self._settings.pull.network_delay)
        except OperatorError as error:
            raise Setback("certificate", f"{assignment.url}: {error}", sent=False) from error


def listener_for(listeners: Mapping[str, ListenerSettings], notify: str | None, transport: str) -> str:
    """The name of the listener that pushing sources are told of. Raises ``OperatorError``.

    *notify* names it. Without it: one that others can reach, rather one of *transport*, which is how we call.
    """
    if notify is not None:
        if notify not in listeners:
            known = ", ".join(listeners) or "none"
            raise OperatorError(f'at pull.notify: there is no listener "{notify}"; there are: {known}.')
        return notify
    if not listeners:
        raise OperatorError("at pull.notify: a subscription of type push needs a listener, and there is none.")
    return min(listeners, key=lambda name: (listeners[name].loopback, listeners[name].transport != transport))


def destination_of(settings: ListenerSettings, port: int, gate: Gate, subscription: Subscription) -> Destination:
    """What a source is told of a listener on *port*: its public name, and how to authenticate there."""
    secure = settings.transport == "https"
    profiles = (gate.profile(word, secure) for word in settings.authentication)
    profile = next((profile for profile in profiles if profile is not None), None)
    issuer = None
    if profile == MUTUAL:
        issuer = next(iter(subscription.issuers), None) or _issuer(settings)
    host = settings.hostname or (settings.addresses[0] if settings.loopback else socket.getfqdn())
    host = f"[{host}]" if ":" in host else host
    return Destination(f"{settings.transport}://{host}:{settings.public_port or port}", profile, issuer)


def _issuer(settings: ListenerSettings) -> str | None:
    """The thumbprint of the first CA whose clients the listener takes."""
    from collector.auth.certificate import Authorities, thumbprint  # cryptography: 9 MB that others do without

    return next((thumbprint(one) for one in Authorities.load(settings.client_ca).certificates), None)
