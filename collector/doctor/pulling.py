"""A rehearsal of a pull: from a machine's name to its events, step by step, and taken back at the end.

It saves no bookmark, so no subscription that runs is disturbed; what it leaves is what the machine logs about it. It
decides nothing for the collector, whose own pulling it cannot see.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field

from collector.clock import Clock, timestamp
from collector.doctor.asking import Asking, Unbelievable
from collector.doctor.remote import NO_WINRM, Kind, of_fault, of_trouble
from collector.kernel.fields import Unreadable, read_event
from collector.wire import remedies
from collector.wire.connection import Connection, Ways
from collector.wire.hosts import Hosts, Place
from collector.wire.trouble import Trouble
from collector.wsman import calls, names
from collector.wsman.answers import Answer, Got, IdentifyResponse, Pulled, SourceFault, Subscribed, Unsubscribed
from collector.wsman.config_resource import ConfigNode, parse_config
from collector.wsman.messages import Offer
from collector.wsman.xml import XmlError

SHORT = 20.0
"""Seconds that the machine has for everything but a Pull."""
WAITING = 5.0
"""OperationTimeout of a Pull in seconds: nobody who looks on waits longer for a sign of life."""
QUICK, PAUSE = 0.5, 1.0
"""An empty answer that came sooner did not wait for events; then we wait."""
MOST = 1000
"""Events of one Pull."""
GREETING = ("111", "Microsoft-Windows-EventForwarder")
"""The artificial first event of a subscription without a bookmark (protocol.md 6.5.1)."""
QUIET = ("w:TimedOut", "n:TimedOut")
QUIET_CODE = 0x80338029
ANONYMOUSLY = {"WSMANIDENTIFY": "unauthenticated"}  # [MS-WSMV] 3.1.4.1.23
LEAST_ENVELOPE, LEAST_PATIENCE = 512_000, 60_000
"""What we would like of MaxEnvelopeSizekb (bytes) and EnumerationTimeoutms."""


@dataclass(frozen=True, slots=True)
class Step:
    """*name* is what was tried, *text* what was seen or what is wrong, *remedy* what would be right.

    *kind* None: it is as it should be.
    """

    name: str
    text: str
    remedy: str = ""
    kind: Kind | None = None
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """An event that was pulled; *time* as it was written. An XML text that is none has its beginning as *provider*."""

    time: str
    channel: str
    event_id: str
    computer: str
    provider: str
    record: str


@dataclass(frozen=True, slots=True)
class Far:
    """The machine to call. *context* is what TLS is made with, None for http; *proves* as in ``wire.access.Access``."""

    url: str
    host: str
    port: int
    context: ssl.SSLContext | None
    proves: str
    mechanism: str


@dataclass
class Rehearsal:
    """One machine, one query. *connect* makes a connection that proves who we are; *seconds* is how long to pull."""

    far: Far
    connect: Callable[[], Connection]
    offer: Offer
    seconds: float
    network_delay: float
    clock: Clock
    new_id: Callable[[], str]
    _address: str = field(default="", init=False)
    _places: Sequence[Place] = field(default=(), init=False)
    _counted: int = field(default=0, init=False)

    async def steps(self) -> AsyncGenerator[Step | Seen, None]:
        """Each step as soon as it is made; a step that cannot be passed is the last."""
        for step in (self._name, self._door, self._tls, self._introduction):
            made = await step()
            if made is not None:
                yield made
                if made.kind is not None:
                    return
        asking = self._asking(self.connect())
        try:
            made = await self._authentication(asking)
            yield made
            if made.kind is not None:
                return
            yield await self._settings(asking)
            async with aclosing(self._subscription(asking)) as rest:  # whoever stops looking stops it too
                async for seen in rest:
                    yield seen
        finally:
            await asking.connection.close()

    # The way there -------------------------------------------------------------------------------------------------

    async def _name(self) -> Step:
        hosts = Hosts(1)
        try:
            async with asyncio.timeout(SHORT):
                places = await hosts.places(self.far.host, self.far.port)
        except OSError as error:
            return _lost("name", remedies.of_lookup(error), self.far.url)
        finally:
            hosts.close()
        self._places = places
        addresses = ", ".join(dict.fromkeys(str(place.address[0]) for place in places))
        return Step("name", f"{self.far.host} is {addresses}" if addresses != self.far.host else f"{addresses}")

    async def _door(self) -> Step:
        failure: OSError = OSError("it has no address")
        for place in self._places:
            try:
                async with asyncio.timeout(SHORT / len(self._places)):
                    _, writer = await _opened(place)
            except OSError as error:
                failure = error
                continue
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
            self._address = str(place.address[0])
            return Step("port", f"{self._address} port {self.far.port} is open")
        return _lost("port", remedies.of_connect(failure), self.far.url)

    async def _tls(self) -> Step | None:
        if self.far.context is None:
            return None
        place = next(place for place in self._places if place.address[0] == self._address)
        try:
            shown = await _served(place, self.far.context, self.far.host)
        except OSError as error:
            found = _lost("TLS", remedies.of_handshake(error), self.far.url)
            if not isinstance(error, ssl.SSLCertVerificationError):
                return found
            with suppress(OSError, ValueError):
                blind = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                blind.check_hostname, blind.verify_mode = False, ssl.CERT_NONE  # to look at it; nothing is said there
                shown = await _served(place, blind, self.far.host)
                return Step("TLS", f"{found.text}. It serves: {_facts(shown)}", found.remedy, found.kind)
            return found
        return Step("TLS", f"the certificate is good for {self.far.host}: {_facts(shown)}")

    async def _introduction(self) -> Step | None:
        """Who it is, without any proof; Windows tells everybody."""
        bare = Connection(self.far.url, context=self.far.context, prove=None, timeout=SHORT, ways=Ways(patience=SHORT))
        async with bare:
            try:
                answer = await self._asking(bare).ask(
                    lambda _: calls.write_identify(), timeout=SHORT, related=False, headers=ANONYMOUSLY
                )
            except Unbelievable as error:
                if error.status == 401:
                    return Step("identify", "it tells nobody who it is without a proof, which is no harm")
                return Step("identify", str(error), NO_WINRM, "wrong")
            except Trouble as trouble:
                kind, remedy = of_trouble(trouble, self.far.mechanism)
                if self.far.mechanism == "certificate":  # it may be our certificate that it wants, also for this
                    return Step("identify", f"not without a proof: {trouble}", remedy, warning=True)
                return Step("identify", str(trouble), remedy, kind)
        if isinstance(answer, IdentifyResponse):
            return Step("identify", f"{answer.vendor or 'somebody'} {answer.version}".rstrip())
        return _unexpected("identify", answer)

    # Who we are ----------------------------------------------------------------------------------------------------

    async def _authentication(self, asking: Asking) -> Step:
        try:
            answer = await asking.ask(lambda _: calls.write_identify(), timeout=SHORT, related=False)
        except (Trouble, Unbelievable) as error:
            return _failed("authentication", error, self.far.mechanism)
        if not isinstance(answer, IdentifyResponse):
            return _unexpected("authentication", answer)
        proven = f"; it has proven to be {self.far.proves}" if self.far.proves else "; it need not prove who it is"
        how = {
            "kerberos": f"by Kerberos{proven}",
            "negotiate": f"by Negotiate{proven}",
            "certificate": "by our certificate",
            "none": "without a proof, which only loopback may do",
        }[self.far.mechanism]
        sealed = "" if self.far.context is not None or self.far.mechanism == "none" else "; what is said is sealed"
        offered = f"; it takes {', '.join(answer.profiles)}" if answer.profiles else ""
        return Step("authentication", f"we are let in {how}{sealed}{offered}")

    async def _settings(self, asking: Asking) -> Step:
        """winrm/config, which only administrators may read; pull does without."""
        voice = calls.Voice(self.far.url, names.CONFIG)
        try:
            answer = await asking.ask(
                lambda message_id: calls.write_get(voice, (), message_id=message_id, timeout=SHORT), timeout=SHORT
            )
        except (Trouble, Unbelievable) as error:
            return Step("settings", f"winrm/config cannot be read: {error}", warning=True)
        if isinstance(answer, SourceFault):
            kind, said, _ = of_fault(answer)
            denied = "this account may not read winrm/config, which takes an administrator"
            reason = denied if kind == "denied" else said
            unknown = "MaxEnvelopeSizekb, MaxBatchItems, EnumerationTimeoutms and the quotas stay unknown"
            return Step("settings", f"{reason}. Pulling does without: {unknown}", warning=kind != "denied")
        try:
            config = parse_config(answer.document) if isinstance(answer, Got) else None
        except XmlError as error:
            return Step("settings", f"winrm/config is no XML that can be read: {error}", warning=True)
        return _unexpected("settings", answer) if config is None else self._judged(config)

    def _judged(self, config: ConfigNode) -> Step:
        envelope = config.value("MaxEnvelopeSizekb")
        patience = config.value("Service/EnumerationTimeoutms")
        facts = {
            "MaxEnvelopeSizekb": envelope,
            "MaxBatchItems": config.value("MaxBatchItems"),
            "EnumerationTimeoutms": patience,
            "MaxConcurrentOperationsPerUser": config.value("Service/MaxConcurrentOperationsPerUser"),
            "AllowUnencrypted": config.value("Service/AllowUnencrypted"),
        }
        text = ", ".join(f"{name} {value}" for name, value in facts.items() if value)
        if envelope.isdigit() and int(envelope) * 1024 < LEAST_ENVELOPE:
            remedy = 'Answers will be small; there: winrm set winrm/config @{MaxEnvelopeSizekb="500"}'
            return Step("settings", text, remedy, warning=True)
        if patience.isdigit() and int(patience) < LEAST_PATIENCE:
            remedy = 'It forgets us quickly; there: winrm set winrm/config/service @{EnumerationTimeoutms="240000"}'
            return Step("settings", text, remedy, warning=True)
        return Step("settings", text or "winrm/config can be read, and says nothing of what we look for")

    # Events --------------------------------------------------------------------------------------------------------

    async def _subscription(self, asking: Asking) -> AsyncGenerator[Step | Seen, None]:
        offer = self.offer
        voice = calls.Voice(self.far.url, max_envelope_size=offer.max_envelope_size, options=calls.options_of(offer))
        try:
            answer = await asking.ask(
                lambda said: calls.write_subscribe_pull(voice, offer, message_id=said, timeout=SHORT), timeout=SHORT
            )
        except (Trouble, Unbelievable) as error:
            yield _failed("subscribe", error, self.far.mechanism)
            return
        if not isinstance(answer, Subscribed) or answer.context is None:
            yield _unexpected("subscribe", answer)
            return
        yield Step("subscribe", "it takes the query and lets this account read the channels")
        try:
            async with aclosing(self._pulled(asking, voice, answer.references, answer.context)) as pulled:
                async for made in pulled:
                    yield made
        finally:
            gone = await self._taken_back(asking, voice, answer.references)
        yield gone

    async def _pulled(
        self, asking: Asking, voice: calls.Voice, references: Sequence[str], context: str
    ) -> AsyncGenerator[Step | Seen, None]:
        began = self.clock.monotonic()
        ends, greeted, newest = began + self.seconds, False, ""
        while (left := ends - self.clock.monotonic()) > 0:
            asked, at, waiting = self.clock.monotonic(), context, min(left, WAITING)

            def write(said: str, at: str = at, waiting: float = waiting) -> str:
                return calls.write_pull(
                    voice, at, references, message_id=said, timeout=max(0.5, waiting), max_elements=MOST
                )

            try:
                answer = await asking.ask(write, timeout=waiting)
            except (Trouble, Unbelievable) as error:
                yield _failed("pull", error, self.far.mechanism)
                return
            if isinstance(answer, SourceFault) and not _quiet(answer):
                yield _unexpected("pull", answer)
                return
            if isinstance(answer, Pulled):
                context = answer.context or context
                for piece in answer.pieces:
                    seen = _seen(piece)
                    if (seen.event_id, seen.provider) == GREETING:
                        greeted = True
                        continue
                    self._counted += 1
                    newest = max(newest, seen.time)
                    yield seen
                if answer.pieces:
                    continue
            if self.clock.monotonic() - asked < QUICK:
                await asyncio.sleep(min(PAUSE, max(0.0, ends - self.clock.monotonic())))
        yield self._summed(greeted, newest)

    def _summed(self, greeted: bool, newest: str) -> Step:
        told = f"{self._counted} event{'s' if self._counted != 1 else ''} in {self.seconds:g} s"
        if self._counted:
            return Step("pull", f"{told}, the newest of {newest}; here it is {timestamp(self.clock.now())}")
        hello = ", but its greeting (event 111)" if greeted else ""
        nothing = "nothing was logged meanwhile, or nothing that the query selects"
        return Step("pull", f"{told}{hello}: {nothing}", warning=True)

    async def _taken_back(self, asking: Asking, voice: calls.Voice, references: Sequence[str]) -> Step:
        try:
            answer = await asking.ask(
                lambda said: calls.write_unsubscribe(voice, references, message_id=said, timeout=SHORT), timeout=SHORT
            )
        except (Trouble, Unbelievable) as error:
            return _forgotten_later(str(error))
        if isinstance(answer, Unsubscribed):
            return Step("unsubscribe", "the machine has forgotten us")
        said = of_fault(answer)[1] if isinstance(answer, SourceFault) else type(answer).__name__
        return _forgotten_later(f"it answers {said}")

    def _asking(self, connection: Connection) -> Asking:
        return Asking(self.far.url, connection, self.new_id, self.network_delay)


_NO_EVENTS = (
    "It has no event log to subscribe to. Is it a Windows machine, and no collector? There: winrm get"
    ' winrm/config/plugin?Name="Event Forwarding Plugin" (Enabled = true).'
)


async def _opened(place: Place) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(place.address[0], place.address[1], family=place.family)


async def _served(place: Place, context: ssl.SSLContext, host: str) -> bytes:
    """The certificate that is served there, in DER."""
    async with asyncio.timeout(SHORT):
        _, writer = await asyncio.open_connection(
            place.address[0], place.address[1], family=place.family, ssl=context, server_hostname=host.rstrip(".")
        )
    try:
        shown: bytes = writer.get_extra_info("ssl_object").getpeercert(True)
        return shown
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def _facts(shown: bytes) -> str:
    """Raises ``ValueError`` for what OpenSSL takes and others do not."""
    from cryptography import x509

    from collector.auth.certificate import names_of

    leaf = x509.load_der_x509_certificate(shown)
    named = ", ".join(names_of(leaf)[:5]) or "no name"
    ends = leaf.not_valid_after_utc.date().isoformat()
    return f"{named}; issued by {leaf.issuer.rfc4514_string()}, until {ends}"


def _forgotten_later(said: str) -> Step:
    return Step("unsubscribe", f"{said.rstrip('.?')}. It forgets us in a few minutes by itself", warning=True)


def _lost(name: str, found: remedies.Finding, url: str) -> Step:
    trouble = Trouble(found.reason, found.said, sent=False)
    kind, remedy = of_trouble(trouble)
    return Step(name, f"{url}: {found.said}", remedy, kind)


def _failed(name: str, error: Trouble | Unbelievable, mechanism: str) -> Step:
    if isinstance(error, Unbelievable):
        return Step(name, str(error), NO_WINRM, "denied" if error.status in (401, 403) else "wrong")
    kind, remedy = of_trouble(error, mechanism)
    return Step(name, str(error), remedy, kind)


def _unexpected(name: str, answer: Answer) -> Step:
    if isinstance(answer, SourceFault):
        kind, said, remedy = of_fault(answer)
        missing = name == "subscribe" and answer.name in ("a:ActionNotSupported", "a:DestinationUnreachable")
        return Step(name, f"it answers {said}", _NO_EVENTS if missing else remedy, kind)
    return Step(name, f"it answers something else ({type(answer).__name__})", NO_WINRM, "wrong")


def _quiet(fault: SourceFault) -> bool:
    return fault.name in QUIET or (fault.code is not None and fault.code % 2**32 == QUIET_CODE)


def _seen(piece: str) -> Seen:
    try:
        event = read_event(piece)
    except Unreadable:
        return Seen("", "", "", "", piece[:60], "")
    return Seen(event.time or "", event.channel, event.event_id, event.computer, event.provider_name, event.record_id)
