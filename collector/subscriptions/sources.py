"""Whom a subscription pulls from: a list, a file, a CSV or a directory, and what they say when they are read.

It reads files and knows no connection. What a directory (LDAP) answers is asked by whom the caller hands in,
because that takes credentials and a network.
"""

from __future__ import annotations

import csv
import ipaddress
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from collector.errors import CollectorError

MOST = 50_000
"""Sources of one subscription: ten times what one process talks to. A list that names more is a mistake."""
LARGEST_FILE = 16 * 2**20
"""Bytes of a file of sources: MOST lines of the longest names."""
DEFAULT_PORTS = {"http": 5985, "https": 5986}
"""Of a URL or table that names its transport and no port (protocol.md 11.3, DefaultPorts)."""
CSV_COLUMNS = ("host", "port", "transport", "prefix", "credentials")
MOST_SAID = 50
"""Sentences about one subscription's sources; whoever gets fifty has looked at the wrong file."""

_PLACE = re.compile(r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9_.-]{1,254}))(?::([0-9]{1,5}))?", re.ASCII)
_LABELS = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?", re.ASCII)
_NUMERIC = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)\.?", re.ASCII)
"""What ends in a number is an address or a mistake, and no name (RFC 3696 2); C libraries take 10.1 for 10.0.0.1."""
_PREFIX = re.compile(r"[A-Za-z0-9_]+(?:/[A-Za-z0-9_]+)*", re.ASCII)  # WinRM's rule for URLPrefix (protocol.md 11.3)


class SourceProblem(CollectorError):
    """One entry, or a whole list, that names no source; the text says which and what would be right."""


@dataclass(frozen=True, slots=True)
class SourceAddress:
    """One machine to call. *host* as it was written, an IPv6 address without brackets; None: what ``[pull]`` says.

    *transport* is ``http`` or ``https``; without it https is meant where the credentials are a certificate.
    *credentials* is a name of ``[credentials]`` that wins over the subscription's.
    """

    host: str
    port: int | None = None
    transport: str | None = None
    prefix: str | None = None
    credentials: str | None = None

    @property
    def key(self) -> str:
        """What bookmarks and state are kept under: the host in lower case, and its port where that is unusual."""
        host = _folded(self.host)
        if self.port is None or self.port in (80, 443, *DEFAULT_PORTS.values()):
            return host
        return f"{_bracketed(host)}:{self.port}"

    @property
    def written(self) -> str:
        """As ``parse_source`` reads it; *credentials* have no place in it."""
        place = _bracketed(self.host) + (f":{self.port}" if self.port else "")
        if self.transport is None and self.prefix is None:
            return place
        return f"{self.transport or 'http'}://{place}" + (f"/{self.prefix}" if self.prefix else "")

    def url(self, http_port: int, https_port: int, prefix: str, transport: str = "http") -> str:
        """Where to POST; *transport* where the address names none."""
        scheme = self.transport or transport
        port = self.port or (https_port if scheme == "https" else http_port)
        return f"{scheme}://{_bracketed(self.host)}:{port}/{self.prefix or prefix}"


@dataclass(frozen=True, slots=True)
class ListedSources:
    """Those that stand in the subscription's own file."""

    addresses: tuple[SourceAddress, ...]


@dataclass(frozen=True, slots=True)
class FileSources:
    """A text file: one source on a line, as in a list; ``#`` begins a comment."""

    path: Path


@dataclass(frozen=True, slots=True)
class CsvSources:
    """A CSV file with a header line; CSV_COLUMNS are read, ``host`` must be among them."""

    path: Path


@dataclass(frozen=True, slots=True)
class DirectorySources:
    """A search in an LDAP directory (RFC 4511): every object's *attribute* names a host.

    *bind* is how we say who we are there: ``kerberos``, or ``simple`` for user name and password inside TLS.
    """

    url: str
    base: str
    filter: str = "(objectCategory=computer)"
    attribute: str = "dNSHostName"
    credentials: str | None = None
    bind: str = "kerberos"


SourceList = ListedSources | FileSources | CsvSources | DirectorySources
Asks = Callable[[DirectorySources], Sequence[str]]
"""Answers the values of the attribute; raises ``SourceProblem``."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """What the lists say now. *problems* are sentences: lists that could not be read, entries that are no source.

    *notes* are sentences about what does no harm: a source that stands there twice, a column that means nothing.
    *whole*: every list could be read, so that a source which is not among them is really gone.
    """

    addresses: tuple[SourceAddress, ...]
    problems: tuple[str, ...] = ()
    whole: bool = True
    notes: tuple[str, ...] = ()


def resolve(lists: Sequence[SourceList], base: Path, ask: Asks) -> Resolved:
    """Read every list; paths are relative to *base*. Blocks, so an event loop calls it in a thread. Never raises."""
    found: dict[str, SourceAddress] = {}
    places: dict[str, str] = {}
    problems: list[str] = []
    notes: list[str] = []
    whole = True
    for entry in lists:
        wrong = named = 0
        above = len(problems)
        try:
            for said in _read(entry, base, ask):
                match said:
                    case _Problem() if wrong >= MOST:
                        raise SourceProblem(f"{_called(entry, base)} has more than {MOST} entries that name no host")
                    case _Problem(text):
                        wrong += 1
                        problems.append(text)
                    case _Note(text):
                        notes.append(text)
                    case _Found(address, where) if first := places.get(address.key):  # protocol.md 14.1, 15
                        named += 1
                        notes.append(f"{where}: {address.host} is there already ({first}), and the first one counts")
                    case _Found(address, where):
                        if len(found) >= MOST:
                            raise SourceProblem(f"the subscription names more than {MOST} sources; split it")
                        named += 1
                        found[address.key], places[address.key] = address, where
            if not named:  # the wrong file, one that is being written, a directory where nothing may be seen any more
                raise SourceProblem(f"{_called(entry, base)} {_nobody_named(entry)}")
        except SourceProblem as error:
            problems.insert(above, str(error))  # it says more than the lines do
            whole = False
    return Resolved(tuple(found.values()), _shortened(problems), whole, _shortened(notes))


def _called(entry: SourceList, base: Path) -> str:
    match entry:
        case FileSources(path) | CsvSources(path):
            return f"sources {base / path}"
        case DirectorySources(url):
            return f"{url}:"
        case ListedSources():
            return "sources"


def _nobody_named(entry: SourceList) -> str:
    """A list without anybody is taken for a mistake, so the sentence says how to mean it."""
    if isinstance(entry, DirectorySources):
        return (
            f"it finds no object with {entry.attribute}; base or filter may be wrong, or the account may not read them"
        )
    return "names no source; where nobody shall be called, say enabled = false in the subscription"


def parse_source(text: str) -> SourceAddress:
    """``host``, ``host:port``, ``[IPv6]:port`` or a URL such as ``https://host:5986/wsman``. Raises SourceProblem."""
    written = text.strip()
    if "@" in written:  # unquoted: what stands before it may be a password
        raise SourceProblem(
            'a source has an @, and before a host stands no account; write the host alone, such as "pc01.corp.example",'
            " and the account into [credentials.NAME] of collector.toml"
        )
    scheme, mark, rest = written.partition("://")
    transport = scheme.lower() if mark else None
    if transport not in (None, "http", "https"):
        raise SourceProblem(f'"{text[:200]}": the transport is "{scheme[:40]}"; http or https would be right')
    place, slash, path = (rest if mark else written).partition("/")
    host, port = _host_and_port(place, text)
    if (slash and not mark) or (path and _PREFIX.fullmatch(path.rstrip("/")) is None):
        raise SourceProblem(
            f'"{text[:200]}" is no source; write such as "pc01.corp.example" or "https://pc01:5986/wsman"'
        )
    return SourceAddress(host, port, transport, path.rstrip("/") or None)


def _host_and_port(place: str, text: str) -> tuple[str, int | None]:
    match = _PLACE.fullmatch(place)
    address, name, digits = match.groups() if match is not None else (None, None, None)
    port = int(digits) if digits else None
    wrong = port is not None and not 0 < port < 65536
    if wrong or (address is None and name is None) or not (_is_address(address) if address else _is_host(name or "")):
        wanted = 'write such as "pc01.corp.example", "pc01:5985", "[2001:db8::1]:5985" or "https://pc01.corp.example"'
        raise SourceProblem(f'"{text[:200]}" names no host; {wanted}')
    return address or name or "", port


def _is_address(text: str) -> bool:
    """An IPv6 address; without a zone, which is a matter of this machine and stands in no URL."""
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return "%" not in text


def _is_host(host: str) -> bool:
    """An IPv4 address or a name."""
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return _LABELS.fullmatch(host) is not None and _NUMERIC.fullmatch(host) is None
    return True


@dataclass(frozen=True, slots=True)
class _Found:
    address: SourceAddress
    where: str


@dataclass(frozen=True, slots=True)
class _Problem:
    text: str


@dataclass(frozen=True, slots=True)
class _Note:
    text: str


_Said = _Found | _Problem | _Note


def _read(entry: SourceList, base: Path, ask: Asks) -> Iterator[_Said]:
    """Each address, or a sentence about what is none. Raises ``SourceProblem``."""
    match entry:
        case ListedSources(addresses):
            yield from (_Found(address, "in sources") for address in addresses)
        case FileSources(path):
            yield from _lines(base / path)
        case CsvSources(path):
            yield from _rows(base / path)
        case DirectorySources():
            for value in ask(entry):
                yield _parsed(value, f"{entry.url}: {entry.attribute}")


def _lines(path: Path) -> Iterator[_Said]:
    for number, line in enumerate(_text(path).split("\n"), 1):
        written = line.partition("#")[0].strip()
        if written:
            yield _parsed(written, f"{path} line {number}")


def _rows(path: Path) -> Iterator[_Said]:
    lines = _text(path).split("\n")
    above = next((row for row, line in enumerate(lines) if not _before_header(line)), 0)
    reader = csv.reader(lines[above:], delimiter=_delimiter(lines[above]), strict=True)  # an open quote takes the rest
    try:
        names = [name.strip().lower() for name in next(reader, [])]
        if "host" not in names:
            raise SourceProblem(
                f"{path}: the first line must name the columns, and host among them ({', '.join(CSV_COLUMNS)})"
            )
        if twice := [name for name in CSV_COLUMNS if names.count(name) > 1]:
            raise SourceProblem(f"{path}: the first line names the column {twice[0]} twice; which one counts?")
        if others := [name for name in names if name not in CSV_COLUMNS]:
            yield _Note(f"{path}: columns that mean nothing here: {', '.join(others)[:200]}")
        for row in reader:
            cells = {name: cell.strip() for name, cell in zip(names, row, strict=False)}
            if any(cells.values()):
                yield _row(cells, f"{path} line {above + reader.line_num}")
    except csv.Error as error:
        raise SourceProblem(f"{path} line {above + reader.line_num} is no CSV: {error}") from error


def _before_header(line: str) -> bool:
    """Export-Csv says #TYPE first, Excel understands sep=; and people leave lines blank."""
    return not line.strip() or line.startswith("#") or line.lower().startswith("sep=")


def _delimiter(header: str) -> str:
    """A comma, unless the header has none: spreadsheets of half of Europe write semicolons."""
    return next((one for one in (",", ";", "\t") if one in header), ",")


def _row(cells: dict[str, str], where: str) -> _Said:
    port, transport, prefix = cells.get("port", ""), cells.get("transport", "").lower(), cells.get("prefix", "")
    said = _parsed(cells.get("host", ""), where)
    if not isinstance(said, _Found):
        return said
    if port and not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        return _Problem(f'{where}: port "{port[:20]}" is none; 1 to 65535 would be right')
    if transport not in ("", "http", "https"):
        return _Problem(f'{where}: transport "{transport[:20]}" is none; http or https would be right')
    if prefix and _PREFIX.fullmatch(prefix) is None:
        return _Problem(f'{where}: prefix "{prefix[:40]}" is none; such as wsman would be right')
    address = said.address
    return _Found(
        SourceAddress(
            address.host,
            int(port) if port else address.port,
            transport or address.transport,
            prefix or address.prefix,
            cells.get("credentials") or None,
        ),
        where,
    )


def _parsed(text: str, where: str) -> _Said:
    try:
        return _Found(parse_source(text), where)
    except SourceProblem as error:
        return _Problem(f"{where}: {error}")


def _shortened(sentences: Sequence[str]) -> tuple[str, ...]:
    left = len(sentences) - MOST_SAID
    return (*sentences[:MOST_SAID], *([f"and {left} more of the kind"] if left > 0 else []))


def _text(path: Path) -> str:
    """The text of a file of sources. Raises ``SourceProblem``."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise SourceProblem(f"sources {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise SourceProblem(f"sources {str(path)!a} cannot be read: a path holds no NUL") from error
    if len(content) > LARGEST_FILE:
        raise SourceProblem(f"sources {path} has more than {LARGEST_FILE} bytes; that is no list of hosts")
    try:
        encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"  # PowerShell's Out-File
        text = content.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SourceProblem(f"sources {path} line {line} is not UTF-8; save the file as UTF-8 text") from error
    if "\0" in text:
        raise SourceProblem(f"sources {path} holds NULs, as UTF-16 without its mark does; save the file as UTF-8 text")
    return text


def _folded(host: str) -> str:
    """One spelling of one host: lower case, no final dot, an IPv6 address as RFC 5952 writes it."""
    if ":" not in host:
        return host.lower().removesuffix(".")
    try:
        return str(ipaddress.IPv6Address(host))
    except ValueError:  # nobody parsed it
        return host.lower()


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
