"""The charset of bodies: text becomes bytes, and an answer's bytes become text.

It knows neither HTTP nor compression nor seals; those go around what is made here.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass

_ENCODINGS = {"utf-16": "utf-16-le", "utf-16le": "utf-16-le", "utf-16be": "utf-16-be", "utf-8": "utf-8"}
_MARKS = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE, "utf-8": b""}
CHARSETS = tuple(_ENCODINGS)


@dataclass(frozen=True, slots=True)
class Charset:
    """A charset of bodies: a key of CHARSETS. WEF sources send UTF-16LE with a byte order mark (captured)."""

    name: str = "utf-16"

    @property
    def content_type(self) -> str:
        label = "UTF-8" if self.name == "utf-8" else "UTF-16"
        return f"application/soap+xml;charset={label}"

    def encode(self, text: str) -> bytes:
        """The body for *text*. UTF-16 keeps lone surrogates, as Windows does; UTF-8 has no place for them."""
        codec = _ENCODINGS[self.name]
        return _MARKS[codec] + text.encode(codec, "replace" if codec == "utf-8" else "surrogatepass")

    def size(self, text: str) -> int:
        """Bytes of *text* without a byte order mark."""
        codec = _ENCODINGS[self.name]
        return len(text.encode(codec, "replace" if codec == "utf-8" else "surrogatepass"))


def decoded(body: bytes, charset: str | None) -> str:
    """An answer as text: its byte order mark, else its charset, else UTF-8 ([DSP0226] R13.1-8)."""
    for mark, codec in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if body.startswith(mark):
            return body[len(mark) :].decode(codec, "replace")
    return body.decode(_ENCODINGS.get((charset or "utf-8").lower(), "utf-8"), "replace")
