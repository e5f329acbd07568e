"""Records of the format ``stored`` taken apart into the columns that the store keeps. Pure.

Our own format writes a record as a document, a TAB and the XML as a JSON string, so a whole batch is cut at once.
What does not look like that is looked at record by record: ``{"document":{...},"xml":"..."}`` in any spelling is
taken as well, which is what spools of earlier versions hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import orjson

from collector.events.days import LATEST, stored_time
from collector.model import Key, Records

_BRACE = ord("{")
_QUOTE = ord('"')


@dataclass(frozen=True, slots=True)
class Unstorable:
    """A row that is no record of the format ``stored``, and why."""

    row: int
    reason: str


@dataclass(frozen=True, slots=True)
class Run:
    """Events on their way into a file: columns of one length, and their bodies.

    *times* is what the store sorts by (ns). *documents* are lines of JSON and *xmls* JSON strings, one for each
    event, joined by LF; neither holds another.
    """

    times: Sequence[int]
    ids: Sequence[str]
    keys: Sequence[Key]
    documents: bytes
    xmls: bytes

    def __len__(self) -> int:
        return len(self.ids)

    def parted(self, groups: Iterable[Sequence[int]]) -> Iterator[Run]:
        """For each of *groups*, which are rows, the same columns with only these. The bodies are cut once for all."""
        columns = (self.times, self.ids, self.keys)
        bodies = (self.documents.split(b"\n"), self.xmls.split(b"\n"))
        for rows in groups:
            yield Run(
                *([column[row] for row in rows] for column in columns),  # type: ignore[arg-type]
                *(b"\n".join([lines[row] for row in rows]) for lines in bodies),
            )

    @staticmethod
    def joined(runs: Sequence[Run]) -> Run:
        """*runs* one after the other."""
        if len(runs) == 1:
            return runs[0]
        return Run(
            [time for run in runs for time in run.times],
            [identifier for run in runs for identifier in run.ids],
            [key for run in runs for key in run.keys],
            b"\n".join([run.documents for run in runs]),
            b"\n".join([run.xmls for run in runs]),
        )


def portions(runs: Iterable[Run], size: int, rows: int) -> Iterator[Run]:
    """*runs* joined to as few as will do, none with more than *rows* or with more than *size* bytes of documents.

    A document that is larger than *size* is alone.
    """
    waiting: list[Run] = []
    count = weight = 0
    for run in chain.from_iterable(_parted(run, size, rows) for run in runs):
        if waiting and (count + len(run) > rows or weight + len(run.documents) > size):
            yield Run.joined(waiting)
            waiting, count, weight = [], 0, 0
        waiting.append(run)
        count, weight = count + len(run), weight + len(run.documents) + 1
    if waiting:
        yield Run.joined(waiting)


def _parted(run: Run, size: int, rows: int) -> Iterator[Run]:
    """*run*, nearly always as it is."""
    if len(run) <= rows and len(run.documents) <= size:
        yield run
    else:
        yield from run.parted(_stretches(run, size, rows))


def _stretches(run: Run, size: int, rows: int) -> Iterator[range]:
    start = weight = 0
    for row, length in enumerate(map(len, run.documents.split(b"\n"))):
        if row > start and (row - start == rows or weight + length > size):
            yield range(start, row)
            start, weight = row, 0
        weight += length + 1
    yield range(start, len(run))


def entries(records: Records, received: int) -> tuple[Run, Sequence[Unstorable]]:
    """The records that can be stored, and the rows of those that cannot."""
    cut = _cut(records)
    if cut is not None:
        keys = records.keys
        return Run(_times(keys, received), records.ids, keys, *cut), ()
    return _one_by_one(records, received)


def _times(keys: Sequence[Key], received: int) -> list[int]:
    times = [key[0] for key in keys]
    if times and min(times) > 0 and max(times) <= LATEST:
        return times
    return [stored_time(time, received) for time in times]


def _cut(records: Records) -> tuple[bytes, bytes] | None:
    """Documents and XMLs, each joined by LF; None when a record is not spelled as our format spells it."""
    block = records.block
    whole, find = memoryview(block), block.find
    documents, xmls = [], []
    start = 0
    for end in records.ends:
        tab = find(b"\t", start, end)
        if tab < 0 or find(b"\n", start, end) != end - 1 or find(b"\t", tab + 1, end) >= 0:
            return None  # a separator is missing, or there is another one
        if block[start] != _BRACE or block[tab + 1] != _QUOTE:
            return None
        documents.append(whole[start:tab])  # no copy: they are copied once, when they are joined
        xmls.append(whole[tab + 1 : end - 1])
        start = end
    return (b"\n".join(documents), b"\n".join(xmls)) if start == len(block) else None


def _one_by_one(records: Records, received: int) -> tuple[Run, Sequence[Unstorable]]:
    rows, documents, xmls = [], [], []
    unstorable: list[Unstorable] = []
    for row in range(len(records)):
        try:
            document, xml = _parsed(records.record(row))
        except ValueError as error:
            unstorable.append(Unstorable(row, f"no record of the format stored: {error}"))
        else:
            rows.append(row)
            documents.append(document)
            xmls.append(xml)
    keys = [records.keys[row] for row in rows]
    ids = [records.ids[row] for row in rows]
    return Run(_times(keys, received), ids, keys, b"\n".join(documents), b"\n".join(xmls)), unstorable


def _parsed(record: bytes) -> tuple[bytes, bytes]:
    """The document and the XML (as a JSON string) of a record. Raises ValueError (orjson's error is one)."""
    first, tab, second = record.partition(b"\t")
    if tab and first.startswith(b"{") and second.startswith(b'"'):
        document, xml = orjson.loads(first), orjson.loads(second)
    else:
        whole = orjson.loads(record)
        document, xml = (whole.get("document"), whole.get("xml")) if isinstance(whole, dict) else (None, None)
    if not isinstance(document, dict):
        raise ValueError('it needs an object "document" and a text "xml"')
    return orjson.dumps(document), orjson.dumps(xml if isinstance(xml, str) else "")
