"""Which events a query selects, compared with lxml's XPath where both speak the same language."""

from __future__ import annotations

import gzip
import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from collector.query.evaluate import true_of
from collector.query.matcher import Matcher
from collector.query.query_list import parse_query_list, query_list_of
from collector.query.xpath import parse

EVENT = (
    "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>"
    "<Provider Name='Microsoft-Windows-Security-Auditing' Guid='{54849625-5478-4994-A5BA-3E3B0328C30D}'/>"
    "<EventID>4624</EventID><Version>2</Version><Level>0</Level><Task>12544</Task>"
    "<Keywords>0x8020000000000000</Keywords><TimeCreated SystemTime='2026-01-02T03:04:05.1234567Z'/>"
    "<EventRecordID>9007199254740993</EventRecordID><Channel>Security</Channel>"
    "<Computer>ws-0001.corp.example</Computer><Security/></System>"
    "<EventData><Data Name='SubjectUserSid'>S-1-5-18</Data><Data Name='TargetUserName'>user017</Data>"
    "<Data Name='LogonType'>3</Data><Data Name='Empty'></Data><Data>unnamed</Data></EventData></Event>"
)

COMMON = [
    "*",
    "Event",
    "*[System]",
    "*[UserData]",
    "*[System[EventID=4624]]",
    "*[System[EventID='4624']]",
    "*[System[EventID!=4624]]",
    "*[System[(EventID=1 or EventID=4624) and Level<=3]]",
    "*[System[(EventID=1 or EventID=2) and Level<=3]]",
    "*[System[EventID>=4600 and EventID<4625]]",
    "*[System[4700>EventID]]",
    "*[System[Provider[@Name='Microsoft-Windows-Security-Auditing']]]",
    "*[System[Provider[@Name='microsoft-windows-security-auditing']]]",
    "*[System[Provider[@Name='x' or @Guid]]]",
    "*[System/Provider/@Name='Microsoft-Windows-Security-Auditing']",
    "*[System[*='4624']]",
    "*[System[Provider[@*='x']]]",
    "*[EventData[Data[@Name='LogonType']='3']]",
    "*[EventData[Data[@Name='LogonType']=3]]",
    "*[EventData[Data[@Name='LogonType']!='3']]",
    "*[EventData[Data!='3']]",
    "*[EventData[Data='nobody']]",
    "*[EventData[Data[1]='S-1-5-18']]",
    "*[EventData[Data[2]='S-1-5-18']]",
    "*[EventData[Data[position()=3]='3']]",
    "*[EventData[Data[@Name='LogonType'][1]='3']]",
    "*[EventData[Data[@Name='Empty']='']]",
    "*[EventData[Data[@Name='Absent']='']]",
    "*[EventData[Data[@Name='Absent']!='x']]",
    "*[EventData[Data[@Name='TargetUserName'] > 5]]",
    "*[EventData[Data and (Data='unnamed')]]",
    "*[System[EventID=4624]] and *[EventData[Data[@Name='LogonType']='3']]",
    "*[System[EventID=4624]] and (*[EventData[Data[5]='x']] or *[EventData[Data[@Name='LogonType']='3']])",
    "*[System[EventID=4624] and EventData[Data[@Name='SubjectUserSid']='S-1-5-18']]",
    "Event/System[EventID=4624]",
    "Event/System[Level=1]",
    "Event/EventData/Data[@Name='LogonType'] = 3",
    "*[System[Level=Version]]",
    "*[System[Level<Version]]",
    "*[System[.='x']]",
    "*/*[EventID=4624]",
    "Event['']",
    "Event['x']",
    "Event[2]",
]


def plain(event: str) -> etree._Element:
    """*event* without namespaces and below a node of its own, so that XPath's `*` finds it as Windows' does."""
    root = etree.Element("above")
    root.append(etree.fromstring(event))
    for element in root.iter():
        element.tag = etree.QName(element).localname
    return root


_UNTYPED = re.sub("<TimeCreated[^>]*>|<Keywords>.*</Keywords>", "", EVENT)  # without what Windows knows types of
_PLAIN, _ELEMENT = plain(_UNTYPED), etree.fromstring(_UNTYPED)


@pytest.mark.parametrize("text", COMMON)
def test_the_evaluator_agrees_with_another_implementation(text: str) -> None:
    """lxml's XPath, on everything that XPath 1.0 and Windows mean the same way."""
    expected = plain(EVENT).xpath(f"boolean({text})")

    assert true_of(parse(text), etree.fromstring(EVENT)) is expected


def test_the_common_subset_says_yes_and_no() -> None:
    """A comparison in which everything is true would find no bug."""
    answers = [plain(EVENT).xpath(f"boolean({text})") for text in COMMON]

    assert min(answers.count(True), answers.count(False)) > 12


def test_real_events_and_real_queries_agree_as_well(shared_data: Path) -> None:
    """Two public baselines over a sample of real events; nothing here was written to fit."""
    queries = [
        parse_query_list(text.split("<![CDATA[")[1].split("]]>")[0])
        for name in ("Authentication", "Account-Management", "Object-Manipulation", "Services")
        for text in [(shared_data / "subscriptions/palantir" / f"{name}.xml").read_text()]
    ]
    clauses = [clause for queries in queries for query in queries.queries for clause in query.selects]
    with gzip.open(shared_data / "events/sample_permissive.jsonl.gz", "rt") as lines:
        events = [json.loads(line)["xml"] for line in lines][::4]

    selected = 0
    for event in events:
        root, element = plain(event), etree.fromstring(event)
        for clause in clauses:
            expected = root.xpath(f"boolean({clause.xpath})")
            assert true_of(parse(clause.xpath), element) is expected, (clause, event)
            selected += bool(expected)
    assert selected > 20


_NAMES = st.sampled_from(["System", "EventID", "Level", "Version", "EventData", "Data", "Provider", "@Name", "@*", "*"])
_VALUES = st.sampled_from(["4624", "0", "2", "'3'", "'S-1-5-18'", "'LogonType'", "''", "3.0"])
_COMPARED = st.builds(
    "{}{}{}".format, _NAMES, st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), st.one_of(_VALUES, _NAMES)
)
_PREDICATES = st.recursive(
    st.one_of(_COMPARED, _NAMES, st.sampled_from(["1", "2", "position()=2"])),
    lambda inner: st.one_of(
        st.builds("({}) and {}".format, inner, inner),
        st.builds("{} or ({})".format, inner, inner),
        st.builds("{}[{}]".format, st.sampled_from(["System", "EventData", "Data", "*", "System/*"]), inner),
        st.builds("{}[{}]/{}".format, st.sampled_from(["System", "EventData", "*"]), inner, _NAMES),
    ),
    max_leaves=6,
)


@given(_PREDICATES)
@settings(max_examples=300, deadline=None)
def test_made_up_expressions_agree_too(predicate: str) -> None:
    """Where people do not think of looking: nested positions, comparisons of node sets, attributes of attributes."""
    text = f"*[{predicate}]"

    assert true_of(parse(text), _ELEMENT) is _PLAIN.xpath(f"boolean({text})"), text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*[System[band(Keywords,0x20000000000000)]]", True),
        ("*[System[band(Keywords,9007199254740992)]]", True),
        ("*[System[band(Keywords,1)]]", False),
        ("*[System[band(Absent,1)]]", False),
        ("*[System[EventRecordID=9007199254740993]]", True),
        ("*[System[EventRecordID=9007199254740992]]", False),
        ("*[System[Keywords=9232379236109516800]]", True),
        ("*[System[TimeCreated[@SystemTime>='2026-01-02T03:04:05.000Z']]]", True),
        ("*[System[TimeCreated[@SystemTime>'2026-01-02T03:04:05.2Z']]]", False),
        ("*[System[TimeCreated[@SystemTime<'2026-01-03T00:00:00Z']]]", True),
        ("*[System[TimeCreated[timediff(@SystemTime) <= 60000]]]", True),
        ("*[System[TimeCreated[timediff(@SystemTime) <= 1000]]]", False),
        ("*[System[TimeCreated[timediff(@SystemTime,'2026-01-02T03:04:06.1234567Z') = 1000]]]", True),
        ("*[System[TimeCreated[timediff(@Absent) <= 60000]]]", False),
    ],
)
def test_what_windows_adds_to_xpath_is_followed(text: str, expected: bool) -> None:
    """Bit masks, 64-bit numbers and times: here Windows knows types that XPath 1.0 does not."""
    now = datetime(2026, 1, 2, 3, 4, 15, tzinfo=UTC)

    assert true_of(parse(text), etree.fromstring(EVENT), lambda: now) is expected


def test_selects_are_united_and_suppress_wins_on_its_channel() -> None:
    """subscriptions.md 3: it filters everything its Query selects there, not one Select."""
    matcher = Matcher.compile(
        query_list_of(
            [("Security", "*[System[EventID=4624]]"), ("Security", "*[System[EventID=4625]]"), ("System", "*")],
            [("Security", "*[EventData[Data[@Name='LogonType']='3']]")],
        )
    )

    assert not matcher.selects(EVENT)
    assert matcher.selects(EVENT.replace(">3</Data>", ">2</Data>"))
    assert not matcher.selects(EVENT.replace(">3</Data>", ">2</Data>").replace("4624", "4634"))
    assert matcher.selects(EVENT.replace("Security</Channel>", "System</Channel>"))


def test_what_one_query_suppresses_another_still_selects() -> None:
    """Across Query elements results are united; people are surprised by it, and Windows does it."""
    matcher = Matcher.compile(
        parse_query_list(
            '<QueryList><Query Id="0"><Select Path="Security">*</Select><Suppress Path="Security">*</Suppress></Query>'
            '<Query Id="1"><Select Path="Security">*[System[EventID=4624]]</Select></Query></QueryList>'
        )
    )

    assert matcher.selects(EVENT)
    assert not matcher.selects(EVENT.replace("4624", "4625"))


def test_channels_are_compared_without_case_and_may_be_given() -> None:
    """An event without a channel counts as one of the channel it was read from."""
    matcher = Matcher.compile(query_list_of([("SECURITY", "*"), ("Application", "*[System[EventID=4624]]")]))

    assert matcher.selects(EVENT)
    assert not matcher.selects(EVENT.replace("Security</Channel>", "Setup</Channel>"))
    assert matcher.selects(EVENT.replace("Security</Channel>", "</Channel>"), "application")


def test_an_event_that_cannot_be_parsed_is_decided_by_its_channel() -> None:
    """Windows sends such events; a trial that hides them would not show what arrives."""
    broken = EVENT.replace("user017", "user\x01017").replace("<Security/>", "<Security>")
    matcher = Matcher.compile(query_list_of([("Security", "*[System[EventID=1]]")], [("Security", "*[System]")]))

    assert matcher.selects(broken)
    assert not matcher.selects(broken, "System")


def test_what_cannot_be_decided_is_named_and_selects() -> None:
    """timediff() of one argument needs to know what time it is."""
    recent = "*[System[TimeCreated[timediff(@SystemTime) <= 1000]]]"
    queries = query_list_of([("Security", recent)], [("Security", recent)])

    matcher = Matcher.compile(queries)

    assert [entry.reason for entry in matcher.unsupported] == ["timediff() of one argument needs a clock"] * 2
    assert matcher.selects(EVENT)
    assert Matcher.compile(queries, lambda: datetime(2026, 2, 1, tzinfo=UTC)).unsupported == ()
