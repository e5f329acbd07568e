"""Following the store: what arrives after now, each event once.

Arrivals are known by the growing numbers of their blocks, so an event of last week that comes today is
news as well. The waiting is the caller's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from collector.events.days import SUFFIX, spans
from collector.events.filters import SearchQuery
from collector.events.matching import DocumentFilter
from collector.events.rows import FileReader, FileUnreadable, Line
from collector.events.search import Found, Library, Report, search

_BLOCKS_AT_ONCE = 64
"""Blocks looked at in one go: bounds what one round holds when much has arrived."""

_Stamp = tuple[int, ...]


class Tail:
    """A place in the stream of arrivals: it starts at the end, ``news`` moves it on."""

    def __init__(self, folder: Path, query: SearchQuery, *, xml: bool = False, report: Report | None = None) -> None:
        self._folder, self._query, self._xml, self._report = folder, query, xml, report
        self._asked = DocumentFilter(query)
        self._seen: dict[str, tuple[int, int]] = {}  # file name: inode, its last block seen
        self._stamps: dict[str, _Stamp] = {}
        with Library(folder) as library:
            for name in self._names():
                reader = library.reader(name)
                if reader is not None:
                    self._seen[name] = (self._stamp(name)[0], reader.newest_block())

    def past(self) -> Iterator[Found]:
        """What matches of that which was there at the start; nothing of it is news."""
        upto = {name: block for name, (_, block) in self._seen.items()}
        return search(self._folder, self._query, xml=self._xml, report=self._report, upto=upto)

    def news(self) -> Iterator[Found]:
        """What has arrived and matches, in order of time and id within each file; then no more for now."""
        with Library(self._folder, self._report) as library:
            for name in self._names():
                stamp = self._stamp(name)
                if self._stamps.get(name) == stamp:
                    continue
                reader = library.reader(name)
                if reader is None:
                    continue
                before = self._seen.get(name)
                try:
                    yield from self._news_of(reader, stamp[0], library)
                except FileUnreadable as error:
                    library.give_up(name, error)
                else:
                    # File times are coarse: a write in the same tick as the last one would not show. So a file
                    # counts as quiet only after a look that found nothing.
                    self._stamps[name] = stamp if self._seen.get(name) == before else ()

    def _news_of(self, reader: FileReader, inode: int, library: Library) -> Iterator[Found]:
        known, seen = self._seen.get(reader.name, (inode, 0))
        if known != inode:  # set aside and begun anew
            seen = 0
        newest = reader.newest_block()
        while seen < newest:
            upto = min(seen + _BLOCKS_AT_ONCE, newest)
            rows = library.keep(reader.name, self._arrivals(reader, seen + 1, upto), self._asked)
            yield from library.fetch(rows, xml=self._xml)
            seen = upto
            self._seen[reader.name] = (inode, seen)

    def _arrivals(self, reader: FileReader, first: int, last: int) -> Iterator[list[Line]]:
        times = reader.times_of(first, last)
        if times is None:
            return iter(())
        since = times[0] if self._query.since is None else max(times[0], self._query.since)
        until = times[1] if self._query.until is None else min(times[1], self._query.until)
        query = replace(self._query, since=since, until=until)
        return reader.pages(query, newest_first=False, blocks=(first, last))

    def _stamp(self, name: str) -> _Stamp:
        """What changes when a file is written or replaced; its inode first."""
        found: list[int] = []
        for part in (f"{name}{SUFFIX}", f"{name}{SUFFIX}-wal"):
            try:
                facts = (self._folder / part).stat()
            except FileNotFoundError:
                found += [0, 0, 0]
            else:
                found += [facts.st_ino, facts.st_size, facts.st_mtime_ns]
        return tuple(found)

    def _names(self) -> list[str]:
        return [span.name for span in spans(self._folder)]
