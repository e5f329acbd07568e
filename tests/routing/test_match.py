"""What a sink takes, as contract.md 1.1 puts it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.model import Key
from collector.routing.match import Taking, sampled

KEYS = [
    Key(0, "DC1.corp.example", "Security", "Microsoft-Windows-Security-Auditing", "4624", 0),
    Key(0, "dc1.corp.example", "System", "Service Control Manager", "7036", 4),
    Key(0, "ws7.corp.example", "Microsoft-Windows-Sysmon/Operational", "Microsoft-Windows-Sysmon", "1", 4),
    Key(0, "ws7.corp.example", "Application", "App [x]", "", 2),
]
IDS = ["a", "b", "c", "d"]


def taken(match: dict[str, Any], exclude: dict[str, Any] | None = None) -> list[int] | None:
    return Taking.compile(match, exclude).rows(KEYS, IDS, "Logons", ("dc1$@corp.example", "DC1"))


@pytest.mark.parametrize(
    ("match", "rows"),
    [
        ({}, None),
        ({"channel": "security"}, [0]),
        ({"channel": ["Security", "SYSTEM"]}, [0, 1]),
        ({"channel": "*sysmon*"}, [2]),
        ({"channel": ["microsoft-windows-*", "app*"]}, [2, 3]),
        ({"computer": "DC?.*"}, [0, 1]),
        ({"computer": "dc1.corp.example", "channel": "System"}, [1]),
        ({"provider": "Microsoft-Windows-*"}, [0, 2]),
        ({"event_id": 4624}, [0]),
        ({"event_id": "7036"}, [1]),
        ({"event_id": ["4620-4629", 1]}, [0, 2]),
        ({"level": "0-2"}, [0, 3]),
        ({"level": [4]}, [1, 2]),
        ({"subscription": "log*"}, None),
        ({"subscription": "other"}, []),
        ({"source": "dc1"}, None),
        ({"source": "DC1$@CORP.*"}, None),
        ({"source": ["pc*", "ws*"]}, []),
        ({"channel": "*", "event_id": "0-9999999999"}, [0, 1, 2]),
    ],
)
def test_keys_are_anded_and_lists_ored(match: dict[str, Any], rows: list[int] | None) -> None:
    """A filter that takes less than it says loses evidence; one that takes more floods a sink."""
    assert taken(match) == rows


@pytest.mark.parametrize(
    ("match", "exclude", "rows"),
    [
        ({}, {"channel": "Security"}, [1, 2, 3]),
        ({"level": 4}, {"channel": "System"}, [2]),
        ({}, {"source": "dc1"}, []),
        ({}, {"source": "dc1", "channel": "System"}, [0, 2, 3]),
        ({}, {"source": "pc9", "channel": "System"}, None),
        ({"channel": "System"}, {"channel": "System"}, []),
    ],
)
def test_exclude_wins_over_match(match: dict[str, Any], exclude: dict[str, Any], rows: list[int] | None) -> None:
    """What was left out on purpose must not come back through a wide match."""
    assert taken(match, exclude) == rows


def test_the_same_event_always_falls_the_same_way_and_into_every_larger_share() -> None:
    """A duplicate must not slip through on the second try, and a sample can be widened."""
    ids = [f"event-{number}" for number in range(4000)]
    keys = [KEYS[0]] * len(ids)

    small = Taking.compile({}, None, 0.1).rows(keys, ids, "s", ())
    large = Taking.compile({}, None, 0.4).rows(keys, ids, "s", ())

    assert small is not None
    assert large is not None
    assert 300 < len(small) < 500
    assert set(small) < set(large)
    assert [n for n in range(12) if sampled(f"event-{n}", 0.5)] == [0, 1, 4, 5, 8, 9, 10, 11]  # in every process


@pytest.mark.parametrize(
    ("match", "sentence"),
    [
        ({"chanel": "x"}, 'match.chanel: there is no such key. Did you mean "channel"?'),
        ({"zzz": "x"}, "match.zzz: there is no such key. Known keys: "),
        ({"channel": []}, "match.channel: the list is empty"),
        ({"channel": 5}, "match.channel: 5 is no text"),
        ({"channel": ""}, "match.channel: '' is no text"),
        ({"event_id": "many"}, "match.event_id: 'many' is no number"),
        ({"event_id": "20-10"}, "match.event_id: '20-10' is no number"),
        ({"event_id": True}, "match.event_id: True is no number"),
        ({"level": -1}, "match.level: -1 is no number"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_a_sentence(match: dict[str, Any], sentence: str) -> None:
    """A misspelt filter that silently takes nothing is found out a year later."""
    with pytest.raises(ValueError, match="^" + re.escape(sentence)):
        Taking.compile(match)
    with pytest.raises(ValueError, match=r"^exclude"):
        Taking.compile({}, match)


def test_an_empty_exclude_and_a_senseless_sample_are_refused() -> None:
    """Taken by the letter they would leave a required sink with nothing."""
    with pytest.raises(ValueError, match="exclude is empty"):
        Taking.compile({}, {})
    for sample in (0, 1.5, float("nan")):
        with pytest.raises(ValueError, match="sample is"):
            Taking.compile({}, None, sample)


def test_strange_and_endless_values_are_judged_and_match_nothing() -> None:
    """Names and numbers come from sources: none of them may end the collector."""
    taking = Taking.compile({"computer": "a*", "event_id": "0-9999"})
    strange = ["9" * 5000, "\u0661", "-1", "4624\n", ""]
    keys = [Key(0, "a" * 100_000 + str(number), "c", "p", strange[number % 5], 0) for number in range(200)]

    assert taking.rows(keys, [""] * len(keys), "s", ()) == []


def test_a_sink_without_terms_takes_everything() -> None:
    """`wef check` warns when no sink does."""
    assert Taking.compile({}).everything
    assert not Taking.compile({"level": 1}).everything
    assert not Taking.compile({}, None, 0.5).everything


names = st.sampled_from(["Security", "System", "Sec*", "*", "pc9", "dc1", "everything", "[", "4624", "none"])
numbers = st.one_of(st.integers(0, 5), st.sampled_from(["4", "2-4", " 1 - 9 ", "4624", "4620-4630"]))
tables = st.fixed_dictionaries(
    {},
    optional={
        **{
            name: st.one_of(names, st.lists(names, min_size=1, max_size=3))
            for name in ("channel", "provider", "computer", "subscription", "source")
        },
        **{name: st.one_of(numbers, st.lists(numbers, min_size=1, max_size=3)) for name in ("event_id", "level")},
    },
)
events = st.builds(
    Key,
    st.integers(0, 9),
    st.sampled_from(["PC9", "dc1", ""]),
    st.sampled_from(["Security", "system", ""]),
    st.sampled_from(["none", "pc9"]),
    st.sampled_from(["4624", "4", "", "x"]),
    st.integers(0, 5),
)


@settings(max_examples=300, deadline=None)
@given(tables, st.none() | tables.filter(bool), st.sampled_from([1.0, 0.5]), events, st.text(max_size=3), names, names)
def test_an_explanation_says_what_the_lane_does(
    match: dict[str, Any],
    exclude: dict[str, Any] | None,
    sample: float,
    key: Key,
    event_id: str,
    subscription: str,
    source: str,
) -> None:
    """Somebody relies on `wef match` to find out why evidence is missing."""
    taking = Taking.compile(match, exclude, sample)

    said = taking.explain(key, event_id, subscription, (source, "dc1"))

    assert said.takes == (taking.rows([key], [event_id], subscription, (source, "dc1")) != [])
    assert said.reasons


EVENT = Key(1, "DC1.corp.example", "Security", "Microsoft-Windows-Security-Auditing", "4624", 0)


@pytest.mark.parametrize(
    ("match", "exclude", "takes", "reasons"),
    [
        ({}, None, True, ["no match table: takes everything"]),
        ({"channel": "Sec*"}, None, True, ['match.channel: "Security" fits "Sec*"']),
        ({"event_id": [1, "4620-4630"]}, None, True, ['match.event_id: 4624 is in "4620-4630"']),
        (
            {"channel": ["System", "App*"], "level": 0, "event_id": 4625},
            None,
            False,
            ['match.channel: "Security" fits none of "System", "App*"', "match.event_id: 4624 is not in 4625"],
        ),
        ({"channel": "Security"}, {"event_id": "4620-4630"}, False, ['exclude.event_id: 4624 is in "4620-4630"']),
        (
            {},
            {"event_id": 4624, "source": "pc*"},
            True,
            [
                "no match table: takes everything that is left",
                'exclude.source: "dc1$@corp" or "dc1" does not fit "pc*"',
            ],
        ),
        ({"source": "dc1"}, None, True, ['match.source: "dc1" fits "dc1"']),
    ],
)
def test_reasons_name_the_term_and_both_values(
    match: dict[str, Any], exclude: dict[str, Any] | None, takes: bool, reasons: list[str]
) -> None:
    """The reader has the settings open beside it and looks for the line to change."""
    said = Taking.compile(match, exclude).explain(EVENT, "id", "everything", ("dc1$@corp", "dc1"))

    assert (said.takes, list(said.reasons)) == (takes, reasons)


def test_a_sample_is_named_with_its_share() -> None:
    """It looks like loss to somebody who did not write it."""
    taking = Taking.compile({}, None, 0.1)
    inside = next(str(number) for number in range(100) if sampled(str(number), 0.1))
    outside = next(str(number) for number in range(100) if not sampled(str(number), 0.1))

    assert taking.explain(EVENT, outside, "s", ()).reasons == ("sample: its id falls outside the 10 %",)
    assert "sample: its id falls into the 10 %" in taking.explain(EVENT, inside, "s", ()).reasons
