"""A pretend Elasticsearch with a script: what it says to the next bulk, and to the one after.

Without a script it does what a data stream does: ``create`` by id, 409 for what is there. Every trouble
of sinks.md 2.5 and what a proxy in between makes of it can be scripted.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

PRODUCT = {"X-Elastic-Product": "Elasticsearch"}


@dataclass(frozen=True)
class Said:
    """A whole answer instead of items. *body* None: the connection is cut in the middle of one."""

    status: int = 200
    body: bytes | None = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Hang:
    """No answer, until the fake stops."""


class Endless:
    """An answer without an end."""


Item = Callable[[dict[str, Any]], tuple[int, dict[str, Any] | None] | None]
"""A document -> its status and error; None: what a data stream does."""
Step = Said | Hang | Endless | Item


def error(kind: str, reason: str = "because", **more: Any) -> dict[str, Any]:
    return {"type": kind, "reason": reason, **more}


def failed(status: int, kind: str, reason: str = "because") -> Said:
    """A whole request refused, as Elasticsearch itself says it."""
    body = orjson.dumps({"error": {"root_cause": [], **error(kind, reason)}, "status": status})
    return Said(status, body, {**PRODUCT, "content-type": "application/json"})


class FakeElasticsearch:
    """``async with FakeElasticsearch() as fake``; then ``fake.url``. *product* False: it is OpenSearch.

    *most*: bytes of a body above which it says 413, as a proxy does. *poison*: a text in a document
    that makes the whole request malformed.
    """

    def __init__(self, *script: Step, product: bool = True, most: int = 2**30, poison: bytes = b"") -> None:
        self.script: deque[Step] = deque(script)
        self.streams: dict[str, dict[str, dict[str, Any]]] = {}
        self.bulks: list[int] = []
        self.sizes: list[int] = []
        self.requests: list[web.Request] = []
        self.asked = asyncio.Event()
        self.most_at_once = 0
        self.gate: asyncio.Event | None = None
        self.nameless = 0
        self._product, self._most, self._poison = product, most, poison
        self._at_once = 0
        self._stopped = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def __aenter__(self) -> FakeElasticsearch:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self._stopped.clear()
        app = web.Application(client_max_size=2**30)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port, ssl_context=tls)
        await site.start()
        host, number = self._runner.addresses[0][:2]
        self.url = f"{'https' if tls else 'http'}://{host}:{number}"

    async def stop(self) -> None:
        self._stopped.set()
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def ids(self) -> list[str]:
        """What a search over all streams finds, sorted as searches sort: by time."""
        found = [(doc.get("@timestamp", ""), id) for stream in self.streams.values() for id, doc in stream.items()]
        return [id for _, id in sorted(found, key=lambda entry: entry[0])]

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.asked.set()
        body = await request.read()  # unpacked, if it was packed
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            if self.gate is not None:
                await self.gate.wait()
            return await self._said(request, body)
        finally:
            self._at_once -= 1

    async def _said(self, request: web.Request, body: bytes) -> web.StreamResponse:
        step = self.script.popleft() if self.script else (lambda document: None)
        if isinstance(step, Hang):
            await self._stopped.wait()
            return web.Response()
        if isinstance(step, Endless):
            return await self._endless(request)
        if isinstance(step, Said):
            return await self._whole(request, step)
        if len(body) > self._most:
            return web.Response(status=413)
        if self._poison and self._poison in body:
            return await self._whole(request, failed(400, "x_content_parse_exception", "malformed action"))
        return self._items(body, step)

    def _items(self, body: bytes, step: Item) -> web.Response:
        lines = body.split(b"\n")
        assert lines.pop() == b""
        self.bulks.append(len(lines) // 2)
        self.sizes.append(len(body))
        items = [
            self._item(orjson.loads(action)["create"], orjson.loads(document), step)
            for action, document in zip(lines[::2], lines[1::2], strict=True)
        ]
        answer = {"errors": any("error" in item["create"] for item in items), "items": items}
        return web.Response(body=orjson.dumps(answer), headers=PRODUCT if self._product else {})

    def _item(self, action: dict[str, str], document: dict[str, Any], step: Item) -> dict[str, Any]:
        said = step(document)
        if said is not None:
            status, trouble = said
            extra = {"failure_store": "used"} if trouble is None and status == 201 else {}
            return {"create": {"status": status, **extra, **({"error": trouble} if trouble else {})}}
        stream = self.streams.setdefault(action["_index"], {})
        if "_id" not in action:
            self.nameless += 1
        identifier = action.get("_id", f"made-{self.nameless}")
        if identifier in stream:
            return {"create": {"status": 409, "error": error("version_conflict_engine_exception")}}
        stream[identifier] = document
        return {"create": {"status": 201}}

    async def _whole(self, request: web.Request, said: Said) -> web.StreamResponse:
        if said.body is not None:
            return web.Response(status=said.status, body=said.body, headers=said.headers)
        response = web.StreamResponse(status=said.status, headers={"content-length": "1000", **PRODUCT})
        await response.prepare(request)
        await response.write(b'{"errors":false,"it')
        assert request.transport is not None
        request.transport.abort()
        return response

    async def _endless(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers=PRODUCT)
        await response.prepare(request)
        while not self._stopped.is_set():
            try:
                await response.write(b" " * 2**20)
            except ConnectionError:
                break
        return response


class InThread:
    """*fake* in an event loop of its own: for sinks whose tests have several loops, or none."""

    def __init__(self, fake: FakeElasticsearch) -> None:
        self.fake = fake
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fake-elasticsearch", daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(fake.start(), self._loop).result(10)

    @property
    def url(self) -> str:
        return self.fake.url

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self.fake.stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
