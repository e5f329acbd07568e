"""A fault is one value, whichever of its shapes it comes in."""

from __future__ import annotations

import pytest

from collector.wsman import names
from collector.wsman.answering import write_source_fault
from collector.wsman.answers import SourceFault, read_answer
from collector.wsman.faults import FAULTS, MUST_UNDERSTAND
from tests.wsman.spoken import MESSAGE_ID, envelope

PROVIDER = ("Event Forwarding Plugin", r"%systemroot%\system32\wevtfwd.dll")


def fault(text: str) -> SourceFault:
    answer = read_answer(text, None)
    assert isinstance(answer, SourceFault)
    return answer


def written(name: str, code: int, text: str, *, detail: str | None = None, nested: bool = False) -> SourceFault:
    return fault(
        write_source_fault(
            name,
            code,
            text,
            message_id=MESSAGE_ID,
            relates_to=None,
            detail=detail,
            provider=PROVIDER if nested else None,
            nested=nested,
            machine="pc01",
            reason="something else",
        )
    )


def shaped(detail: str, *, code: str = "SO:Receiver", subcode: str = "WS:InternalError", reason: str = "why") -> str:
    said = f"<SO:Subcode><SO:Value>\n {subcode} </SO:Value></SO:Subcode>" if subcode else ""
    return envelope(
        names.FAULT_WSMAN,
        f"<SO:Fault><SO:Code><SO:Value>{code}</SO:Value>{said}</SO:Code><SO:Reason>{reason}</SO:Reason>"
        f"<SO:Detail>{detail}</SO:Detail></SO:Fault>",
    )


def wsman_fault(code: object, message: str) -> str:
    return f'<f:WSManFault xmlns:f="{names.WSMAN_FAULT}" Code="{code}"><f:Message>{message}</f:Message></f:WSManFault>'


@pytest.mark.parametrize("name", [name for name in FAULTS if name != MUST_UNDERSTAND])
@pytest.mark.parametrize("nested", [False, True])
def test_every_fault_is_read_as_it_is_written(name: str, nested: bool) -> None:
    """With our prefixes, so that what follows can be decided by name and code."""
    assert written(name, 2150858793, "late  ", detail="Heartbeats", nested=nested) == SourceFault(
        name, "Heartbeats", 2150858793, "late", PROVIDER[0] if nested else ""
    )


def test_a_header_that_was_not_understood_is_told_by_the_code() -> None:
    """This fault has no subcode."""
    text = write_source_fault(
        MUST_UNDERSTAND, 2150858768, "x", message_id=MESSAGE_ID, relates_to=None, not_understood=("urn:x", "Thing")
    )

    assert fault(text).name == "s:MustUnderstand"
    assert '<s:NotUnderstood qname="ns:Thing" xmlns:ns="urn:x"/>' in text


def test_the_innermost_code_and_text_say_most() -> None:
    """The outer ones of a plugin's fault are those of the service around it."""
    inner = f'<f:ProviderFault xmlns:f="{names.WSMAN_FAULT}" provider="P">{wsman_fault(5, "Access is  denied. ")}'
    found = fault(shaped(wsman_fault(2150858755, f"{inner}</f:ProviderFault>")))

    assert (found.code, found.text, found.provider) == (5, "Access is denied.", "P")


def test_a_foreign_element_inside_is_text() -> None:
    """t:ProviderError, as the event forwarding plugin has it."""
    error = f'<t:ProviderError xmlns:t="{names.PROVIDER_ERROR}">The channel is\n gone </t:ProviderError>'

    assert fault(shaped(wsman_fault(15007, error))).text == "The channel is gone"


@pytest.mark.parametrize("code", ["", "-1", "0x5", "five", "9" * 30])
def test_a_code_that_is_no_number_is_none(code: str) -> None:
    """The text and the subcode are still there."""
    found = fault(shaped(wsman_fault(code, "x")))

    assert (found.name, found.code, found.text) == ("w:InternalError", None, "x")


def test_without_a_message_the_reason_counts_english_first() -> None:
    """The log of a collector is read by people of many countries, and by search engines of one."""
    reason = '<SO:Text xml:lang="de">nein</SO:Text><SO:Text xml:lang="en-US"> no \n way </SO:Text>'

    assert fault(shaped("", reason=reason)).text == "no way"
    assert fault(shaped("", reason='<SO:Text xml:lang="">  nein </SO:Text>')).text == "nein"


@pytest.mark.parametrize(
    ("subcode", "name"),
    [
        ("a:DestinationUnreachable", "a:DestinationUnreachable"),
        ("zz:DestinationUnreachable", "a:DestinationUnreachable"),
        ("zz:SomethingNew", "SomethingNew"),
        ("zz:CannotProcessFilter", "CannotProcessFilter"),
        ("n:TimedOut", "n:TimedOut"),
        ("AD:EndpointUnavailable", "a:EndpointUnavailable"),
        ("", "s:Receiver"),
    ],
)
def test_a_prefix_that_is_not_declared_goes_by_the_local_name(subcode: str, name: str) -> None:
    """The specification's own sample does that (protocol.md 8.4)."""
    assert fault(shaped("", subcode=subcode)).name == name


def test_a_relative_detail_is_a_detail() -> None:
    """Of the same sample."""
    detail = "<WS:FaultDetail>wsman:faultDetail/ResourceNotFound</WS:FaultDetail>"

    assert fault(shaped(detail)).detail == "ResourceNotFound"


def test_a_text_has_an_end() -> None:
    """It is shown and kept for every source."""
    assert len(fault(shaped(wsman_fault(1, "x" * 100_000))).text) == 2000
