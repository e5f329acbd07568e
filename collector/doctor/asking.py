"""One question to a Windows machine's WinRM, and its answer as a value: for those who look, not for those who collect.

What is asked and what an answer means is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from collector.errors import CollectorError
from collector.wire.connection import Answer as HttpAnswer
from collector.wire.connection import Connection
from collector.wire.text import decoded
from collector.wire.trouble import Trouble
from collector.wsman.answers import Answer, read_answer
from collector.wsman.header import EnvelopeError

CONTENT_TYPE = "application/soap+xml;charset=UTF-8"
SPOKEN = (200, 400, 500)
"""Statuses that carry SOAP: answers, and faults as openwsman and as Windows send them (protocol.md 8.1)."""


class Unbelievable(CollectorError):
    """It answered, and not as WS-Management does; ``str()`` says what it was. *status* is that of HTTP."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Asking:
    """Questions over *connection* to *url*. *new_id* makes ``uuid:`` ids; times in seconds."""

    def __init__(self, url: str, connection: Connection, new_id: Callable[[], str], network_delay: float) -> None:
        self.url = url
        self.connection = connection
        self._new_id = new_id
        self._delay = network_delay

    async def ask(
        self,
        write: Callable[[str], str],
        *,
        timeout: float,
        related: bool = True,
        headers: Mapping[str, str] = {},
    ) -> Answer:
        """The answer to what *write* makes of a MessageID. Identify has none: not *related*.

        Raises ``Trouble`` and ``Unbelievable``; both are sentences that begin with the URL.
        """
        message_id = self._new_id()
        got = await self.connection.post(
            write(message_id).encode(), CONTENT_TYPE, timeout=timeout + self._delay, headers=headers
        )
        if got.status not in SPOKEN or not got.body:
            raise Unbelievable(f"{self.url}: {_said(got)}", got.status)
        try:
            return read_answer(self._text(got), message_id if related else None)
        except EnvelopeError as error:
            raise Unbelievable(
                f"{self.url}: HTTP {got.status}, {got.content_type[:80]}: {error}", got.status
            ) from error

    def _text(self, got: HttpAnswer) -> str:
        try:
            return decoded(got)
        except Trouble as trouble:
            raise Trouble(trouble.reason, f"{self.url}: {trouble}", sent=True, status=got.status) from trouble


def _said(got: HttpAnswer) -> str:
    if got.status == 401:
        return "HTTP 401: it asks who is calling"
    if got.status == 403:
        return "HTTP 403: it lets nobody in who calls like this; an IP filter of its policy, or another web server"
    if got.status == 404:
        return "HTTP 404: WinRM is not under this path; its URLPrefix may differ, or another web server has the port"
    if got.status == 503:
        return (
            "HTTP 503: it has no time now; WinRM may be starting, or has as many connections as it may (MaxConnections)"
        )
    nothing = " without a body" if not got.body else ""
    return f"HTTP {got.status}{nothing}, where SOAP comes with 200 or 500"
