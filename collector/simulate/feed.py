"""Events from a file: JSON lines with a field ``xml``, plain or gzip, dealt out to sources.

It reads the file and says which source gets which event under which channel; it touches no log and no
network. The XML stays as it is, odd events included: only Computer is replaced where sources are made up.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape, unescape
from pathlib import Path

import orjson

from collector.errors import OperatorError

BAD_INPUT = 65
_COMPUTER = re.compile(r"<Computer\b[^<>]*?(?:/>|>(?P<name>[^<]*)</Computer\s*>)")
_CHANNEL = re.compile(r"<Channel\b[^<>]*?(?:/>|>(?P<name>[^<]*)</Channel\s*>)")
_SYSTEM_END = re.compile(r"</System\s*>")


@dataclass(frozen=True, slots=True)
class Fed:
    """One event on its way into a log: whose, in which channel, and the XML to send."""

    source: str
    channel: str
    xml: str


def read_lines(path: Path) -> Iterator[str]:
    """The field ``xml`` of each line. Raises ``OperatorError`` (65) naming file and line."""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _xml(path, number, line)
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OperatorError(f"{path}: cannot be read: {reason}.", exit_code=BAD_INPUT) from error


def _xml(path: Path, number: int, line: bytes) -> str:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise OperatorError(f"{path}: line {number} is no JSON: {error}.", exit_code=BAD_INPUT) from error
    xml = row.get("xml") if isinstance(row, dict) else None
    if not isinstance(xml, str) or not xml:
        raise OperatorError(
            f'{path}: line {number} has no text "xml"; each line is an object with the event\'s XML in it.',
            exit_code=BAD_INPUT,
        )
    return xml


def dealt(events: Iterator[str], sources: Sequence[str], channel_default: str) -> Iterator[Fed]:
    """Each event with its source (contract.md 6).

    With *sources* line k goes to source k mod N and Computer is stamped; without, each Computer is a
    source. An empty Channel counts as *channel_default* in the log and in the bookmark; the XML that is
    sent is left as it is.
    """
    for number, xml in enumerate(events):
        channel = _named(_CHANNEL, xml) or channel_default
        if sources:
            source = sources[number % len(sources)]
            yield Fed(source, channel, stamped(xml, source))
        else:
            yield Fed(_named(_COMPUTER, xml) or "unnamed", channel, xml)


def stamped(xml: str, computer: str) -> str:
    """*xml* with *computer* as its Computer; unchanged when it has none."""
    match = _in_system(_COMPUTER, xml)
    if match is None:
        return xml
    return f"{xml[: match.start()]}<Computer>{escape(computer, quote=False)}</Computer>{xml[match.end() :]}"


def _named(pattern: re.Pattern[str], xml: str) -> str:
    match = _in_system(pattern, xml)
    return unescape(match["name"]).strip() if match and match["name"] else ""


def _in_system(pattern: re.Pattern[str], xml: str) -> re.Match[str] | None:
    """Where the element stands inside System; RenderingInfo has a Channel too, and data may look like either."""
    end = _SYSTEM_END.search(xml)
    return pattern.search(xml, 0, end.start() if end else len(xml))
