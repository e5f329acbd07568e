"""A pretend machine that is pulled from, over real sockets: what protocol.md 7 says of Windows, and of openwsman."""

from __future__ import annotations

import asyncio

import pytest

from collector.clock import ManualClock
from collector.simulate.host_manners import HostManners
from collector.simulate.host_nature import HostNature
from collector.wire.trouble import Trouble
from collector.wsman import calls, names
from collector.wsman.answers import Enumerated, Got, Pulled, SourceFault, Subscribed, Unsubscribed
from collector.wsman.config_resource import parse_config
from collector.wsman.messages import IdentifyResponse
from tests.simulate.caller import OFFER, record_numbers, standing


async def test_a_subscription_without_a_bookmark_begins_now_and_says_so() -> None:
    """Event 111 alone, whose bookmark marks where "now" is; what was before it is nobody's."""
    async with standing() as stand:
        stand.happen(3)
        caller = stand.caller()
        subscribed = await caller.subscribe()
        greeting = await caller.pulled()
        stand.happen(2)
        pulled = await caller.pulled()

    assert isinstance(subscribed, Subscribed)
    assert subscribed.expires is None
    assert "<EventID>111</EventID>" in greeting.pieces[0]
    assert greeting.bookmark is not None
    assert 'Direction="backward"' in greeting.bookmark
    newest = stand.log.newest("System")
    assert record_numbers(pulled) == [newest - 1, newest]
    assert pulled.bookmark is not None
    assert f'RecordId="{newest}"' in pulled.bookmark


async def test_the_next_pull_confirms_what_the_last_one_took() -> None:
    """There is no Ack in pull: only the next Pull says that the events are safe."""
    async with standing() as stand:
        caller = stand.caller()
        await caller.subscribe(read_existing_events=True)
        stand.happen(4)
        await caller.pulled(most=3)
        assert stand.host.source.ledger.acknowledged == 0
        await caller.pulled(most=3)
        assert stand.host.source.ledger.acknowledged == 3
        assert stand.host.owed() == 1
        await caller.pulled()

        assert stand.host.settled
        assert stand.host.owed() == 0


async def test_who_looks_in_and_says_goodbye_is_owed_nothing_while_somebody_else_is_there() -> None:
    """``wef pull test`` beside a collector; a collector that is stopped comes again, and gets what it is owed."""
    async with standing() as stand:
        collector, visitor = stand.caller(), stand.caller()
        await collector.subscribe(read_existing_events=True)
        await visitor.subscribe(name="rehearsal", read_existing_events=True)
        stand.happen(4)
        await visitor.pulled(most=2)
        await visitor.unsubscribe()
        await collector.pulled()
        await collector.pulled()
        assert (stand.host.settled, stand.host.owed()) == (True, 0)
        ledger = stand.host.source.ledger
        assert (ledger.sent, ledger.acknowledged) == (4, 2)
        stand.host.excuse()
        assert (ledger.sent, ledger.acknowledged) == (4, 4)

        stand.happen(1)
        await collector.unsubscribe()
        stand.host.excuse()
        assert (stand.host.settled, stand.host.owed() > 0) == (False, True)


async def test_the_context_is_new_in_every_answer_and_the_old_one_is_dead() -> None:
    """A collector that says a Pull once more must not get the next batch for it."""
    async with standing() as stand:
        stand.happen(2)
        caller = stand.caller()
        await caller.subscribe(read_existing_events=True)
        first = caller.context
        await caller.pulled(most=1)
        again = await caller.pull(context=first)
        rest = await caller.pulled()

    assert isinstance(again, SourceFault)
    assert (again.name, again.code) == ("n:InvalidEnumerationContext", 2150858779)
    assert len(rest.pieces) == 1


async def test_a_bookmark_resumes_behind_each_record_and_confirms_all_before_it() -> None:
    """Nothing again and nothing left out, by channel."""
    async with standing() as stand:
        stand.happen(3)
        stand.happen(2, "Security")
        caller = stand.caller()
        await caller.subscribe(read_existing_events=True)
        bookmark = (await caller.pulled(most=4)).bookmark
        second = stand.caller()
        await second.subscribe(bookmark=bookmark)
        assert stand.host.source.ledger.acknowledged == 4
        stand.happen(1)
        pulled = await second.pulled()

    assert record_numbers(pulled) == [stand.log.newest("Security"), stand.log.newest("System")]
    assert stand.host.source.ledger.duplicates == 0


async def test_a_pull_waits_for_events_and_is_answered_when_there_is_one() -> None:
    """Else a quiet machine would be asked all day, or an event would lie until the next heartbeat."""
    async with standing() as stand:
        caller = stand.caller()
        await caller.subscribe(read_existing_events=True)
        waiting = asyncio.create_task(caller.pulled(timeout=30.0))
        await stand.manners.met("pull")
        stand.happen(1)
        async with asyncio.timeout(5.0):
            pulled = await waiting

    assert len(pulled.pieces) == 1


@pytest.mark.parametrize(("quiet", "items"), [("empty", True), ("itemless", False)])
async def test_nothing_now_has_two_forms_with_a_new_context(quiet: str, items: bool) -> None:
    """protocol.md 7.2: empty n:Items, or none at all."""
    async with standing(nature=HostNature(quiet=quiet)) as stand:
        caller = stand.caller()
        await caller.subscribe(read_existing_events=True)
        before = caller.context
        pulled = await caller.pulled(timeout=0.01)

    assert not pulled.pieces
    assert pulled.bookmark is None
    assert caller.context != before


async def test_nothing_now_may_be_a_fault_and_the_context_stays_good() -> None:
    """R10.2.9.5-5: w:TimedOut is no end."""
    async with standing(nature=HostNature(quiet="timedout")) as stand:
        caller = stand.caller()
        await caller.subscribe(read_existing_events=True)
        quiet = await caller.pull(timeout=0.01)
        stand.happen(1)
        pulled = await caller.pulled()

    assert isinstance(quiet, SourceFault)
    assert (quiet.name, quiet.code) == ("w:TimedOut", 2150858793)
    assert len(pulled.pieces) == 1


async def test_two_pulls_at_once_are_one_too_many() -> None:
    """0x80338006: one Pull at a time per subscription."""
    async with standing() as stand:
        caller, other = stand.caller(), stand.caller()
        await caller.subscribe(read_existing_events=True)
        waiting = asyncio.create_task(caller.pulled(timeout=30.0))
        await stand.manners.met("pull")
        second = await other.pull(context=caller.context)
        stand.happen(1)
        await waiting

    assert isinstance(second, SourceFault)
    assert second.code == 2150858758


@pytest.mark.parametrize(("charset", "fit"), [("UTF-8", 4), ("UTF-16", 2)])
async def test_events_that_do_not_fit_wait_for_the_next_envelope(charset: str, fit: int) -> None:
    """MaxEnvelopeSize of the request is obeyed, in the charset of the answer."""
    async with standing() as stand:
        for _ in range(8):
            stand.log.append(
                "System", lambda number: f"<Event><EventRecordID>{number}</EventRecordID>{'x' * 4000}</Event>"
            )
        caller = stand.caller()
        caller.charset = charset
        await caller.subscribe(read_existing_events=True)
        first = await caller.pulled(size=20000)
        second = await caller.pulled(size=20000)

    assert len(first.pieces) == fit
    assert caller.longest <= 20000
    assert record_numbers(second)[0] == record_numbers(first)[-1] + 1


async def test_an_event_larger_than_the_envelope_is_a_fault_until_the_envelope_is_larger() -> None:
    """0x80338048: whoever asks for less than the machine may send can ask again for more; nothing is skipped."""
    async with standing() as stand:
        stand.log.append(
            "System", lambda number: f"<Event><EventRecordID>{number}</EventRecordID>{'x' * 30000}</Event>"
        )
        caller = stand.caller()
        await caller.subscribe(read_existing_events=True)
        small = await caller.pull(size=20000)
        large = await caller.pulled(size=512000)

    assert isinstance(small, SourceFault)
    assert (small.name, small.code) == ("w:EncodingLimit", 2150858824)
    assert len(large.pieces) == 1


async def test_an_event_that_no_envelope_holds_is_dropped_and_told() -> None:
    """A marker with the running total stands in its place ([DSP0226] 10.9), and the reading goes on behind it."""
    async with standing() as stand:
        stand.happen(1)
        stand.log.append("System", lambda _: f"<Event>{'x' * 600_000}</Event>")
        stand.happen(1)
        caller = stand.caller()
        await caller.subscribe(read_existing_events=True)
        first, second = await caller.pulled(), await caller.pulled()

    assert (len(first.pieces), first.dropped) == (1, 1)
    assert len(second.pieces) == 1
    assert stand.host.source.ledger.dropped == 1


async def test_renew_is_not_to_be_had_and_unsubscribe_ends_it() -> None:
    """7.4: 0x80338024. A Pull behind the end is told that the subscription is closed."""
    async with standing() as stand:
        caller = stand.caller()
        await caller.subscribe()
        assert caller.subscribed is not None
        voice, references = caller.voice(), caller.subscribed.references
        renewed = await caller.say(lambda mid: calls.write_renew(voice, references, 600.0, message_id=mid, timeout=5))
        ended = await caller.unsubscribe()
        late = await caller.pull()
        twice = await caller.unsubscribe()

    assert isinstance(renewed, SourceFault)
    assert (renewed.name, renewed.code) == ("e:UnableToRenew", 2150858788)
    assert isinstance(ended, Unsubscribed)
    assert isinstance(late, SourceFault)
    assert late.code == 2150858760
    assert isinstance(twice, SourceFault)


async def test_a_user_has_fifteen_operations_and_each_subscription_holds_one() -> None:
    """The fault of the capture, and room again when one is unsubscribed."""
    async with standing() as stand:
        callers = [stand.caller() for _ in range(16)]
        for caller in callers[:15]:
            assert isinstance(await caller.subscribe(), Subscribed)
        refused = await callers[15].subscribe()
        await callers[0].unsubscribe()
        taken = await callers[15].subscribe()

    assert isinstance(refused, SourceFault)
    assert (refused.name, refused.code) == ("w:InternalError", 2150859174)
    assert "15 concurrent operations" in refused.text
    assert isinstance(taken, Subscribed)


@pytest.mark.parametrize(
    ("silent", "code"),
    [(59.0, None), (61.0, 2150858762), (241.0, 2150858779)],
)
async def test_a_subscription_that_nobody_pulls_is_closed(silent: float, code: int | None) -> None:
    """The heartbeat interval (a minute here), and EnumerationTimeoutms behind it; both give the operation back."""
    clock = ManualClock()
    async with standing(clock=clock) as stand:
        caller = stand.caller()
        await caller.subscribe()
        clock.advance(silent)
        answer = await caller.pull()
        left = len(stand.host.subscriptions)

    assert (answer.code if isinstance(answer, SourceFault) else None) == code
    assert left == (code is None)


async def test_who_calls_in_time_keeps_its_subscription() -> None:
    """Each answer begins the time anew."""
    clock = ManualClock()
    async with standing(clock=clock) as stand:
        caller = stand.caller()
        await caller.subscribe(read_existing_events=True)
        for _ in range(5):
            clock.advance(59.0)
            stand.happen(1)
            await caller.pulled()


async def test_a_reboot_cuts_what_is_open_and_the_bookmark_brings_back_the_rest() -> None:
    """Contexts are gone, the log is not."""
    async with standing(away=0.0) as stand:
        stand.happen(3)
        caller = stand.caller()
        await caller.subscribe(read_existing_events=True)
        bookmark = (await caller.pulled(most=2)).bookmark
        back = stand.fleet.reboot(stand.served)
        with pytest.raises(Trouble):
            await caller.pull()
        await back
        dead = await caller.pull()
        again = stand.caller()
        await again.subscribe(bookmark=bookmark)
        pulled = await again.pulled()

    assert isinstance(dead, SourceFault)
    assert dead.name == "n:InvalidEnumerationContext"
    assert record_numbers(pulled) == [stand.log.newest("System")]


async def test_what_rolled_out_of_the_log_before_it_was_pulled_is_counted() -> None:
    """A collector that was away too long goes on with the oldest record there is."""
    async with standing(log_size=8) as stand:
        caller = stand.caller()
        await caller.subscribe(read_existing_events=True)
        stand.happen(40)
        pulled = await caller.pulled()

    assert record_numbers(pulled)[-1] == stand.log.newest("System")
    assert stand.host.lost == 40 - len(pulled.pieces) > 0


@pytest.mark.parametrize("charset", ["UTF-8", "UTF-16"])
async def test_the_answer_has_the_charset_of_the_request(charset: str) -> None:
    """[DSP0226] R13.1-5."""
    async with standing() as stand:
        stand.log.append("System", lambda _: "<Event>Grüße, 世界</Event>")
        caller = stand.caller()
        caller.charset = charset
        await caller.subscribe(read_existing_events=True)
        pulled = await caller.pulled()

    assert pulled.pieces == ["<Event>Grüße, 世界</Event>"]


async def test_channels_that_may_not_be_read_or_are_not_there_are_refused() -> None:
    """With IgnoreChannelError only where nothing is left (what ``wef pull test`` has to explain)."""
    nature = HostNature(locked=frozenset({"security"}), missing=frozenset({"nowhere"}))
    query = '<QueryList><Query Id="0"><Select Path="{}">*</Select></Query></QueryList>'
    async with standing(nature=nature) as stand:
        caller = stand.caller()
        locked = await caller.subscribe(query=query.format("Security"))
        missing = await caller.subscribe(query=query.format("Nowhere"))
        partly = await caller.subscribe(query=OFFER.query)
        strict = await caller.subscribe(ignore_channel_error=False)

    assert isinstance(locked, SourceFault)
    assert locked.code == 5
    assert isinstance(missing, SourceFault)
    assert missing.code == 15007
    assert isinstance(partly, Subscribed)
    assert isinstance(strict, SourceFault)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"query": "<QueryList>"}, "w:CannotProcessFilter"),
        ({"bookmark": "<Nonsense/>"}, "w:InvalidBookmark"),
    ],
)
async def test_what_cannot_be_subscribed_is_refused_by_name(changes: dict[str, object], name: str) -> None:
    """The collector's mistakes come back as faults, not as silence."""
    async with standing() as stand:
        answer = await stand.caller().subscribe(**changes)

    assert isinstance(answer, SourceFault)
    assert answer.name == name


async def test_the_configuration_is_served_and_nothing_else_is() -> None:
    """winrm/config and its listeners; other resources get the fault that names the resource."""
    async with standing() as stand:
        caller = stand.caller()
        config = caller.voice(names.CONFIG)
        got = await caller.say(lambda mid: calls.write_get(config, (), message_id=mid, timeout=5))
        listener = caller.voice(names.CONFIG_LISTENER)
        listed = await caller.say(lambda mid: calls.write_resource_enumerate(listener, message_id=mid, timeout=5))
        service = caller.voice("http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/Win32_Service")
        refused = await caller.say(lambda mid: calls.write_get(service, (), message_id=mid, timeout=5))
        identified = await caller.say(lambda _: calls.write_identify(), related=False)

    assert isinstance(got, Got)
    assert parse_config(got.document).value("Service/EnumerationTimeoutms") == "240000"
    assert isinstance(listed, Enumerated)
    assert parse_config(listed.items[0]).value("Port") == stand.url.rpartition(":")[2]
    assert isinstance(refused, SourceFault)
    assert refused.name == "a:DestinationUnreachable"
    assert isinstance(identified, IdentifyResponse)
    assert identified.vendor == "Microsoft Corporation"


async def test_openwsman_keeps_its_context_and_skips_for_who_asks_twice() -> None:
    """protocol.md 15.1: one event below PullResponse; a Pull said again after a broken answer loses an event."""
    async with standing("pull:cut-answer", nature=HostNature(style="openwsman")) as stand:
        stand.happen(2)
        caller = stand.caller()
        await caller.subscribe(read_existing_events=True)
        before = caller.context
        with pytest.raises(Trouble):
            await caller.pull()
        pulled = await caller.pulled()
        quiet = await caller.pull(timeout=0.01)

    assert caller.context == before
    assert record_numbers(pulled) == [stand.log.newest("System")]
    assert stand.host.source.ledger.acknowledged == 2  # the simulator believes it: only the collector's store can tell
    assert isinstance(quiet, SourceFault)
    assert quiet.name == "w:TimedOut"


async def test_pulled_events_may_come_as_text() -> None:
    """The CDATA option."""
    async with standing() as stand:
        stand.happen(2)
        caller = stand.caller()
        await caller.subscribe(read_existing_events=True)
        for kept in stand.host.subscriptions.values():
            kept.cdata = True
        pulled = await caller.pulled()

    assert isinstance(pulled, Pulled)
    assert len(record_numbers(pulled)) == 2


async def test_a_run_is_repeated_by_its_seed() -> None:
    """Moods by chance, the same every time."""
    moods = [HostManners((), {"cut": 0.2, "slow": 0.3}, seed="7") for _ in range(2)]
    drawn = [[one.next("pull") for _ in range(50)] for one in moods]

    assert drawn[0] == drawn[1]
    assert {"cut", "slow", "well"} == set(drawn[0])
