"""What a fault of a source means for us: a table, and the sentence that says so. Pure.

Classified by WSManFault code, then by subcode; texts are localized and mean nothing to us (protocol.md 8.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from collector.wsman.answers import SourceFault

Meaning = Literal["quiet", "gone", "confused", "bookmark", "smaller", "steady", "refused"]
"""quiet: nothing now, the context lives. gone: the source knows no such enumeration. confused: it does, and neither of
us knows where it stands. bookmark: it takes no such bookmark. smaller: the answer does not fit. steady: MaxElements
must not change. refused: anything else, for the *reason* of the verdict."""

REASONS = (
    "dns", "refused", "unreachable", "timeout", "tls", "certificate", "authentication", "ticket", "access-denied",
    "channel", "quota", "protocol", "sealing", "http", "too-large", "backpressure",
)  # fmt: skip
"""Every word that ``wef sources`` and the label ``reason`` of ``wef_pull_troubles`` may say."""

LONGEST = 240
"""Letters of a sentence; the book keeps 300 with time and reason."""

_WSMAN = 0x80338000
_WIN32 = 0x80070000
"""HRESULT_FROM_WIN32: some plugins report a Win32 error so."""

ACCESS_DENIED = 5
_CHANNEL_CODES = frozenset({15001, 15007, 15008})
"""ERROR_EVT_INVALID_QUERY, _CHANNEL_NOT_FOUND, and its neighbour about a channel's publisher (winerror.h)."""

_QUIET = frozenset({"w:TimedOut", "n:TimedOut"})
_QUIET_CODES = frozenset({_WSMAN + 0x29, _WSMAN + 0x1C})
_GONE = frozenset({"n:InvalidEnumerationContext", "n:UnableToRenew", "e:UnableToRenew"})
_GONE_CODES = frozenset(
    # ENUMERATION_CLOSED, SUBSCRIPTION_CLOSED, _CLOSE_IN_PROGRESS, no call within the heartbeat, no heartbeat,
    # invalid context, unable to renew (twice), session closed, listener gone, closed by the service, cancelled
    _WSMAN + n
    for n in (0x07, 0x08, 0x09, 0x0A, 0x0B, 0x1B, 0x1D, 0x24, 0x98, 0x99, 0x9B, 0x9E)
)
_CONFUSED_CODES = frozenset(_WSMAN + n for n in (0x06, 0x78, 0x84, 0x8B))
"""A Pull is under way already, not begun yet, unusable after an earlier Pull, two receives at once."""
_BOOKMARK_CODES = frozenset(_WSMAN + n for n in (0x28, 0x38, 0x50))
_SMALLER_CODES = frozenset({_WSMAN + 0x26})
_SMALLER_DETAILS = frozenset({"MaxEnvelopeSize", "ServiceEnvelopeLimit", "UnreportableSuccess"})
_STEADY_CODES = frozenset({_WSMAN + 0x1AD})

_QUOTAS: Mapping[int, str] = {
    _WSMAN + 0x1A5: "shells of one user",
    _WSMAN + 0x1A6: "concurrent operations of one user (MaxConcurrentOperationsPerUser, 15 by the plugin's default)",
    _WSMAN + 0x1A7: "the load quota of one user",
    _WSMAN + 0x1A8: "the load quota of the whole system",
    _WSMAN + 0x1E4: "shells of one user and plugin",
    _WSMAN + 0x1E5: "users of the plugin",
    _WSMAN + 0x1E7: "operations of the plugin (its MaxConcurrentOperations)",
    _WSMAN + 0x1E8: "operations of one user and plugin (its MaxConcurrentOperationsPerUser)",
    _WSMAN + 0x1EA: "resources that it keeps for itself",
}
_QUOTA_REMEDY = "subscriptions that nobody unsubscribed count until they time out; ask less often or raise it there"
_ACCESS_REMEDY = (
    "the account needs Event Log Readers and Remote Management Users there, or Read (GR) in RootSDDL"
    " (winrm configSDDL default)"
)
_CHANNEL_REMEDY = "the account cannot read a channel of the query, or there is none of that name (Event Log Readers)"


@dataclass(frozen=True, slots=True)
class Verdict:
    """*reason* is one of REASONS; *sentence* names the fault and, where one is known, the remedy."""

    meaning: Meaning
    reason: str
    sentence: str


def verdict(fault: SourceFault) -> Verdict:
    """What *fault* means, whatever it answers; whether that can be is for the course to say."""
    code = _folded(fault.code)
    meaning = _meaning(fault, code)
    if meaning != "refused":
        return Verdict(meaning, _WORDS.get(meaning, "protocol"), _sentence(fault, ""))
    if code in _QUOTAS or fault.name == "w:QuotaLimit":
        what = _QUOTAS.get(code or 0, "its quota")
        return Verdict(meaning, "quota", _sentence(fault, f"exhausted: {what}; {_QUOTA_REMEDY}"))
    if code in _CHANNEL_CODES or (code == ACCESS_DENIED and fault.provider):
        return Verdict(meaning, "channel", _sentence(fault, _CHANNEL_REMEDY))
    if code == ACCESS_DENIED or fault.name == "w:AccessDenied":
        return Verdict(meaning, "access-denied", _sentence(fault, _ACCESS_REMEDY))
    return Verdict(meaning, "protocol", _sentence(fault, ""))


def _meaning(fault: SourceFault, code: int | None) -> Meaning:
    """Codes first: w:InternalError says nothing and its code everything (protocol.md 8.4)."""
    for meaning, codes in _MEANINGS:
        if code in codes:
            return meaning
    if code in _QUOTAS or code in _CHANNEL_CODES or code == ACCESS_DENIED:
        return "refused"
    if fault.name in _QUIET:
        return "quiet"
    if fault.name in _GONE:
        return "gone"
    if fault.name == "e:InvalidMessage":
        return "confused"
    if fault.name == "w:InvalidBookmark":
        return "bookmark"
    if fault.name == "w:EncodingLimit" and (fault.detail or "MaxEnvelopeSize") in _SMALLER_DETAILS:
        return "smaller"
    return "refused"


_WORDS: Mapping[Meaning, str] = {"smaller": "too-large", "quiet": "timeout"}
"""Reasons where such a fault answers something else than a Pull, or again and again."""
_MEANINGS: tuple[tuple[Meaning, frozenset[int]], ...] = (
    ("quiet", _QUIET_CODES),
    ("gone", _GONE_CODES),
    ("confused", _CONFUSED_CODES),
    ("bookmark", _BOOKMARK_CODES),
    ("smaller", _SMALLER_CODES),
    ("steady", _STEADY_CODES),
)


def _folded(code: int | None) -> int | None:
    """Signed and wrapped numbers as the one that the tables have (protocol.md 9.1)."""
    if code is None:
        return None
    code &= 0xFFFFFFFF
    return code & 0xFFFF if code & 0xFFFF0000 == _WIN32 else code


def _sentence(fault: SourceFault, more: str) -> str:
    code = _folded(fault.code)
    number = "" if code is None else f" {code}" if code < 0x10000 else f" 0x{code:08X}"
    said = f"{fault.name}{'/' + fault.detail if fault.detail else ''}{number}"
    if more:
        return f"{said}: {more}"[:LONGEST]
    return f"{said}: {fault.text}"[:LONGEST] if fault.text else said[:LONGEST]
