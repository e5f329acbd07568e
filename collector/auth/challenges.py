"""What a far end asks for: WWW-Authenticate values taken apart (RFC 9110 11.6.1). Pure; every byte is hostile.

Windows sends one header for each scheme, others put several into one, and a quoted realm may hold
a comma and the name of a scheme.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

LONGEST = 96 * 1024
"""Characters of one value that are looked at: real tokens have 200, and those of requests end at 64,000."""
_PIECE = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*+(?:"|\\?\Z))++', re.DOTALL)  # a quote that never ends takes the rest
_SCHEME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_PARAMETER = re.compile(r"[ \t]*=[ \t]*[^ \t=]")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One scheme that the far end takes. *scheme* is in lower case; *token* is its base64, "" when there is none."""

    scheme: str
    token: str = ""


def read_challenges(values: Sequence[str]) -> Sequence[Challenge]:
    """Every challenge of these WWW-Authenticate *values*, in order; what is none is left out, parameters too."""
    return [challenge for value in values for challenge in _of(value[:LONGEST])]


def token_for(scheme: str, challenges: Sequence[Challenge]) -> str | None:
    """The token that comes with *scheme*, "" when it comes without, None when it is not among *challenges*."""
    found = [challenge.token for challenge in challenges if challenge.scheme == scheme.lower()]
    return max(found, key=bool) if found else None


def _of(value: str) -> Iterator[Challenge]:
    for piece in _PIECE.findall(value):
        text = piece.strip(" \t")
        scheme = _SCHEME.match(text)
        if scheme is None or _PARAMETER.match(text, scheme.end()):  # a parameter of the challenge before
            continue
        rest = text[scheme.end() :].strip(" \t")
        yield Challenge(scheme[0].lower(), "" if _with_parameters(rest) else rest)


def _with_parameters(rest: str) -> bool:
    """``realm="WSMAN"`` and not a token, whose equals signs stand at its end."""
    name, equals, value = rest.partition("=")
    return bool(equals) and bool(value.strip("= \t")) and _SCHEME.fullmatch(name.strip(" \t")) is not None
