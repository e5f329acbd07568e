"""What a source sent and what was acknowledged: the evidence behind the simulator's verdict.

One entry per event and subscription, a byte each, so that a long load test stays small. It knows
sequence numbers of a log and names of subscriptions, nothing of messages.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

_SENT, _ACKNOWLEDGED = 1, 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a run ended (contract.md 6, ``wef simulate``).

    *sent* counts distinct events put on the wire, *acknowledged* those of them that every
    subscription they were sent to has acknowledged, *duplicates* events that went out again because
    an answer failed, *refused* what the collector turned down for good (batches and requests).
    *seconds* is the length of the run. *ok*: all that was to be sent is acknowledged, nothing refused.
    """

    ok: bool
    sent: int
    acknowledged: int
    duplicates: int
    refused: int
    seconds: float


class Ledger:
    """The account of one source."""

    def __init__(self) -> None:
        self.sent = 0
        self.acknowledged = 0
        self.duplicates = 0
        self.refused = 0
        self.lost = 0  # what subscriptions that are gone should have sent and never will
        self.dropped = 0  # events too large for an envelope, of which the collector was told and has acknowledged it
        self._flags: dict[str, bytearray] = {}  # per subscription, indexed by sequence
        self._sent = bytearray()
        self._owed = bytearray()  # by how many subscriptions each event is still to be acknowledged

    def put_on_wire(self, subscription: str, sequences: Iterable[int]) -> None:
        """These events went out to *subscription*; the ones that had before are duplicates."""
        flags = self._flags.setdefault(subscription, bytearray())
        for sequence in sequences:
            _grow(flags, sequence)
            if flags[sequence]:
                self.duplicates += 1
                continue
            flags[sequence] = _SENT
            self._owe(sequence)

    def confirm(self, subscription: str, sequences: Iterable[int]) -> None:
        """*subscription* has acknowledged these events; those it was never sent do not count."""
        flags = self._flags.setdefault(subscription, bytearray())
        for sequence in sequences:
            if sequence < len(flags) and flags[sequence] == _SENT:
                flags[sequence] = _ACKNOWLEDGED
                self._owed[sequence] -= 1
                self.acknowledged += not self._owed[sequence]

    def taken(self, subscription: str, sequence: int) -> bool:
        """Whether *subscription* has acknowledged the event."""
        flags = self._flags.get(subscription, b"")
        return sequence < len(flags) and flags[sequence] == _ACKNOWLEDGED

    def open(self, subscription: str) -> list[int]:
        """The sequences that were sent to *subscription* and not acknowledged, ascending."""
        return [at for at, flag in enumerate(self._flags.get(subscription, ())) if flag == _SENT]

    def confirmed(self) -> list[int]:
        """The sequences of all events that count as acknowledged, ascending."""
        return [at for at, sent in enumerate(self._sent) if sent and not self._owed[at]]

    def _owe(self, sequence: int) -> None:
        _grow(self._sent, sequence)
        _grow(self._owed, sequence)
        if not self._sent[sequence]:
            self._sent[sequence] = 1
            self.sent += 1
        elif not self._owed[sequence]:  # another subscription wants it too
            self.acknowledged -= 1
        self._owed[sequence] += 1


def _grow(flags: bytearray, sequence: int) -> None:
    if sequence >= len(flags):
        flags.extend(bytes(sequence + 1 - len(flags)))
