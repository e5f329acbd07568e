"""Whom to call for which subscription: the lists of sources as they were when they could last be read.

It reads lists, in threads, and calls nobody. A list that cannot be read removes no source.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from collector import telemetry
from collector.config.pull import PullSettings
from collector.config.settings import CollectorSettings
from collector.model import Caller
from collector.subscriptions.members import Members
from collector.subscriptions.sources import Asks, Resolved, SourceAddress, resolve
from collector.subscriptions.subscription import Subscription
from collector.wire.aside import aside

READERS = 16
"""Subscriptions whose lists are read at the same moment: a directory that does not answer takes minutes."""
CALLED = ("pull", "push")
"""The types of subscriptions whose sources do not come by themselves."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """One source of one subscription. *credentials* is a name of ``[credentials]``, None: none was given."""

    subscription: Subscription
    source: SourceAddress
    url: str
    credentials: str | None

    @property
    def key(self) -> tuple[str, str]:
        return self.subscription.id, self.source.key

    @property
    def caller(self) -> Caller:
        """Who it is when a batch comes from it; what it proves is put in as soon as it is connected to."""
        name = self.source.host.lower().removesuffix(".")
        return Caller(self.source.key, name, name, "pull", "")


class Roster:
    """*secure* are the names of credentials that are a certificate: where they are used, https is meant.

    *default* is used where neither source nor subscription names any. Paths are relative to *base*. *members* are told
    whom each subscription calls.
    """

    def __init__(
        self,
        settings: PullSettings,
        base: Path,
        ask: Asks,
        *,
        secure: frozenset[str] = frozenset(),
        default: str | None = None,
        members: Members | None = None,
    ) -> None:
        self._settings = settings
        self._base = base
        self._ask = ask
        self._secure = secure
        self._default = default
        self._members = members or Members()
        self._known: dict[str, Mapping[str, SourceAddress]] = {}
        self._problems: dict[str, Sequence[str]] = {}
        self._readers = asyncio.Semaphore(READERS)

    async def read(self, subscription: Subscription) -> Sequence[Assignment]:
        """Whom to call for *subscription* now. Never raises for what a list holds."""
        if not subscription.enabled or subscription.type not in CALLED:
            self._known.pop(subscription.id, None)
            self._members.forget(subscription.id)
            return ()
        async with self._readers:
            found = await aside(partial(resolve, subscription.sources, self._base, self._ask))
        self._tell(subscription, found)
        addresses = {address.key: address for address in found.addresses}
        if not found.whole:
            addresses = {**self._known.get(subscription.id, {}), **addresses}
        self._known[subscription.id] = addresses
        self._members.put(subscription.id, addresses.values(), whole=found.whole)
        return list(self.assignments(subscription, addresses.values()))

    def assignments(self, subscription: Subscription, addresses: Iterable[SourceAddress]) -> Iterator[Assignment]:
        """How each of *addresses* is called for *subscription*."""
        settings = self._settings
        for address in addresses:
            credentials = address.credentials or subscription.credentials or self._default
            transport = "https" if credentials in self._secure else "http"
            url = address.url(settings.http_port, settings.https_port, settings.url_prefix, transport)
            yield Assignment(subscription, address, url, credentials)

    def _tell(self, subscription: Subscription, found: Resolved) -> None:
        """Problems are said when they change."""
        if found.problems != self._problems.get(subscription.id, ()):
            self._problems[subscription.id] = found.problems
            if found.problems:
                telemetry.sources_unresolved(subscription.name, found.problems)


def roster_of(settings: CollectorSettings, ask: Asks, members: Members | None = None) -> Roster:
    """As collector.toml says it: the only credentials there are need not be named."""
    credentials = settings.credentials
    return Roster(
        settings.pull,
        Path(settings.subscriptions.path),
        ask,
        secure=frozenset(name for name, one in credentials.items() if one.mechanism == "certificate"),
        default=next(iter(credentials)) if len(credentials) == 1 else None,
        members=members,
    )
