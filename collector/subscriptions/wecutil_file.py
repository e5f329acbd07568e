"""A subscription as wecutil writes it (``wecutil gs NAME /f:xml``), with everything it says.

The format has no published schema: elements in any order, values in any case, numbers in
milliseconds (protocol.md 12.4-12.7). It opens nothing: bytes in, value out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar
from uuid import uuid5

from lxml.etree import QName
from lxml.etree import _Element as Element

from collector.query.query_list import QueryProblems, line_of, parse_query_list, placed
from collector.subscriptions.problems import FileProblems
from collector.subscriptions.sddl import SddlError, parse_sddl
from collector.subscriptions.sources import ListedSources, SourceList, SourceProblem, parse_source
from collector.subscriptions.subscription import Audience, DeliverySettings, Imported, Subscription
from collector.subscriptions.toml_file import DEFAULT_LOCALE, NAMESPACE, thumbprint_of
from collector.wsman.xml import XmlError
from collector.wsman.xml import parse as parse_xml

Value = TypeVar("Value")
SUBSCRIPTION_NAMESPACE = "http://schemas.microsoft.com/2006/03/windows/events/subscription"

# Words and the numbers of evcoll.h, which some exports carry instead (protocol.md 12.4); folded to lower case.
_MODES = {"normal": "normal", "0": "normal", "custom": "custom", "1": "custom", "minlatency": "minlatency",
          "2": "minlatency", "minbandwidth": "minbandwidth", "3": "minbandwidth"}  # fmt: skip
_TYPES = {"sourceinitiated": "source", "0": "source", "collectorinitiated": "collector", "1": "collector"}
_DELIVERIES = {"pull": "pull", "1": "pull", "push": "push", "2": "push"}
_FORMATS = {"events": "raw", "1": "raw", "renderedtext": "rendered_text", "2": "rendered_text"}
_TRANSPORTS: Mapping[str, str | None] = {"http": "http", "https": "https"}
_TRUTHS = {"true": True, "1": True, "false": False, "0": False}

# (MaxLatencyTime, Heartbeat/@Interval) in seconds of each mode (protocol.md 12.5)
_NUMBERS = {"normal": (900.0, 900.0), "custom": (900.0, 900.0), "minlatency": (30.0, 3600.0),
            "minbandwidth": (21600.0, 21600.0)}  # fmt: skip
_MEANINGLESS = ("LogFile", "PublisherName", "CredentialsType")
"""Elements that tell a Windows collector where to put events and how to call itself."""
_OF_CALLS = ("TransportName", "TransportPort")
"""Elements that say how sources are called, which nobody does whose sources come by themselves."""
_PULL_ITEMS = 5
"""MaxItems of Normal when the collector pulls (protocol.md 12.5)."""


_CREDENTIALS = (
    "Its sources are called: write the account into [credentials.NAME] of collector.toml, and that name here as"
    " credentials."
)


@dataclass(slots=True)
class _Reader:
    """The file's root element, and what was found wrong on the way."""

    root: Element
    problems: list[tuple[int | None, str]] = field(default_factory=list)

    def find(self, path: str) -> Element | None:
        """The element at *path* below the root, whatever its namespace."""
        found: Element | None = self.root
        for name in path.split("/"):
            found = None if found is None else found.find(f"{{*}}{name}")
        return found

    def text(self, path: str) -> str:
        return text_of(self.find(path))

    def word(self, path: str, words: Mapping[str, Value], default: Value, attribute: str = "") -> Value:
        """The meaning of a word; *default* when the element (or its attribute) is missing or empty."""
        element = self.find(path)
        text = text_of(element) if not attribute else "" if element is None else element.get(attribute, "").strip()
        if not text:
            return default
        if text.lower() not in words:
            known = ", ".join(word for word in words if not word.isdigit())
            self._wrong(element, f"{path} is {text!r}; it is one of {known} (or its number).")
            return default
        return words[text.lower()]

    def number(self, path: str, least: int, attribute: str = "") -> int | None:
        """A whole number of at least *least*; None when there is none."""
        element = self.find(path)
        text = text_of(element) if not attribute else "" if element is None else element.get(attribute, "").strip()
        if not text:
            return None
        if not re.fullmatch(r"[0-9]{1,10}", text) or int(text) < least:
            self._wrong(element, f"{path} is {text!r}; it is a whole number of at least {least}.")
            return None
        return int(text)

    def texts(self, *paths: str) -> tuple[str, ...]:
        """The texts of all elements at the last name of each path, those that are empty left out."""
        found: list[str] = []
        for path in paths:
            folder, _, name = path.rpartition("/")
            parent = self.find(folder)
            found.extend(text_of(child) for child in ([] if parent is None else parent.findall(f"{{*}}{name}")))
        return tuple(text for text in found if text)

    def descriptor(self, path: str) -> str | None:
        """The security descriptor at *path*; None for none."""
        text = self.text(path)
        try:
            if text:
                parse_sddl(text)
        except SddlError as error:
            self._wrong(self.find(path), f"in {path}, {error}")
        return text or None

    def port(self) -> int | None:
        """TransportPort; None when there is none."""
        port = self.number("TransportPort", 1)
        if port is not None and port > 65535:
            self._wrong(self.find("TransportPort"), f"TransportPort is {port}; 1 to 65535 would be right.")
            return None
        return port

    def _wrong(self, element: Element | None, sentence: str) -> None:
        self.problems.append((None if element is None else line_of(element), sentence))


def read_wecutil(content: bytes) -> Subscription:
    """The subscription that *content* says, without revision and origin. Raises ``FileProblems``."""
    reader, text = _opened(content)
    return _read(reader, text)


def read_wecutil_to_import(content: bytes) -> Imported:
    """The same with its query as it was written, and notes on what our files do not carry. Raises ``FileProblems``."""
    reader, text = _opened(content)
    subscription = _read(reader, text)
    notes = [f"Not carried over: {', '.join(left)}."] if (left := _left_out(reader, subscription)) else []
    if subscription.type != "source-initiated":
        notes.append(_CREDENTIALS)
        if subscription.enabled and not subscription.sources:
            subscription = replace(subscription, enabled=False)
            notes.append("It names no enabled EventSource to call, so it is imported disabled; give sources.")
    return Imported(subscription, _written_query(reader).strip(), (*notes, *_difference(subscription)))


def _opened(content: bytes) -> tuple[_Reader, str]:
    text = _declaration_blanked(_decoded(content).replace("\r\n", "\n"))
    try:
        root = parse_xml(text)
    except XmlError as error:
        line, said = placed(error)
        raise FileProblems([(line, f"the file cannot be read: {said}.")]) from error
    if QName(root).localname != "Subscription" or QName(root).namespace not in (
        SUBSCRIPTION_NAMESPACE,
        None,
    ):
        raise FileProblems([(1, f"the file begins with {root.tag}; a wecutil file begins with Subscription.")])
    return _Reader(root), text


def _read(reader: _Reader, text: str) -> Subscription:
    subscription = _subscription(reader, _query(reader, text))
    if reader.problems:
        raise FileProblems(reader.problems)
    return subscription


def text_of(element: Element | None) -> str:
    """All text in *element*, trimmed; ``""`` for none."""
    return "" if element is None else "".join(str(text) for text in element.itertext()).strip()


def _subscription(reader: _Reader, query: str) -> Subscription:
    name = reader.text("SubscriptionId")
    if not name:
        reader.problems.append((None, "SubscriptionId is missing or empty; it is the subscription's unique name."))
    mode = reader.word("ConfigurationMode", _MODES, "normal")
    kind = _type(reader, mode)
    content_format = reader.word("ContentFormat", _FORMATS, "rendered_text")  # Windows' default (protocol.md 12.4)
    locale = reader.find("Locale")
    language = "" if locale is None else locale.get("Language", "").strip()
    allowed = "AllowedSourceNonDomainComputers"
    return Subscription(
        name=name,
        id=str(uuid5(NAMESPACE, name)),
        query=query,
        enabled=reader.word("Enabled", _TRUTHS, True),
        description=reader.text("Description"),
        type=kind,
        content_format=content_format,
        locale=language or (DEFAULT_LOCALE if content_format == "rendered_text" else None),
        read_existing_events=reader.word("ReadExistingEvents", _TRUTHS, False),
        expires=reader.text("Expires") or None,
        delivery=_delivery(reader, mode, kind),
        sddl=reader.descriptor("AllowedSourceDomainComputers"),
        # the prose of the documentation says IssuerCAList, real files AllowedIssuerCAList (subscriptions.md 2)
        issuers=tuple(
            thumbprint_of(issuer)
            for issuer in reader.texts(f"{allowed}/AllowedIssuerCAList/IssuerCA", f"{allowed}/IssuerCAList/IssuerCA")
        ),
        certificates=Audience(
            reader.texts(f"{allowed}/AllowedSubjectList/Subject"), reader.texts(f"{allowed}/DeniedSubjectList/Subject")
        ),
        sources=_sources(reader) if kind != "source-initiated" else (),
    )


def _type(reader: _Reader, mode: str) -> str:
    """Ours: source-initiated, pull or push. MinLatency and MinBandwidth are push (protocol.md 12.5)."""
    if reader.word("SubscriptionType", _TYPES, "collector") == "source":
        return "source-initiated"
    return reader.word("Delivery", _DELIVERIES, "pull" if mode in ("normal", "custom") else "push", attribute="Mode")


def _delivery(reader: _Reader, mode: str, kind: str) -> DeliverySettings:
    """What stands in the file, else the numbers of its mode; Windows knows no others of our settings."""
    latency, heartbeat = _NUMBERS[mode]
    given_latency = reader.number("Delivery/Batching/MaxLatencyTime", 1)
    given_heartbeat = reader.number("Delivery/PushSettings/Heartbeat", 1, attribute="Interval")
    items = reader.number("Delivery/Batching/MaxItems", 0)
    if items is None:
        items = _PULL_ITEMS if kind == "pull" and mode == "normal" else 0
    return DeliverySettings(
        max_latency=latency if given_latency is None else given_latency / 1000,
        heartbeat=heartbeat if given_heartbeat is None else given_heartbeat / 1000,
        max_items=items,
    )


def _difference(subscription: Subscription) -> Iterator[str]:
    """What Windows makes of a file that says nothing about domain members, and we do not (protocol.md 12.4)."""
    if meant := meant_at_windows(subscription):
        yield (
            f"It has no AllowedSourceDomainComputers. Of domain members, Windows lets {meant} have it then; here all"
            ' may that [audience] allows. sddl = "D:(A;;GA;;;DC)" means Domain Computers, sddl = "D:" none.'
        )


def meant_at_windows(subscription: Subscription) -> str:
    """Which domain members Windows lets have a *subscription* of a file that does not say it; ``""`` if it does."""
    if subscription.type != "source-initiated" or subscription.sddl is not None:
        return ""
    return "none of them" if subscription.issuers or subscription.certificates != Audience() else "Domain Computers"


def _written_query(reader: _Reader) -> str:
    element = reader.find("Query")
    return "" if element is None else "".join(str(part) for part in element.itertext())


def _left_out(reader: _Reader, subscription: Subscription) -> list[str]:
    """What the file says and our files do not, as far as it has a value; never a credential's value."""
    words = _MEANINGLESS if subscription.type != "source-initiated" else (*_MEANINGLESS, *_OF_CALLS)
    said = [f"{name} {reader.text(name)}" for name in words if reader.text(name)]
    host = reader.text("Delivery/PushSettings/HostName")
    said.extend([f"HostName {host}"] if host else [])
    sources = reader.find("EventSources")
    hosts = 0 if sources is None else len(sources.findall("{*}EventSource"))
    kept = sum(len(entry.addresses) for entry in subscription.sources if isinstance(entry, ListedSources))
    if hosts > kept:
        said.append(f"{hosts - kept} EventSource that is disabled or needs another type")
    if next(reader.root.iter("{*}UserName", "{*}Password"), None) is not None:
        said.append("user names and passwords")
    return said


def _query(reader: _Reader, text: str) -> str:
    """The canonical query; problems are noted with their lines in the file."""
    element = reader.find("Query")
    written = _written_query(reader)
    if element is None or not written.strip():
        reader.problems.append((None, "Query is missing or empty; it holds a QueryList as text, usually in CDATA."))
        return ""
    start = text.find(written)  # CDATA stands in the file as it is; escaped text does not
    above = text.count("\n", 0, start) if start >= 0 else (line_of(element) or 1) - 1
    try:
        return parse_query_list(written).xml()
    except QueryProblems as error:
        reader.problems.extend((above + (line or 1), f"in Query: {said}.") for line, said in error.problems)
        return ""


def _sources(reader: _Reader) -> tuple[SourceList, ...]:
    """The enabled hosts of a collector-initiated subscription; credentials stay where they are."""
    transport = reader.word("TransportName", _TRANSPORTS, None)
    port = reader.port()
    parent = reader.find("EventSources")
    hosts = []
    for source in [] if parent is None else parent.findall("{*}EventSource"):
        if source.get("Enabled", "true").strip().lower() not in ("true", "1"):
            continue
        try:
            found = parse_source(text_of(source.find("{*}Address")))
        except SourceProblem as error:
            reader.problems.append((line_of(source), f"in EventSource: {error}."))
        else:
            hosts.append(replace(found, port=found.port or port, transport=found.transport or transport))
    return (ListedSources(tuple(hosts)),) if hosts else ()


def _decoded(content: bytes) -> str:
    """UTF-16 or UTF-8 by BOM, else UTF-8, else what the XML declaration says."""
    declared = re.match(rb"\s*<\?xml[^>]*encoding\s*=\s*[\"']([A-Za-z0-9._-]+)", content)
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        try:
            return content.decode(declared[1].decode() if declared else "utf-8")
        except (LookupError, UnicodeDecodeError):
            line = content.count(b"\n", 0, error.start) + 1
            raise FileProblems([(line, "this is neither UTF-8 nor UTF-16 with a byte order mark.")]) from error


def _declaration_blanked(text: str) -> str:
    """The text without its XML declaration, which speaks of bytes that are gone; lines keep their numbers."""
    match = re.match(r"\s*<\?xml[^>]*\?>", text)
    return text if match is None else "\n" * match[0].count("\n") + text[match.end() :]
