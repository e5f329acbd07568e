"""Findings as tests read them."""

from __future__ import annotations

from collections.abc import Iterable

from collector.doctor.findings import Finding


def only(findings: Iterable[Finding], word: str) -> Finding:
    """The one finding with *word* in its text."""
    found = [finding for finding in findings if word in finding.text]
    assert len(found) == 1, found
    return found[0]


def severities(findings: Iterable[Finding]) -> list[str]:
    return [finding.severity for finding in findings]
