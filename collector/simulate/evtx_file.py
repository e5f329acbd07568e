"""Events from a Windows event log file (EVTX), each in the byte style in which a source would forward it.

The file format is read by the package ``evtx``, an extra of this distribution; here are its errors, in
sentences, and nothing of what becomes of the events.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from collector.errors import OperatorError
from collector.simulate.feed import BAD_INPUT
from collector.simulate.restyled import restyled

Parse = Callable[[Path], Iterable[Mapping[str, object]]]
"""Opens a file and gives its records, each with ``data``: the event's XML. Raises OSError or RuntimeError."""

_MAGIC = b"ElfFile\x00"
_HEADER, _CHUNK = 4096, 65536  # bytes of a file's header block and of each chunk
_CHUNKS_AT = 42  # where the header says how many chunks there are, two bytes


def read_evtx(path: Path, parse: Parse | None = None) -> Iterator[str]:
    """Each event of *path*, in the forwarder's style. *parse* is the package's own reader unless given.

    Raises ``OperatorError``: 78 without the package, 65 for a file that is none, is cut short or damaged.
    A log that Windows still had open when it was copied is no damage.
    """
    parse = parse or _parser()
    count = 0
    try:
        _look(path)
        for record in parse(path):
            count += 1
            yield restyled(str(record["data"]))
    except OSError as error:
        raise _unusable(path, f"cannot be read: {error.strerror or error}") from error
    except RuntimeError as error:  # the only class that the package has for damage
        raise _unusable(path, f"is damaged after {count} events: {_brief(error)}") from error
    if not count:
        raise _unusable(path, "has no events in it")


def _parser() -> Parse:
    try:
        from evtx import PyEvtxParser
    except ImportError:
        raise OperatorError(
            "--evtx needs the package evtx, which is not installed; pip install 'wef-collector[evtx]' gets it."
        ) from None

    def parse(path: Path) -> Iterator[Mapping[str, object]]:
        for record in PyEvtxParser(str(path)).records():
            assert record is not None  # as the package's own types allow
            yield record

    return parse


def _look(path: Path) -> None:
    """Refuse what the package would silently read as fewer events, or none."""
    with path.open("rb") as file:
        header = file.read(_HEADER)
    if not header.startswith(_MAGIC):
        raise _unusable(path, "is no EVTX file; one begins with ElfFile")
    if len(header) < _HEADER:
        raise _unusable(path, f"is cut short: {len(header)} bytes of a header of {_HEADER}")
    (chunks,) = struct.unpack_from("<H", header, _CHUNKS_AT)
    size, whole = path.stat().st_size, _HEADER + chunks * _CHUNK
    if size < whole:
        raise _unusable(path, f"is cut short: {size} bytes, and its header promises {whole}")


def _unusable(path: Path, problem: str) -> OperatorError:
    return OperatorError(f"{path}: {problem}.", exit_code=BAD_INPUT)


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:200].rstrip(".")
