"""The pure twin of the kernel: the XML text of one event -> what was read out of it.

This is the specification of the compiled kernel, its fallback and its oracle: one parser,
one traversal, no judgement. It knows no document and no table, mends nothing and decides
nothing; whoever gets ``Unreadable`` may mend the text and ask again (normalize.recover).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeVar, cast

from lxml import etree

from collector.kernel.hardened import hardened_parser

NAMESPACE = "http://schemas.microsoft.com/win/2004/08/events/event"
DEEPEST_USER_DATA = 4
"""Levels below the root of UserData that are flattened; real events have three."""

LONGEST_REASON = 300
LONGEST_PATH = 128
MOST_NESTED = 1000
"""Of the names and the number of flattened values: a long name repeated in many paths must not multiply."""

Pairs = Sequence[tuple[str, str]]
Value = TypeVar("Value")

_PARSER = hardened_parser()
_DOCTYPE = re.compile(r"\ufeff?(?:(?>\s+|<\?.*?\?>|<!--.*?-->))*+<!DOCTYPE", re.DOTALL)


class Unreadable(ValueError):
    """The text is not the XML of one event; the message says why."""


class Fields:
    """What one event's XML says, as text and trimmed where it stands under System.

    A class with defaults, not a dataclass: most events set half of these, and setting only those is
    what an event can afford. "" means absent or empty, for *opcode* and *time* None means absent.
    *event_data*: (name, own text) of every child in order, named by ``@Name``, else by the local name.
    *user_data*: the same below *user_data_root*; *user_data_nested*: what lies deeper or in attributes,
    named by the path joined with ``_``.
    """

    provider_name: str = ""
    provider_guid: str = ""
    provider_source_name: str = ""
    event_id: str = ""
    event_id_qualifiers: str = ""
    version: str = ""
    level: str = ""
    task: str = ""
    opcode: str | None = None
    keywords: str = ""
    time: str | None = None
    record_id: str = ""
    activity_id: str = ""
    related_activity_id: str = ""
    process_id: str = ""
    thread_id: str = ""
    processor_id: str = ""
    session_id: str = ""
    kernel_time: str = ""
    user_time: str = ""
    processor_time: str = ""
    channel: str = ""
    computer: str = ""
    user_sid: str = ""
    event_data: Pairs = ()
    user_data_root: str = ""
    user_data: Pairs = ()
    user_data_nested: Pairs = ()
    debug_data: Pairs = ()
    binary_event_data: str = ""
    error_code: str = ""
    error_item: str = ""
    error_payload: str = ""
    message: str = ""
    rendered_level: str = ""
    rendered_task: str = ""
    rendered_opcode: str = ""
    rendered_keywords: Sequence[str] = ()


LARGE = 1_000_000
"""Characters of an event that need no further look: four of them make an element at best. The compiled kernel reads
none that is half as large."""
MOST_MARKS = 400_000
"""Each may become a node of 128 bytes in the parser: 16 MiB of ``<a/>`` would be half a gigabyte."""


def read_event(text: str) -> Fields:
    """Read the XML of one event. Raises ``Unreadable`` for everything else."""
    fields = Fields()
    for section in _root(text):
        tag = section.tag
        read = _SECTIONS.get(tag) or _SECTIONS.get(_local(tag))
        if read is not None:
            read(fields, section)
    return fields


def computers(text: str) -> set[str]:
    """Every Computer that *text* says: ``read_event`` takes the last, another reader may take another.

    Raises ``Unreadable`` as it does.
    """
    return {
        _own_text(element).strip()
        for section in _root(text)
        if _local(section.tag) == "System"
        for element in section
        if _local(element.tag) == "Computer"
    }


def _root(text: str) -> etree._Element:
    if len(text) > LARGE and (marks := text.count("<") + text.count('="') + text.count("='")) > MOST_MARKS:
        raise Unreadable(f"the event has {marks} tags and attributes; at most {MOST_MARKS} are read")
    if not text.startswith("<Event") and "<!DOCTYPE" in text and _DOCTYPE.match(text):
        raise Unreadable("a document type declaration is not accepted; an event has none")
    try:
        root = etree.fromstring(text.encode(), _PARSER)
    except etree.XMLSyntaxError as error:
        raise Unreadable(str(error)[:LONGEST_REASON]) from None
    except UnicodeEncodeError as error:
        raise Unreadable(f"half of a surrogate pair stands alone at character {error.start}") from None
    if _local(root.tag) != "Event":
        raise Unreadable(f"the root element is {_local(root.tag)[:80]}; an event's is Event")
    return root


def _local(tag: str) -> str:
    return tag[tag.rfind("}") + 1 :]


def _own_text(element: etree._Element) -> str:
    """The element's own characters, without those of its children."""
    text = element.text or ""
    if len(element):
        text += "".join(child.tail or "" for child in element)
    return text


def _read_system(fields: Fields, system: etree._Element) -> None:
    values = fields.__dict__
    for element in system:
        tag = element.tag
        known = _SYSTEM.get(tag) or _SYSTEM.get(_local(tag))
        if known is None:
            continue
        text, attributes = known
        if attributes:
            for name, value in element.items():
                if name in attributes:
                    values[attributes[name]] = value
        if text:
            values[text] = (_own_text(element) if len(element) else element.text or "").strip()


def _read_event_data(fields: Fields, section: etree._Element) -> None:
    fields.event_data = [*fields.event_data, *_pairs(section)]


def _pairs(parent: etree._Element) -> list[tuple[str, str]]:
    pairs = []
    for element in parent:
        name = element.get("Name")
        if name is None:
            name = _local(element.tag)
        pairs.append((name, _own_text(element) if len(element) else element.text or ""))
    return pairs


def _read_user_data(fields: Fields, section: etree._Element) -> None:
    root = next(iter(section), None)
    if root is None or fields.user_data_root:
        return
    fields.user_data_root = _local(root.tag)
    fields.user_data = _pairs(root)
    nested: list[tuple[str, str]] = []
    _flatten(nested, root, "", 0)
    fields.user_data_nested = nested


def _flatten(nested: list[tuple[str, str]], parent: etree._Element, path: str, depth: int) -> None:
    """What the first level does not say: attributes, and text from the second level on."""
    for name, value in cast(Pairs, parent.items()):
        if name != "Name" or not depth:
            nested.append(((path + _local(name))[:LONGEST_PATH], value))
    if depth == DEEPEST_USER_DATA:
        return
    for element in parent:
        if not depth and not len(element) and not element.attrib:
            continue  # most first-level elements: said already
        if len(nested) >= MOST_NESTED:
            return
        name = (path + (element.get("Name") or _local(element.tag)))[:LONGEST_PATH]
        if depth:
            text = _own_text(element)
            if text and not (len(element) and text.isspace()):
                nested.append((name, text))
        _flatten(nested, element, name + "_", depth + 1)


def _read_rendering(fields: Fields, section: etree._Element) -> None:
    for element in section:
        match _local(element.tag):
            case "Message":
                fields.message = _own_text(element)
            case "Level":
                fields.rendered_level = _own_text(element).strip()
            case "Task":
                fields.rendered_task = _own_text(element).strip()
            case "Opcode":
                fields.rendered_opcode = _own_text(element).strip()
            case "Keywords":
                words = (_own_text(word).strip() for word in element if _local(word.tag) == "Keyword")
                fields.rendered_keywords = [word for word in words if word]
            case _:  # Culture is an attribute; Channel and Provider are display names nobody uses
                pass


def _read_processing_error(fields: Fields, section: etree._Element) -> None:
    for element in section:
        match _local(element.tag):
            case "ErrorCode":
                fields.error_code = _own_text(element).strip()
            case "DataItemName":
                fields.error_item = _own_text(element).strip()
            case "EventPayload":
                fields.error_payload = _own_text(element).strip()
            case _:
                pass


def _read_binary(fields: Fields, section: etree._Element) -> None:
    fields.binary_event_data = _own_text(section).strip()


def _read_debug(fields: Fields, section: etree._Element) -> None:
    fields.debug_data = _pairs(section)


def _qualified(table: dict[str, Value]) -> dict[str, Value]:
    """The table under plain names and under names in the event namespace: the common case is one look-up."""
    return table | {f"{{{NAMESPACE}}}{name}": value for name, value in table.items()}


_SECTIONS: dict[str, Callable[[Fields, etree._Element], None]] = _qualified({
    "System": _read_system,
    "EventData": _read_event_data,
    "UserData": _read_user_data,
    "RenderingInfo": _read_rendering,
    "ProcessingErrorData": _read_processing_error,
    "BinaryEventData": _read_binary,
    "DebugData": _read_debug,
})  # fmt: skip

_NONE: dict[str, str] = {}
# Under System: the element, where its text goes, where its attributes go.
_SYSTEM: dict[str, tuple[str, dict[str, str]]] = _qualified({
    "Provider": ("", {"Name": "provider_name", "Guid": "provider_guid", "EventSourceName": "provider_source_name"}),
    "EventID": ("event_id", {"Qualifiers": "event_id_qualifiers"}),
    "Version": ("version", _NONE),
    "Level": ("level", _NONE),
    "Task": ("task", _NONE),
    "Opcode": ("opcode", _NONE),
    "Keywords": ("keywords", _NONE),
    "TimeCreated": ("", {"SystemTime": "time"}),
    "EventRecordID": ("record_id", _NONE),
    "Correlation": ("", {"ActivityID": "activity_id", "RelatedActivityID": "related_activity_id"}),
    "Execution": ("", {
        "ProcessID": "process_id", "ThreadID": "thread_id", "ProcessorID": "processor_id", "SessionID": "session_id",
        "KernelTime": "kernel_time", "UserTime": "user_time", "ProcessorTime": "processor_time",
    }),
    "Channel": ("channel", _NONE),
    "Computer": ("computer", _NONE),
    "Security": ("", {"UserID": "user_sid"}),
})  # fmt: skip
