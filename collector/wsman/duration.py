"""xs:duration, as far as the protocol uses it: text to seconds and back.

It knows no calendar and no clock: a year counts 365 days, a month 30.
"""

from __future__ import annotations

import re

# Nine digits are three centuries of seconds: whoever sends more means nothing that we could wait for.
_DURATION = re.compile(
    r"P(?=.)(?:([0-9]{1,9})Y)?(?:([0-9]{1,9})M)?(?:([0-9]{1,9})D)?"
    r"(?:T(?=.)(?:([0-9]{1,9})H)?(?:([0-9]{1,9})M)?(?:([0-9]{1,9}(?:\.[0-9]{1,9})?)S)?)?"
)
_UNITS = (365 * 86400, 30 * 86400, 86400, 3600, 60, 1)


def seconds(text: str) -> float | None:
    """``PT60.000S``, ``PT1H``, ``P1D`` as seconds; None for what is no duration or is negative."""
    match = _DURATION.fullmatch(text)
    if match is None:
        return None
    return float(sum(float(part) * unit for part, unit in zip(match.groups(), _UNITS, strict=True) if part))


def duration(amount: float) -> str:
    """*amount* seconds in the spelling of Windows, ``PT60.000S``."""
    return f"PT{amount:.3f}S"
