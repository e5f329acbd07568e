"""The sink that writes documents into data streams of Elasticsearch or OpenSearch.

Every document is created with the event's id as ``_id``: what is offered twice is there once (409 counts as
stored), as long as its backing index is the same (sinks.md 2.6). Order means nothing here; searches sort.
This file puts the parts together: streams name, placed documents, bulks, the asker, the client.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence

import orjson

from collector.clock import Clock
from collector.formats.placed import placed
from collector.formats.shorten import shortened
from collector.model import Records
from collector.sinks.base import Rejection, SinkUnavailable, Surroundings
from collector.sinks.elasticsearch.asking import Asker, Line
from collector.sinks.elasticsearch.bulk import Bulks, Measure
from collector.sinks.elasticsearch.clients import Client, connect
from collector.sinks.elasticsearch.settings import ElasticsearchSettings
from collector.sinks.elasticsearch.streams import Streams, Target

CLOSING = 4.0
"""Seconds for what is under way when the sink closes; a lane leaves five."""
ID = 22
"""Characters of our event ids (contract.md 4), which need no escaping; anything else is spelled as JSON."""


class ElasticsearchSink:
    """Records of the format ``winlogbeat`` into the streams that *settings* name. *connected*: how to get a client."""

    format = "winlogbeat"

    def __init__(
        self,
        name: str,
        settings: ElasticsearchSettings,
        clock: Clock,
        *,
        connected: Callable[[ElasticsearchSettings], Client] = connect,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._name, self._settings, self._clock = name, settings, clock
        self._connected, self._pause = connected, pause
        self._streams = Streams(
            settings.data_stream, settings.namespace, settings.namespaces, settings.datasets, settings.drop_fields
        )
        self._client: Client | None = None
        self._bulks: Bulks | None = None

    @classmethod
    def build(cls, name: str, settings: ElasticsearchSettings, surroundings: Surroundings) -> ElasticsearchSink:
        return cls(name, settings, surroundings.clock)

    async def open(self) -> None:
        if self._bulks is None:
            settings = self._settings
            self._client = self._connected(settings)
            asker = Asker(
                self._name,
                self._client,
                self._clock,
                self._pause,
                random.random,
                patience=settings.request_timeout,
                streams_only=settings.product == "elasticsearch",
            )
            measure = Measure(settings.bulk_size, settings.bulk_records, settings.concurrency, settings.bulk_time)
            self._bulks = Bulks(measure, self._lines, asker.settle, lambda: asker.largest)

    async def write(self, records: Records) -> Sequence[Rejection]:
        if self._bulks is None:
            raise SinkUnavailable(f"{self._settings.hosts[0]}: the sink is closed")
        return await self._bulks.write(records)

    async def close(self) -> None:
        bulks, client = self._bulks, self._client
        self._bulks = self._client = None
        if bulks is not None:
            await bulks.close(CLOSING)
        if client is not None:
            await client.close()

    def _lines(self, records: Records) -> Callable[[int], Line | str]:
        """From a row to its line: action and document, or why it can never be sent."""
        target_of, most = self._streams.of(records.subscription), self._settings.max_document_size
        record, keys, ids = records.record, records.keys, records.ids

        def line(row: int) -> Line | str:
            target, document = target_of(keys[row][2]), record(row)
            if target.place is not None:
                document = placed(document, target.place)
            if len(document) > most:
                short = shortened(document, most)
                if short is None:
                    return f"the document has {len(document)} bytes and no way to {most} (max_document_size)"
                document = short
            return _action(target, ids[row]) + document + b"\n", target.stream

        return line


def _action(target: Target, identifier: str) -> bytes:
    if len(identifier) == ID:
        return target.action + identifier.encode() + b'"}}\n'
    if not identifier:  # letters of old; without an id a repetition is a second document
        return target.nameless
    return target.action[:-1] + orjson.dumps(identifier) + b"}}\n"
