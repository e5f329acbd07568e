"""Bodies become text and text becomes bodies, layer by layer.

From the outside in: multipart and seal (``sealing``), SLDC, charset. The room knows
neither HTTP nor XML: it is handed two header values and perhaps a seal, and it hands out text.
"""

from __future__ import annotations

import codecs
import re
import sys
from dataclasses import dataclass

from collector.errors import SourceError
from collector.kernel import sldc
from collector.kernel.letters import Letters, unfold
from collector.wsman.sealing import Seal, SealError, SealStyle, open_sealed, sealed_body

MEDIA_TYPE = "application/soap+xml"

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16le"), (codecs.BOM_UTF16_BE, "utf-16be"))
_CHARSETS = {
    "": "utf-8",
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "utf-8",
    "utf-16": "utf-16le",  # without a BOM: Windows' own order
    "utf-16le": "utf-16le",
    "utf-16be": "utf-16be",
    "unicode": "utf-16le",  # what .NET calls it
}
_READABLE = re.compile(rb"(?:\xff\xfe|\xfe\xff|\xef\xbb\xbf)?[\s\x00]*<")


class PayloadError(SourceError):
    """The body cannot become text: 400, or 413 when it is too large."""


@dataclass(frozen=True, slots=True)
class Payload:
    """A body as text. *charset* is utf-16le, utf-16be or utf-8; *compressed* tells whether it was SLDC.

    *content* is what ``read_envelope`` reads: the text, or its letters, of which it makes only what it needs.
    *style* is how it was sealed, None when it came in clear.
    """

    content: str | Letters
    charset: str
    bom: bool
    compressed: bool = False
    style: SealStyle | None = None

    @property
    def text(self) -> str:
        """All of it; made anew for whoever asks."""
        return self.content if isinstance(self.content, str) else self.content.text()

    @property
    def weight(self) -> int:
        """Bytes of memory that it holds, and that its events will hold when they have been taken out."""
        return sys.getsizeof(self.content)


def open_payload(
    body: bytes,
    content_type: str,
    content_encoding: str,
    limit: int,
    seal: Seal | None = None,
    clear: bool = True,
) -> Payload:
    """The text of *body*, of which at most *limit* plain bytes are taken.

    *content_type* and *content_encoding* are the values of the HTTP headers, "" when absent.
    *seal* opens a body that is sealed; without *clear* no other is taken.
    Sequences that are no characters become U+FFFD: one broken event must not cost its
    neighbours. Raises ``PayloadError``; ``SealError`` where the connection has to end as well.
    """
    media_type, charset = _media_type(content_type)
    style: SealStyle | None = None
    if media_type.startswith("multipart/"):
        if seal is None:
            raise PayloadError(
                f"the body is sealed ({media_type[:80]}), and this connection has agreed on no key to open it"
            )
        body, inner_type, style = open_sealed(body, content_type, seal, limit)
        charset = _media_type(inner_type)[1]
    elif not clear:
        # A stranger between the two ends could have written it ([MS-WSMV] 3.1.4.1.29.1: AllowUnencrypted is false).
        raise SealError(
            "the body came in clear; it has to be sealed (multipart/encrypted) over plain http, and inside TLS where"
            " the token is not bound to the connection (cbt_hardening)"
        )
    plain, compressed = _inflated(body, content_encoding, limit)
    return _decoded(plain, charset, compressed, style)


def close_payload(text: str, like: Payload, seal: Seal | None = None) -> tuple[str, bytes]:
    """Content-Type and body of a reply, in the encoding and framing of the request *like* ([DSP0226] R13.1-5, -6).

    What came sealed is answered sealed, with *seal*. Never compressed: Windows does not compress
    its replies either, whatever the request was.
    """
    label, plain = _encoded(text, like.charset)
    if like.style is None:
        return f"{MEDIA_TYPE};charset={label}", plain
    assert seal is not None, "what came sealed was opened with a seal"
    return sealed_body(seal, plain, label, like.style)


def _encoded(text: str, charset: str) -> tuple[str, bytes]:
    """Name of the charset, and the bytes."""
    if charset == "utf-8":
        return "UTF-8", text.encode("utf-8", "replace")
    bom, order = (codecs.BOM_UTF16_BE, "utf-16-be") if charset == "utf-16be" else (codecs.BOM_UTF16_LE, "utf-16-le")
    return "UTF-16", bom + text.encode(order, "replace")


def _media_type(content_type: str) -> tuple[str, str]:
    """Media type and charset parameter, both in lower case, blanks and quotes taken off."""
    media_type, *parameters = content_type.split(";")
    charset = ""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            charset = value.strip().strip("\"'").strip().lower()
    return media_type.strip().lower(), charset


def _inflated(body: bytes, content_encoding: str, limit: int) -> tuple[bytes, bool]:
    """The body without its compression, and whether it had one."""
    codings = [
        coding for part in content_encoding.lower().split(",") if (coding := part.strip()) not in ("", "identity")
    ]
    if codings and codings != ["sldc"]:
        raise PayloadError(f'Content-Encoding is "{content_encoding[:80]}"; only SLDC or none is understood')
    failure: sldc.SldcError | None = None
    if codings and body:  # the POST that only authenticates says SLDC and is empty
        try:
            return sldc.decode(body, limit), True
        except sldc.SldcError as error:
            failure = error
    if failure is not None and not _READABLE.match(body):
        status = 413 if isinstance(failure, sldc.SldcTooLong) else 400
        raise PayloadError(f"the body says SLDC: {failure}", status=status)
    # What says SLDC and reads as text is taken as it is: Windows' End message lies so.
    if len(body) > limit:
        raise PayloadError(f"the body has {len(body)} bytes, at most {limit} are taken", status=413)
    return body, False


def _decoded(plain: bytes, charset: str, compressed: bool, style: SealStyle | None) -> Payload:
    """Bytes as text. The BOM wins, then the charset, then UTF-8 ([DSP0226] R13.1-5..8).

    A charset that contradicts the BOM is no reason to refuse: the BOM cannot lie, the bytes would not be XML.
    """
    for mark, name in _BOMS:
        if plain.startswith(mark):
            return Payload(_content(plain, len(mark), name), name, True, compressed, style)
    name = _CHARSETS.get(charset, "")
    if not name:
        raise PayloadError(f'the charset is "{charset[:40]}"; UTF-8 or UTF-16 would be understood')
    if charset in ("", "utf-16", "unicode") and plain[:2] in (b"<\0", b"\0<"):  # XML 1.0, appendix F
        name = "utf-16le" if plain[:1] == b"<" else "utf-16be"
    return Payload(_content(plain, 0, name), name, False, compressed, style)


def _content(plain: bytes, start: int, charset: str) -> str | Letters:
    letters = unfold(plain, start, charset)
    # A slice would copy the whole body.
    return str(memoryview(plain)[start:], charset, "replace") if letters is None else letters
