"""A sink that confirms at once and keeps nothing; for measuring what the rest costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from collector.config.settings import SinkSettings
from collector.model import Records
from collector.sinks.base import Rejection, Surroundings


class NullSettings(SinkSettings):
    """``type = "null"``."""

    type: Literal["null"] = "null"
    format: Literal["winlogbeat", "raw", "raw_json"] = "winlogbeat"


class NullSink:
    """Nothing is ever safe here; it says so all the same."""

    def __init__(self, format: str) -> None:
        self.format = format

    @classmethod
    def build(cls, _name: str, settings: NullSettings, _surroundings: Surroundings) -> NullSink:
        return cls(settings.format)

    async def open(self) -> None:
        """There is nothing to make ready."""

    async def write(self, records: Records) -> Sequence[Rejection]:
        return ()

    async def close(self) -> None:
        """There is nothing to let go."""
