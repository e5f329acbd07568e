"""A pretend Windows machine that waits to be subscribed to: calls in, answers out, without a network.

It serves the EventLog resource as the Event Forwarding plugin does and winrm/config as WinRM does (protocol.md 7, 8,
10, 11). Nothing here waits or sends: what has to wait is handed out as ``Held`` and asked about again. Time arrives
as an argument, in monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypedDict, assert_never

from collector.query.matcher import Matcher
from collector.query.query_list import QueryList, parse_query_list
from collector.query.xpath import QueryError
from collector.simulate import host_openwsman, host_refusals
from collector.simulate.beginning import beginning, bookmark_event, places
from collector.simulate.host_cursor import Cursor, Draught, TooLarge
from collector.simulate.host_nature import HostNature
from collector.simulate.host_push import Pushing, offered
from collector.simulate.host_refusals import Refusal
from collector.simulate.host_resources import Resources
from collector.simulate.host_subscription import Account, HostSubscription
from collector.simulate.log import Record
from collector.simulate.source import Source
from collector.wsman import names
from collector.wsman.answering import (
    write_identify_response,
    write_pull_response,
    write_renew_response,
    write_source_fault,
    write_subscribe_response,
    write_unsubscribe_response,
)
from collector.wsman.asked import (
    Call,
    EnumerateResource,
    Get,
    GetStatus,
    Pull,
    PullResource,
    Renew,
    Subscribe,
    UnknownCall,
    Unsubscribe,
)
from collector.wsman.messages import Header, Identify
from collector.wsman.names import EARLIEST

LEAST_ENVELOPE = 8192
"""Bytes below which a MaxEnvelopeSize is refused ([DSP0226] 13.4)."""
FRAME = 1200
"""Letters of a PullResponse without its events and its bookmark, rounded up."""
ROW = 120
"""Letters of a row of a bookmark, rounded up; there may be one for each channel."""
FORGOTTEN = 256
"""Closed subscriptions that a machine remembers, so that it can say why."""


class _Ids(TypedDict):
    message_id: str
    relates_to: str


@dataclass(frozen=True, slots=True)
class Said:
    """An answer: its envelope, and the name of its fault (``""``: it is none)."""

    text: str
    fault: str = ""


@dataclass(eq=False, slots=True)
class Held:
    """A Pull that waits for events. Ask ``Host.look`` at *wake*, and when the log grows before, if *eager*.

    *room* and *own_room* as in ``Cursor.draw``.
    """

    call: Pull
    subscription: HostSubscription
    until: float
    room: int
    own_room: int
    wake: float
    eager: bool = True


@dataclass(eq=False, slots=True)
class Host:
    """A machine: *source* is its name, its log and its ledger, *nature* what kind it is.

    *now* gives the time for event 111, *new_id* a ``uuid:`` id. *transport*, *port* and *address* are its listener's.
    *user* is whoever the door has let in; its subscriptions are its own.
    """

    source: Source
    nature: HostNature
    now: Callable[[], datetime]
    new_id: Callable[[], str]
    resources: Resources
    profiles: Sequence[str] = ()
    accounts: dict[str, Account] = field(default_factory=dict)
    subscriptions: dict[str, HostSubscription] = field(default_factory=dict)  # by identifier
    pushing: dict[str, Pushing] = field(default_factory=dict)  # by identifier
    reboots: int = 0
    _contexts: dict[str, HostSubscription] = field(default_factory=dict)
    _closed: dict[str, Refusal] = field(default_factory=dict)  # context: why

    def hear(self, call: Call, user: str, now: float, *, wide: bool = False) -> Said | Held | Pushing:
        """The answer to *call*, or what has to be waited for first: events, or the test of a NotifyTo address.

        *wide*: the answer will be spelled in UTF-16, two bytes for each letter.
        """
        match call:
            case Identify():
                return Said(write_identify_response(self.nature.product, self.profiles))
            case Subscribe():
                return self._subscribe(call, user, now)
            case Pull():
                return self._pull(call, user, now, 2 if wide else 1)
            case Unsubscribe():
                return self._unsubscribe(call, user)
            case Renew(header, expires):
                if self.nature.openwsman and header.identifier in self.subscriptions:
                    return Said(write_renew_response(expires or 0.0, **self._ids(header)))
                return self.refuse(host_refusals.UNABLE_TO_RENEW, header)
            case Get() | EnumerateResource() | PullResource():
                answer = self.resources.answer(call, self.new_id())
                return Said(answer) if isinstance(answer, str) else self.refuse(answer, call.header)
            case GetStatus(header):
                return self.refuse(host_refusals.ACTION, header)
            case UnknownCall(header):
                known = header.resource_uri == names.EVENT_LOG or header.resource_uri.startswith(names.CONFIG)
                return self.refuse(host_refusals.ACTION if known else host_refusals.RESOURCE, header)
            case _:
                assert_never(call)

    def look(self, held: Held, now: float) -> Said | Held:
        """The answer to a Pull that waits, or that it waits on."""
        subscription = held.subscription
        if subscription.closed is not None:
            return self.refuse(subscription.closed, held.call.header)
        lingering = not held.eager
        if not lingering and self.nature.linger and not subscription.cursor.at_end:
            held.eager, held.wake = False, min(now + self.nature.linger, held.until)
        if held.eager or now >= held.wake:
            try:
                draught = subscription.cursor.draw(self._most(held.call), held.room, held.own_room)
            except TooLarge:
                subscription.pulling = False
                return self.refuse(host_refusals.ENVELOPE, held.call.header)
            if draught is not None:
                return self._handed(held, draught, now)
            held.eager, held.wake = True, held.until
        if now >= held.until:
            return self._nothing(held, now)
        return held

    def let_go(self, held: Held) -> None:
        """Nobody waits for the answer any more."""
        held.subscription.pulling = False

    def refuse(self, refusal: Refusal, header: Header | None) -> Said:
        """*refusal* as the answer to the call with *header*."""
        text = write_source_fault(
            refusal.name,
            refusal.code,
            refusal.text,
            message_id=self.new_id(),
            relates_to=header.message_id if header is not None else None,
            detail=refusal.detail,
            reason=refusal.reason,
            provider=refusal.provider,
        )
        return Said(text, refusal.name)

    def restart(self) -> None:
        """A reboot: log and accounts stay, subscriptions and contexts are gone."""
        self.reboots += 1
        for subscription in list(self.subscriptions.values()):
            self.source.ledger.lost += subscription.cursor.lost
            subscription.closed = host_refusals.CONTEXT
        self.subscriptions.clear()
        self._contexts.clear()
        self._closed.clear()
        for pushing in list(self.pushing.values()):
            pushing.end()
        self.pushing.clear()

    def close(self, subscription: HostSubscription, why: Refusal = host_refusals.CLOSED) -> None:
        """End *subscription*; its collector is told with its next Pull."""
        subscription.closed = why
        self.source.ledger.lost += subscription.cursor.lost
        self.subscriptions.pop(subscription.identifier, None)
        self._contexts.pop(subscription.context, None)
        self._closed[subscription.context] = why
        while len(self._closed) > FORGOTTEN:
            del self._closed[next(iter(self._closed))]
        self.source.log.stir()  # a Pull may wait

    # Evidence ------------------------------------------------------------------------------------------------------

    @property
    def settled(self) -> bool:
        """Every account has a subscription that has handed over all there is."""
        live = {subscription.account.key for subscription in self.subscriptions.values() if subscription.at_rest}
        pushed = {pushing.account.key for pushing in self.pushing.values() if pushing.reading.settled}
        return bool(self.accounts) and {account.key for account in self._owing()} <= live | pushed

    @property
    def lost(self) -> int:
        """Records that rolled out of the log before anybody drew them."""
        live = sum(subscription.cursor.lost for subscription in self.subscriptions.values())
        return self.source.ledger.lost + live + sum(pushing.reading.lost for pushing in self.pushing.values())

    def owed(self) -> int:
        """Events that the log holds, that were meant for a collector, and that no Pull after them has confirmed."""
        ledger = self.source.ledger
        return sum(
            len(account.owed(self.source.log, lambda sequence, key=account.key: ledger.taken(key, sequence)))  # type: ignore[misc]
            for account in self._owing()
        )

    def excuse(self) -> None:
        """At the end: nobody waits for those any more who have said goodbye."""
        for key in self.accounts.keys() - {account.key for account in self._owing()}:
            self.source.ledger.confirm(key, self.source.ledger.open(key))

    def _owing(self) -> Sequence[Account]:
        """Those that have something coming to them. Who said goodbye has not, as long as somebody else is there.

        Else one look at the machine (``wef pull test``) would be a collector that forgot it.
        """
        staying = [account for account in self.accounts.values() if not account.over]
        return staying or list(self.accounts.values())

    # Calls ---------------------------------------------------------------------------------------------------------

    def _subscribe(self, call: Subscribe, user: str, now: float) -> Said | Pushing:
        refusal, query = self._objection(call, user, now)
        if refusal is not None or query is None:
            return self.refuse(refusal or host_refusals.FILTER, call.header)
        options = dict(call.options)
        matcher = Matcher.compile(query)
        marked = places(call.bookmark)
        if not self.source.subscribed:
            self.source.log.go_on_after(marked or {})
            self.source.before_first()
            self.source.subscribed = True
        if call.delivery.mode != "Pull":
            return self._push(call, user)
        start, fresh = beginning(
            self.source.log,
            call.bookmark,
            query.channels,
            read_existing_events=_on(options, "ReadExistingEvents"),
        )

        def selects(record: Record) -> bool:
            return matcher.selects(record.xml, record.channel)

        account = self._account(f"{user}\0{options.get('SubscriptionName') or call.query}", start, selects)
        if marked is not None:
            self._settle_by(account.key, start)
        greets = fresh and self.nature.greets and not self.nature.openwsman
        cursor = Cursor(
            self.source.log,
            start=start,
            selects=selects,
            size=_size,
            rendered=options.get("ContentFormat") == "RenderedText",
            greeting=bookmark_event(self.source.name, self.now()) if greets else None,
        )
        identifier = self.new_id() if self.nature.openwsman else self.new_id().removeprefix("uuid:")
        heartbeat = call.delivery.heartbeat
        kept = HostSubscription(
            identifier, user, account, cursor, self.new_id(), heartbeat, _on(options, "CDATA"), spoken=now
        )
        self.subscriptions[identifier] = self._contexts[kept.context] = kept
        return Said(self._subscribed(call, identifier, kept.context))

    def _subscribed(self, call: Subscribe, identifier: str, context: str | None) -> str:
        if self.nature.openwsman:
            return host_openwsman.write_subscribe_response(
                call.header.to, identifier, context, **self._ids(call.header)
            )
        return write_subscribe_response(
            manager=call.header.to, identifier=identifier, context=context, **self._ids(call.header)
        )

    def _objection(self, call: Subscribe, user: str, now: float) -> tuple[Refusal | None, QueryList | None]:
        """Why *call* is not followed, else its query."""
        if call.header.resource_uri != names.EVENT_LOG:
            return host_refusals.RESOURCE, None
        if (call.header.max_envelope_size or LEAST_ENVELOPE) < LEAST_ENVELOPE:
            return host_refusals.SMALL_ENVELOPE, None
        self._expire(now)
        users = [*(kept.user for kept in self.subscriptions.values()), *(one.user for one in self.pushing.values())]
        if users.count(user) >= self.nature.operations:
            return host_refusals.quota(self.nature.operations), None
        if call.dialect not in (None, names.EVENT_QUERY):
            return host_refusals.FILTER, None
        if call.bookmark is not None and call.bookmark.strip() != EARLIEST and "BookmarkList" not in call.bookmark:
            return host_refusals.BOOKMARK, None
        try:
            query = parse_query_list(call.query)
        except QueryError:
            return host_refusals.FILTER, None
        return self._channel_objection(query, dict(call.options)), query

    def _channel_objection(self, query: QueryList, options: dict[str, str | None]) -> Refusal | None:
        channels = {channel.lower() for channel in query.channels}
        for bad, refusal in (
            (channels & self.nature.missing, host_refusals.NO_CHANNEL),
            (channels & self.nature.locked, host_refusals.LOCKED_CHANNEL),
        ):
            # IgnoreChannelError lets the others through; where there are no others, nothing can be subscribed
            if bad and (bad == channels or not _on(options, "IgnoreChannelError")):
                return refusal
        return None

    def _push(self, call: Subscribe, user: str) -> Said | Pushing:
        identifier = self.new_id().removeprefix("uuid:")
        reading = self.source.follow(offered(call), self.now())
        if reading is None:
            return self.refuse(host_refusals.FILTER, call.header)
        account = self._account(reading.offer.identifier, reading.start, reading.selects)
        return Pushing(call, user, identifier, account, reading)

    def pushed(self, pushing: Pushing) -> Said:
        """The address of *pushing* has been tested and is good: its subscription begins."""
        self.pushing[pushing.identifier] = pushing
        return Said(self._subscribed(pushing.call, pushing.identifier, None))

    def unusable(self, pushing: Pushing) -> Said:
        """The address of *pushing* cannot be reached."""
        return self.refuse(host_refusals.UNUSABLE_ADDRESS, pushing.call.header)

    def _pull(self, call: Pull, user: str, now: float, width: int) -> Said | Held:
        if call.header.resource_uri != names.EVENT_LOG:
            return self.refuse(host_refusals.RESOURCE, call.header)
        size = call.header.max_envelope_size or self.nature.max_envelope
        if size < LEAST_ENVELOPE:
            return self.refuse(host_refusals.SMALL_ENVELOPE, call.header)
        self._expire(now)
        kept = self._contexts.get(call.context)
        if kept is None or kept.user != user:
            return self.refuse(self._closed.get(call.context, host_refusals.CONTEXT), call.header)
        if kept.pulling:
            return self.refuse(host_refusals.IN_PROGRESS, call.header)
        self.source.ledger.confirm(kept.account.key, kept.handed)
        kept.handed = ()
        kept.pulling = True
        seconds = min(call.header.operation_timeout or self.nature.max_timeout, self.nature.max_timeout)
        until = now + min(seconds, kept.heartbeat or seconds)
        frame = FRAME + ROW * (len(self.source.log.channels) + kept.cursor.channels)
        own_room = self.nature.max_envelope // width - frame
        return self.look(Held(call, kept, until, min(own_room, size // width - frame), own_room, wake=until), now)

    def _unsubscribe(self, call: Unsubscribe, user: str) -> Said:
        identifier = call.header.identifier
        kept = self.subscriptions.get(identifier)
        pushing = self.pushing.get(identifier)
        if kept is not None and kept.user == user:
            kept.account.over = True
            self.close(kept)
        elif pushing is not None and pushing.user == user:
            pushing.account.over = True
            del self.pushing[identifier]
            pushing.end()
        else:
            return self.refuse(host_refusals.NO_SUBSCRIPTION, call.header)
        return Said(write_unsubscribe_response(**self._ids(call.header)))

    # Answers of a Pull ---------------------------------------------------------------------------------------------

    def _handed(self, held: Held, draught: Draught, now: float) -> Said:
        kept, header = held.subscription, held.call.header
        kept.handed = draught.sequences
        self.source.ledger.put_on_wire(kept.account.key, draught.sequences)
        if draught.dropped is not None:
            self.source.ledger.dropped += 1
        context = self._moved_on(kept, now)
        if self.nature.openwsman and draught.events:
            event = draught.events[0]
            return Said(host_openwsman.write_pull_response(event, context, draught.bookmark, **self._ids(header)))
        text = write_pull_response(
            draught.events, context, draught.bookmark, dropped=draught.dropped, cdata=kept.cdata, **self._ids(header)
        )
        return Said(text)

    def _nothing(self, held: Held, now: float) -> Said:
        kept, header = held.subscription, held.call.header
        if self.nature.openwsman or self.nature.quiet == "timedout":
            kept.pulling, kept.spoken = False, now  # the same context stays good (R10.2.9.5-5)
            return self.refuse(host_refusals.TIMED_OUT, header)
        context = self._moved_on(kept, now)
        items = self.nature.quiet != "itemless"
        return Said(write_pull_response((), context, None, items=items, **self._ids(header)))

    def _moved_on(self, kept: HostSubscription, now: float) -> str:
        """The context for the next Pull: a new one, and the old one is dead (captured); openwsman keeps its one."""
        kept.pulling, kept.spoken = False, now
        if not self.nature.openwsman:
            del self._contexts[kept.context]
            kept.context = self.new_id()
            self._contexts[kept.context] = kept
        return kept.context

    def _most(self, call: Pull) -> int:
        return 1 if self.nature.openwsman else max(1, min(call.max_elements, self.nature.max_items))

    # Memory --------------------------------------------------------------------------------------------------------

    def _account(self, key: str, start: dict[str, int], selects: Callable[[Record], bool]) -> Account:
        if key not in self.accounts:
            self.accounts[key] = Account(key, dict(start), selects)
        self.accounts[key].over = False
        return self.accounts[key]

    def _settle_by(self, key: str, start: dict[str, int]) -> None:
        """The bookmark that a collector begins with says what it has."""
        ledger, log = self.source.ledger, self.source.log
        records = ((sequence, log.record(sequence)) for sequence in ledger.open(key))
        ledger.confirm(
            key,
            [at for at, record in records if record is not None and record.record_id <= start.get(record.channel, 0)],
        )

    def _expire(self, now: float) -> None:
        """Close what nobody has pulled for too long ([MS-WSMV] 3.1.4.1.36)."""
        for kept in list(self.subscriptions.values()):
            silent = now - kept.spoken
            if kept.pulling:
                continue
            if silent > self.nature.enumeration_timeout:
                self.close(kept, host_refusals.CONTEXT)
            elif self.nature.strict_heartbeat and kept.heartbeat and silent > kept.heartbeat:
                self.close(kept, host_refusals.SILENT)

    def _ids(self, header: Header) -> _Ids:
        return {"message_id": self.new_id(), "relates_to": header.message_id}


def _size(text: str) -> int:
    """Bytes in UTF-8, which is never less than letters in UTF-16."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def _on(options: dict[str, str | None], name: str) -> bool:
    """Whether the option *name* is given and not false; one without a value means true ([DSP0226] 6.4)."""
    return name in options and (options[name] or "true").strip().lower() != "false"
