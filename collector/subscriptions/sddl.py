"""A security descriptor as text: who may have a subscription, as Windows writes it ([MS-DTYP] 2.5.1).

``O:NSG:BAD:P(D;;GA;;;S-1-5-21-1-2-3-1105)(A;;GA;;;DC)S:`` is AllowedSourceDomainComputers. Only its D: part decides;
owner, group and audit rules are read so that what is wrong in them is found. It knows no caller and no file:
text in, and the answer to a set of SIDs out.

What has no meaning here is not guessed at. An entry that grants something counts only if all of it is understood,
an entry that denies counts in any case.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from collector.errors import CollectorError
from collector.subscriptions.trustees import SID, Trustee, UnknownTrustee, trustee_of

IMPLICIT = frozenset({"S-1-1-0", "S-1-5-11", "S-1-5-2"})
"""Everyone, Authenticated Users, Network: what whoever has proven its identity over a network is, whatever groups its
ticket lists. One that lists none at all (no PAC) is not judged here: ``audience`` refuses it where there is a D:."""

_LOCAL = frozenset({"S-1-5-4", "S-1-5-6", "S-1-5-7", "S-1-5-18", "S-1-5-19", "S-1-5-20"})
"""Interactive, Service, Anonymous, and the accounts of services: nobody who comes over a network by Kerberos."""

READING = 0x8000_0000 | 0x1000_0000 | 0x1
"""Rights of which an entry must grant one: generic read, generic all, or the first right that objects define.

Which one Windows asks for is not documented; its tools write GA, and WinRM's own descriptor asks for GR where
somebody subscribes ([MS-WSMV] 3.1.4.1.28).
"""
_RIGHTS = {  # [MS-DTYP] 2.5.1.1, in the order of their bits, then the sets that files and registry keys use
    "GA": 0x1000_0000, "GR": 0x8000_0000, "GW": 0x4000_0000, "GX": 0x2000_0000,
    "RC": 0x2_0000, "SD": 0x1_0000, "WD": 0x4_0000, "WO": 0x8_0000,
    "CC": 0x1, "DC": 0x2, "LC": 0x4, "SW": 0x8, "RP": 0x10, "WP": 0x20, "DT": 0x40, "LO": 0x80, "CR": 0x100,
    "FA": 0x1F_01FF, "FR": 0x12_0089, "FW": 0x12_0116, "FX": 0x12_00A0,
    "KA": 0xF_003F, "KR": 0x2_0019, "KW": 0x2_0006, "KX": 0x2_0019,
    "NW": 0x1, "NR": 0x2, "NX": 0x4,
}  # fmt: skip
_GRANTS, _DENIES = frozenset({"A", "OA", "XA", "ZA"}), frozenset({"D", "OD", "XD"})
_OTHERS = frozenset({"AU", "AL", "OU", "OL", "XU", "ML", "RA", "SP", "TL", "FL"})
"""Entries for auditing, labels and attributes: they neither grant nor deny."""
_FLAGS = frozenset({"CI", "OI", "NP", "IO", "ID", "SA", "FA", "TP", "CR"})
_DACL_FLAGS = re.compile(r"(?:P|AR|AI|NO_ACCESS_CONTROL)*", re.IGNORECASE)
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]{1,8}|[0-9]{1,10}")
_TRUSTEE = re.compile(rf"{SID.pattern}|[A-Z]{{2}}", re.IGNORECASE)
LONGEST = 65_536
"""Characters; a discretionary list of Windows has at most 64 KiB ([MS-DTYP] 2.4.5)."""


class SddlError(CollectorError):
    """The text is no security descriptor. *at* is the position, from 1, of what is wrong."""

    def __init__(self, at: int, sentence: str) -> None:
        super().__init__(f"at character {at}: {sentence}")
        self.at = at


@dataclass(frozen=True, slots=True)
class Entry:
    """One ACE that counts: whether it grants, to whom, and how it was written."""

    grants: bool
    trustee: Trustee
    text: str


@dataclass(frozen=True, slots=True)
class Descriptor:
    """The entries in their order; None without a D: part, which is everybody ([MS-DTYP] 2.5.3).

    *notes* are clauses about entries that do not count, fit to follow "its SDDL:".
    """

    entries: tuple[Entry, ...] | None
    notes: tuple[str, ...] = field(default=(), compare=False)

    def decisive(self, sids: frozenset[str]) -> Entry | None:
        """The first entry that is about one of *sids*, or about everybody who has proven who it is."""
        held = sids | IMPLICIT
        return next((entry for entry in self.entries or () if entry.trustee.among(held)), None)

    def allows(self, sids: frozenset[str]) -> bool:
        """Whether a caller with these account and group SIDs is let in: the first entry about it decides."""
        if self.entries is None:
            return True
        entry = self.decisive(sids)
        return entry is not None and entry.grants


@lru_cache(maxsize=1024)
def parse_sddl(text: str) -> Descriptor:
    """What *text* says. Raises ``SddlError``."""
    if len(text) > LONGEST:
        raise SddlError(LONGEST + 1, f"it is longer than the {LONGEST} characters that Windows has room for.")
    scanner = _Scanner(text)
    entries: tuple[Entry, ...] | None = None
    notes: list[str] = []
    for part in scanner.parts():
        if part in "OG":
            scanner.trustee()
            continue
        flags = scanner.matched(_DACL_FLAGS)
        found = [entry for entry in scanner.entries(notes if part == "D" else []) if entry is not None]
        if part == "D" and "NO_ACCESS_CONTROL" not in flags.upper():  # which says: as if there were no D:
            entries = tuple(found)
    if entries is None:
        notes.append("it has no list (D:), so every domain member may have the subscription")
    elif not any(entry.grants and entry.trustee.sid not in _LOCAL for entry in entries):
        notes.append("no entry of it lets anybody have the subscription")
    return Descriptor(entries, tuple(notes))


@dataclass(slots=True)
class _Scanner:
    """The text, and how far it has been read; white space between its pieces counts for nothing."""

    text: str
    at: int = 0

    def parts(self) -> Iterator[str]:
        """The letter of each part, once each; whoever asks for the next one has read what follows it."""
        seen: set[str] = set()
        while self._skip_blanks() < len(self.text):
            letter = self.text[self.at].upper()
            if letter not in "OGDS" or self.text[self.at + 1 : self.at + 2] != ":":
                raise self.wrong("here one of O: G: D: S: begins.")
            if letter in seen:
                raise self.wrong(f"{letter}: is there twice; each part is there once.")
            seen.add(letter)
            self.at += 2
            yield letter

    def matched(self, pattern: re.Pattern[str]) -> str:
        self._skip_blanks()
        found = pattern.match(self.text, self.at)
        self.at += len(found[0]) if found else 0
        return found[0] if found else ""

    def trustee(self) -> None:
        """The owner or the group; nobody asks who it is."""
        start = self._skip_blanks()
        found = self.matched(_TRUSTEE)
        # "O:NSG:BA": the letter of the next part is no part of an alias, and a SID ends before a letter
        if not found or self.text[self.at : self.at + 1] not in ("", " ", "\t", "\n", *"OGDSogds"):
            raise SddlError(start + 1, "here a SID (S-1-5-...) or an alias of two letters (BA) stands.")
        self._known(start, found)

    def entries(self, notes: list[str]) -> Iterator[Entry | None]:
        while self._skip_blanks() < len(self.text) and self.text[self.at] == "(":
            start, self.at = self.at, self._closing()
            yield self._entry(start, notes)

    def wrong(self, sentence: str) -> SddlError:
        return SddlError(self.at + 1, sentence)

    def _skip_blanks(self) -> int:
        while self.text[self.at : self.at + 1].isspace():
            self.at += 1
        return self.at

    def _closing(self) -> int:
        """After the parenthesis that closes the one at hand; conditions nest them and quote texts."""
        depth, quoted = 0, False
        for place in range(self.at, len(self.text)):
            letter = self.text[place]
            quoted ^= letter == '"'
            depth += 0 if quoted else (letter == "(") - (letter == ")")
            if depth == 0:
                return place + 1
        raise self.wrong("this parenthesis is never closed.")

    def _entry(self, start: int, notes: list[str]) -> Entry | None:
        """``(type;flags;rights;object;inherited object;trustee[;condition])``; None when it does not count."""
        text = self.text[start : self.at]
        fields = text[1:-1].split(";", 6)
        if len(fields) < 6:
            raise SddlError(start + 1, f"{_short(text)} has {len(fields)} fields; an entry has six, as (A;;GA;;;DC).")
        places = [start + 2 + sum(len(given) + 1 for given in fields[:row]) for row in range(len(fields))]
        kind, flags, rights, kinds, _, whom = (given.strip() for given in fields[:6])
        kind = kind.upper()
        if kind not in _GRANTS | _DENIES | _OTHERS:
            raise SddlError(places[0], f"there are no entries of type {kind!r}; A allows and D denies.")
        inherit_only = "IO" in _pairs(flags, places[1], "flag", _FLAGS)
        mask = _mask(rights, places[2])
        trustee = self._known(places[5] - 1, whom)
        if kind in _OTHERS:
            return None
        reason = ""
        if inherit_only:  # it speaks of what is below, and nothing is ([MS-DTYP] 2.4.4.1)
            reason = "is for objects below (IO)"
        elif kind in _GRANTS and (kinds or len(fields) > 6):
            reason = "depends on an object type or a condition, which nothing here can check"
        elif kind in _GRANTS and not mask & READING:
            reason = "grants neither GA nor GR"
        if reason:
            notes.append(f"{_short(text)} does not count, because it {reason}")
            return None
        return Entry(kind in _GRANTS, trustee, text)

    def _known(self, start: int, name: str) -> Trustee:
        try:
            return trustee_of(name)
        except UnknownTrustee as error:
            raise SddlError(start + 1, str(error)) from error


def _pairs(text: str, place: int, what: str, known: frozenset[str]) -> set[str]:
    """Codes of two letters, one after the other."""
    codes = [text[row : row + 2].upper() for row in range(0, len(text), 2)]
    for row, code in enumerate(codes):
        if code not in known:
            raise SddlError(place + 2 * row, f"{code!r} is no {what}; known are {' '.join(sorted(known))}.")
    return set(codes)


def _mask(text: str, place: int) -> int:
    if _NUMBER.fullmatch(text):
        octal = text.startswith("0") and text.isdigit() and set(text) <= set("01234567")
        return int(text, 8) if octal else int(text, 0 if text[:2].lower() == "0x" else 10)
    mask = 0
    for code in _pairs(text, place, "right", frozenset(_RIGHTS)):
        mask |= _RIGHTS[code]
    return mask


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]}..."
