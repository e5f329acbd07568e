"""Groups from the ticket: what a domain controller says of an account in KERB_VALIDATION_INFO ([MS-PAC] 2.5).

Groups without asking a directory. Bytes in, SIDs out, and ``PacError`` for everything else: the bytes were
signed by whoever holds the realm's keys, which is no reason to trust their lengths. It knows no ticket and no
GSS-API; that the signature holds is for its caller to ask.

The form is NDR ([C706] 14, [MS-RPCE] 2.2.6): 16 bytes of serialization header, the pointer to the structure,
the structure, and then what its pointers point to, in the order of the pointers. Offsets below count from the
start of the value, as dependencies.md section 9 has them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from collector.errors import CollectorError

HEADER = b"\x01\x10\x08\x00"
"""Version 1, little-endian, 8 bytes of header: the one form that [MS-PAC] allows ([MS-RPCE] 2.2.6.1)."""
LONGEST = 1 << 20
"""Bytes. A token of Windows stays below 64 KiB (MaxTokenSize), and this is a part of one."""
MOST_SUBAUTHORITIES = 15  # [MS-DTYP] 2.4.2.2

_TEXTS = range(0x44, 0x74, 8)
"""EffectiveName, FullName, LogonScript, ProfilePath, HomeDirectory, HomeDirectoryDrive."""
_USER, _PRIMARY_GROUP, _GROUPS = 0x78, 0x7C, 0x80
_LOGON_SERVER, _LOGON_DOMAIN, _DOMAIN_SID = 0x9C, 0xA4, 0xAC
_EXTRA, _RESOURCE_DOMAIN_SID, _RESOURCE_GROUPS = 0xD8, 0xE0, 0xE4
_END = 0xEC
_NUMBER = struct.Struct("<I").unpack_from


class PacError(CollectorError):
    """The groups of a ticket cannot be read: the bytes are cut short or lie about their lengths."""


def account_and_groups(info: bytes) -> tuple[str, frozenset[str]]:
    """The account's SID and the SIDs of its groups, as ``S-1-5-21-...`` in decimal.

    *info* is the attribute ``urn:mspac:logon-info``. Global, universal and extra SIDs and the resource groups are
    all there is; the SIDs that everybody has (Everyone, Authenticated Users) are not among them. Attributes of
    groups are not read: a KDC sends what is enabled. Raises ``PacError``, and nothing else.
    """
    return _read(_opened(info))


def account_name(info: bytes) -> str:
    """The account's own name, sAMAccountName (``PC01$``), ``""`` for none: a ticket may name it otherwise.

    *info* and errors as for ``account_and_groups``.
    """
    return _opened(info).text(_TEXTS[0])


def _opened(info: bytes) -> _Ndr:
    if not info.startswith(HEADER) or not _END <= len(info) <= LONGEST:
        raise PacError(f"the PAC's logon information ({len(info)} bytes) does not begin as [MS-PAC] 2.5 says")
    return _Ndr(info, _END)


def _read(ndr: _Ndr) -> tuple[str, frozenset[str]]:
    """Every pointer is followed, because what comes later can be found in no other way."""
    for text in _TEXTS:
        ndr.text(text)
    groups = ndr.rids(_GROUPS)
    ndr.text(_LOGON_SERVER)
    ndr.text(_LOGON_DOMAIN)
    domain = ndr.sid(_DOMAIN_SID)
    extra = list(ndr.sids(_EXTRA))
    resource_domain = ndr.sid(_RESOURCE_DOMAIN_SID)
    resources = ndr.rids(_RESOURCE_GROUPS)

    user = ndr.number(_USER)
    if not domain or (user == 0 and not extra) or (resources and not resource_domain):
        raise PacError("the PAC names an account or groups of no domain")
    found = {f"{domain}-{rid}" for rid in (ndr.number(_PRIMARY_GROUP), *groups)}
    found.update(f"{resource_domain}-{rid}" for rid in resources)
    if user == 0:  # the account comes from elsewhere, and is the first of the extra SIDs ([MS-PAC] 2.5, UserId)
        return extra[0], frozenset(found.union(extra[1:]))
    return f"{domain}-{user}", frozenset(found.union(extra))


@dataclass(slots=True)
class _Ndr:
    """A value and how far it has been read: *at* is where the next thing pointed to begins."""

    value: bytes
    at: int

    def number(self, offset: int) -> int:
        """Four bytes at *offset*."""
        if offset + 4 > len(self.value):
            raise PacError(f"the PAC ends at byte {len(self.value)}, before what it says it holds")
        number: int = _NUMBER(self.value, offset)[0]
        return number

    def take(self, size: int) -> int:
        """Where the next *size* bytes begin; what follows them is aligned to four."""
        start = self.at
        if start + size > len(self.value):
            raise PacError(f"the PAC says {size} bytes where {max(0, len(self.value) - start)} are left")
        self.at = start + size + (-size) % 4
        return start

    def text(self, field: int) -> str:
        """The RPC_UNICODE_STRING at *field*, ``""`` for none."""
        if not self.number(field + 4):
            return ""
        counts = self.take(12)  # maximum, offset, actual count
        if self.number(counts + 4):
            raise PacError("a text of the PAC does not begin at its beginning")
        size = 2 * self.number(counts + 8)
        start = self.take(size)
        return self.value[start : start + size].decode("utf-16-le", "replace")

    def rids(self, field: int) -> list[int]:
        """The relative ids of the GROUP_MEMBERSHIPs at *field* (count, pointer); attributes follow each."""
        count, start = self._array(field)
        return list(struct.unpack_from(f"<{2 * count}I", self.value, start)[::2])

    def sids(self, field: int) -> Iterator[str]:
        """The KERB_SID_AND_ATTRIBUTES at *field* (count, pointer): first all pointers, then all SIDs."""
        count, start = self._array(field)
        for row in range(count):
            if found := self.sid(start + 8 * row):
                yield found

    def sid(self, pointer: int) -> str:
        """The SID that *pointer* points to ([MS-DTYP] 2.4.2.3), ``""`` for none."""
        if not self.number(pointer):
            return ""
        count = self.number(self.take(4))
        if count > MOST_SUBAUTHORITIES:
            raise PacError(f"a SID of the PAC has {count} parts; at most {MOST_SUBAUTHORITIES} are possible")
        start = self.take(8 + 4 * count)
        if self.value[start] != 1 or self.value[start + 1] != count:
            raise PacError("a SID of the PAC is of another revision or length than it says")
        authority = int.from_bytes(self.value[start + 2 : start + 8], "big")
        parts = struct.unpack_from(f"<{count}I", self.value, start + 8)
        return "-".join(map(str, ("S", 1, authority, *parts)))

    def _array(self, field: int) -> tuple[int, int]:
        """How many rows of 8 bytes an array has, and where it begins. Both counts must agree."""
        if not self.number(field + 4):
            return 0, 0
        count = self.number(self.take(4))
        if count != self.number(field):
            raise PacError(f"the PAC says {self.number(field)} groups and then {count}")
        return count, self.take(8 * count)
