"""The option and selector sets of a request's header. It knows no option and no selector."""

from __future__ import annotations

from collections.abc import Callable

from collector.wsman import names
from collector.wsman.xml import BLANKS, Element

_NIL = f"{{{names.XSI}}}nil"


def options(header: Element | None, clean: Callable[[str], str]) -> tuple[tuple[str, str | None], ...]:
    """Name and value of each w:Option, None for xsi:nil. *clean* is ``Opened.clean``."""
    return tuple(
        (clean(option.get("Name") or ""), None if _true(option.get(_NIL)) else clean(_text(option)))
        for option in _members(header, "OptionSet", "Option")
    )


def selectors(header: Element | None, clean: Callable[[str], str]) -> tuple[tuple[str, str], ...]:
    """Name and value of each w:Selector, as sent; Windows compares both without regard to case."""
    return tuple(
        (clean(selector.get("Name") or ""), clean(_text(selector)))
        for selector in _members(header, "SelectorSet", "Selector")
    )


def _members(header: Element | None, holder: str, member: str) -> list[Element]:
    return header.findall(f"{{{names.WSMAN}}}{holder}/{{{names.WSMAN}}}{member}") if header is not None else []


def _text(element: Element) -> str:
    return (element.text or "").strip(BLANKS)


def _true(text: str | None) -> bool:
    return (text or "").strip(BLANKS) in ("true", "1")
