"""What a fault means: by number first, whatever language its text is in."""

from __future__ import annotations

from typing import get_args

import pytest

from collector.pull.verdicts import LONGEST, REASONS, verdict
from collector.wire.trouble import Reason
from collector.wsman.answers import SourceFault


def fault(name: str = "w:InternalError", code: int | None = None, **said: str) -> SourceFault:
    return SourceFault(name, said.get("detail"), code, said.get("text", "nein"), said.get("provider", ""))


@pytest.mark.parametrize("code", [0x1A5, 0x1A6, 0x1A7, 0x1A8, 0x1E4, 0x1E5, 0x1E7, 0x1E8, 0x1EA])
def test_every_quota_is_named(code: int) -> None:
    """Each is raised in another place of Windows' configuration."""
    found = verdict(fault(code=0x80338000 + code))

    assert (found.meaning, found.reason) == ("refused", "quota")
    assert found.sentence.startswith(f"w:InternalError 0x{0x80338000 + code:08X}: exhausted: ")


@pytest.mark.parametrize("code", [0x80338008, -2144108536])
def test_signed_numbers_are_the_same_numbers(code: int) -> None:
    """wecutil writes them so (protocol.md 9.1)."""
    assert verdict(fault(code=code)).meaning == "gone"


@pytest.mark.parametrize("code", [5, 0x80070005])
def test_access_denied_of_a_plugin_speaks_of_a_channel(code: int) -> None:
    """The service let us in; what it cannot read is the log."""
    assert verdict(fault(code=code)).reason == "access-denied"
    assert verdict(fault(code=code, provider="Event Forwarding Plugin")).reason == "channel"


def test_a_code_says_more_than_a_subcode() -> None:
    """w:InternalError is what Windows says when it is out of operations (captured)."""
    assert verdict(fault("w:TimedOut", 0x803381A6)).reason == "quota"
    assert verdict(fault("w:TimedOut")).meaning == "quiet"


def test_what_is_too_large_is_no_other_limit() -> None:
    """A charset that the source does not speak will not fit into less either."""
    assert verdict(fault("w:EncodingLimit", detail="MaxEnvelopeSize")).meaning == "smaller"
    assert verdict(fault("w:EncodingLimit", detail="CharacterSet")).meaning == "refused"


def test_a_sentence_is_bounded_whatever_the_source_says() -> None:
    """It goes into a table and a log."""
    assert len(verdict(fault(text="x" * 100_000)).sentence) == LONGEST


def test_every_reason_of_the_wire_has_a_word_for_people() -> None:
    """Alarms are written from the list of words, so nothing else may turn up."""
    assert set(get_args(Reason)) - set(REASONS) == {"cut", "charset"}  # line says unreachable and protocol instead
