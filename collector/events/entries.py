"""Records of the format ``stored`` taken apart into the columns that the store keeps. Pure.

Our own format writes a record as a document, a TAB and the XML as a JSON string, so a whole batch is cut at once.
What does not look like that is looked at record by record: ``{"document":{...},"xml":"..."}`` in any spelling is
taken as well, which is what spools of earlier versions hold.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

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
    """Events on their way into a file, in columns of one length.

    *times* is what the store sorts by (ns), *documents* are lines of JSON, *xmls* JSON strings; neither holds a LF.
    """

    times: Sequence[int]
    ids: Sequence[str]
    keys: Sequence[Key]
    documents: Sequence[bytes]
    xmls: Sequence[bytes]

    def __len__(self) -> int:
        return len(self.ids)

    def pick(self, rows: Sequence[int]) -> Run:
        """The same columns with only *rows*."""
        columns = (self.times, self.ids, self.keys, self.documents, self.xmls)
        return Run(*([column[row] for row in rows] for column in columns))  # type: ignore[arg-type]

    @staticmethod
    def joined(runs: Sequence[Run]) -> Run:
        """*runs* one after the other."""
        if len(runs) == 1:
            return runs[0]
        return Run(
            [time for run in runs for time in run.times],
            [identifier for run in runs for identifier in run.ids],
            [key for run in runs for key in run.keys],
            [document for run in runs for document in run.documents],
            [xml for run in runs for xml in run.xmls],
        )


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


def _cut(records: Records) -> tuple[list[bytes], list[bytes]] | None:
    """Documents and XMLs; None when a record is not spelled as our format spells it."""
    parts = records.block.replace(b"\t", b"\n").split(b"\n")
    documents, xmls = parts[:-1:2], parts[1::2]
    if len(documents) != len(xmls) or len(documents) != len(records.ends) or parts[-1]:
        return None
    # A record with two separators beside one with none would shift every line after it.
    lengths = [len(document) + len(xml) + 2 for document, xml in zip(documents, xmls, strict=True)]
    if array("Q", accumulate(lengths)) != records.ends:
        return None
    if not all(documents) or not all(xmls):
        return None
    braced = {document[0] for document in documents} <= {_BRACE} and {xml[0] for xml in xmls} <= {_QUOTE}
    return (documents, xmls) if braced else None


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
    return Run(_times(keys, received), ids, keys, documents, xmls), unstorable


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
