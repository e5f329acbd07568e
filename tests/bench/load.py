"""A load for any WEF collector, by its address: many sources on one core, each with one connection that stays open.

``learn`` asks a collector which subscription is meant for us, as a source does; ``drive`` then posts batches and times
their Acks. One thread and non-blocking sockets, so that the times are the collector's and not those of a queue of ours.
It must not know whose collector it is.
"""

from __future__ import annotations

import base64
import gc
import re
import selectors
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any, Final
from urllib.parse import urlsplit

from collector.wsman.messages import EnumerateResponse, Offer
from collector.wsman.payload import open_payload
from collector.wsman.requests import Speaker, Target, write_enumerate
from collector.wsman.responses import read_response
from collector.wsman.sealing import SPNEGO, Seal, SealStyle, sealed_body
from tests.bench.envelopes import Template, machine_name

CONTENT_TYPE = "application/soap+xml;charset=UTF-16"
MUTUAL = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_ANSWERED = b"\x00A\x00c\x00k\x00"
"""Part of the action of an Ack in UTF-16, in either order of bytes."""
_WAIT: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
PATIENCE = 60.0


class Refused(Exception):
    """The collector answered something else than 200 and an Ack."""


@dataclass(frozen=True, slots=True)
class Way:
    """How sources come. *context*: TLS of the machine with that number; *session*: a gssapi context and its seal."""

    url: str
    context: Callable[[int], ssl.SSLContext] | None = None
    session: Callable[[], Any] | None = None

    @property
    def place(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or (5986 if parts.scheme == "https" else 5985)


@dataclass(slots=True)
class Outcome:
    """What came of a load. *latencies*: seconds, of every Ack; *busy*: the share of a core that the load took."""

    events: int = 0
    batches: int = 0
    seconds: float = 0.0
    busy: float = 0.0
    latencies: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Events per second."""
        return self.events / self.seconds

    def percentile(self, share: float) -> float:
        """Milliseconds."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000 if ordered else float("nan")


class Line:
    """The connection of one machine, proven where that is asked for, with at most one request under way."""

    def __init__(self, way: Way, machine: int) -> None:
        self.machine = machine
        self.seal: Seal | None = None
        self.begun = 0.0
        self.template: Template | None = None
        self._way = way
        self._unsent = memoryview(b"")
        self._inbox = bytearray()
        self._socket: socket.socket = socket.create_connection(way.place, PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if way.context is not None:
            self._socket = way.context(machine).wrap_socket(self._socket, server_hostname=way.place[0])
        if way.session is not None:
            self._prove(way.session())

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def ask(self, path: str, body: bytes, headers: str = "") -> tuple[int, str, bytes]:
        """One exchange that waits: status, head and body."""
        self.put(path, body, headers)
        self._socket.sendall(self._unsent)
        while (answer := self._whole()) is None:
            chunk = self._socket.recv(65536)
            if not chunk:
                raise Refused(f"{self._way.url}: the connection was closed")
            self._inbox += chunk
        return answer

    def put(self, path: str, body: bytes, headers: str = "") -> None:
        """Make *body* ready to leave, sealed where there is a key."""
        content_type = CONTENT_TYPE
        if self.seal is not None and body:
            content_type, body = sealed_body(self.seal, body, "UTF-16", SealStyle(SPNEGO))
        host, port = self._way.place
        proof = f"Authorization: {MUTUAL}\r\n" if self._way.context is not None else ""
        head = (
            f"POST {path} HTTP/1.1\r\nConnection: Keep-Alive\r\nContent-Type: {content_type}\r\n"
            f"User-Agent: Microsoft WinRM Client\r\n{proof}{headers}"
            f"Content-Length: {len(body)}\r\nHost: {host}:{port}\r\n\r\n"
        )
        self._unsent = memoryview(b"".join((head.encode(), body)))

    def unblock(self) -> None:
        """From now on ``push`` and ``take`` instead of ``ask``."""
        self._socket.setblocking(False)

    def push(self) -> bool:
        """Send what the socket takes; whether all has left."""
        try:
            while self._unsent:
                self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except _WAIT:
            return False
        return True

    def take(self) -> tuple[int, str, bytes] | None:
        """Receive what has come; the answer, once it is whole."""
        try:
            while True:
                chunk = self._socket.recv(65536)
                if not chunk:
                    raise Refused(f"{self._way.url}: the connection was closed under load")
                self._inbox += chunk
                answer = self._whole()
                if answer is not None:
                    return answer
        except _WAIT:
            return None

    def _whole(self) -> tuple[int, str, bytes] | None:
        end = self._inbox.find(b"\r\n\r\n") + 4
        if end < 4:
            return None
        head = bytes(self._inbox[:end])
        length = _LENGTH.search(head)
        size = int(length[1]) if length else 0
        if len(self._inbox) < end + size:
            return None
        body = bytes(self._inbox[end : end + size])
        del self._inbox[:]
        return int(head[9:12]), head.decode("latin-1"), body

    def _prove(self, session: Any) -> None:
        """Kerberos inside SPNEGO, one leg each way, with empty requests (protocol.md 3.3)."""
        context, seal = session
        token = context.step()
        while token is not None:
            header = f"Authorization: Negotiate {base64.b64encode(token).decode()}\r\n"
            status, head, _ = self.ask("/wsman", b"", header)
            found = re.search(r"\r\nwww-authenticate: *negotiate ([\w+/=]+)", head, re.IGNORECASE)
            if found is None:
                raise Refused(f"{self._way.url}: HTTP {status} instead of a token")
            token = None if context.complete else context.step(base64.b64decode(found[1]))
        self.seal = seal


def learn(way: Way, manager: str) -> Offer:
    """The first subscription that the collector at *manager*, a path, offers to machine 0. Raises ``Refused``."""
    line = Line(way, 0)
    identity = "uuid:5C3F1B0E-0000-4000-8000-0000000000E0"
    text = write_enumerate(
        Speaker(machine_name(0), "uuid:5C3F1B0E-0000-4000-8000-000000000001"),
        to=f"{way.url}{manager}",
        message_id=identity,
        operation_id=identity,
    )
    try:
        status, head, body = line.ask(manager, b"\xff\xfe" + text.encode("utf-16-le"))
    finally:
        line.close()
    kind = re.search(r"\r\ncontent-type: *([^\r]+)", head, re.IGNORECASE)
    answer = open_payload(body, kind[1] if kind else CONTENT_TYPE, "", 2**24, line.seal).text if body else ""
    reply = read_response(answer) if answer else None
    if status != 200 or not isinstance(reply, EnumerateResponse) or not reply.offers:
        raise Refused(f"{way.url}{manager}: HTTP {status} and no subscription for {machine_name(0)}: {answer[:300]}")
    return reply.offers[0]


def target_of(offer: Offer) -> Target:
    """Where *offer* wants its events."""
    return Target(offer.notify_to or "", offer.identifier or "", offer.version, offer.revision)


class Load:
    """*connections* machines on *way*, each posting one of *templates* after the other to *path*; closed at the end."""

    def __init__(self, way: Way, path: str, templates: Sequence[Template], connections: int, *, sldc: bool) -> None:
        self._path, self._headers = path, "Content-Encoding: SLDC\r\n" if sldc else ""
        self._next = cycle(templates)
        self._lines = [Line(way, number) for number in range(1, connections + 1)]
        self._selector = selectors.EpollSelector()
        for line in self._lines:
            line.unblock()
            self._selector.register(line, selectors.EVENT_READ, line)

    def drive(self, batches: Iterator[int], seconds: float, warm: float, rate: float = 0.0) -> Outcome:
        """Post for *seconds*, after *warm* seconds that do not count; *batches* numbers them. Raises ``Refused``.

        *rate*: batches per second of all together, each time by the machine that has rested longest; 0: as many
        as the collector acknowledges. With a rate an Ack's time counts from when its batch was due: a collector that
        keeps everybody waiting must not be spared the questions that nobody could ask meanwhile.
        """
        gc.collect()
        gc.disable()
        try:
            self._until(time.perf_counter() + warm, batches, rate, Outcome())
            outcome, begun, cpu = Outcome(), time.perf_counter(), time.process_time()
            self._until(begun + seconds, batches, rate, outcome)
            outcome.seconds = time.perf_counter() - begun
            outcome.busy = (time.process_time() - cpu) / outcome.seconds
        finally:
            gc.enable()
        return outcome

    def close(self) -> None:
        for line in self._lines:
            line.close()
        self._selector.close()

    def finish(self) -> None:
        """Wait until nothing is under way."""
        give_up = time.perf_counter() + PATIENCE
        while any(line.template is not None for line in self._lines) and time.perf_counter() < give_up:
            self._hear(1.0, Outcome())

    def _until(self, end: float, batches: Iterator[int], rate: float, outcome: Outcome) -> None:
        resting = [line for line in self._lines if line.template is None]
        due = now = time.perf_counter()
        while now < end:
            while resting and (not rate or due <= now):
                self._begin(resting.pop(0), next(batches), due if rate else None)
                due += 1 / rate if rate else 0
            wait = max(0.0, min(end, due if rate and resting else end) - now)
            resting += self._hear(wait, outcome)
            now = time.perf_counter()

    def _begin(self, line: Line, batch: int, due: float | None) -> None:
        line.template = next(self._next)
        line.put(self._path, line.template.body(line.machine, batch), self._headers)
        line.begun = time.perf_counter() if due is None else due
        if not line.push():
            self._selector.modify(line, selectors.EVENT_READ | selectors.EVENT_WRITE, line)

    def _hear(self, wait: float, outcome: Outcome) -> list[Line]:
        """Those whose batch was acknowledged meanwhile."""
        rested = []
        for key, events in self._selector.select(wait):
            line: Line = key.data
            if events & selectors.EVENT_WRITE and line.push():
                self._selector.modify(line, selectors.EVENT_READ, line)
            answer = line.take() if events & selectors.EVENT_READ else None
            if answer is not None:
                self._count(line, answer, outcome)
                rested.append(line)
        return rested

    def _count(self, line: Line, answer: tuple[int, str, bytes], outcome: Outcome) -> None:
        status, _, body = answer
        good = _ANSWERED in body or b"Ack" in body or (line.seal is not None and body)
        if status != 200 or not good:
            raise Refused(f"HTTP {status}: {body[:600].decode('utf-16', 'replace')}")
        assert line.template is not None
        outcome.latencies.append(time.perf_counter() - line.begun)
        outcome.events += line.template.events
        outcome.batches += 1
        line.template = None
