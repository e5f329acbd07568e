"""Searching the store: files in, found events out, in order of time and then id.

It streams: whatever the store holds, memory stays at a page of rows and a few blocks. Equal events
of several files are shown once. A file that cannot be read is named and passed over.
"""

from __future__ import annotations

import heapq
from array import array
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType

import orjson

from collector.events.days import SUFFIX, Span, spans
from collector.events.filters import SearchQuery
from collector.events.matching import MAYBE, NO, DocumentFilter
from collector.events.rows import FileReader, FileUnreadable, Line, Row
from collector.events.tables import BLOCK_ROWS, ROW_BITS

_PAGE = 512
"""Rows whose bodies are fetched together, so that each block is unpacked once for all of them."""

_KEPT_BYTES = 64 * 2**20
"""Unpacked blocks remembered from one page to the next."""

_MARKS_KEPT = 20_000
"""Blocks of a file of which is remembered what a look at their bytes said: a byte for each event."""

_LINE = BLOCK_ROWS - 1

Report = Callable[[str], None]
"""Told which file, or which block of it, cannot be read and why."""


@dataclass(frozen=True, slots=True)
class Found:
    """A stored event: its id, its document as one line of JSON, and, when asked for, its XML as received."""

    id: str
    document: bytes
    xml: str = ""


def search(
    folder: Path,
    query: SearchQuery,
    *,
    xml: bool = False,
    report: Report | None = None,
    upto: Mapping[str, int] | None = None,
) -> Generator[Found, None, None]:
    """The events in *folder* that match, oldest first; of ``query.limit`` the newest so many.

    *upto* narrows each file to the arrivals up to a block number, as ``tail`` remembers them.
    """
    with Library(folder, report, upto) as library:
        if query.limit:
            rows: Iterable[Row] = reversed(list(islice(library.matching(query, newest_first=True), query.limit)))
        else:
            rows = library.matching(query)
        yield from library.fetch(rows, xml=xml)


def count(folder: Path, query: SearchQuery, *, report: Report | None = None) -> int:
    """How many events match."""
    with Library(folder, report) as library:
        number = sum(1 for _ in library.matching(query))
    return min(number, query.limit) if query.limit else number


class Library:
    """The files of a store folder, opened as they are needed. A context manager."""

    def __init__(self, folder: Path, report: Report | None = None, upto: Mapping[str, int] | None = None) -> None:
        self._folder = folder
        self._upto = upto
        self._report = report or (lambda _: None)
        self._readers: dict[str, FileReader] = {}
        self._unreadable: set[str] = set()
        self._blocks: OrderedDict[tuple[str, str, int], _Block] = OrderedDict()
        self._size = 0

    def __enter__(self) -> Library:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for reader in self._readers.values():
            reader.close()

    def matching(self, query: SearchQuery, *, newest_first: bool = False) -> Iterator[Row]:
        """Where the matching events are, each once."""
        return _distinct(self._rows(query, DocumentFilter(query), newest_first))

    def keep(self, name: str, pages: Iterable[list[Line]], asked: DocumentFilter) -> Iterator[Row]:
        """Those rows of the *pages* of file *name* whose documents match. Every block is looked through once, whole."""
        marks: dict[int, bytes] = {}
        looking = not asked.idle
        for page in pages:
            for time, identifier, place in page:
                if looking:
                    block = place >> ROW_BITS
                    known = marks.get(block)
                    if known is None:
                        if len(marks) >= _MARKS_KEPT:
                            marks.clear()
                        known = marks[block] = asked.marks(self._block(name, "documents", block).body)
                    line = place & _LINE
                    mark = known[line] if line < len(known) else NO
                    if mark == NO or (
                        mark == MAYBE and not asked.matches(self._block(name, "documents", block).line(line))
                    ):
                        continue
                yield Row(time, identifier, name, place)

    def fetch(self, rows: Iterable[Row], *, xml: bool) -> Iterator[Found]:
        """The events at *rows*, in that order."""
        for page in _pages(iter(rows), _PAGE):
            documents = self._lines(page, "documents")
            xmls = self._lines(page, "xmls") if xml else {}
            for row in page:
                document = documents.get(row)
                if document is not None:
                    yield Found(row.id, document, orjson.loads(xmls[row]) if row in xmls else "")

    def reader(self, name: str) -> FileReader | None:
        """The open file *name*; None when it is gone or cannot be read."""
        if name not in self._readers and name not in self._unreadable:
            path = self._folder / f"{name}{SUFFIX}"
            try:
                self._readers[name] = FileReader(path, name)
            except FileUnreadable as error:
                self.give_up(name, error)
        return self._readers.get(name)

    def give_up(self, name: str, error: FileUnreadable) -> None:
        """Pass a file over from now on; say so, unless retention has just dropped it."""
        reader = self._readers.pop(name, None)
        if reader is not None:
            reader.close()
        if name not in self._unreadable:
            self._unreadable.add(name)
            if (self._folder / f"{name}{SUFFIX}").exists():
                self._report(str(error))

    def _rows(self, query: SearchQuery, asked: DocumentFilter, newest_first: bool) -> Iterator[Row]:
        """Days do not overlap and follow each other; the few files of longer spans are merged in."""
        files = [span for span in spans(self._folder) if _overlaps(span, query)]
        days = [span.name for span in files if span.one_day]
        wide = [span.name for span in files if not span.one_day]
        runs = [list(reversed(days)) if newest_first else days, *([name] for name in wide)]
        streams = [self._follow(names, query, asked, newest_first) for names in runs]
        if not wide:
            return streams[0]
        return heapq.merge(*streams, key=lambda row: row[:2], reverse=newest_first)

    def _follow(
        self, names: Sequence[str], query: SearchQuery, asked: DocumentFilter, newest_first: bool
    ) -> Iterator[Row]:
        for name in names:
            reader = self.reader(name)
            if reader is None:
                continue
            try:
                blocks = None if self._upto is None else (0, self._upto.get(name, 0))
                yield from self.keep(name, reader.pages(query, newest_first=newest_first, blocks=blocks), asked)
            except FileUnreadable as error:
                self.give_up(name, error)

    def _lines(self, page: Sequence[Row], column: str) -> dict[Row, bytes]:
        found = {}
        for (name, number), rows in _by_block(page).items():
            block = self._block(name, column, number)
            found.update({row: line for row in rows if (line := block.line(row.place & _LINE))})
        return found

    def _block(self, name: str, column: str, number: int) -> _Block:
        """A block's body; empty when it cannot be read."""
        key = (name, column, number)
        block = self._blocks.get(key)
        if block is not None:
            self._blocks.move_to_end(key)
            return block
        block = self._blocks[key] = _Block(self._read(name, column, number))
        self._size += block.size
        while self._size > _KEPT_BYTES and len(self._blocks) > 1:
            self._size -= self._blocks.popitem(last=False)[1].size
        return block

    def _read(self, name: str, column: str, number: int) -> bytes:
        reader = self.reader(name)
        if reader is None:
            return b""
        try:
            return reader.documents(number) if column == "documents" else reader.xmls(number)
        except FileUnreadable as error:
            self._report(str(error))  # one damaged block is no reason to pass over the rest of the file
            return b""


class _Block:
    """An unpacked block and its lines, of which only those that are asked for are made: they are few of many."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self._starts: array[int] | None = None
        # where each line begins may be more than the lines are: duplicates leave empty ones (``dayfile``)
        self.size = len(body) + 5 * body.count(b"\n") + 256

    def line(self, number: int) -> bytes:
        """The line *number*, from 0; empty when there is no such line."""
        if self._starts is None:
            self._starts = _starts(self.body)
        if number + 1 >= len(self._starts):
            return b""
        return self.body[self._starts[number] : self._starts[number + 1] - 1]


def _starts(body: bytes) -> array[int]:
    """Where each line of *body* begins, and where one behind the last would. ``split`` takes three times as long."""
    find, starts = body.find, array("I", [0])
    at = find(b"\n")
    while at >= 0:
        starts.append(at + 1)
        at = find(b"\n", at + 1)
    starts.append(len(body) + 1)
    return starts


def _overlaps(span: Span, query: SearchQuery) -> bool:
    return (query.since is None or span.last >= query.since) and (query.until is None or span.first <= query.until)


def _distinct(rows: Iterable[Row]) -> Iterator[Row]:
    """Equal events follow each other; the first is enough."""
    last: tuple[int | str, ...] = ()
    for row in rows:
        if row[:2] != last:
            last = row[:2]
            yield row


def _pages(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    rows = iter(rows)
    while page := list(islice(rows, size)):
        yield page


def _by_block(page: Sequence[Row]) -> dict[tuple[str, int], list[Row]]:
    found: dict[tuple[str, int], list[Row]] = {}
    for row in page:
        found.setdefault((row.file, row.place >> ROW_BITS), []).append(row)
    return found
