"""A folder of subscriptions: all or nothing, and who is entitled to what."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.errors import OperatorError, SourceError
from collector.query.matcher import Matcher
from collector.query.query_list import parse_query_list
from collector.query.xpath import parse, terms
from collector.subscriptions.folder import NotEntitled, SubscriptionSet, load_folder
from collector.subscriptions.subscription import Audience, Subscription
from tests.conftest import REPOSITORY
from tests.subscriptions.callers import caller

CALLER = caller()
NOT_MEANT = "subscription s is not meant for WS-0001.corp.example"
SYSTEM_QUERY = '&lt;QueryList>&lt;Query Path="System">&lt;Select>*&lt;/Select>&lt;/Query>&lt;/QueryList>'


def toml(folder: Path, name: str, extra: str = "", file: str = "") -> Path:
    path = folder / (file or f"{name}.toml")
    path.write_text(f'name = "{name}"\n{extra}\n[[select]]\nchannel = "Security"\n')
    return path


def refusal(folder: Path) -> list[str]:
    with pytest.raises(OperatorError) as caught:
        load_folder(folder)
    assert caught.value.exit_code == 78
    return list(caught.value.problems)


def one(**changes: object) -> Subscription:
    values: dict[str, object] = {"name": "s", "id": "11111111-2222-3333-4444-555555555555", "query": "<QueryList/>"}
    return Subscription(**{**values, **changes})  # type: ignore[arg-type]


def test_both_kinds_of_files_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    """A steady order: what is cut for a small envelope is always the same."""
    toml(tmp_path, "b", file="20.toml")
    (tmp_path / "10.XML").write_text(
        "<Subscription><SubscriptionId>a</SubscriptionId><SubscriptionType>SourceInitiated</SubscriptionType>"
        f"<Query>{SYSTEM_QUERY}</Query></Subscription>"
    )
    (tmp_path / "README.md").write_text("not a subscription")
    (tmp_path / ".hidden.toml").write_text("an editor's")
    (tmp_path / "folder.toml").mkdir()

    found = load_folder(tmp_path)

    assert [(entry.name, Path(entry.origin).name) for entry in found.all] == [("a", "10.XML"), ("b", "20.toml")]
    assert found.warnings == (
        f"{tmp_path / '10.XML'}: it has no AllowedSourceDomainComputers, so every domain member may have it; Windows"
        " lets Domain Computers have it then. D:(A;;GA;;;DC) in that element means Domain Computers, D: none.",
    )


def test_one_broken_file_refuses_all_and_every_problem_is_named(tmp_path: Path) -> None:
    """Half a set would silently end the other half at every source."""
    toml(tmp_path, "good")
    bad = toml(tmp_path, "bad", "enabled = 1")
    worse = tmp_path / "worse.xml"
    worse.write_text("<Subscription>\n<Oops></Subscription>")
    latin = tmp_path / "zlatin.toml"
    latin.write_bytes(b'name = "a"\ndescription = "M\xfcnchen"')

    found = refusal(tmp_path)

    assert found[0] == f"{bad} line 2: at enabled: 1 is not true or false."
    assert found[1].startswith(f"{worse} line 2: the file cannot be read: the XML is not well-formed:")
    assert found[2] == f"{latin} line 2: this is not UTF-8; save the file as UTF-8 text."
    assert len(found) == 3


def test_names_and_ids_are_unique(tmp_path: Path) -> None:
    """Two files with one id would take each other's bookmarks."""
    first = toml(tmp_path, "logons", file="a.toml")
    second = toml(tmp_path, "LOGONS", file="b.toml")
    assert refusal(tmp_path) == [f'{second}: the name "LOGONS" is taken by {first}; names are unique.']

    same = 'id = "11111111-2222-3333-4444-555555555555"'
    first, second = toml(tmp_path, "one", same, "a.toml"), toml(tmp_path, "two", same, "b.toml")
    assert refusal(tmp_path) == [
        f"{second}: the id 11111111-2222-3333-4444-555555555555 is taken by {first}; ids are unique."
    ]


def test_an_empty_folder_is_good_and_worth_a_warning(tmp_path: Path) -> None:
    """A collector that is being set up; or a wrong path."""
    found = load_folder(tmp_path)

    assert found.all == ()
    assert found.warnings == (
        f"{tmp_path} holds no enabled subscription: sources are told that nothing is wanted from them.",
    )


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    """With what to do about it."""
    assert refusal(tmp_path / "no") == [
        f"subscriptions folder {tmp_path / 'no'} is not there; make it and put *.toml or wecutil *.xml files into it."
    ]
    (tmp_path / "file").write_text("")
    assert "is no folder" in refusal(tmp_path / "file")[0]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A link whose target was not deployed, for instance."""
    (tmp_path / "x.toml").symlink_to(tmp_path / "gone")

    assert refusal(tmp_path) == [f"{tmp_path / 'x.toml'}: the file cannot be read: No such file or directory."]


def test_what_may_surprise_is_warned_about(tmp_path: Path) -> None:
    """Entries of an SDDL that count for nothing."""
    (tmp_path / "w.xml").write_text(
        "<Subscription><SubscriptionId>w</SubscriptionId><SubscriptionType>SourceInitiated</SubscriptionType>"
        f"<Query>{SYSTEM_QUERY}</Query>"
        "<AllowedSourceDomainComputers>O:NSG:NSD:(A;;GW;;;DC)</AllowedSourceDomainComputers></Subscription>"
    )

    found = load_folder(tmp_path).warnings

    assert found == (
        f"{tmp_path / 'w.xml'}: its sddl: (A;;GW;;;DC) does not count, because it grants neither GA nor GR.",
        f"{tmp_path / 'w.xml'}: its sddl: no entry of it lets anybody have the subscription.",
    )


def test_a_caller_is_offered_what_is_meant_for_it() -> None:
    """Enabled, pushed by sources, and in the audience."""
    mine = one(name="mine", id="1" * 8)
    found = SubscriptionSet((
        one(enabled=False, id="a"), one(type="pull", id="b"), one(audience=Audience(("x",)), id="c"), mine,
    ))  # fmt: skip

    assert found.offered_to(CALLER) == [mine]


@pytest.mark.parametrize(
    "identifier",
    [
        "abcdef00-2222-3333-4444-555555555555",
        "ABCDEF00-2222-3333-4444-555555555555",
        "uuid:ABCDEF00-2222-3333-4444-555555555555",
        "UUID:abcdef00-2222-3333-4444-555555555555 ",
    ],
)
def test_an_identifier_is_the_same_in_any_case(identifier: str) -> None:
    """Windows echoes it as it likes."""
    subscription = one(id="abcdef00-2222-3333-4444-555555555555")

    assert SubscriptionSet((subscription,)).require_entitled(identifier, CALLER) is subscription


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"id": "other"}, "there is no subscription '11111111-2222-3333-4444-555555555555'"),
        ({"enabled": False}, "subscription s is disabled"),
        ({"type": "pull"}, "subscription s is of type pull; nobody pushes to it"),
        ({"audience": Audience(deny=("ws-*",))}, f"{NOT_MEANT}: [audience] does not name it, or denies it"),
        ({"certificates": Audience(("x",))}, f"{NOT_MEANT}: [certificates] does not name it, or denies it"),
        ({"issuers": ("cd" * 20,)}, f"{NOT_MEANT}: its certificate's CA {'ab' * 20} is none of issuers"),
    ],
)
def test_events_of_sources_that_are_not_meant_are_refused(changes: dict[str, object], reason: str) -> None:
    """contract.md 5: and the reason is for the log, so that people understand."""
    with pytest.raises(NotEntitled) as caught:
        SubscriptionSet((one(**changes),)).require_entitled("11111111-2222-3333-4444-555555555555", CALLER)

    assert str(caught.value) == reason
    assert isinstance(caught.value, SourceError)
    assert caught.value.status == 500


def test_a_made_up_identifier_is_not_quoted_at_length() -> None:
    """It comes from the network and goes into the log."""
    with pytest.raises(NotEntitled) as caught:
        SubscriptionSet().require_entitled("x" * 10_000, CALLER)

    assert len(str(caught.value)) < 120


def test_the_shipped_subscriptions_are_sound() -> None:
    """Loaded without a warning, few terms, no event selected by two of them (it would be sent twice)."""
    found = load_folder(REPOSITORY / "subscriptions", "shipped")

    assert [entry.name for entry in found.all] == ["baseline-security", "logons", "process-creation", "powershell"]
    assert found.warnings == ()
    for entry in found.all:
        for query in parse_query_list(entry.query).queries:
            assert all(terms(parse(clause.xpath)) <= 22 for clause in (*query.selects, *query.suppresses))


def test_no_event_is_selected_by_two_of_the_shipped_subscriptions() -> None:
    """It would travel and be stored twice."""
    matchers = [
        Matcher.compile(parse_query_list(entry.query)) for entry in load_folder(REPOSITORY / "subscriptions", "x").all
    ]
    assert not any(matcher.unsupported for matcher in matchers)

    def selected(event_id: int) -> int:
        event = f"<Event><System><EventID>{event_id}</EventID><Channel>Security</Channel></System></Event>"
        return sum(matcher.selects(event) for matcher in matchers)

    counts = {event_id: selected(event_id) for event_id in (*range(1100, 1110), *range(4600, 4990), *range(5370, 5390))}
    assert set(counts.values()) == {0, 1}
    for wanted in (1102, 4616, 4624, 4625, 4634, 4648, 4672, 4688, 4697, 4698, 4719, 4720, 4728, 4732, 4740, 4756):
        assert counts[wanted] == 1


def test_the_shipped_logons_leave_out_the_machines_own_accounts() -> None:
    """By the field's name, and only where the field says so."""
    logons = Matcher.compile(parse_query_list(load_folder(REPOSITORY / "subscriptions", "x").all[1].query))

    def logon(event_id: int, field: str, sid: str) -> bool:
        return logons.selects(
            f"<Event><System><EventID>{event_id}</EventID><Channel>Security</Channel></System>"
            f"<EventData><Data Name='{field}'>{sid}</Data></EventData></Event>"
        )

    assert not logon(4624, "TargetUserSid", "S-1-5-18")
    assert logon(4624, "TargetUserSid", "S-1-5-21-1-2-3-1001")
    assert logon(4624, "SubjectUserSid", "S-1-5-18")  # nearly every interactive logon: SYSTEM asks on the user's behalf
    assert not logon(4672, "SubjectUserSid", "S-1-5-19")
    assert logon(4625, "TargetUserSid", "S-1-5-18")


def test_a_caller_that_is_offered_nothing_can_be_told_why() -> None:
    """An empty reply looks the same for a typing mistake and for a wish; the log has the difference."""
    found = SubscriptionSet((
        one(name="a", id="1", audience=Audience(("x",))), one(name="b", id="2", certificates=Audience(("x",))),
        one(name="off", id="3", enabled=False),
    ))  # fmt: skip

    assert found.why_nothing(CALLER) == [
        "a: [audience] does not name it, or denies it", "b: [certificates] does not name it, or denies it",
    ]  # fmt: skip
