"""The client for OpenSearch: plain media types, no product check (servers.md 4.7). Elastic's library refuses it.

Hosts take turns; those that failed come last until they answer again. It knows the wire and no bulk.
"""

from __future__ import annotations

from collector.sinks.elasticsearch.clients import Access, Media, NoAnswer, Reply
from collector.sinks.elasticsearch.wire import Wire

AWAY = frozenset({429, 502, 503, 504})
"""Statuses that speak of the host (or the proxy before it), not of what was asked."""


class PlainClient:
    """Requests by aiohttp alone."""

    def __init__(self, access: Access) -> None:
        self.hosts = len(access.hosts)
        self._order = list(access.hosts)  # the next one first
        self._failed: set[str] = set()
        self._wire = Wire(access)

    async def request(self, method: str, path: str, body: bytes | None = None, media: Media = "json") -> Reply:
        host = self._next()
        headers = {"accept": "application/json"}
        if body is not None:
            headers["content-type"] = f"application/{media}"
        try:
            reply = await self._wire.send(method, host, path, body, headers)
        except NoAnswer:
            self._failed.add(host)
            raise
        if reply.status in AWAY:
            self._failed.add(host)
        else:
            self._failed.discard(host)
        return reply

    async def close(self) -> None:
        await self._wire.close()

    def _next(self) -> str:
        """The one that waited longest among those that work; when none does, among all: so each is tried again."""
        host = next((host for host in self._order if host not in self._failed), self._order[0])
        self._order.remove(host)
        self._order.append(host)
        return host
