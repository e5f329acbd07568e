"""SINKS: every kind of sink, by the word that collector.toml writes after ``type =``.

What a sink of many parts needs is loaded when one is built; the settings of each are known at once, to be checked.
"""

from __future__ import annotations

from collections.abc import Mapping

from collector.sinks.base import Sink, SinkKind, Surroundings
from collector.sinks.elasticsearch.settings import ElasticsearchSettings
from collector.sinks.events import EventsSettings, EventsSink
from collector.sinks.file import FileSettings, FileSink
from collector.sinks.kafka.settings import KafkaSettings
from collector.sinks.null import NullSettings, NullSink
from collector.sinks.stdout import StdoutSettings, StdoutSink


def _elasticsearch(name: str, settings: ElasticsearchSettings, surroundings: Surroundings) -> Sink:
    from collector.sinks.elasticsearch.sink import ElasticsearchSink

    return ElasticsearchSink.build(name, settings, surroundings)


def _kafka(name: str, settings: KafkaSettings, surroundings: Surroundings) -> Sink:
    from collector.sinks.kafka.sink import KafkaSink

    return KafkaSink.build(name, settings, surroundings)


SINKS: Mapping[str, SinkKind] = {
    "events": SinkKind(EventsSettings, EventsSink.build),
    "file": SinkKind(FileSettings, FileSink.build),
    "elasticsearch": SinkKind(ElasticsearchSettings, _elasticsearch),
    "kafka": SinkKind(KafkaSettings, _kafka),
    "stdout": SinkKind(StdoutSettings, StdoutSink.build),
    "null": SinkKind(NullSettings, NullSink.build),
}
