"""SINKS: every kind of sink, by the word that collector.toml writes after ``type =``."""

from __future__ import annotations

from collections.abc import Mapping

from collector.sinks.base import SinkKind
from collector.sinks.events import EventsSettings, EventsSink
from collector.sinks.file import FileSettings, FileSink
from collector.sinks.null import NullSettings, NullSink
from collector.sinks.stdout import StdoutSettings, StdoutSink

SINKS: Mapping[str, SinkKind] = {
    "events": SinkKind(EventsSettings, EventsSink.build),
    "file": SinkKind(FileSettings, FileSink.build),
    "stdout": SinkKind(StdoutSettings, StdoutSink.build),
    "null": SinkKind(NullSettings, NullSink.build),
}
