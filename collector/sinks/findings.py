"""What ``wef setup`` finds at a far end, and what it would change there: values that every kind of sink shares.

Deciding (``inspect``) and doing (``perform``) are apart, so that showing and doing cannot disagree.
It knows no sink, and prints nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from collector.errors import CollectorError

State = Literal["missing", "different", "right", "note"]
"""``note``: worth a thought, but nothing that setup would do; it changes no exit code."""


class Refused(CollectorError):
    """The far end understood the change and will not make it; the text has its own words."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing at the far end. *object*: what kind of thing it is; *difference*: a sentence for people."""

    object: str
    name: str
    state: State
    difference: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """What ``--apply`` would send, and ``--dry-run`` prints: *verb* *target*, with *body*."""

    verb: str
    target: str
    body: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A finding with the change that makes it right; None: it is right, or only a person may change it."""

    finding: Finding
    change: Change | None = None


class Setup(Protocol):
    """The far end of one sink, for ``wef setup``.

    Both methods raise ``OperatorError``: 69 the far end cannot be reached, 77 it does not let us, 78 the settings
    do not fit to it.
    """

    async def inspect(self) -> Sequence[Found]:
        """Everything that the sink needs there, in the order in which changes have to be made."""

    async def perform(self, change: Change) -> None:
        """Make one change. Raises ``Refused``."""

    async def close(self) -> None:
        """Let go of connections."""
