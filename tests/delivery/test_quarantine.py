"""The spoof policy in the corridor: what reaches the sink, what becomes a letter, what the source is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from collector.config.settings import Limits
from collector.errors import Backpressure
from collector.model import Records
from collector.routing.match import Taking
from collector.routing.replay import Replay
from collector.sinks.base import Rejection
from collector.subscriptions.folder import SubscriptionSet
from collector.subscriptions.subscription import Spoofing
from collector.telemetry import REGISTRY
from collector.wsman.messages import Ack, Delivery, Fault
from tests.delivery.conversation import EVERYTHING, OTHER, PC, Corridor, batch, bookmark, event, header
from tests.delivery.test_bookmarks import BACKWARD, MARKER
from tests.routing.scripted_sink import ScriptedSink


class DocumentSink(ScriptedSink):
    """Remembers the documents that it took."""

    format = "winlogbeat"

    def __init__(self, *script: str) -> None:
        super().__init__(*script)
        self.documents: list[dict[str, object]] = []

    async def write(self, records: Records) -> Sequence[Rejection]:
        rejections = await super().write(records)
        self.documents += [orjson.loads(records.record(row)) for row in range(len(rejections), len(records))]
        return rejections


def corridor(
    folder: Path, policy: str, sink: ScriptedSink | None = None, limits: Limits = Limits(), **more: object
) -> Corridor:
    built = Corridor(folder, sink or DocumentSink(), limits=limits)
    spoofing = Spoofing(policy, **more)  # type: ignore[arg-type]
    built.subscriptions = SubscriptionSet((replace(EVERYTHING, spoofing=spoofing),))
    return built


def foreign(record: int, computer: str = "DC01.corp.example") -> str:
    return event(record).replace("<Computer>WS-1<", f"<Computer>{computer}<")


def mixed(*events: str, record: int = 3) -> Delivery:
    return Delivery(header(), list(events), bookmark(record))


def counted(outcome: str) -> float:
    labels = {"subscription": "everything", "outcome": outcome}
    return REGISTRY.get_sample_value("wef_computer_mismatches_total", labels) or 0.0


async def test_without_a_policy_every_computer_is_taken_as_it_stands(tmp_path: Path) -> None:
    """As it always was; a fleet behind a forwarding collector must not fall silent with an update."""
    built = corridor(tmp_path, "off", sink := DocumentSink())

    assert await built.say(mixed(event(1), foreign(2))) == Ack()

    assert [document["tags"] for document in sink.documents] == [["forwarded"], ["forwarded"]]


async def test_tag_marks_the_documents_and_changes_nothing_else(tmp_path: Path) -> None:
    """A first look at a fleet before anything is held back."""
    before = counted("tagged")
    built = corridor(tmp_path, "tag", sink := DocumentSink())

    assert await built.say(mixed(event(1), foreign(2), "<Event>broken", event(3))) == Ack()

    marked = ["forwarded", "wef_computer_mismatch"]
    tags = [document["tags"] for document in sink.documents]
    assert tags == [["forwarded"], marked, ["forwarded", "_unparsable", "wef_computer_mismatch"], ["forwarded"]]
    assert counted("tagged") - before == 2


async def test_quarantine_keeps_the_event_as_a_letter_and_lets_its_neighbours_go_on(tmp_path: Path) -> None:
    """Nothing is lost, nothing false is stored, and the source notices nothing."""
    built = corridor(tmp_path, "quarantine", sink := DocumentSink())

    assert await built.say(mixed(event(1), foreign(2), event(3))) == Ack()

    assert [document["winlog"]["record_id"] for document in sink.documents] == ["1", "3"]  # type: ignore[index]
    (letter,) = built.store.letters()
    assert letter.reason == "computer: the event says 'DC01.corp.example', its caller is WS-1.corp.example"
    assert (letter.sink, letter.source, letter.subscription) == ("scripted", "WS-1.corp.example", "everything")
    assert built.bookmark() == bookmark(3)


TWICE = "</Computer><Computer>"


@pytest.mark.parametrize(
    "inside",
    [
        f"DC01{TWICE}WS-1",
        "DC01</Computer><x:Computer xmlns:x='urn:x'>WS-1</x:Computer><Computer>WS-1",
        "DC01</Computer></System><System><Computer>WS-1",
        f"DC01{TWICE}WS-1</Computer></Sys",
    ],
)
async def test_an_event_that_names_two_machines_is_held_for_the_one_that_is_not_its_caller(
    tmp_path: Path, inside: str
) -> None:
    """Our documents have the last Computer; whoever reads the XML of a raw sink may find the first."""
    built = corridor(tmp_path, "quarantine", sink := DocumentSink())

    assert await built.say(mixed(event(1), event(2).replace("WS-1<", f"{inside}<"))) == Ack()

    assert [document["winlog"]["record_id"] for document in sink.documents] == ["1"]  # type: ignore[index]
    (letter,) = built.store.letters()
    assert "has more than one Computer" in letter.reason


@pytest.mark.parametrize(
    "text",
    [
        event(1).replace("</System>", "</System><UserData><a><Computer>DC01</Computer></a></UserData>"),
        event(1).replace(">WS-1<", f">{TWICE}WS-1.corp.example{TWICE}WS-1<"),
    ],
    ids=["in its UserData", "its own, more than once"],
)
async def test_a_computer_that_an_event_speaks_about_is_not_the_one_it_comes_from(tmp_path: Path, text: str) -> None:
    """Only System says that."""
    built = corridor(tmp_path, "reject", sink := DocumentSink())

    assert await built.say(mixed(text)) == Ack()

    assert len(sink.documents) == 1


async def test_a_letter_from_quarantine_can_be_let_go_on_and_still_says_what_it_is(tmp_path: Path) -> None:
    """A machine that was renamed: somebody looks, and releases its events."""
    built = corridor(tmp_path, "quarantine", sink := DocumentSink())
    await built.say(mixed(foreign(1)))
    assert sink.documents == []
    (letter,) = built.store.letters()

    await built.store.want_letters([letter.id])
    assert await Replay(built.store, {"scripted": built.lane}).round()

    assert list(built.store.letters()) == []
    assert "wef_computer_mismatch" in sink.documents[0]["tags"]  # type: ignore[operator]


async def test_nothing_is_acknowledged_before_its_letters_are_on_disk(tmp_path: Path) -> None:
    """The acknowledgement rule has no exception for what is suspicious."""
    built = corridor(tmp_path, "quarantine", sink := DocumentSink())
    built.store.failing = True

    with pytest.raises(Backpressure):
        await built.say(mixed(event(1), foreign(2)))

    assert sink.called == []
    assert built.bookmark() is None


async def test_a_batch_that_comes_again_has_its_letters_once(tmp_path: Path) -> None:
    """After a crash between letter and bookmark the source sends it again."""
    built = corridor(tmp_path, "quarantine")

    for _ in range(2):
        assert await built.say(mixed(event(1), foreign(2))) == Ack()

    assert len(list(built.store.letters())) == 1


async def test_a_lie_replaces_no_letter_of_somebody_else(tmp_path: Path) -> None:
    """The event id is made of what an event says: whoever writes DC01's name could otherwise overwrite its letter."""
    built = corridor(tmp_path, "quarantine", ScriptedSink("reject"))
    theirs = replace(PC, key="dc01", name="DC01.corp.example", principal="DC01.corp.example")
    await built.say(mixed(foreign(1)), theirs)
    (genuine,) = built.store.letters()
    assert genuine.reason == "the script rejects it"

    await built.say(mixed(foreign(1)), PC)
    await built.say(mixed(foreign(1).replace("</System>", "</System><EventData/>")), PC)
    await built.say(mixed(foreign(1)), OTHER)

    letters = list(built.store.letters())
    assert len({letter.id for letter in letters}) == 4
    assert {letter.event_id for letter in letters} == {genuine.event_id}
    assert letters[0] == genuine


async def test_reject_takes_nothing_and_ends_the_subscription_there(tmp_path: Path) -> None:
    """w:DeliveryRefused ([MS-WSMV] 3.1.4.1.30.2); the reason is where an administrator looks."""
    before = counted("rejected")
    built = corridor(tmp_path, "reject", sink := DocumentSink())

    assert await built.say(mixed(event(1), foreign(2))) == Fault("w:DeliveryRefused")

    assert sink.called == []
    assert list(built.store.letters()) == []
    assert built.bookmark() is None
    (presence,) = built.presences.all()
    assert "DC01.corp.example" in presence.last_refusal
    assert counted("rejected") - before == 1
    assert await built.say(batch(1, 2)) == Ack()


@pytest.mark.parametrize("policy", ["quarantine", "reject"])
async def test_event_111_is_nobodys_event(tmp_path: Path, policy: str) -> None:
    """Its Computer is the source's, however that spells itself; refusing it would end every new subscription."""
    built = corridor(tmp_path, policy)

    assert await built.say(Delivery(header(), [MARKER], BACKWARD)) == Ack()

    assert built.bookmark() == BACKWARD
    assert list(built.store.letters()) == []


async def test_what_no_sink_takes_makes_no_letter(tmp_path: Path) -> None:
    """A letter is to a sink; one that nobody wanted could be delivered to nobody."""
    built = corridor(tmp_path, "quarantine")
    built.lane.taking = Taking.compile({"channel": "Security"}, None, 1.0)

    assert await built.say(mixed(event(1), foreign(2))) == Ack()

    assert list(built.store.letters()) == []


async def test_a_source_whose_quarantine_is_full_waits_and_is_told_the_way_out(tmp_path: Path) -> None:
    """Its letters must not fill the disk that everybody's events need; nothing of it is lost, and nobody else waits."""
    built = corridor(tmp_path, "quarantine", sink := DocumentSink(), Limits(quarantined_per_source=2))
    assert await built.say(mixed(foreign(1), foreign(2), record=2)) == Ack()

    with pytest.raises(Backpressure) as refusal:
        await built.say(mixed(event(3), foreign(4), record=4))

    assert refusal.value.reason == "quarantine"
    assert (sink.called, len(list(built.store.letters())), built.bookmark()) == ([], 2, bookmark(2))
    (presence,) = built.presences.all()
    assert "503 quarantine: its batch makes 1 letters" in presence.last_refusal
    assert presence.last_refusal.endswith("wef letters list --reason 'computer:*', then wef letters replay or delete")
    assert await built.say(batch(3)) == Ack()
    assert await built.say(mixed(foreign(4)), OTHER) == Ack()


@pytest.mark.parametrize("way", ["delete", "replay"])
async def test_who_deletes_or_replays_letters_lets_the_source_go_on(tmp_path: Path, way: str) -> None:
    """Without a restart, and with the batch that it was refused."""
    built = corridor(tmp_path, "quarantine", limits=Limits(quarantined_per_source=1))
    await built.say(mixed(foreign(1), record=1))
    with pytest.raises(Backpressure):
        await built.say(mixed(foreign(2), record=2))

    ids = [letter.id for letter in built.store.letters()]
    if way == "delete":
        await built.store.remove_letters(ids)
    else:
        await built.store.want_letters(ids)
        assert await Replay(built.store, {"scripted": built.lane}).round()

    assert await built.say(mixed(foreign(2), record=2)) == Ack()
    assert built.bookmark() == bookmark(2)


async def test_large_records_fill_a_quarantine_as_many_do(tmp_path: Path) -> None:
    """Ten thousand letters of a whole body each would be 160 GB."""
    built = corridor(tmp_path, "quarantine", limits=Limits(quarantined_size_per_source=2**20))
    large = foreign(1).replace("</System>", f"</System><EventData><Data>{'x' * 2**20}</Data></EventData>")

    with pytest.raises(Backpressure, match="raise limits"):
        await built.say(mixed(large))

    assert list(built.store.letters()) == []
