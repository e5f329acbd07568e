"""A fault of a source as a value, out of any of the shapes in which Windows and others spell it.

What follows from it, and which fault there is for what, is not known here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from collector.wsman import names
from collector.wsman.faults import FAULTS
from collector.wsman.xml import BLANKS, Element

FAULT = f"{{{names.SOAP}}}Fault"
LONGEST = 2000
"""Characters of a text that are kept; the longest of Windows have 600."""

_PREFIXES = {
    names.SOAP: "s",
    names.ADDRESSING: "a",
    names.EVENTING: "e",
    names.ENUMERATION: "n",
    names.TRANSFER: "x",
    names.WSMAN: "w",
    names.MICROSOFT: "p",
}
_WSMAN_FAULT = f"{{{names.WSMAN_FAULT}}}WSManFault"
_PROVIDER = f"{{{names.WSMAN_FAULT}}}ProviderFault"
_LANG = f"{{{names.XML}}}lang"


@dataclass(frozen=True, slots=True)
class SourceFault:
    """A fault. *name* is the subcode with our prefixes (``w:TimedOut``), without one the code (``s:MustUnderstand``).

    *detail* is the last part of w:FaultDetail. *code* and *text* are those of the innermost f:WSManFault that has one,
    which says most; texts are localized, blanks folded. *provider* is the plugin that spoke, "" for none.
    """

    name: str
    detail: str | None
    code: int | None
    text: str
    provider: str = ""


def read_fault(fault: Element, clean: Callable[[str], str]) -> SourceFault:
    """The s:Fault element *fault* (protocol.md 8.1). *clean* is ``Opened.clean``."""
    value = _at(fault, "Code", "Subcode", "Value")
    if value is None:
        value = _at(fault, "Code", "Value")
    detail = _at(fault, "Detail")
    said = list(detail.iter(_WSMAN_FAULT))[::-1] if detail is not None else []  # the innermost first
    provider = next(detail.iter(_PROVIDER), None) if detail is not None else None
    spoken = (provider.get("provider") or "") if provider is not None else ""
    return SourceFault(
        clean(_name(value))[:LONGEST] if value is not None else "",
        clean(_detail(detail))[:LONGEST] or None if detail is not None else None,
        next((code for code in map(_code, said) if code is not None), None),
        clean(next((text for text in map(_text, said) if text), "") or _reason(fault))[:LONGEST],
        clean(" ".join(spoken.split()))[:LONGEST],
    )


def _at(element: Element, *path: str) -> Element | None:
    return element.find("/".join(f"{{{names.SOAP}}}{name}" for name in path))


def _name(value: Element) -> str:
    """The QName in *value* with our prefix. One with a prefix that is not declared (protocol.md 8.4) by local name."""
    prefix, colon, local = (value.text or "").strip(BLANKS).rpartition(":")
    namespace = value.nsmap.get(prefix or None)
    if namespace in _PREFIXES:
        return f"{_PREFIXES[namespace]}:{local}"
    if colon and namespace is None:
        known = [name for name in FAULTS if name.partition(":")[2] == local]
        same = [name for name in known if name == f"{prefix}:{local}"]
        return (same or known or [local])[0] if same or len(known) == 1 else local
    return local


def _detail(detail: Element) -> str:
    return (detail.findtext(f"{{{names.WSMAN}}}FaultDetail") or "").strip(BLANKS).rpartition("/")[2]


def _code(said: Element) -> int | None:
    code = (said.get("Code") or "").strip(BLANKS)
    return int(code) if code.isascii() and code.isdigit() and len(code) < 19 else None


def _text(said: Element) -> str:
    return " ".join("".join(str(part) for part in said.itertext()).split())


def _reason(fault: Element) -> str:
    """The English text of s:Reason, or else the first that says anything."""
    texts = fault.findall(f"{{{names.SOAP}}}Reason/{{{names.SOAP}}}Text")
    texts.sort(key=lambda text: not (text.get(_LANG) or "").lower().startswith("en"))
    return next((said for said in map(_text, texts) if said), "")
