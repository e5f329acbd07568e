"""Bytes as they read without regard to case, so that ASCII letters sought in them miss nothing. Pure.

``bytes.lower`` knows A to Z. But a few other letters are the same as ASCII ones without regard to case, or begin or
end so: ß is ss, the Kelvin sign is k, ﬁ is fi. Only those of them that could take part in what is sought are
spelled out, and only in blocks that hold anything but ASCII.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

FOLDING: Final = (
    "\u00df\u0130\u0149\u017f\u01f0\u1e96\u1e97\u1e98\u1e99\u1e9a\u1e9e\u212a\ufb00\ufb01\ufb02\ufb03\ufb04\ufb05\ufb06"
)
"""Every letter beyond ASCII whose ``casefold`` holds an ASCII one."""
ALIKE: Final = {"\u0130": "i", "\u0131": "i"}
"""Letters beyond ASCII that an expression without regard to case takes for an ASCII one, and ``casefold`` does not."""


class Folding:
    """How blocks are read when *runs*, texts of small ASCII letters, are sought in them.

    *loose*: for globs, which also take the dotless i for an i; then what is found is no proof.
    """

    def __init__(self, runs: Iterable[str], *, loose: bool = False) -> None:
        spelled = {letter: letter.casefold() for letter in FOLDING} | (ALIKE if loose else {})
        sought = list(runs)
        self._pairs = [
            (letter.encode(), text.encode())
            for letter, text in spelled.items()
            if any(_touches(text, run) for run in sought)
        ]

    def __call__(self, block: bytes) -> bytes:
        """*block*, UTF-8, with small letters; its lines stay lines."""
        lowered = block.lower()
        if self._pairs and not lowered.isascii():
            for letter, text in self._pairs:
                lowered = lowered.replace(letter, text)
        return lowered


def _touches(text: str, run: str) -> bool:
    """Whether an occurrence of *run* can have a letter in *text*, which stands for a letter somewhere in a document."""
    if text in run or run in text:
        return True
    ends = range(1, min(len(text), len(run)))
    return any(text[-end:] == run[:end] or text[:end] == run[-end:] for end in ends)
