"""The winlogbeat document, rule by rule (normalization.md 4)."""

from __future__ import annotations

from typing import Any

import pytest

from collector.normalize import Options, harvest
from collector.normalize.document import MOST_TEXT
from collector.normalize.pairs import MOST_KEYS
from tests.normalize.samples import BOOKMARK_EVENT, CLASSIC, RENDERING, batch, event


def documented(text: str, *, exact: bool = False, original: bool = False) -> dict[str, Any]:
    return harvest(batch(text), Options(exact, original)).fields()[0]


def test_a_logon_becomes_this_document() -> None:
    """The whole of it, once: what dashboards and rules will read."""
    assert documented(event()) == {
        "@timestamp": "2026-03-04T05:06:01.1234567Z",
        "ecs": {"version": "8.17.0"},
        "host": {"name": "PC07.corp.example", "os": {"type": "windows", "family": "windows"}},
        "log": {"level": "information"},
        "tags": ["forwarded"],
        "winlog": {
            "api": "wineventlog",
            "event_id": "4624",
            "channel": "Security",
            "provider_name": "Microsoft-Windows-Security-Auditing",
            "provider_guid": "{54849625-5478-4994-a5ba-3e3b0328c30d}",
            "version": 2,
            "level": "information",
            "task": "Logon",
            "opcode": "Info",
            "keywords": ["Audit Success"],
            "record_id": "4711",
            "computer_name": "PC07.corp.example",
            "time_created": "2026-03-04T05:06:01.1234567Z",
            "process": {"pid": 588, "thread": {"id": 652}},
            "event_data": {"LogonType": "3", "IpAddress": "-"},
        },
        "event": {
            "kind": "event",
            "provider": "Microsoft-Windows-Security-Auditing",
            "code": "4624",
            "outcome": "success",
            "action": "Logon",
        },
    }


def test_exact_leaves_out_what_beats_do_not_say() -> None:
    """The comparison with beats must not be softened by our additions."""
    document = documented(event(), exact=True)

    assert "ecs" not in document
    assert document["host"] == {"name": "PC07.corp.example"}
    assert {"api", "task"}.isdisjoint(document["winlog"])
    assert "Data" not in documented(CLASSIC, exact=True)["winlog"]["event_data"]


def test_a_classic_event_has_positions_a_list_and_the_extras() -> None:
    """Positions count all children, also the empty one that is dropped."""
    winlog = documented(CLASSIC)["winlog"]

    assert winlog["event_data"] == {
        "param1": "C:",
        "Free": "0",
        "param4": "low",
        "Binary": "0AFF",
        "Data": ["C:", "low"],
    }
    assert (winlog["provider_source_name"], winlog["event_id_qualifiers"]) == ("diskwatch", "49152")
    assert (winlog["level"], winlog["keywords"]) == ("error", ["Classic"])
    assert {"version", "opcode", "process", "task"}.isdisjoint(winlog)


def test_names_that_the_source_rendered_win() -> None:
    """They are in its language; the numbers stay in event.code and outcome."""
    document = documented(event(RENDERING))

    assert document["message"] == "An account was logged on.\n\nSubject: -"
    assert document["log"] == {"level": "informationen"}
    assert document["winlog"]["task"] == document["event"]["action"] == "Anmelden"
    assert document["winlog"]["keywords"] == ["Überwachung erfolgreich"]
    assert document["event"]["outcome"] == "success"


def test_a_failure_bit_is_tested_before_the_success_bit() -> None:
    text = event().replace("0x8020000000000000", "0x8030000000000000")
    assert documented(text)["event"]["outcome"] == "failure"


def test_a_level_without_a_name_is_left_out() -> None:
    """DNS Server writes 16."""
    document = documented(event().replace("<Level>0</Level>", "<Level>16</Level>"))
    assert "log" not in document
    assert "level" not in document["winlog"]


def test_the_name_none_is_beats_own_and_says_nothing() -> None:
    """A rule for a task name must not meet a word that stands for its absence."""
    rendered = event("<RenderingInfo><Task>None</Task></RenderingInfo>").replace("12544", "0")

    assert "task" not in documented(rendered)["winlog"]
    assert documented(rendered, exact=True)["event"]["action"] == "None"
    assert documented(event().replace("12544", "0"), exact=True)["winlog"]["task"] == "None"


def test_a_number_that_no_signed_field_holds_is_left_out() -> None:
    """Elasticsearch's long and SQLite's integer end at 2**63 - 1; a record id is a text and does not."""
    text = event().replace("<Version>2<", f"<Version>{2**63}<").replace("4711", str(2**64 - 1))
    winlog = documented(text)["winlog"]

    assert "version" not in winlog
    assert winlog["record_id"] == "18446744073709551615"


def test_a_keyword_that_beats_do_not_know_is_ours_alone() -> None:
    text = event().replace("0x8020000000000000", "0x8022000000000000")

    assert documented(text)["winlog"]["keywords"] == ["WDI Context", "Audit Success"]
    assert documented(text, exact=True)["winlog"]["keywords"] == ["Audit Success"]


def test_exact_shows_control_characters_that_xml_allows() -> None:
    """Beats rewrite them before they parse; we leave alone what parses."""
    text = event("<EventData><Data Name='a'>x\x7fy</Data></EventData>")

    assert documented(text, exact=True)["winlog"]["event_data"]["a"] == "x\\u007fy"
    assert documented(text)["winlog"]["event_data"]["a"] == "x\x7fy"


@pytest.mark.parametrize("number", ["", "x", "-1", "1_0", "٣", "9" * 30])
def test_a_number_that_is_none_is_as_good_as_absent(number: str) -> None:
    """One value of a wrong type makes Elasticsearch refuse the whole document."""
    text = event().replace("<Version>2</Version>", f"<Version>{number}</Version>")
    text = text.replace("ProcessID='588'", f"ProcessID='{number}'").replace("4711", number)
    winlog = documented(text)["winlog"]

    assert {"version", "record_id"}.isdisjoint(winlog)
    assert winlog["process"] == {"thread": {"id": 652}}


def test_a_channel_gets_the_letter_case_that_rules_expect() -> None:
    """Windows echoes the case of the query; Sigma's conditions are case-sensitive. Unknown ones stay."""
    found = harvest(batch(event(channel="security"), event(channel="My-App/operational")))

    assert [document["winlog"]["channel"] for document in found.fields()] == ["Security", "My-App/operational"]
    assert [key.channel for key in found.keys] == ["Security", "My-App/operational"]
    assert documented(event(channel="security"), exact=True)["winlog"]["channel"] == "security"


@pytest.mark.parametrize(
    ("sid", "user"),
    [
        ("S-1-5-18", {"name": "SYSTEM", "domain": "NT AUTHORITY", "type": "Well Known Group"}),
        ("S-1-5-32-544", {"name": "Administrators", "domain": "BUILTIN", "type": "Alias"}),
        ("S-1-5-90-0-3", {"name": "DWM-3", "domain": "Window Manager", "type": "User"}),
        ("S-1-5-80-123-456", {"domain": "NT SERVICE", "type": "Well Known Group"}),
        ("S-1-1-0", {"name": "Everyone", "type": "Well Known Group"}),
        ("S-1-5-21-1-2-3-500", {}),
    ],
)
def test_well_known_sids_get_their_names_and_others_do_not(sid: str, user: dict[str, str]) -> None:
    """An account of a domain may have been renamed: no guess."""
    text = event().replace("<Security/>", f"<Security UserID='{sid}'/>")

    assert documented(text)["winlog"]["user"] == {"identifier": sid, **user}
    assert documented(text, exact=True)["winlog"]["user"] == {"identifier": sid}


@pytest.mark.parametrize("time", ["1601-01-01T00:00:00.000Z", "0001-01-01T00:00:00Z", "2300-01-01T00:00:00Z"])
def test_a_time_that_stands_for_nothing_gives_way_to_the_time_of_receipt(time: str) -> None:
    """Nobody looks for events in the year 1601; the original stays beside it."""
    found = harvest(batch(event(time=time)))
    document = found.fields()[0]

    assert document["@timestamp"] == "2026-03-04T05:06:07.890123Z"
    assert document["winlog"]["time_created"] == time
    assert "_time_invalid" in document["tags"]
    assert found.keys[0].time == 0
    assert found.flaws == {"time_invalid": 1}


def test_a_time_that_is_none_does_not_get_into_a_date_field() -> None:
    """A date field refuses the whole document; the text is kept where it harms nobody."""
    winlog = documented(event(time="yesterday"))["winlog"]

    assert "time_created" not in winlog
    assert winlog["time_created_text"] == "yesterday"


def test_raw_time_counts_as_missing() -> None:
    document = documented(event().replace("SystemTime=", "RawTime="))
    assert document["@timestamp"] == "2026-03-04T05:06:07.890123Z"


def test_keys_are_made_safe_and_keep_what_people_know() -> None:
    """Dots would become objects and split the mapping; blanks and accents are names people search for."""
    names = ["a.b", "Threat Name", "Größe", "  x  ", "tab\u0085bed", "k" * 300, " ", "Data", "."]
    text = event("<EventData>" + "".join(f"<Data Name='{name}'>v</Data>" for name in names) + "</EventData>")
    data = documented(text)["winlog"]["event_data"]

    assert list(data) == ["a_b", "Threat Name", "Größe", "x", "tab bed", "k" * 128, "param7", "param8", "_", "Data"]


def test_of_equal_names_the_first_wins_and_empty_values_do_not_count() -> None:
    text = event(
        "<EventData><Data Name='a'></Data><Data Name='a'> </Data><Data Name='a'>2</Data>"
        "<Data Name='b'>x&#13;\ny\n</Data></EventData>"
    )
    assert documented(text)["winlog"]["event_data"] == {"a": " ", "b": "x\ny"}


def test_too_many_keys_are_kept_as_one_text() -> None:
    """Each new key is a column of the index for ever; what they said must stay searchable all the same."""
    pairs = "".join(f"<Data Name='k{number}'>{number}</Data>" for number in range(MOST_KEYS + 2))
    winlog = documented(event(f"<EventData>{pairs}</EventData>"))["winlog"]

    assert len(winlog["event_data"]) == MOST_KEYS
    assert winlog["event_data_overflow"] == "k200=200\nk201=201"


def test_user_data_keeps_beats_result_and_adds_paths() -> None:
    inner = (
        "<L xmlns='x'><SubjectUserName>bob</SubjectUserName><Cert Ref='r'><Name>n</Name><Use>1</Use><Use>2</Use></Cert>"
    )
    text = event(f"<UserData>{inner}</L></UserData>")

    assert documented(text, exact=True)["winlog"]["user_data"] == {"SubjectUserName": "bob", "xml_name": "L"}
    assert documented(text)["winlog"]["user_data"] == {
        "SubjectUserName": "bob", "Cert_Ref": "r", "Cert_Name": "n", "Cert_Use": ["1", "2"], "xml_name": "L",
    }  # fmt: skip


def test_user_data_that_says_nothing_leaves_no_field() -> None:
    """The shutdown event 1100 has an empty root."""
    assert "user_data" not in documented(event("<UserData><ServiceShutdown/></UserData>"))["winlog"]


def test_the_other_sections_are_kept() -> None:
    """Beats ignore them; an analyst of a damaged provider has nothing else."""
    binary = documented(event("<BinaryEventData>00FF</BinaryEventData>"))["winlog"]
    debug = documented(event("<DebugData><SequenceNumber>1</SequenceNumber><Component>c</Component></DebugData>"))[
        "winlog"
    ]

    assert binary["binary_event_data"] == "00FF"
    assert debug["debug_data"] == {"SequenceNumber": "1", "Component": "c"}


def test_event_111_is_a_document_like_any_other() -> None:
    document = documented(BOOKMARK_EVENT)
    assert (document["event"]["code"], document["winlog"]["time_created"]) == ("111", "2026-03-04T05:06:01.123Z")


def test_the_original_is_kept_on_demand_only() -> None:
    assert "original" not in documented(event())["event"]
    assert documented(event(), original=True)["event"]["original"] == event()


def test_a_message_beyond_the_cap_is_cut_between_characters_and_tagged() -> None:
    """One event must not become a request that a sink refuses for its size."""
    text = event(f"<RenderingInfo><Message>{'ä' * MOST_TEXT}</Message></RenderingInfo>")
    found = harvest(batch(text))
    document = found.fields()[0]

    assert document["message"] == "ä" * (MOST_TEXT // 2)
    assert "_truncated" in document["tags"]
    assert found.flaws == {"truncated": 1}
    assert found.texts == [text]
