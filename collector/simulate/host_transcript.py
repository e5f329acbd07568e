"""A machine that says what was recorded, in order, whatever it is asked: real messages, byte for byte.

It understands nothing. Of an answer only the message that it relates to is put right, where that is wanted: callers
make up new ids, and would not believe an answer to somebody else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from aiohttp import web

from collector.simulate.host_sites import Site

SOAP = "application/soap+xml;charset=UTF-8"
_MESSAGE_ID = re.compile(rb"<(?:\w+:)?MessageID[^>]*>\s*([^<\s]+)")
_RELATES_TO = re.compile(rb"(<(?:\w+:)?RelatesTo[^>]*>\s*)[^<\s]+")


@dataclass(frozen=True, slots=True)
class Recorded:
    """One answer: an HTTP status and the bytes of a body."""

    body: bytes
    status: int = 200
    content_type: str = SOAP


@dataclass(eq=False, slots=True)
class Transcript:
    """Gives *answers* one after the other, then HTTP 503. ``asked`` are the bodies it was sent.

    *matching*: a RelatesTo names the message that was asked instead of the recorded one; UTF-8 only.
    """

    answers: Sequence[Recorded]
    matching: bool = True
    asked: list[bytes] = field(default_factory=list)
    _server: web.Server | None = None
    _site: Site | None = None

    @classmethod
    def of(cls, bodies: Iterable[bytes], *, matching: bool = True) -> Transcript:
        """Envelopes; one with a fault goes with HTTP 500, as Windows does it."""
        return cls([Recorded(body, 500 if b":Fault>" in body else 200) for body in bodies], matching)

    @property
    def url(self) -> str:
        """Where it listens, once it does."""
        assert self._site is not None, "it has not begun to listen"
        return "http://{}:{}".format(*self._site.place)

    async def __aenter__(self) -> Transcript:
        self._server = web.Server(self._answer, access_log=None)
        self._site = Site(("127.0.0.1", 0), self._server, None)
        await self._site.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._site is not None
        assert self._server is not None
        self._site.close()
        await self._server.shutdown(0.1)  # to aiohttp 0 would mean for ever

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        asked = await request.read()
        self.asked.append(asked)
        if len(self.asked) > len(self.answers):
            return web.Response(status=503)
        recorded = self.answers[len(self.asked) - 1]
        body, found = recorded.body, _MESSAGE_ID.search(asked)
        if self.matching and found:
            body = _RELATES_TO.sub(lambda match: match[1] + found[1], body, count=1)
        return web.Response(status=recorded.status, body=body, headers={"Content-Type": recorded.content_type})
