"""What the doctor says: one finding a thing looked at, with its remedy. It looks at nothing itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["ok", "warning", "problem"]
"""``problem``: sources will not come, or not safely. ``warning``: worth a thought; it changes no exit code."""


@dataclass(frozen=True, slots=True)
class Finding:
    """*subject*: what was looked at; *text*: what it is or what is wrong with it; *remedy*: what to do, "" when ok."""

    severity: Severity
    subject: str
    text: str
    remedy: str = ""


def ok(subject: str, text: str) -> Finding:
    """*subject* is as it should be."""
    return Finding("ok", subject, text)


def warning(subject: str, text: str, remedy: str) -> Finding:
    """It works, or will for a while."""
    return Finding("warning", subject, text, remedy)


def problem(subject: str, text: str, remedy: str) -> Finding:
    """It does not work."""
    return Finding("problem", subject, text, remedy)


def sick(findings: Iterable[Finding]) -> bool:
    """Whether there is a problem among them."""
    return any(finding.severity == "problem" for finding in findings)
