"""What a source can use of an answer, and what it cannot."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.wsman.header import EnvelopeError
from collector.wsman.messages import Ack, EnumerateResponse, Fault, IdentifyResponse
from collector.wsman.responses import read_response
from collector.wsman.writer import write_envelope
from tests.wsman.spoken import OFFER


@pytest.mark.parametrize("name", ["ack", "events-ack", "spec-ack"])
def test_windows_acks_are_acks(shared_data: Path, name: str) -> None:
    """With the white space that the specification prints, too."""
    assert read_response((shared_data / "captures" / f"{name}.xml").read_text()) == Ack()


@pytest.mark.parametrize(
    ("name", "subcode", "detail"),
    [
        ("fault-timedout", "w:TimedOut", None),
        ("fault-invalid-selectors", "w:InvalidSelectors", "UnexpectedSelectors"),
        ("fault-invalid-timeout-header", "a:InvalidMessageInformationHeader", None),
        ("fault-quota-max-concurrent", "w:InternalError", None),
        ("fault-invalid-parameter-provider", "w:InvalidParameter", "InvalidValue"),
    ],
)
def test_faults_of_real_services_are_read(shared_data: Path, name: str, subcode: str, detail: str | None) -> None:
    """White space around the QName, an empty xml:lang, texts that end in blanks."""
    fault = read_response((shared_data / "captures" / f"{name}.xml").read_text())

    assert isinstance(fault, Fault)
    assert (fault.name, fault.detail) == (subcode, detail)
    assert fault.text


def test_identify_responses_of_real_services_are_read(shared_data: Path) -> None:
    """Anonymous without profiles, authenticated with them."""
    captures = shared_data / "captures"
    anonymous = read_response((captures / "identify-response-anonymous-2012r2.xml").read_text())
    authenticated = read_response((captures / "identify-response-authenticated-2012r2.xml").read_text())

    assert anonymous == IdentifyResponse("Microsoft Corporation", "OS: 0.0.0 SP: 0.0 Stack: 3.0")
    assert isinstance(authenticated, IdentifyResponse)
    assert authenticated.profiles == ("http/basic", "http/spnego-kerberos")


def test_an_answer_to_another_message_is_refused() -> None:
    """Case counts: a source compares the letters (R5.4.4-3)."""
    text = write_envelope(Ack(), message_id="uuid:1", relates_to="uuid:abc")

    assert read_response(text, "uuid:abc") == Ack()
    with pytest.raises(EnvelopeError, match='relates to "uuid:abc" and not to "uuid:ABC"'):
        read_response(text, "uuid:ABC")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html/>",
        write_envelope(Ack(), message_id="uuid:1", relates_to=None).replace("/Ack<", "/Other<"),
        write_envelope(EnumerateResponse((), ()), message_id="u", relates_to=None).replace("Context><", "Context>7<"),
        write_envelope(EnumerateResponse([OFFER], ["u"]), message_id="u", relates_to=None).replace(
            "e:Subscribe", "e:X"
        ),
        write_envelope(EnumerateResponse([OFFER], ["u"]), message_id="u", relates_to=None).replace("/Events", "/Pull"),
    ],
)
def test_an_answer_that_no_source_could_use_is_refused(text: str) -> None:
    """The simulator must be no kinder to our collector than Windows is."""
    with pytest.raises(EnvelopeError):
        read_response(text)


@given(st.integers(0, 5000), st.integers(0, 60), st.text(max_size=6))
@settings(max_examples=100, deadline=None)
def test_a_mutated_answer_raises_nothing_but_its_own_error(at: int, length: int, put: str) -> None:
    """A collector may answer anything."""
    text = write_envelope(EnumerateResponse([OFFER], ["u"]), message_id="u", relates_to=None)
    at %= len(text)
    with contextlib.suppress(EnvelopeError):
        read_response(text[:at] + put + text[at + length :])
