"""Everybody who is to be called against everybody who is: one task for each, begun, changed and ended here.

What happens between us and one source is its own conversation's; what they share is in ``Company``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol
from weakref import WeakValueDictionary

from collector import telemetry
from collector.pull.conversation import Company, told
from collector.pull.roster import Assignment, Roster
from collector.pull.turns import Allowance
from collector.subscriptions.subscription import Subscription

PER_HOST = 10
"""Conversations of one host and one set of credentials at a time: the Event Forwarding plugin allows one user 15
operations, and what was not unsubscribed counts for minutes ([MS-WSMV] 3.1.4.1.34.3.2)."""
LOOKING = 300.0
"""Seconds between two looks at lists of sources."""
CROWD = 400.0
"""Conversations that begin in one second: a start of thousands shall not be one burst."""
AGAIN = 60.0
"""Seconds after which a conversation that ended in a way nobody foresaw begins again."""


class Task(Protocol):
    """What a conversation and a pushing promise."""

    def retire(self) -> None: ...

    def adopt(self, subscription: Subscription) -> None: ...

    async def run(self) -> None: ...


Begin = Callable[[Assignment, Allowance], Task]
"""Makes the task of an assignment; the allowance is that of its host."""


@dataclass(slots=True, weakref_slot=True)
class _Post:
    """One place in the schedule: who is wanted there, and who is."""

    key: tuple[str, str]
    wanted: Assignment | None
    present: Task | None = None
    held: Assignment | None = None
    task: asyncio.Task[None] | None = None


class Schedule:
    """*begin* makes conversations. ``rounds`` runs until it is cancelled; then ``stop``."""

    def __init__(self, roster: Roster, begin: Begin, company: Company) -> None:
        self._roster = roster
        self._begin = begin
        self._company = company
        self._subscriptions: Sequence[Subscription] = ()
        self._posts: dict[tuple[str, str], _Post] = {}
        self._hosts: WeakValueDictionary[tuple[str, str | None], Allowance] = WeakValueDictionary()
        self._looks: dict[str, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()
        self._closing = False

    @property
    def conversations(self) -> int:
        """How many there are, whatever they do."""
        return len(self._posts)

    def renew(self, subscriptions: Iterable[Subscription]) -> None:
        """These are to be served from now on; what changed for nobody goes on undisturbed."""
        self._subscriptions = tuple(subscriptions)
        self._changed.set()

    async def rounds(self) -> None:
        """Look at the lists now, at every ``renew``, and every few minutes. A slow one delays only its subscription."""
        try:
            while True:
                self._changed.clear()
                self._dismiss({subscription.id for subscription in self._subscriptions})
                for subscription in self._subscriptions:
                    if subscription.id not in self._looks:
                        self._begin_look(subscription)
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOKING):
                        await self._changed.wait()
        finally:
            for look in self._looks.values():
                look.cancel()

    async def stop(self, seconds: float) -> None:
        """End all conversations: no further Pull, Unsubscribe where it can be said within *seconds*."""
        self._closing = True
        tasks = []
        for post in list(self._posts.values()):
            self._dismissed(post)
            if post.task is not None:
                tasks.append(post.task)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    # Planning ------------------------------------------------------------------------------------------------------

    def _begin_look(self, subscription: Subscription) -> None:
        self._looks[subscription.id] = look = asyncio.create_task(self._look(subscription))
        look.add_done_callback(lambda task: self._looked(subscription, task))

    def _looked(self, subscription: Subscription, look: asyncio.Task[None]) -> None:
        del self._looks[subscription.id]
        error = None if look.cancelled() else look.exception()
        if error is not None:
            telemetry.chore_failed("pull", error)
        if any(one.id == subscription.id and one != subscription for one in self._subscriptions):
            self._changed.set()  # it is another one by now

    async def _look(self, subscription: Subscription) -> None:
        assignments = await self._roster.read(subscription)
        if subscription not in self._subscriptions or self._closing:
            return  # changed while it was read
        wanted = {assignment.key: assignment for assignment in assignments}
        for key, post in list(self._posts.items()):
            if key[0] == subscription.id and key not in wanted:
                self._dismissed(post)
        for assignment in wanted.values():
            self._assign(assignment, len(wanted))

    def _dismiss(self, known: set[str]) -> None:
        for key, post in list(self._posts.items()):
            if key[0] not in known:
                self._dismissed(post)

    def _dismissed(self, post: _Post) -> None:
        post.wanted = None
        if post.present is not None:
            post.present.retire()
        elif post.task is not None:
            post.task.cancel()  # it has not begun

    def _assign(self, assignment: Assignment, crowd: int) -> None:
        post = self._posts.get(assignment.key)
        if post is None:
            post = self._posts[assignment.key] = _Post(assignment.key, assignment)
            self._start(post, self._company.chance() * crowd / CROWD)
            return
        post.wanted = assignment
        if post.present is None or post.held is None:
            return
        if _same(post.held, assignment):
            post.held = assignment
            post.present.adopt(assignment.subscription)
        else:
            post.present.retire()

    # Running -------------------------------------------------------------------------------------------------------

    def _start(self, post: _Post, delay: float) -> None:
        post.task = asyncio.create_task(self._follow(post, delay))
        post.task.add_done_callback(lambda task: self._ended(post, task))

    async def _follow(self, post: _Post, delay: float) -> None:
        await self._company.sleep(delay)
        while (assignment := post.wanted) is not None:
            post.held, post.present = assignment, self._begin(assignment, self._host(assignment))
            try:
                await post.present.run()
            finally:
                post.present = post.held = None

    def _ended(self, post: _Post, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            telemetry.chore_failed("pull", error)
        if post.wanted is not None and not self._closing:
            self._start(post, AGAIN if error is not None else 0.0)
        else:
            self._posts.pop(post.key, None)

    def _host(self, assignment: Assignment) -> Allowance:
        key = (assignment.url.lower().split("/")[2], assignment.credentials)  # host and port
        host = self._hosts.get(key)
        if host is None:
            host = self._hosts[key] = Allowance(PER_HOST)
        return host


def _same(held: Assignment, wanted: Assignment) -> bool:
    """Whether the source would be told the same, the same way."""
    if (held.url, held.credentials, held.subscription.type) != (
        wanted.url,
        wanted.credentials,
        wanted.subscription.type,
    ):
        return False
    before, after = held.subscription, wanted.subscription
    if before.delivery != after.delivery:
        return False
    return told(before, held.caller, None).version == told(after, wanted.caller, None).version
