"""One source of a subscription of type push: we ask it to deliver to one of our listeners, and watch that it does.

The deliveries come in as everybody's do, and their Ack is the exchange's. Here is only the asking: Subscribe, Renew
where the source sets an end, Subscribe again when it falls silent, Unsubscribe at the end (protocol.md 7.5).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from collector import telemetry
from collector.evidence.presence import Presences
from collector.pull.book import Page
from collector.pull.conversation import GOODBYE, SUBSCRIBING, Company
from collector.pull.course import FIRST_PAUSE, GREATEST_PAUSE, LONGEST_PAUSE, QUOTA_PAUSE, SETTLED, Setback
from collector.pull.interruption import Interruption, Retired
from collector.pull.line import Line
from collector.pull.turns import Allowance
from collector.pull.verdicts import verdict
from collector.store.base import Presence
from collector.subscriptions.members import ACCOUNT_LETTERS
from collector.subscriptions.offers import delivery_url, make_offer
from collector.subscriptions.subscription import Subscription
from collector.wsman import calls
from collector.wsman.answers import Answer, Renewed, SourceFault, Subscribed
from collector.wsman.messages import Offer

SILENCE = 2
"""Heartbeats without a sign after which a source is asked again; one may be late."""
FRESH = 5.0
"""Seconds for which what was looked up about who delivered is not looked up again."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where sources deliver: scheme, host and port, the security profile of their deliveries, and for https/mutual
    the SHA-1 thumbprint of the CA whose certificate they shall show."""

    base: str
    profile: str | None
    issuer: str | None = None


class Signs:
    """Who delivered what when, by the host names that we call: a source comes as an account or a certificate."""

    def __init__(self, presences: Presences, monotonic: Callable[[], float]) -> None:
        self._presences = presences
        self._monotonic = monotonic
        self._looked = float("-inf")
        self._known: dict[tuple[str, str], list[Presence]] = {}

    def of(self, subscription: str, host: str, address: str = "") -> Presence | None:
        """What is known of *host*, which answered at *address*, on *subscription*: from those who deliver.

        A row that only says how we failed to call it tells nothing.
        """
        if self._monotonic() - self._looked >= FRESH:
            self._known = {}
            for entry in self._presences.all():
                if entry.last_heartbeat is not None or entry.last_event is not None:
                    self._known.setdefault((entry.subscription, _label(entry.key)), []).append(entry)
            self._looked = self._monotonic()
        host = host.lower().removesuffix(".")
        label = host.partition(".")[0]
        found = [
            entry
            for name in dict.fromkeys((label, label[:ACCOUNT_LETTERS]))
            for entry in self._known.get((subscription, name), ())
        ]
        sure = (entry for entry in found if _is(entry.key, host))
        near = (entry for entry in found if address and entry.address == address)
        return next(sure, None) or next(near, None)


class Pushing:
    """*host* is the allowance of this host's conversations; each has a place only while it asks."""

    def __init__(
        self,
        subscription: Subscription,
        line: Line,
        page: Page,
        host: Allowance,
        company: Company,
        destination: Destination,
        signs: Signs,
    ) -> None:
        self.subscription = subscription
        self._line = line
        self._page = page
        self._host = host
        self._company = company
        self._destination = destination
        self._signs = signs
        self._name = page.caller.name
        self._interruption = Interruption()
        self._failures = 0
        self._living: Subscribed | None = None
        self._voice = calls.Voice(line.url, locale=subscription.locale or "en-US")

    def retire(self) -> None:
        """End soon: Unsubscribe, and ``run`` returns."""
        self._interruption.retire()

    def adopt(self, subscription: Subscription) -> None:
        """The subscription changed in nothing that the source is told."""
        self.subscription = subscription

    async def run(self) -> None:
        """Keep the source subscribed until ``retire``."""
        try:
            while True:
                await self._round()
        except Retired:
            await self._part()
        finally:
            self._page.turn(None)
            await self._line.close()

    async def _round(self) -> None:
        """Subscribe, and return when that has to be done again. Raises ``Retired``."""
        trouble: tuple[str, str]
        try:
            answer = await self._asked(self._subscribe)
        except Setback as setback:
            trouble = setback.reason, str(setback)
        else:
            match answer:
                case Subscribed():
                    self._living = answer
                    trouble = await self._watch(answer)
                    await self._part()
                case SourceFault():
                    said = verdict(answer)
                    trouble = said.reason, said.sentence
                case _:
                    trouble = "protocol", f"the source answered something else ({type(answer).__name__})"
        if trouble[0]:
            await self._rest(*trouble)

    async def _watch(self, answer: Subscribed) -> tuple[str, str]:
        """Return when the subscription is over or silent: a reason and a sentence, or none where that is usual."""
        clock, interval = self._company.clock, self.subscription.delivery.heartbeat
        begun = heard = clock.monotonic()
        newest = self._newest()
        renewal = None if answer.expires is None else begun + max(answer.expires * 0.8, GREATEST_PAUSE)
        while True:
            now = clock.monotonic()
            if renewal is not None and now >= renewal:
                expires = await self._renewed(answer)
                if expires is None and now - begun < SETTLED:
                    return "protocol", f"the source subscribes us for {answer.expires:g} s, and does not renew that"
                if expires is None:
                    return "", ""
                renewal = now + max(expires * 0.8, GREATEST_PAUSE)
            sign = self._newest()
            if sign != newest:
                newest, heard, self._failures = sign, now, 0
                self._page.well()
            if now - heard > SILENCE * interval:
                said = f"no delivery and no heartbeat for {now - heard:.0f} s; it is subscribed again"
                return "timeout", said
            self._page.turn("watching")
            until = heard + SILENCE * interval + 1.0 if renewal is None else renewal
            with self._interruption.allowed():
                await self._company.sleep(max(1.0, min(interval / 2, until - now)))

    async def _renewed(self, answer: Subscribed) -> float | None:
        """Seconds that it lives on (``inf``: for ever); None: it has to be subscribed again."""
        try:
            said = await self._asked(lambda message_id: self._renew(answer, message_id))
        except Setback:
            return None
        if isinstance(said, Renewed):
            return float("inf") if said.expires is None else said.expires
        return None  # Windows renews nothing: e:UnableToRenew (protocol.md 7.4)

    async def _part(self) -> None:
        living, self._living = self._living, None
        if living is None:
            return
        with suppress(Setback):  # it will be refused when it delivers
            await self._said(
                lambda message_id: calls.write_unsubscribe(
                    self._voice, living.references, message_id=message_id, timeout=GOODBYE
                ),
                GOODBYE,
            )

    async def _rest(self, reason: str, sentence: str) -> None:
        first = QUOTA_PAUSE if reason == "quota" else FIRST_PAUSE
        pause = min(first * 2.0 ** min(self._failures, 20), LONGEST_PAUSE) * self._company.chance()
        self._failures += 1
        self._recognized()
        self._page.troubled(reason, sentence, pause)
        self._page.turn("resting")
        with self._interruption.allowed():
            await self._company.sleep(pause)

    # Asking --------------------------------------------------------------------------------------------------------

    async def _asked(self, spell: Callable[[str], str]) -> Answer:
        self._page.turn("waiting")
        with self._interruption.allowed():
            await self._host.take(1)
        try:
            self._page.turn("subscribing")
            with self._interruption.allowed(self._company.grace):
                return await self._said(spell, SUBSCRIBING)
        finally:
            self._host.give(1)

    async def _said(self, spell: Callable[[str], str], timeout: float) -> Answer:
        """One question on a connection of its own: there is nothing more to say for hours."""
        message_id = self._company.new_id()
        try:
            async with self._company.gate.passing():
                answer, _ = await self._line.ask(spell(message_id), message_id, timeout + self._company.network_delay)
        finally:
            await self._line.close()
        telemetry.pull_answered("fault" if isinstance(answer, SourceFault) else "other")
        return answer

    def _subscribe(self, message_id: str) -> str:
        offer = self._offer()
        self._voice = replace(self._voice, max_envelope_size=offer.max_envelope_size, options=calls.options_of(offer))
        return calls.write_subscribe_push(self._voice, offer, message_id=message_id, timeout=SUBSCRIBING)

    def _renew(self, answer: Subscribed, message_id: str) -> str:
        return calls.write_renew(
            self._voice, answer.references, answer.expires or 0.0, message_id=message_id, timeout=SUBSCRIBING
        )

    def _offer(self) -> Offer:
        """Under the key by which the source delivers, as soon as that is known."""
        subscription, destination = self.subscription, self._destination
        known = self._recognized()
        caller = replace(self._page.caller, issuer=destination.issuer)
        bookmark = self._company.corridor.store.bookmark(known.key, subscription.id) if known is not None else None
        notify_to = delivery_url(destination.base, subscription)
        return make_offer(subscription, caller, notify_to, destination.profile, bookmark)

    def _recognized(self) -> Presence | None:
        """What is known of its deliveries; then it is one row under the key by which it delivers."""
        known = self._signs.of(self.subscription.id, self._name, self._line.address)
        if known is not None:
            self._page.caller = replace(self._page.caller, key=known.key, name=known.source)
        return known

    def _newest(self) -> datetime | None:
        known = self._signs.of(self.subscription.id, self._name, self._line.address)
        if known is None:
            return None
        return max((sign for sign in (known.last_event, known.last_heartbeat) if sign is not None), default=None)


def _label(key: str) -> str:
    """The first label of whoever delivers under *key*."""
    return _account(key)[0].partition(".")[0]


def _account(key: str) -> tuple[str, str]:
    """Name and realm: ``PC01$@CORP.EXAMPLE`` is pc01 in corp.example; the name of a certificate has no realm."""
    name, _, realm = key.lower().rpartition("@")
    return (name.removeprefix("host/").removesuffix("$"), realm) if name else (realm, "")


def _is(key: str, host: str) -> bool:
    """Whether the machine that delivers under *key* is the one that is called *host*.

    A domain has no two accounts of one name, and its machines' DNS names end in its own name or in one below it
    nearly always; where they do not, the address decides.
    """
    name, realm = _account(key)
    if host in (name, name.partition(".")[0]) or (realm and host[:ACCOUNT_LETTERS] == name and "." not in host):
        return True
    return bool(realm) and "." not in name and f".{host.partition('.')[2]}".endswith(f".{realm}")
