"""The sink that appends lines to files, one for each computer, channel, day or whatever its path says.

All writes that wait share one sync for each file they touch. Repetitions are kept twice (at least
once); lines are always whole.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from collector import telemetry
from collector.clock import Clock
from collector.commit import GroupCommit
from collector.config.paths import PathText
from collector.config.settings import SinkSettings
from collector.config.units import Duration, Size
from collector.model import Records
from collector.sinks.append import AppendFile, Content, rotate
from collector.sinks.base import Rejection, SinkUnavailable, Surroundings
from collector.sinks.frames import Damaged, Frames, Lines
from collector.sinks.template import PathTemplate

ZSTD = ".zst"
OPEN_FILES = 128
"""Files kept open. Sources choose computer names, so the number must have a bound."""


def _template(text: str) -> str:
    PathTemplate(text)
    return text


class FileSettings(SinkSettings):
    """``type = "file"``. Without *rotate_size* and *rotate_age* files are never rotated.

    With *compression* a file holds zstd frames, its name ends in ``.zst``, and *rotate_size* counts bytes on disk.
    """

    type: Literal["file"] = "file"
    path: Annotated[PathText, AfterValidator(_template)]
    format: Literal["winlogbeat", "raw", "raw_json"] = "winlogbeat"
    rotate_size: Annotated[Size, Field(ge=4096)] | None = None
    rotate_age: Annotated[Duration, Field(ge=60)] | None = None
    compression: Literal["none", "zstd"] = "none"


@dataclass(frozen=True, slots=True)
class _Write:
    """Lines for each path, and when the sink was given them."""

    lines: dict[str, bytes]
    at: datetime


class FileSink:
    """Lines into the files that *template* names; *rotation*: bytes and seconds, None: never.

    *content* says how they lie there; ``Frames`` belong into files whose names end in ``.zst``.
    """

    def __init__(
        self,
        template: PathTemplate,
        format: str,
        clock: Clock,
        rotation: tuple[int | None, float | None] = (None, None),
        content: Content | None = None,
    ) -> None:
        self.format = format
        self._template, self._clock = template, clock
        self._rotate_size, self._rotate_age = rotation
        self._content = content or Lines()
        self._open: OrderedDict[str, AppendFile] = OrderedDict()
        self._periods: dict[str, int] = {}
        self._writer: GroupCommit[_Write, None] | None = None

    @classmethod
    def build(cls, _name: str, settings: FileSettings, surroundings: Surroundings) -> FileSink:
        rotation = (settings.rotate_size, settings.rotate_age)
        packed = settings.compression == "zstd"
        path = settings.path + ZSTD if packed and not settings.path.endswith(ZSTD) else settings.path
        content = Frames() if packed else Lines()
        return cls(PathTemplate(path), settings.format, surroundings.clock, rotation, content)

    async def open(self) -> None:
        if self._writer is None:
            self._writer = GroupCommit("file sink", self._perform)

    async def write(self, records: Records) -> Sequence[Rejection]:
        if self._writer is None:
            raise SinkUnavailable(f"{self._template.text}: the sink is closed")
        await self._writer.submit(_Write(self._lines(records), self._clock.now()))
        return ()

    async def close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            await writer.close()
        for path in list(self._open):
            self._let_go(path)

    def _lines(self, records: Records) -> dict[str, bytes]:
        """What goes into which file; a batch that goes into one is not copied."""
        rows: dict[str, list[int]] = {}
        keys = records.keys if self._template.per_event else records.keys[:1]
        for row, key in enumerate(keys):
            path = self._template.path(
                subscription=records.subscription,
                source=records.source,
                received=records.received,
                computer=key[1],
                channel=key[2],
            )
            rows.setdefault(path, []).append(row)
        if len(rows) == 1:
            return dict.fromkeys(rows, records.block)
        return {path: records.pick(numbers).block for path, numbers in rows.items()}

    # In the writer's thread ----------------------------------------------------------------------------------------

    def _perform(self, writes: Sequence[_Write]) -> Sequence[BaseException | None]:
        together: dict[str, list[bytes]] = {}
        for write in writes:
            for path, lines in write.lines.items():
                together.setdefault(path, []).append(lines)
        now = writes[-1].at
        errors = {path: self._put(path, parts, now) for path, parts in together.items()}
        return [next((errors[path] for path in write.lines if errors[path] is not None), None) for write in writes]

    def _put(self, path: str, parts: Sequence[bytes], now: datetime) -> SinkUnavailable | None:
        try:
            file = self._file(path, now)
            file.append(self._content.encoded(parts))
            file.sync()
        except OSError as error:
            self._let_go(path)
            return SinkUnavailable(f"{path}: {error.strerror or error}")
        return None

    def _file(self, path: str, now: datetime) -> AppendFile:
        file = self._open.get(path)
        if file is None or not file.still_there():
            file = self._opened(path)
        if file.size and file.regular and self._due(path, file, now):
            self._let_go(path)
            rotate(Path(path), now.strftime("%Y%m%dT%H%M%SZ"))
            file = self._opened(path)
        if self._rotate_age is not None:
            self._periods[path] = self._period(now.timestamp())
        self._open.move_to_end(path)
        return file

    def _opened(self, path: str) -> AppendFile:
        self._let_go(path)
        while len(self._open) >= OPEN_FILES:
            self._let_go(next(iter(self._open)))
        file = self._open[path] = self._append_file(Path(path))
        if self._rotate_age is not None and file.written is not None:
            self._periods[path] = self._period(file.written)
        return file

    def _append_file(self, path: Path) -> AppendFile:
        try:
            return AppendFile(path, self._content.whole)
        except Damaged as error:
            aside = rotate(
                path, "damaged"
            )  # somebody may still get something out of it; what we append must be readable
            telemetry.set_aside("archive", str(aside), str(error))
            return AppendFile(path, self._content.whole)

    def _due(self, path: str, file: AppendFile, now: datetime) -> bool:
        if self._rotate_size is not None and file.size >= self._rotate_size:
            return True
        # Ages are counted in whole periods since 1970, so "1d" turns at midnight UTC, also across restarts.
        return self._rotate_age is not None and self._periods.get(path, 0) < self._period(now.timestamp())

    def _period(self, at: float) -> int:
        return int(at // (self._rotate_age or 1))

    def _let_go(self, path: str) -> None:
        file = self._open.pop(path, None)
        self._periods.pop(path, None)
        if file is not None:
            facts = file.facts()
            if facts.st_size == file.size:  # else even taking back went wrong, and the next opening has to look
                self._content.closed(facts)
            file.close()
