"""A session key that opens and no longer seals: the collector cannot answer, and says nothing in clear instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.auth.base import Admitted, Verdict, Visitor
from collector.auth.gate import Gate
from collector.clock import SystemClock
from collector.model import Caller
from collector.wsman.sealing import SPNEGO, SealError, SealStyle, sealed_body
from tests.listener.speaking import corridor_in, enumerate_, listening
from tests.wsman.sealed import PaperSeal


class Mute(PaperSeal):
    def seal(self, plain: bytes) -> tuple[bytes, bytes, int]:
        raise SealError("a body cannot be sealed: the ink is dry")


class Believing:
    """A mechanism that takes everybody for one machine, whose session key cannot seal."""

    name = "negotiate"
    challenge = None

    def admit(self, visitor: Visitor, authorization: str) -> Verdict | None:
        caller = Caller("pc01$@r", "pc01", "PC01$@R", self.name, visitor.address)
        return Admitted(caller, seal=Mute(), clear=False)

    def profile(self, secure: bool) -> str | None:
        return None


@pytest.mark.parametrize("text", [enumerate_(), f"<!DOCTYPE x>{enumerate_()}"], ids=["reply", "fault"])
async def test_who_cannot_be_answered_under_seal_is_not_answered_at_all(tmp_path: Path, text: str) -> None:
    """A clear reply would be believed by nobody, and an exception out of the door leaves no reason in the log."""
    async with listening(corridor_in(tmp_path), gate=Gate([Believing()], SystemClock())) as place:
        talk = await place.call()
        content_type, body = sealed_body(PaperSeal(), text.encode(), "UTF-8", SealStyle(SPNEGO))

        answer = await talk.post(body, **{"Content-Type": content_type})

        assert (answer.status, answer.body, answer.closed) == (400, b"", True)
