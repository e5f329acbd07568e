"""What the collector answers, and to whom."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import orjson
from structlog.testing import capture_logs

from collector.model import Records
from collector.sinks.base import Rejection
from collector.subscriptions.folder import SubscriptionSet
from collector.subscriptions.subscription import Subscription
from collector.wsman import names
from collector.wsman.messages import (
    Ack,
    Delivery,
    End,
    Enumerate,
    EnumerateResponse,
    Fault,
    Heartbeat,
    Identify,
    IdentifyResponse,
    NoContent,
    SubscriptionEnd,
    Unsupported,
)
from tests.delivery.conversation import NARROW, PC, QUERY, Corridor, batch, bookmark, header
from tests.delivery.test_bookmarks import BACKWARD, MARKER
from tests.routing.scripted_sink import ScriptedSink


class RevisionSink(ScriptedSink):
    """Remembers the revision in each document."""

    format = "winlogbeat"

    def __init__(self) -> None:
        super().__init__()
        self.revisions: list[str] = []

    async def write(self, records: Records) -> Sequence[Rejection]:
        self.revisions += [
            orjson.loads(records.record(row))["wef"]["subscription"]["revision"] for row in range(len(records))
        ]
        return await super().write(records)


async def test_a_source_is_offered_what_is_meant_for_it(tmp_path: Path) -> None:
    """NotifyTo names the listener it came to, the policy names the CA of its own certificate."""
    reply = await Corridor(tmp_path, ScriptedSink()).say(Enumerate(header(), 32000))

    assert isinstance(reply, EnumerateResponse)
    (offer,) = reply.offers
    assert offer.notify_to == "https://wec.corp.example:5986/wsman/subscriptions/11111111-2222-3333-4444-555555555555"
    assert (offer.profile, offer.issuer) == ("https/mutual", PC.issuer)
    assert offer.bookmark is None


async def test_a_source_is_offered_its_own_bookmark(tmp_path: Path) -> None:
    """It resumes after it, without replay and without gap ([DSP0226] R10.2.6-4)."""
    corridor = Corridor(tmp_path, ScriptedSink())
    await corridor.say(batch(1, 2))

    reply = await corridor.say(Enumerate(header(), 32000))

    assert isinstance(reply, EnumerateResponse)
    assert reply.offers[0].bookmark == bookmark(2)


async def test_a_source_nothing_is_meant_for_gets_an_empty_list(tmp_path: Path) -> None:
    """contract.md 5: HTTP 200 and no items, not a refusal; the log says why, because the source cannot."""
    corridor = Corridor(tmp_path, ScriptedSink())
    corridor.subscriptions = SubscriptionSet((NARROW,))

    with capture_logs() as said:
        assert await corridor.say(Enumerate(header(), 32000)) == EnumerateResponse([], [])

    (line,) = [line for line in said if line["event"] == "nothing offered"]
    assert line["source"] == PC.name
    assert line["reasons"] == ["narrow: [audience] does not name it, or denies it"]


async def test_what_is_not_meant_for_a_source_is_refused_and_noted(tmp_path: Path) -> None:
    """DeliveryRefused makes Windows cancel the subscription; the operator sees why."""
    corridor = Corridor(tmp_path, sink := ScriptedSink())
    corridor.subscriptions = SubscriptionSet((NARROW,))

    assert await corridor.say(batch(1)) == Fault("w:DeliveryRefused")
    assert await corridor.say(Heartbeat(header())) == Fault("w:DeliveryRefused")

    assert sink.called == []
    assert "not meant for" in corridor.presences.all()[0].last_refusal


async def test_a_made_up_identifier_is_refused_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """Otherwise a source could fill our memory with subscriptions that never were."""
    corridor = Corridor(tmp_path, ScriptedSink())
    corridor.subscriptions = SubscriptionSet(())

    assert await corridor.say(batch(1)) == Fault("w:DeliveryRefused")

    assert list(corridor.presences.all()) == []


async def test_heartbeats_and_ends_are_acknowledged(tmp_path: Path) -> None:
    """A source that gets no Ack for its heartbeat thinks that the collector is gone."""
    corridor = Corridor(tmp_path, ScriptedSink())

    assert await corridor.say(Heartbeat(header(version="AAAA"))) == Ack()
    assert await corridor.say(SubscriptionEnd(header(), "SourceShuttingDown", 1717, "plugin failed")) == Ack()
    assert await corridor.say(End(header())) == NoContent()

    (presence,) = corridor.presences.all()
    assert presence.last_heartbeat is not None
    assert presence.version == "AAAA"
    assert "1717" in presence.last_refusal


async def test_event_111_alone_is_no_log_event(tmp_path: Path) -> None:
    """Its bookmark is kept, it reaches no sink and counts as a sign of life."""
    corridor = Corridor(tmp_path, sink := ScriptedSink())

    assert await corridor.say(Delivery(header(), [MARKER], BACKWARD)) == Ack()

    assert sink.called == []
    assert corridor.bookmark() == BACKWARD


async def test_event_111_after_a_reconnect_does_not_cost_the_events_in_between(tmp_path: Path) -> None:
    """The open bug of another collector (protocol.md 6.5.1)."""
    corridor = Corridor(tmp_path, ScriptedSink())
    await corridor.say(batch(1000))

    await corridor.say(Delivery(header(), [MARKER], BACKWARD))

    assert corridor.bookmark() == bookmark(1000)


async def test_dropped_events_are_counted_as_evidence(tmp_path: Path) -> None:
    """The only word a source ever says about its own losses."""
    corridor = Corridor(tmp_path, ScriptedSink())

    await corridor.say(batch(1, dropped=3))
    await corridor.say(batch(2, dropped=5))

    assert corridor.presences.all()[0].dropped == 5


async def test_the_limits_of_the_source_bound_the_answer(tmp_path: Path) -> None:
    """[DSP0226] R8.2.3-3 and MaxEnvelopeSize: an answer it cannot take is no answer."""
    corridor = Corridor(tmp_path, ScriptedSink())
    many = tuple(Subscription(f"s{n}", f"00000000-0000-0000-0000-{n:012}", QUERY) for n in range(20))
    corridor.subscriptions = SubscriptionSet(many)

    by_number = await corridor.say(Enumerate(header(), 3))
    by_size = await corridor.say(Enumerate(header(max_envelope_size=20000), 32000))
    too_small = await corridor.say(Enumerate(header(max_envelope_size=100), 32000))

    assert isinstance(by_number, EnumerateResponse)
    assert [offer.name for offer in by_number.offers] == ["s0", "s1", "s2"]
    assert isinstance(by_size, EnumerateResponse)
    assert 0 < len(by_size.offers) < 20
    assert isinstance(too_small, Fault)
    assert too_small.name == "w:EncodingLimit"


async def test_the_revision_a_source_echoes_is_the_one_its_events_carry(tmp_path: Path) -> None:
    """It tells under which revision of the query an event was collected, also after the next change."""
    sink = RevisionSink()
    corridor = Corridor(tmp_path, sink)

    await corridor.say(batch(1, revision="r0"))
    await corridor.say(batch(2))

    assert sink.revisions == ["r0", "r1"]


async def test_identify_tells_strangers_less_than_callers(tmp_path: Path) -> None:
    """[DSP0226] R11-6."""
    corridor = Corridor(tmp_path, ScriptedSink())

    known = await corridor.say(Identify())
    assert isinstance(known, IdentifyResponse)
    assert known.profiles == ("https/mutual",)
    assert corridor.exchange.identify_anonymously() == IdentifyResponse("wef-collector", "", ())


async def test_what_is_not_served_gets_the_fault_that_the_protocol_names(tmp_path: Path) -> None:
    """contract.md 5 and protocol.md 8.3."""
    corridor = Corridor(tmp_path, ScriptedSink())

    async def fault(action: str) -> str:
        said = header()
        reply = await corridor.say(Unsupported(type(said)(action, said.message_id)))
        assert isinstance(reply, Fault)
        return reply.name

    assert await fault(names.PULL) == "n:InvalidEnumerationContext"
    assert await fault(names.RENEW) == "e:UnableToRenew"
    assert await fault(names.TRANSFER + "/Get") == "a:DestinationUnreachable"
    assert await fault("urn:made-up") == "a:ActionNotSupported"


async def test_a_header_that_must_be_understood_and_is_not_gets_its_fault(tmp_path: Path) -> None:
    """[DSP0226] 14.3; serving it anyway could mean something else than the sender thinks."""
    reply = await Corridor(tmp_path, ScriptedSink()).say(Enumerate(header(not_understood=[("urn:x", "Y")]), 1))

    assert reply == Fault("s:MustUnderstand", header=("urn:x", "Y"))


async def test_an_enumerate_of_another_resource_is_unreachable(tmp_path: Path) -> None:
    """There is one thing to enumerate here."""
    reply = await Corridor(tmp_path, ScriptedSink()).say(Enumerate(header(resource_uri="urn:other"), 1))

    assert reply == Fault("a:DestinationUnreachable", detail="InvalidResourceURI")
