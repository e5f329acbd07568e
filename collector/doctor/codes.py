"""The numbers of Windows, explained: WS-Management, Win32, TLS, authentication, and the events of the source's own log.

The texts are in ``codes.toml`` beside this file. Windows writes one number as hex, as unsigned and as signed decimal
(protocol.md 9.1); all of them are understood, and names too.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

WORD = 2**32
WSMAN = 0x80338000
"""Where WS-Management's numbers begin: HRESULTs of facility 0x33 ([MS-WSMV] 2.2.4)."""
_HEX = re.compile(r"0x([0-9a-f]{1,8})", re.IGNORECASE)
_DECIMAL = re.compile(r"[+-]?[0-9]{1,10}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What one number means. *number* is None for the family alone; *fault*: the SOAP fault that carries it, or ""."""

    number: int | None
    symbol: str
    family: str
    meaning: str
    cause: str
    remedy: str
    fault: str = ""

    @property
    def spellings(self) -> str:
        """The notations in which it is met; "" for the family alone."""
        if self.number is None:
            return ""
        if self.number < 2**16:
            return str(self.number)
        signed = f" = {self.number - WORD}" if self.number >= WORD // 2 else ""
        return f"0x{self.number:08X} = {self.number}{signed}"


class NoNumber(ValueError):
    """The text is neither a number nor a name of one; the message says what would be."""


def explain(text: str) -> Sequence[Explanation]:
    """All that *text* may stand for: a number in any notation, or (part of) a symbol. Empty: it is not known.

    Raises ``NoNumber``.
    """
    wanted = text.strip()
    if wanted.upper().endswith("L") and _HEX.fullmatch(wanted[:-1]):
        wanted = wanted[:-1]  # as C headers write it
    number = _number(wanted)
    if number is not None:
        meant = number, _whole(number)
        return [
            entry
            for entry in _table()
            if entry.number == number or (entry.number in meant and entry.family != "event")  # no HRESULT holds those
        ]
    folded = wanted.upper()
    if not re.fullmatch(r"[A-Z][A-Z0-9_]{2,}", folded):
        raise NoNumber(
            f'"{wanted[:60]}" is neither a number nor a name; write 0x80338126, 2150859046, -2144108250 or 5.'
        )
    return [entry for entry in _table() if folded in entry.symbol] or [
        entry for entry in _table() if folded == entry.fault.rpartition(":")[2].upper()
    ]


def family_of(text: str) -> Explanation | None:
    """What can be said of a number that no table has, by where it lies; None when nothing can."""
    number = _number(text.strip())
    if number is None:
        return None
    if WSMAN <= number < WSMAN + 512:
        return Explanation(
            number,
            "",
            "request",
            "A WS-Management error that does not occur in event forwarding: it is about remote shells, WMI, fragments,"
            " proxies or the Windows API.",
            "",
            "The text that came with it says more; winrm helpmsg NUMBER shows it on Windows.",
        )
    if 12001 <= number <= 12186:
        return _bare(number, "winhttp")
    if number >> 16 == 0x8009:
        return _bare(number, "sspi")
    if number >> 16 == 0x8007:
        return _bare(number, "system", f"The Win32 error {number & 0xFFFF} inside an HRESULT.")
    if number >> 8 == (-1765328384 % WORD) >> 8:
        return _bare(number, "kerberos")
    return _bare(number, "system") if number < 12000 else None


@cache
def _table() -> Sequence[Explanation]:
    return tuple(parse(resources.files(__package__).joinpath("codes.toml").read_text()))


def parse(text: str) -> Iterator[Explanation]:
    """The entries of a table in the form of codes.toml."""
    tables = tomllib.loads(text)
    families: Mapping[str, Mapping[str, str]] = tables.pop("family")
    for name, entries in tables.items():
        for key, row in entries.items():
            yield _entry(int(key, 0), name, families[name], row)


def _entry(number: int, name: str, family: Mapping[str, str], row: Mapping[str, Any]) -> Explanation:
    return Explanation(
        number % WORD,
        row["symbol"],
        name,
        row["meaning"],
        row.get("cause", family["cause"]),
        row.get("remedy", family["remedy"]),
        row.get("fault", ""),
    )


@cache
def _families() -> Mapping[str, Mapping[str, str]]:
    found: Mapping[str, Mapping[str, str]] = tomllib.loads(
        resources.files(__package__).joinpath("codes.toml").read_text()
    )["family"]
    return found


def _bare(number: int, name: str, meaning: str = "") -> Explanation:
    family = _families()[name]
    return Explanation(number, "", name, meaning or family["meaning"], family["cause"], family["remedy"])


def _number(text: str) -> int | None:
    """*text* as an unsigned 32-bit number, None when it is none."""
    if found := _HEX.fullmatch(text):
        return int(found[1], 16)
    if _DECIMAL.fullmatch(text) and -(2**31) <= int(text) < WORD:
        return int(text) % WORD
    return None


def _whole(number: int) -> int:
    """Old samples show the low half of a WS-Management number only (protocol.md 9.1); Win32 codes hide in HRESULTs."""
    if 0x8000 <= number < 0x8200:
        return 0x80330000 + number
    return number & 0xFFFF if number >> 16 == 0x8007 else number
