"""``wef normalize``: event XML in, documents out, without a collector.

Reads JSON lines with a field ``xml`` or plain XML, both also gzipped, and prints what the formats
say. There is no batch here, so the fields that a batch would give are made up: subscription and
client are called ``-``, the client's address is 127.0.0.1, the collector ``wef normalize``, and the
time of receipt is now. It knows harvests and formats; it decides nothing about events.
"""

from __future__ import annotations

import codecs
import gzip
import json
import re
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from datetime import datetime
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, cast

import click
import orjson

from collector.clock import SystemClock
from collector.errors import OperatorError
from collector.formats import FORMATS, spell
from collector.formats.records import to_json
from collector.model import Batch, Caller, SubscriptionRef
from collector.normalize import Options, harvest

BAD_INPUT, INPUT_OUTPUT = 65, 74
_AT_ONCE = 100  # events in a batch: as in the field, and output appears while a pipe is still being written

_NOBODY = Caller("-", "-", "-", "none", "127.0.0.1")
_NO_ID = "00000000-0000-0000-0000-000000000000"
_NO_SUBSCRIPTION = SubscriptionRef(_NO_ID, "-", _NO_ID, "-")

_END = re.compile(r"</Event\s*>")
# Exports wrap their events; neither wrapper is part of one.
_OPENING = re.compile(r"\s*(?:<\?xml[^<>]*\?>)?\s*<Events(?:\s[^<>]*)?>")
_CLOSING = re.compile(r"\s*</Events\s*>\s*")


@click.command()
@click.option(
    "--format",
    "name",
    type=click.Choice([name for name, entry in FORMATS.items() if entry.public]),
    default="winlogbeat",
    show_default=True,
    help="The spelling of the documents.",
)
@click.option("--exact", is_flag=True, help="As beats' own decoder: without our tables, additions and wef.* fields.")
@click.argument("file")
def command(name: str, exact: bool, file: str) -> None:
    """Turn event XML into documents, one a line.

    FILE (or - for standard input) holds JSON lines with a field "xml", or XML text that is cut after each
    </Event>; both may be gzipped. Text that is no event gives its error document.
    """
    if exact and name != "winlogbeat":
        raise click.UsageError(f"--exact is about documents; the format {name} has none. Use --format winlogbeat.")
    try:
        for block in blocks(read_texts(file), name, exact, SystemClock().now()):
            sys.stdout.buffer.write(block)
            sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OperatorError(f"the output: {error.strerror or error}.", exit_code=INPUT_OUTPUT) from error


def read_texts(file: str) -> Iterator[str]:
    """The event texts of *file* (``-``: stdin), whichever way it holds them. Raises ``OperatorError`` (65, 74)."""
    with ExitStack() as stack:
        try:
            yield from texts(_unpacked(_opened(file, stack), stack), file)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            problem = f"{file}: the gzip stream is damaged ({error}); what came before was printed."
            raise OperatorError(problem, exit_code=BAD_INPUT) from error
        except OSError as error:
            raise OperatorError(f"{file}: {error.strerror or error}.", exit_code=INPUT_OUTPUT) from error


def blocks(events: Iterable[str], name: str, exact: bool, received: datetime) -> Iterator[bytes]:
    """Lines, LF included, for *events* in the format *name*; some hundred events at a time."""
    rest = iter(events)
    while some := list(islice(rest, _AT_ONCE)):
        batch = Batch(_NOBODY, _NO_SUBSCRIPTION, received, some, "wef normalize")
        found = harvest(batch, Options(exact=exact))
        if exact:
            yield b"".join(to_json(document) + b"\n" for document in found.fields())
        else:
            yield spell(found, name).block


def texts(stream: IO[bytes], file: str) -> Iterator[str]:
    """The event texts of *stream*, whichever way it holds them. Raises ``OperatorError`` (65) for neither."""
    lines = iter(stream)
    first = next((line for line in lines if line.strip(b" \t\r\n\0\xef\xbb\xbf\xff\xfe")), b"")
    start = first.removeprefix(codecs.BOM_UTF8).lstrip()
    if start[:1] == b"{":
        yield from _from_json(chain([first.removeprefix(codecs.BOM_UTF8)], lines), file)
    elif start[:1] == b"<" or first[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        yield from _from_xml(first + stream.read())
    elif first:
        problem = f'{file}: begins with {first[:20]!r}; expected JSON lines ({{"xml": ...}}) or event XML.'
        raise OperatorError(problem, exit_code=BAD_INPUT)


def _from_json(lines: Iterable[bytes], file: str) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        row = _loaded(line)
        text = row.get("xml") if isinstance(row, dict) else None
        if not isinstance(text, str):
            problem = f'{file}: record {number} is no JSON object with a text in its field "xml".'
            raise OperatorError(problem, exit_code=BAD_INPUT)
        yield text


def _loaded(line: bytes) -> Any:
    """The JSON value of *line*; None when it is none. Escapes of half a surrogate pair are real, and let through."""
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        try:
            return json.loads(line.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            return None


def _from_xml(content: bytes) -> Iterator[str]:
    utf16 = content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    text = content.decode("utf-16" if utf16 else "utf-8-sig", "replace")
    opening = _OPENING.match(text)
    at = opening.end() if opening else 0
    for end in _END.finditer(text, at):
        yield text[at : end.end()].lstrip()  # what stands between two events belongs to neither
        at = end.end()
    if text[at:].strip() and not _CLOSING.fullmatch(text, at):
        yield text[at:].strip()


def _opened(file: str, stack: ExitStack) -> IO[bytes]:
    return sys.stdin.buffer if file == "-" else stack.enter_context(Path(file).open("rb"))


def _unpacked(stream: IO[bytes], stack: ExitStack) -> IO[bytes]:
    """*stream*, read through gzip when it begins like that."""
    peek = getattr(stream, "peek", None)
    if peek is not None and peek(2)[:2] == b"\x1f\x8b":
        return cast(IO[bytes], stack.enter_context(gzip.open(stream)))
    return stream
