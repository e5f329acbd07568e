"""Windows' numbers explained: every notation, every code of the reference, and an answer for those it lacks."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from collector.doctor.codes import Explanation, NoNumber, explain, family_of, parse

TABLE = resources.files("collector.doctor").joinpath("codes.toml").read_text()
OFTEN = (
    "5", "53", "1717", "12175", "0x80338012", "0x80338082", "0x80338095", "0x803380E4", "0x803380F7", "0x80338113",
    "0x80338126", "0x80338168", "0x80338171", "0x803381A6", "0x80090311", "0x80092013",
)  # fmt: skip
"""The codes most often met in forwarding (protocol.md 9.1)."""


def one(text: str) -> Explanation:
    (found,) = explain(text)
    return found


@pytest.mark.parametrize("text", ["0x80338126", "0X80338126L", "2150859046", "-2144108250", " 0x80338126 "])
def test_a_number_is_the_same_in_every_notation(text: str) -> None:
    """Event 105 writes it unsigned, wecutil signed, people copy the hex."""
    assert one(text).symbol == "ERROR_WSMAN_NETWORK_TIMEDOUT"
    assert one(text).spellings == "0x80338126 = 2150859046 = -2144108250"


def test_half_a_number_is_completed() -> None:
    """Samples of the specification show the low 16 bits only."""
    assert one("32768").symbol == "ERROR_WSMAN_RESOURCE_NOT_FOUND"


@pytest.mark.parametrize("text", ["0x80070064", "0x80070068", "-2147024792"])
def test_an_hresult_is_no_event_of_the_log(text: str) -> None:
    """0x80070068 is an error; event 104 would say of it that this is how success looks."""
    assert explain(text) == []
    family = family_of(text)
    assert family is not None
    assert "inside an HRESULT" in family.meaning


def test_a_number_below_the_half_has_no_negative_spelling() -> None:
    """A signed word of 32 bits ends at 2147483647; the major code of GSS-API is below."""
    assert one("851968").spellings == "0x000D0000 = 851968"


def test_a_win32_code_inside_an_hresult_is_found() -> None:
    """0x80070005 is access denied in other clothes."""
    assert one("0x80070005").symbol == "ERROR_ACCESS_DENIED"


@pytest.mark.parametrize("text", OFTEN)
def test_what_is_met_often_has_a_cause_and_a_remedy_of_its_own(text: str) -> None:
    """A family's general advice would not help here."""
    found = one(text)
    same = [other for other in parse(TABLE) if other.family == found.family and other.remedy == found.remedy]

    assert found.cause
    assert len(same) == 1


def test_the_table_is_whole() -> None:
    """270 codes of WS-Management, each once, each with something to say; no notation of two numbers."""
    entries = list(parse(TABLE))
    wsman = [entry for entry in entries if entry.symbol.startswith(("ERROR_WSMAN", "ERROR_SERVICE_CBT"))]

    assert len(wsman) == 270
    assert len({entry.number for entry in entries}) == len(entries)
    assert len({entry.symbol for entry in entries}) == len(entries)
    for entry in entries:
        assert entry.meaning.endswith("."), entry
        assert entry.remedy.endswith("."), entry
        assert not re.search(r"[`|]", entry.meaning + entry.cause + entry.remedy), entry


def test_the_events_of_the_sources_own_log_are_explained() -> None:
    """The first thing that anybody sees on a source is event 105 (protocol.md 6.8)."""
    assert "subscription manager" in one("105").meaning
    assert "2150858882: client certificate" in one("105").cause


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("DeliveryRefused", "ERROR_WSMAN_DELIVERY_REFUSED"),
        ("NETWORK_TIMEDOUT", "ERROR_WSMAN_NETWORK_TIMEDOUT"),
        ("err_nothing", None),
    ],
)
def test_names_are_understood_too(text: str, symbol: str | None) -> None:
    """Some texts carry the symbol or the fault instead of the number."""
    assert [entry.symbol for entry in explain(text)] == ([symbol] if symbol else [])


@pytest.mark.parametrize(
    ("text", "said"),
    [("0x80338130", "remote shells"), ("0x80091234", "security layer"), ("12100", "HTTP client"),
     ("0x80070020", "Win32 error 32"), ("-1765328340", "Kerberos"), ("1326", "Win32")],
)  # fmt: skip
def test_an_unknown_number_is_placed_in_its_family(text: str, said: str) -> None:
    """Where it comes from says whom to ask."""
    assert explain(text) == []
    family = family_of(text)
    assert family is not None
    assert said in family.meaning


@pytest.mark.parametrize("text", ["", "?", "0x", "0x123456789", "99999999999", "12e3", "١٢"])
def test_what_is_no_number_is_refused_with_what_one_is(text: str) -> None:
    """Not an empty answer."""
    with pytest.raises(NoNumber, match="0x80338126"):
        explain(text)
    assert family_of(text) is None
