"""An event's XML as a tool re-rendered it, turned back into the forwarder's byte style (normalization.md 3.1).

Pure text to text, without a parser: such XML may hold characters that no parser takes (U+0005
in real logs), and a collector has to meet them as Windows would send them. Where a value comes from is not
known here.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r"<!\[CDATA\[(?:.*?\]\]>|.*)|<!--(?:.*?-->|.*)|<\?(?:.*?\?>|.*)"  # one without an end reaches to the end
    r"|<(?P<end>/?)(?P<name>[^\s<>/!?]++)(?P<attributes>(?:\s++[^\s=<>/]++=(?:\"[^\"<]*+\"|'[^'<]*+'))*+)\s*+(?P<empty>/?)>",
    re.DOTALL,
)
_DECLARATION = re.compile(r"\s*<\?xml\s.*?\?>", re.DOTALL)
_ATTRIBUTE = re.compile(r"\s+([^\s=]+)=(?:\"([^\"]*)\"|'([^']*)')")
_FILLER = re.compile(r"\r?\n *")
"""What an indenting renderer puts into an empty element; a value that looks the same cannot be told from it."""
_GUID = r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}"
_BARE_GUID = re.compile(_GUID)
_TYPED_GUID = re.compile(r"[0-9A-F]{8}-(?:[0-9A-F]{4}-){3}[0-9A-F]{12}")
"""How the parser spells a value of type GUID; one in lower case is a text that the program itself wrote so."""
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|\+00:00)")
_GUID_ATTRIBUTES = frozenset({"Guid", "ActivityID", "RelatedActivityID"})
_PAIRED = "Data"  # the forwarder writes <Data Name='x'></Data>, and <Security/> for everything else that is empty


def restyled(xml: str) -> str:
    """*xml* on one line as the forwarder writes it.

    The declaration and the indentation go, attributes get single quotes, GUIDs braces, times seven digits of a
    second (the parser gives six; the seventh is lost and becomes 0), and empty elements their short form.
    Values stay as they are, line breaks and illegal characters included.
    """
    start = _DECLARATION.match(xml)
    at = start.end() if start else 0
    out: list[str] = []
    opened: re.Match[str] | None = None  # a start tag that has no content yet, and is not written yet
    for tag in _TOKEN.finditer(xml, at):
        if tag["name"] is None:  # CDATA and comments are text to us, and stay where they are
            continue
        text = xml[at : tag.start()]
        at = tag.end()
        if opened is not None and tag["end"]:
            out.append(_leaf(opened, text))
            opened = None
            continue
        if opened is not None:
            out.append(f"<{opened['name']}{_attributes(opened)}>")
            opened = None
        if text.strip():
            out.append(text)
        if tag["end"]:
            out.append(f"</{tag['name']}>")
        elif tag["empty"]:
            out.append(_leaf(tag, ""))
        else:
            opened = tag
    if opened is not None:
        out.append(f"<{opened['name']}{_attributes(opened)}>")
    out.append(xml[at:].rstrip())
    return "".join(out)


def _leaf(start: re.Match[str], text: str) -> str:
    """An element that has no elements in it."""
    name, value = start["name"], "" if _FILLER.fullmatch(text) else _value(text)
    if not value and name != _PAIRED:
        return f"<{name}{_attributes(start)}/>"
    return f"<{name}{_attributes(start)}>{value}</{name}>"


def _value(text: str) -> str:
    if _TYPED_GUID.fullmatch(text):
        return f"{{{text.lower()}}}"
    if moment := _MOMENT.fullmatch(text):
        return _spelled(moment) if moment[2] and len(moment[2]) == 6 else text
    return text.replace("&quot;", '"').replace("&apos;", "'") if "&" in text else text


def _attributes(start: re.Match[str]) -> str:
    return "".join(_attribute(*pair) for pair in _ATTRIBUTE.findall(start["attributes"]))


def _attribute(name: str, in_double: str, in_single: str) -> str:
    value = (in_double or in_single).replace("'", "&apos;").replace("&quot;", '"')
    if name in _GUID_ATTRIBUTES and _BARE_GUID.fullmatch(value):
        value = f"{{{value.lower()}}}"
    elif name == "SystemTime" and (moment := _MOMENT.fullmatch(value)):
        value = _spelled(moment)
    return f" {name}='{value}'"


def _spelled(moment: re.Match[str]) -> str:
    """Seven digits of a second, as Windows 10 and later have them."""
    return f"{moment[1]}.{(moment[2] or '').ljust(7, '0')[:7]}Z"
