"""Message encryption: sealed parts in a multipart body ([MS-WSMV] 2.2.9.1), both roles.

The room frames and finds; the keys are a ``Seal`` that somebody hands in, and it knows no
mechanism, no HTTP and no XML. From the outside in: multipart, seal, SLDC, charset.

Peers differ in the framing (protocol.md 3.8): what is read is all that is known to be sent,
and an answer is framed like its question, because each peer reads only its own style.
The ciphertext may contain anything, also boundaries, so no text is searched in it.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from collector.errors import SourceError

KERBEROS = "application/HTTP-Kerberos-session-encrypted"
SPNEGO = "application/HTTP-SPNEGO-session-encrypted"
BOUNDARY = "Encrypted Boundary"  # [MS-WSMV] 2.2.9.1.1 knows no other; we write no other
_PROTOCOLS = (KERBEROS.lower(), SPNEGO.lower())
PADDING = 8
"""Bytes that a cipher may pad: RC4 adds 1, DES up to 8, AES none (RFC 1964 1.2.2.3, RFC 4121 4.2.4)."""
HEAD = 2048
"""All lines before the ciphertext stand in this many bytes: 240 with the usual boundary, 340 with the longest."""
_LINE, _LINES = 256, 8  # bytes of one line, lines of one part: real ones have 67 bytes and two lines
_LONGEST_BOUNDARY = 70  # RFC 2046 5.1.1
_LONGEST_TYPE = 1024  # a real Content-Type has 120 characters
_TAIL = 16  # what can stand around the boundary in the closing line
_TOO_LARGE = 413
_PARAMETER = re.compile(r';[ \t]*([^\s=;"]+)[ \t]*=[ \t]*(?:"([^"]*)"|([^;"]*))[ \t]*')


class SealError(SourceError):
    """A sealed body that cannot be opened (altered, repeated, out of order, cut, signed only), or one that cannot be
    made. The connection must end.

    After it the two ends no longer agree on what was sent, so nothing more that comes over this connection counts.
    """


class Seal(Protocol):
    """The session key of one connection. What one end seals the other opens, each message once and in order."""

    @property
    def protocol(self) -> str:
        """``application/HTTP-Kerberos-session-encrypted`` or ``application/HTTP-SPNEGO-session-encrypted``."""

    def seal(self, plain: bytes) -> tuple[bytes, bytes, int]:
        """The token's header, the ciphertext with its padding, and the length of that padding."""

    def unseal(self, header: bytes, sealed: bytes | memoryview) -> bytes:
        """The plaintext; the arguments stay as they are. Raises ``SealError``, also for what is only signed."""


@dataclass(frozen=True, slots=True)
class SealStyle:
    """How one peer frames: *protocol* as in ``Seal``, *indent* before part headers ("" or TAB), *blank* after ``--``.

    The specification demands the TAB, pypsrp and pywinrm read nothing without it; Windows writes none.
    """

    protocol: str
    indent: str = ""
    blank: bool = False


@dataclass(frozen=True, slots=True)
class Frame:
    """A sealed body, found and still closed. *header* and *sealed* are views of the body, nothing is copied.

    *length* is what the sender announced: plaintext, with or without padding. *inner_type* is the Content-Type of
    the plaintext.
    """

    style: SealStyle
    inner_type: str
    length: int
    header: memoryview
    sealed: memoryview


def open_sealed(body: bytes, content_type: str, seal: Seal, limit: int) -> tuple[bytes, str, SealStyle]:
    """Plaintext, its Content-Type, and the style of *body*; *content_type* is the HTTP header.

    At most *limit* plain bytes are taken. Raises ``SealError``, with status 413 above the limit.
    """
    frame = read_frame(body, content_type)
    if frame.style.protocol.lower() != seal.protocol.lower():
        raise SealError(
            f'the body says protocol "{frame.style.protocol[:80]}"; this connection agreed on "{seal.protocol}"'
        )
    if frame.length > limit:
        raise SealError(f"the sealed body announces {frame.length} bytes, at most {limit} are taken", status=_TOO_LARGE)
    plain = seal.unseal(bytes(frame.header), frame.sealed)
    if not 0 <= frame.length - len(plain) <= PADDING:
        raise SealError(f"the sealed body announces {frame.length} bytes and holds {len(plain)}")
    return plain, frame.inner_type, SealStyle(seal.protocol, frame.style.indent, frame.style.blank)


def sealed_body(seal: Seal, plain: bytes, charset: str, style: SealStyle) -> tuple[str, bytes]:
    """Content-Type and body of *plain*, a SOAP envelope spelled in *charset* ("UTF-16" or "UTF-8")."""
    header, ciphertext, padding = seal.seal(plain)
    line = f"--{' ' if style.blank else ''}{BOUNDARY}"
    front = (
        f"{line}\r\n"
        f"{style.indent}Content-Type: {style.protocol}\r\n"
        f"{style.indent}OriginalContent: type=application/soap+xml;charset={charset};Length={len(plain) + padding}\r\n"
        f"{line}\r\n"
        f"{style.indent}Content-Type: application/octet-stream\r\n"
    )
    parts = (front.encode("ascii"), struct.pack("<I", len(header)), header, ciphertext, f"{line}--\r\n".encode("ascii"))
    return f'multipart/encrypted;protocol="{style.protocol}";boundary="{BOUNDARY}"', b"".join(parts)


def read_frame(body: bytes, content_type: str) -> Frame:
    """The parts of *body*, without opening them. Raises ``SealError``.

    The work is bounded by ``HEAD`` and the closing line, however large the body is.
    """
    outer = _outer(content_type)
    usual = outer.usual.match(body, 0, HEAD)
    if usual is not None:
        blank, indent, named, original, start = *usual.groups(), usual.end()
        about = {"content-type": named.decode("latin-1"), "originalcontent": original.decode("latin-1")}
    else:
        blank, indent, about, start = _any_front(body, outer)
    inner_type, length = _original_content(about, outer.protocol)
    header, sealed = _token(body, start, _closing(body, outer))
    if not 0 <= len(sealed) - length <= PADDING:
        raise SealError(f"the sealed body announces {length} bytes, and {len(sealed)} are there")
    return Frame(SealStyle(outer.protocol, indent.decode(), bool(blank)), inner_type, length, header, sealed)


@dataclass(frozen=True, slots=True)
class _Outer:
    """What the HTTP header says, ready to be looked for.

    *usual* is all that stands before the token as Windows, pypsrp and pywinrm write it: a third of the time of
    ``_any_front``. *line* is a boundary line, *closing* the last one, in at most *tail* bytes.
    """

    protocol: str
    usual: re.Pattern[bytes]
    line: re.Pattern[bytes]
    closing: re.Pattern[bytes]
    tail: int


def _any_front(body: bytes, outer: _Outer) -> tuple[bytes, bytes, dict[str, str], int]:
    """Blank and indent as ``SealStyle`` has them, the headers of the first part, and where the token begins."""
    lines = _Lines(body, outer.line)
    blank, style_line = lines.boundary(), lines.peek()
    about = lines.headers()
    lines.boundary()
    if lines.one_header() != ("content-type", "application/octet-stream"):
        raise SealError("the second part of the sealed body does not begin with Content-Type: application/octet-stream")
    return blank, b"\t" if style_line.startswith(b"\t") else b"", about, lines.at


class _Lines:
    """Reads the lines before the ciphertext, front to back, each once."""

    def __init__(self, body: bytes, line: re.Pattern[bytes]) -> None:
        self.at = 0
        self._head = body[:HEAD]
        self._line = line

    def peek(self) -> bytes:
        """The next line, without its end."""
        end = self._head.find(b"\r\n", self.at, self.at + _LINE)
        if end < 0:
            raise SealError("the sealed body is cut or has no part headers; lines that end in CR LF were expected")
        return self._head[self.at : end]

    def boundary(self) -> bytes:
        """Goes past a boundary line; the blank that it has after its dashes."""
        line = self.peek()
        found = self._line.fullmatch(line.rstrip(b" \t"))
        if found is None:
            raise SealError("a part of the sealed body does not begin with the boundary that Content-Type names")
        self.at += len(line) + 2
        return found[1]

    def one_header(self) -> tuple[str, str]:
        """Name in lower case and value. [MS-WSMV] 2.2.9.1.2 indents headers, and no empty line ends them."""
        line = self.peek()
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon:
            raise SealError("a part of the sealed body has a line that is no header")
        self.at += len(line) + 2
        return name.strip(" \t").lower(), value.strip(" \t")

    def headers(self) -> dict[str, str]:
        """All headers up to the next boundary line."""
        found: dict[str, str] = {}
        for _ in range(_LINES):
            if self.peek().startswith(b"--"):
                return found
            name, value = self.one_header()
            if name in found:
                raise SealError(f'the sealed body has the part header "{name[:40]}" twice')
            found[name] = value
        raise SealError(f"the first part of the sealed body has more than {_LINES} headers; two were expected")


@lru_cache(maxsize=64)  # two or three spellings are all that a fleet has
def _outer(content_type: str) -> _Outer:
    """The HTTP header: a protocol and a boundary (RFC 1847 2.2 demands both)."""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == "multipart/x-multi-encrypted":
        raise SealError("the body is multipart/x-multi-encrypted, which only CredSSP uses; CredSSP is not spoken here")
    if media_type != "multipart/encrypted":
        raise SealError(f'the body is "{media_type[:80]}"; a sealed one is multipart/encrypted')
    if len(content_type) > _LONGEST_TYPE:
        raise SealError(f"Content-Type has {len(content_type)} characters, more than any sealed body needs")
    parameters = _parameters(content_type)
    protocol, boundary = parameters.get("protocol", ""), parameters.get("boundary", "")
    if "credssp" in protocol.lower():
        raise SealError("the body is sealed with CredSSP, which is not spoken here; Kerberos or Negotiate would be")
    if not protocol:
        raise SealError("Content-Type names no protocol; multipart/encrypted needs one")
    if not 0 < len(boundary) <= _LONGEST_BOUNDARY or not boundary.isascii():
        raise SealError(f"Content-Type names no boundary of 1 to {_LONGEST_BOUNDARY} ASCII characters")
    quoted = re.escape(boundary.encode("ascii"))
    line, styled = rb"--[ \t]?" + quoted, rb"--([ \t]?)" + quoted
    front = rb"\r\n(\t?)Content-Type: ([!-~]{1,80})\r\n\t?OriginalContent: ([!-~]{1,200})\r\n"
    octets = rb"\r\n\t?Content-Type: application/octet-stream\r\n"
    return _Outer(
        protocol,
        re.compile(styled + front + line + octets, re.IGNORECASE),
        re.compile(styled, re.IGNORECASE),
        # the last dashes or the CR LF of the closing line may be missing (protocol.md 3.8)
        re.compile(line + rb"(?:--)?[ \t]?(?:\r\n)?\Z", re.IGNORECASE),
        len(boundary) + _TAIL,
    )


def _parameters(value: str) -> dict[str, str]:
    """The parameters of a header value: names in lower case, the first of a name wins, blanks are tolerated."""
    found: dict[str, str] = {}
    for name, quoted, bare in _PARAMETER.findall(value):
        found.setdefault(name.lower(), (quoted or bare).strip())
    return found


def _original_content(about: dict[str, str], protocol: str) -> tuple[str, int]:
    """Content-Type and length of what was sealed, out of the headers of the first part."""
    named = about.get("content-type", "").lower()
    if named not in _PROTOCOLS and named != protocol.lower():  # [MS-WSMV] 2.2.9.1.2.2.1 allows either
        raise SealError(f'the first part of the sealed body is "{named[:80]}", and Content-Type says "{protocol[:80]}"')
    original = about.get("originalcontent")
    if original is None:
        raise SealError("the first part of the sealed body has no OriginalContent")
    parameters = _parameters(f";{original}")
    length = parameters.get("length", "")
    if not (length.isascii() and length.isdigit() and len(length) <= 10):
        raise SealError("OriginalContent of the sealed body names no Length; a decimal number was expected")
    charset = parameters.get("charset", "")
    return parameters.get("type", "") + (f";charset={charset}" if charset else ""), int(length)


def _closing(body: bytes, outer: _Outer) -> int:
    """Where the closing line begins, found from the end."""
    found = outer.closing.search(body, max(0, len(body) - outer.tail))
    if found is None:
        raise SealError("the sealed body is cut: it does not end with the boundary that Content-Type names")
    return found.start()


def _token(body: bytes, start: int, end: int) -> tuple[memoryview, memoryview]:
    """The token's header and the ciphertext, with what says where the one ends and the other begins."""
    if end - start < 4:
        raise SealError("the second part of the sealed body is shorter than the length of a header")
    (size,) = struct.unpack_from("<I", body, start)
    start += 4
    if not 0 < size <= end - start:
        raise SealError(f"the sealed body has a header length of {size}, and {end - start} bytes follow")
    view = memoryview(body)
    return view[start : start + size], view[start + size : end]
