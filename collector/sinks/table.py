"""SINKS: every kind of sink, by the word that collector.toml writes after ``type =``."""

from __future__ import annotations

from collections.abc import Mapping

from collector.sinks.base import SinkKind
from collector.sinks.elasticsearch.settings import ElasticsearchSettings
from collector.sinks.elasticsearch.sink import ElasticsearchSink
from collector.sinks.events import EventsSettings, EventsSink
from collector.sinks.file import FileSettings, FileSink
from collector.sinks.kafka.settings import KafkaSettings
from collector.sinks.kafka.sink import KafkaSink
from collector.sinks.null import NullSettings, NullSink
from collector.sinks.stdout import StdoutSettings, StdoutSink

SINKS: Mapping[str, SinkKind] = {
    "events": SinkKind(EventsSettings, EventsSink.build),
    "file": SinkKind(FileSettings, FileSink.build),
    "elasticsearch": SinkKind(ElasticsearchSettings, ElasticsearchSink.build),
    "kafka": SinkKind(KafkaSettings, KafkaSink.build),
    "stdout": SinkKind(StdoutSettings, StdoutSink.build),
    "null": SinkKind(NullSettings, NullSink.build),
}
