"""Windows machines that wait to be pulled, as many as are wanted on one core: they speak just enough of WS-Management.

Their answers are built once, and sent each time with other record numbers, times, contexts and bookmarks. A batch
counts as taken when the next Pull comes with the context that it gave: that is what a source learns. One thread and
non-blocking sockets, as in ``load``. It must not know whose collector calls.
"""

from __future__ import annotations

import contextlib
import gc
import heapq
import re
import selectors
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Final, Self

from collector.wsman.answering import (
    write_pull_response,
    write_source_fault,
    write_subscribe_response,
    write_unsubscribe_response,
)
from tests.bench.envelopes import BATCH, MOST_EVENTS, event_texts
from tests.bench.load import Outcome

POOL: Final = 8
"""Different events that answers of one size are made of, times their number."""
_RELATES = "uuid:7E1A7E50-0000-4000-8000-00000FACADE0"
_CONTEXT = f"uuid:C0FFEE00-0000-4000-8000-00000{BATCH}"
_BOOKMARK = f'<BookmarkList><Bookmark Channel="Security" RecordId="1{BATCH}99" IsCurrent="true"/></BookmarkList>'
_ID = "uuid:5C3F1B0E-0000-4000-8000-000000000001"
_TIMED_OUT = 2150858793
_ACTION = re.compile(rb"/(Subscribe|Pull|Unsubscribe)</\w+:Action>")
_MESSAGE = re.compile(rb":MessageID>([^<]+)<")
_TIMEOUT = re.compile(rb":OperationTimeout>PT([\d.]+)S<")
_SHOWN = re.compile(rb":EnumerationContext>([^<]+)<")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_STAMP = re.compile(rb"SystemTime='([^']{28})'")
_WAIT: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Strange(Exception):
    """The collector said something that a source would refuse."""


class Answer:
    """A PullResponse of *size* events; ``text`` spells it as another one."""

    def __init__(self, size: int, number: int) -> None:
        texts = event_texts(number, size, rendered=False)
        self._body = bytearray(
            write_pull_response(texts, _CONTEXT, _BOOKMARK, message_id=_ID, relates_to=_RELATES).encode()
        )
        self._related = self._body.index(_RELATES.encode())
        self._numbers = [found.start() for found in re.finditer(BATCH.encode(), self._body)]
        self._stamps = [found.start(1) for found in _STAMP.finditer(self._body)]

    def text(self, batch: int, relates_to: bytes, newest: datetime) -> bytes:
        """As batch number *batch*; every event says that it happened at *newest*."""
        body, digits = self._body, f"{batch % 10_000_000:07}".encode()
        for place in self._numbers:
            body[place : place + 7] = digits
        stamp = f"{newest:%Y-%m-%dT%H:%M:%S.%f}0Z".encode()
        for place in self._stamps:
            body[place : place + 28] = stamp
        body[self._related : self._related + len(relates_to)] = relates_to
        return bytes(body)


class Host:
    """One machine: its port, and with whom it talks there. *turn* is where it stands among the others, below 1."""

    def __init__(self, turn: float) -> None:
        self.turn = turn
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=4)
        self.listener.setblocking(False)
        self.link: socket.socket | None = None
        self.inbox = bytearray()
        self.unsent = memoryview(b"")
        self.subscribed = False
        self.taken = 0
        """Events of its log that have left it."""
        self.context = b""
        self.gave = 0
        """Events of the last answer."""
        self.gave_at = 0.0
        self.held: bytes = b""
        """The MessageID of a Pull that waits for events, until *until*."""
        self.until = 0.0

    @property
    def port(self) -> int:
        number: int = self.listener.getsockname()[1]
        return number


@dataclass(slots=True)
class Watched(Outcome):
    """*latencies*: from an answer to the next Pull; *waits*: of each event until it left the machine, in seconds."""

    waits: list[float] = field(default_factory=list)


class Hosts:
    """*number* machines; *rate*: events per second of each, 0: none ever happens, None: there are always more."""

    def __init__(self, number: int, rate: float | None, context: ssl.SSLContext | None = None) -> None:
        self.rate = rate
        self._context = context
        self._selector = selectors.DefaultSelector()
        self._held: list[tuple[float, int, Host]] = []
        self._answers: dict[int, list[Answer]] = {}
        self._batches, self._order = count(1), count()
        self._outcome = Watched()
        self._begun = time.perf_counter()
        self._wall = datetime.now(UTC)  # noqa: TID251 - the lag that a collector measures is one on the wall
        self.all = [Host(place / number) for place in range(number)]
        for host in self.all:
            self._selector.register(host.listener, selectors.EVENT_READ, (host, True))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for host in self.all:
            self._drop(host)
            host.listener.close()
        self._selector.close()

    @property
    def subscribed(self) -> int:
        """How many are."""
        return sum(host.subscribed for host in self.all)

    @property
    def secure(self) -> bool:
        return self._context is not None

    def begin(self, rate: float) -> None:
        """From now on events happen, *rate* per second at each machine."""
        self.rate = rate
        self._begun = time.perf_counter()
        self._wall = datetime.now(UTC)  # noqa: TID251 - as above
        for host in self.all:
            host.taken = 0
            if host.held:
                heapq.heappush(self._held, (self._begun, next(self._order), host))

    def drive(self, seconds: float, warm: float = 0.0) -> Watched:
        """Serve, after *warm* seconds that do not count."""
        gc.collect()
        gc.disable()
        try:
            end = time.perf_counter() + warm
            self.serve(lambda: time.perf_counter() >= end)
            self._outcome, begun, cpu = Watched(), time.perf_counter(), time.process_time()
            self.serve(lambda: time.perf_counter() >= begun + seconds)
            self._outcome.seconds = time.perf_counter() - begun
            self._outcome.busy = (time.process_time() - cpu) / self._outcome.seconds
        finally:
            gc.enable()
        return self._outcome

    def serve(self, done: Callable[[], bool]) -> None:
        """Answer whoever asks until *done* says so."""
        while not done():
            self._wake(time.perf_counter())
            wait = min(0.05, self._held[0][0] - time.perf_counter()) if self._held else 0.05
            for key, events in self._selector.select(max(0.0, wait)):
                host, new = key.data
                if new:
                    self._accept(host)
                elif host.link is not None:
                    self._converse(host, events)

    # Connections -----------------------------------------------------------------------------------------------------

    def _accept(self, host: Host) -> None:
        link, _ = host.listener.accept()
        link.setblocking(False)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._drop(host)
        if self._context is not None:
            link = self._context.wrap_socket(link, server_side=True, do_handshake_on_connect=False)
        host.link = link
        self._selector.register(link, selectors.EVENT_READ, (host, False))

    def _converse(self, host: Host, events: int) -> None:
        try:
            if events & selectors.EVENT_WRITE:
                self._push(host)
            if events & selectors.EVENT_READ:
                for kind, message_id, asked in self._heard(host):
                    self._answer(host, kind, message_id, asked)
        except (OSError, EOFError):
            self._drop(host)

    def _heard(self, host: Host) -> Iterator[tuple[bytes, bytes, bytes]]:
        """Requests that are whole: what they ask, their MessageID, and all of them."""
        assert host.link is not None
        with contextlib.suppress(*_WAIT):
            while True:
                chunk = host.link.recv(65536)
                if not chunk:
                    raise EOFError
                host.inbox += chunk
        end = host.inbox.find(b"\r\n\r\n") + 4
        length = _LENGTH.search(host.inbox, 0, max(end, 0))
        if end < 4 or length is None or len(host.inbox) < end + int(length[1]):
            return
        asked = bytes(host.inbox)
        host.inbox.clear()
        action, message_id = _ACTION.search(asked), _MESSAGE.search(asked)
        if action is None or message_id is None:
            raise Strange(asked[:2000].decode("latin-1"))
        yield action[1], message_id[1], asked

    def _drop(self, host: Host) -> None:
        if host.link is not None:
            self._selector.unregister(host.link)
            host.link.close()
        host.link, host.held, host.unsent = None, b"", memoryview(b"")
        host.inbox.clear()

    def _push(self, host: Host) -> None:
        assert host.link is not None
        waited = bool(host.unsent)
        try:
            while host.unsent:
                host.unsent = host.unsent[host.link.send(host.unsent) :]
        except _WAIT:
            self._selector.modify(host.link, selectors.EVENT_READ | selectors.EVENT_WRITE, (host, False))
            return
        if waited:
            self._selector.modify(host.link, selectors.EVENT_READ, (host, False))

    def _say(self, host: Host, body: bytes, status: str = "200") -> None:
        head = (
            f"HTTP/1.1 {status}\r\nContent-Type: application/soap+xml;charset=UTF-8\r\n"
            f"Server: Microsoft-HTTPAPI/2.0\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        host.unsent = memoryview(head.encode() + body)
        assert host.link is not None
        with contextlib.suppress(*_WAIT):
            host.unsent = host.unsent[host.link.send(host.unsent) :]
        if host.unsent:
            self._selector.modify(host.link, selectors.EVENT_READ | selectors.EVENT_WRITE, (host, False))

    # Messages --------------------------------------------------------------------------------------------------------

    def _answer(self, host: Host, kind: bytes, message_id: bytes, asked: bytes) -> None:
        related = message_id.decode()
        if kind == b"Subscribe":
            host.subscribed, host.gave, host.context = True, 0, _CONTEXT.encode()
            text = write_subscribe_response(
                message_id=_ID, relates_to=related, manager="http://localhost/wsman", identifier=_ID, context=_CONTEXT
            )
            self._say(host, text.encode())
        elif kind == b"Unsubscribe":
            host.subscribed = False
            self._say(host, write_unsubscribe_response(message_id=_ID, relates_to=related).encode())
        else:
            self._pulled(host, message_id, asked)

    def _pulled(self, host: Host, message_id: bytes, asked: bytes) -> None:
        shown, patience, now = _SHOWN.search(asked), _TIMEOUT.search(asked), time.perf_counter()
        if shown is None or patience is None or shown[1] != host.context:
            raise Strange(f"{asked[-2000:].decode('latin-1')}\nThe context was {host.context.decode()}")
        if host.gave:
            self._outcome.events += host.gave
            self._outcome.batches += 1
            self._outcome.latencies.append(now - host.gave_at)
            host.gave = 0
        host.held, host.until = message_id, now + float(patience[1])
        self._offer(host, now)

    def _offer(self, host: Host, now: float) -> None:
        """Answer the Pull that *host* holds, or see to it that it is looked at again."""
        due = MOST_EVENTS if self.rate is None else int(max(0.0, self._happened(host, now) - host.taken))
        if due:
            self._give(host, min(due, MOST_EVENTS), now)
        elif now >= host.until:
            text = write_source_fault(
                "w:TimedOut", _TIMED_OUT, "The operation timed out.", message_id=_ID, relates_to=host.held.decode()
            )
            host.held = b""
            self._say(host, text.encode(), "500")
        else:
            ready = host.until
            if self.rate:
                ready = min(ready, now + (host.taken + 1 - self._happened(host, now)) / self.rate)
            heapq.heappush(self._held, (ready, next(self._order), host))

    def _give(self, host: Host, size: int, now: float) -> None:
        if size not in self._answers:
            self._answers[size] = [Answer(size, number) for number in range(POOL if size == MOST_EVENTS else 1)]
        newest = now
        if self.rate:
            times = [self._begun + (host.taken + row + 1 - host.turn) / self.rate for row in range(size)]
            self._outcome.waits += [now - at for at in times]
            newest = times[-1]
        batch = next(self._batches)
        kinds = self._answers[size]
        when = self._wall + timedelta(seconds=newest - self._begun)
        relates_to, host.held = host.held, b""
        self._say(host, kinds[batch % len(kinds)].text(batch, relates_to, when))
        host.context = f"uuid:C0FFEE00-0000-4000-8000-00000{batch % 10_000_000:07}".encode()
        host.taken += size
        host.gave, host.gave_at = size, now

    def _happened(self, host: Host, now: float) -> float:
        """How many events its log has, and how far the next one is."""
        return (now - self._begun) * (self.rate or 0.0) + host.turn

    def _wake(self, now: float) -> None:
        while self._held and self._held[0][0] <= now:
            host = heapq.heappop(self._held)[2]
            if host.held:
                self._offer(host, now)


def urls(hosts: Sequence[Host], secure: bool) -> str:
    """The hosts as a file of sources has them."""
    scheme, name = ("https", "localhost") if secure else ("http", "127.0.0.1")
    return "".join(f"{scheme}://{name}:{host.port}\n" for host in hosts)
