"""The connection of one conversation: an envelope out, the source's answer back as a value, or a ``Setback``.

It is made when there is something to say and made anew after every trouble; it never says anything twice. It knows
neither what is asked nor what an answer means.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from collector.kernel.letters import Letters
from collector.pull.course import Setback
from collector.wire import connection
from collector.wire.text import opened
from collector.wire.trouble import Reason, Trouble
from collector.wsman.answers import Answer, read_answer
from collector.wsman.header import EnvelopeError

CONTENT_TYPE = "application/soap+xml;charset=UTF-8"
SPOKEN = (200, 400, 500)
"""The statuses that carry SOAP: an answer, and faults as openwsman and as Windows send them (protocol.md 8.1)."""

_WORDS: dict[Reason, str] = {"cut": "unreachable", "charset": "protocol"}
"""Reasons of the wire that are no word of their own for people."""


class Opened(Protocol):
    """What ``wire.connection.Connection`` promises."""

    @property
    def address(self) -> str: ...

    @property
    def open(self) -> bool: ...

    async def post(self, body: bytes, content_type: str, *, timeout: float | None = None) -> connection.Answer: ...

    def release(self) -> None: ...

    async def close(self) -> None: ...


class Line:
    """*connect* makes a connection, which its first ``post`` opens; *monotonic* is a clock's."""

    def __init__(self, url: str, connect: Callable[[], Opened], monotonic: Callable[[], float] = float) -> None:
        self.url = url
        self.address = ""
        self.reading = 0.0
        """Seconds that it took to read the last answer; nobody else was served meanwhile."""
        self._connect = connect
        self._monotonic = monotonic
        self._connection: Opened | None = None

    @property
    def open(self) -> bool:
        """There is a connection on which an answer came, and as far as we know it lives."""
        return self._connection is not None and self._connection.open

    async def ask(self, text: str, message_id: str, timeout: float) -> tuple[Answer, int]:
        """The answer to *text* and how many bytes it had; *timeout* in seconds for all of it. Raises ``Setback``."""
        link, self._connection = self._connection or self._connect(), None
        try:
            answer = await link.post(text.encode(), CONTENT_TYPE, timeout=timeout)
            self.address = link.address or self.address
            begun = self._monotonic()
            understood = read_answer(self._content(answer), message_id)
            self.reading = self._monotonic() - begun
        except Trouble as trouble:
            await link.close()
            raise Setback(_WORDS.get(trouble.reason, trouble.reason), str(trouble), sent=trouble.sent) from trouble
        except EnvelopeError as error:
            await link.close()
            raise Setback("protocol", f"{self.url}: {error}", sent=True) from error
        except BaseException:  # a Setback, or whoever asks gave up: an answer may still come, and fit nothing
            await link.close()
            raise
        self._connection = link
        return understood, len(answer.body)

    def release(self) -> None:
        """The last answer is safe, or forgotten: what it holds of the memory that all share is free again."""
        if self._connection is not None:
            self._connection.release()

    async def close(self) -> None:
        link, self._connection = self._connection, None
        if link is not None:
            await link.close()

    def _content(self, answer: connection.Answer) -> str | Letters:
        if answer.status not in SPOKEN:
            raise Setback("http", f"{self.url}: HTTP {answer.status}, where SOAP comes with 200 or 500", sent=True)
        if not answer.body:
            raise Setback("http", f"{self.url}: HTTP {answer.status} without a body", sent=True)
        return opened(answer)
