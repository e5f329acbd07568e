"""Responses that are written as they are: status line, headers and body in one run of bytes, with one write.

aiohttp spells each response anew, header by header. Nearly all of ours are the same Ack, so what it would say
is said here; ``tests/listener/test_answers.py`` holds the two equal. It knows no message.
"""

from __future__ import annotations

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.helpers import rfc822_formatted_time

SERVER = "wef-collector"
"""aiohttp would tell strangers its version and Python's."""


class Ready(web.StreamResponse):
    """200 with *body*, for a request that ``takes_ready``."""

    def __init__(self, request: web.BaseRequest, content_type: str, body: bytes) -> None:
        super().__init__()
        self._keep_alive = True
        self._to = request.writer
        head = (
            f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nServer: {SERVER}\r\n"
            f"Content-Length: {len(body)}\r\nDate: {rfc822_formatted_time()}\r\n\r\n"
        )
        self._octets = head.encode("ascii") + body

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Nothing to prepare; aiohttp asks before it lets the end be written."""
        return self._to

    async def write_eof(self, data: bytes = b"") -> None:
        """Write it all."""
        octets, self._octets = self._octets, b""
        await self._to.write_eof(octets)


def takes_ready(request: web.BaseRequest) -> bool:
    """Whether *request* gets an answer without a word about the connection: it stays open, as HTTP/1.1 has it."""
    return request.keep_alive and request.version == HttpVersion11
