"""Where a sink would put an event: the file, the topic with its key, the data stream.

The names are made by the sinks' own functions, from their settings alone. No sink is built and nothing is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from collector.config.settings import SinkSettings
from collector.model import Key
from collector.sinks.datasets import datasets
from collector.sinks.elasticsearch.settings import ElasticsearchSettings
from collector.sinks.elasticsearch.streams import Streams
from collector.sinks.file import FileSettings
from collector.sinks.kafka.messages import KEYS
from collector.sinks.kafka.settings import KafkaSettings
from collector.sinks.kafka.topics import TopicTemplate
from collector.sinks.template import PathTemplate


@dataclass(frozen=True, slots=True)
class Way:
    """How an event came: its *subscription* and *source* by name, when, and what routing asks of it."""

    subscription: str
    source: str
    received: datetime
    key: Key
    event_id: str


def destination(sink: SinkSettings, way: Way) -> Mapping[str, str] | None:
    """What the far end calls the place, by words of that far end; None for a sink that has one place only."""
    name = _PLACES.get(type(sink))
    return name(sink, way) if name is not None else None


def _file(sink: FileSettings, way: Way) -> Mapping[str, str]:
    path = PathTemplate(sink.path).path(
        subscription=way.subscription,
        source=way.source,
        received=way.received,
        computer=way.key.computer,
        channel=way.key.channel,
    )
    return {"file": path + (".zst" if sink.compression == "zstd" else "")}


def _topic(sink: KafkaSettings, way: Way) -> Mapping[str, str]:
    template = TopicTemplate(sink.topic, datasets(sink.datasets))
    topic = template.topic(
        channel=way.key.channel, subscription=way.subscription, computer=way.key.computer, source=way.source
    )
    record_key = KEYS[sink.key](way.key.computer, way.key.channel)
    return {"topic": topic} if record_key is None else {"topic": topic, "key": record_key.decode()}


def _data_stream(sink: ElasticsearchSettings, way: Way) -> Mapping[str, str]:
    streams = Streams(sink.data_stream, sink.namespace, sink.namespaces, sink.datasets)
    return {"data stream": streams.of(way.subscription)(way.key.channel).stream, "id": way.event_id}


_PLACES: dict[type[SinkSettings], Callable[[Any, Way], Mapping[str, str]]] = {
    FileSettings: _file,
    KafkaSettings: _topic,
    ElasticsearchSettings: _data_stream,
}
