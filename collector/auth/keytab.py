"""What a keytab file holds: names, key versions and encryption types. Never the keys.

Written from the file format's public description (MIT Kerberos documentation, "Keytab file format"), because GSS-API
says only whether a ticket could be opened and an administrator must know which name is missing. It knows no GSS-API,
asks no KDC and keeps no key: those bytes are stepped over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from collector.errors import OperatorError

LARGEST = 2**20
"""Bytes. A key with its name takes about 100: ten thousand fit, and no collector has that many names."""
_OLD, _NEW = b"\x05\x01", b"\x05\x02"

ENCRYPTION = {
    1: "des-cbc-crc", 2: "des-cbc-md4", 3: "des-cbc-md5", 16: "des3-cbc-sha1",
    17: "aes128-cts-hmac-sha1-96", 18: "aes256-cts-hmac-sha1-96",
    19: "aes128-cts-hmac-sha256-128", 20: "aes256-cts-hmac-sha384-192",
    23: "arcfour-hmac", 24: "arcfour-hmac-exp", 25: "camellia128-cts-cmac", 26: "camellia256-cts-cmac",
}  # fmt: skip
"""By number (IANA, "Kerberos Encryption Type Numbers"), spelled as ``klist -e`` does."""
BROKEN = frozenset({1, 2, 3, 16, 23, 24})
"""DES, triple DES (RFC 8429) and RC4: nothing that Windows will ask for much longer."""


class KeytabError(OperatorError):
    """The file cannot be read, or is no keytab."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a keytab, without the key. *made* is when it was written there, UTC; *number* its encryption type."""

    components: tuple[str, ...]
    realm: str
    kvno: int
    number: int
    made: datetime

    @property
    def principal(self) -> str:
        """``HTTP/wec.corp.example@CORP.EXAMPLE``."""
        return f"{self.name}@{self.realm}"

    @property
    def name(self) -> str:
        """The principal without its realm."""
        return "/".join(self.components)

    @property
    def encryption(self) -> str:
        """Its type as ``klist -e`` spells it."""
        return ENCRYPTION.get(self.number, f"type {self.number}")

    @property
    def broken(self) -> bool:
        """Made for an encryption that no longer protects."""
        return self.number in BROKEN


def read_keytab(path: Path) -> Sequence[Entry]:
    """The entries of *path*, in order. Raises ``KeytabError``."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise KeytabError(f"keytab {path} cannot be read: {error.strerror}.") from error
    try:
        return parse_keytab(content)
    except KeytabError as error:
        raise KeytabError(f"keytab {path}: {error.problems[0]}") from error


def parse_keytab(content: bytes) -> Sequence[Entry]:
    """The entries of a keytab's *content*, in order; holes of removed keys are left out. Raises ``KeytabError``."""
    if len(content) > LARGEST:
        raise KeytabError(f"it has more than {LARGEST // 1024} KiB, which no keytab of a service has.")
    if content[:2] not in (_OLD, _NEW):
        raise KeytabError("it is no keytab; one begins with the bytes 05 02. ktpass, ktutil and samba-tool write them.")
    return tuple(_entries(content))


def _entries(content: bytes) -> Iterator[Entry]:
    old = content[:2] == _OLD
    # version 1 has the byte order of the machine that wrote it; all that is left of those are little-endian
    file = Cursor(content[2:], "little" if old else "big")
    while file.left >= 4:
        size = file.number(4, signed=True)
        if size == 0:
            return  # how the format marks its end inside a longer file
        body = file.take(abs(size))
        if size > 0:
            yield _entry(Cursor(body, file.order), old=old)
    if file.left:
        raise KeytabError("it is cut off in the middle of an entry; copy it again, in binary mode.")


def _entry(body: Cursor, *, old: bool) -> Entry:
    count = body.number(2) - old  # version 1 counted the realm too
    if count < 0:
        raise KeytabError("it holds an entry without a name; make it anew.")
    realm = body.text()
    components = tuple(body.text() for _ in range(count))
    if not old:
        body.number(4)  # the name's type, which nobody compares
    made = datetime.fromtimestamp(body.number(4), UTC)
    kvno = body.number(1)
    number = body.number(2)
    body.take(body.number(2))  # the key
    if body.left >= 4:  # the whole key version; the one above has 8 bits
        kvno = body.number(4) or kvno
    return Entry(components, realm, kvno, number, made)


class Cursor:
    """Steps through bytes and never beyond them (``KeytabError``); caches of tickets are written alike."""

    def __init__(self, content: bytes, order: Literal["little", "big"]) -> None:
        self._content, self._at, self.order = content, 0, order

    @property
    def left(self) -> int:
        return len(self._content) - self._at

    def take(self, size: int) -> bytes:
        if size > self.left:
            raise KeytabError("it is cut off in the middle of an entry; copy it again, in binary mode.")
        self._at += size
        return self._content[self._at - size : self._at]

    def number(self, size: int, *, signed: bool = False) -> int:
        return int.from_bytes(self.take(size), self.order, signed=signed)

    def text(self, width: int = 2) -> str:
        """A text counted by *width* bytes. Names are ASCII or UTF-8; anything else is shown, not obeyed."""
        return self.take(self.number(width)).decode("utf-8", "backslashreplace")
