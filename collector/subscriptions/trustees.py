"""Whom an entry of a security descriptor is about: a SID, or one of the two-letter aliases ([MS-DTYP] 2.5.1.1).

An alias such as DC (Domain Computers) is relative to a domain. Windows takes the domain of the collector. We have
none, so it is the caller's own: only its own domain's controllers put it into such a group.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from collector.errors import CollectorError

ALIASES = {
    # everywhere the same
    "AC": "S-1-15-2-1", "AN": "S-1-5-7", "AS": "S-1-18-1", "AU": "S-1-5-11", "CG": "S-1-3-1", "CO": "S-1-3-0",
    "ED": "S-1-5-9", "IU": "S-1-5-4", "LS": "S-1-5-19", "NS": "S-1-5-20", "NU": "S-1-5-2", "OW": "S-1-3-4",
    "PS": "S-1-5-10", "RC": "S-1-5-12", "SS": "S-1-18-2", "SU": "S-1-5-6", "SY": "S-1-5-18",
    "UD": "S-1-5-84-0-0-0-0-0", "WD": "S-1-1-0", "WR": "S-1-5-33",
    "LW": "S-1-16-4096", "ME": "S-1-16-8192", "MP": "S-1-16-8448", "HI": "S-1-16-12288", "SI": "S-1-16-16384",
    # groups of one machine (BUILTIN): a caller has those that its domain controller put into the ticket
    "AA": "S-1-5-32-579", "AO": "S-1-5-32-548", "BA": "S-1-5-32-544", "BG": "S-1-5-32-546", "BO": "S-1-5-32-551",
    "BU": "S-1-5-32-545", "CD": "S-1-5-32-574", "CY": "S-1-5-32-569", "ER": "S-1-5-32-573", "ES": "S-1-5-32-576",
    "HA": "S-1-5-32-578", "IS": "S-1-5-32-568", "LU": "S-1-5-32-559", "MS": "S-1-5-32-577", "MU": "S-1-5-32-558",
    "NO": "S-1-5-32-556", "PO": "S-1-5-32-550", "PU": "S-1-5-32-547", "RA": "S-1-5-32-575", "RD": "S-1-5-32-555",
    "RE": "S-1-5-32-552", "RM": "S-1-5-32-580", "RU": "S-1-5-32-554", "SO": "S-1-5-32-549",
}  # fmt: skip
RELATIVE = {
    "AP": 525, "CA": 517, "CN": 522, "DA": 512, "DC": 515, "DD": 516, "DG": 514, "DU": 513, "EA": 519, "EK": 527,
    "KA": 526, "LA": 500, "LG": 501, "PA": 520, "RO": 498, "RS": 553, "SA": 518,
}  # fmt: skip
"""The last part of the SID in whatever domain."""

SID = re.compile(r"S-1-(0x[0-9a-f]{1,12}|[0-9]{1,15})((?:-[0-9]{1,10}){1,15})", re.IGNORECASE)  # [MS-DTYP] 2.4.2.1
_SUGGESTED = "DC (Domain Computers), DD (Domain Controllers), AU (Authenticated Users)"


class UnknownTrustee(CollectorError):
    """A name that is neither a SID nor an alias; the sentence says what would be right."""


@dataclass(frozen=True, slots=True)
class Trustee:
    """One SID, or the group that ends in *rid* in any domain."""

    sid: str = ""
    rid: int = 0

    def among(self, sids: frozenset[str]) -> bool:
        """Whether one of *sids* (``S-1-5-21-...`` in decimal) is the one meant."""
        if self.sid:
            return self.sid in sids
        end = f"-{self.rid}"
        return any(sid.endswith(end) and sid.startswith("S-1-5-21-") and sid.count("-") == 7 for sid in sids)


def trustee_of(name: str) -> Trustee:
    """Whom *name* is about. Raises ``UnknownTrustee``."""
    alias = name.upper()
    if alias in ALIASES:
        return Trustee(sid=ALIASES[alias])
    if alias in RELATIVE:
        return Trustee(rid=RELATIVE[alias])
    found = SID.fullmatch(name)
    if found is None:
        raise UnknownTrustee(f"{name[:60]!r} is no SID (S-1-5-21-...) and no alias such as {_SUGGESTED}.")
    return Trustee(sid=_spelled(found[1], found[2].split("-")[1:]))


def _spelled(authority: str, parts: list[str]) -> str:
    """Decimal, as the ticket's SIDs are; a large authority may be written in hexadecimal."""
    numbers = [int(authority, 16 if authority[:2].lower() == "0x" else 10), *map(int, parts)]
    if numbers[0] >= 1 << 48 or any(number >= 1 << 32 for number in numbers[1:]):
        raise UnknownTrustee(f"a part of the SID S-1-{authority}-{'-'.join(parts)} does not fit into its 32 bits.")
    return "-".join(map(str, ("S", 1, *numbers)))
