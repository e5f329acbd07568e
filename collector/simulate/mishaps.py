"""What befalls the machines of a fleet in a run: reboots and crashes, which machine and when.

A seed decides the order, so that a run can be repeated; how far the run has come is handed in. It knows
no clock and no network: how a machine goes down is the matter of its conversation.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Protocol

INTERVAL = 10.0
"""Seconds from one mishap to the next in a run without an end."""


class Victim(Protocol):
    """A machine that can go down and come back."""

    @property
    def able(self) -> bool:
        """It is up and has subscriptions."""

    def reboot(self) -> None:
        """Go down in good order."""

    def crash(self) -> None:
        """Go down in the middle of a message."""


class Mishaps:
    """*reboots* and *crashes* in a mixed order, spread evenly over the run."""

    def __init__(self, reboots: int, crashes: int, seed: int) -> None:
        self._random = Random(f"{seed}\0mishaps")  # noqa: S311 - who reboots is no secret
        self._kinds = ["reboot"] * reboots + ["crash"] * crashes
        self._random.shuffle(self._kinds)
        self._happened = 0

    @property
    def left(self) -> Sequence[str]:
        """Those that are still to come, as "reboot" and "crash"."""
        return self._kinds[self._happened :]

    @property
    def length(self) -> float:
        """Seconds that a run without an end takes them for."""
        return INTERVAL * (len(self._kinds) + 1)

    def befall(self, passed: float, victims: Sequence[Victim]) -> None:
        """Let happen what is due when *passed* of the run (0 to 1) is over; without a fit victim it stays due."""
        while self.left and (passed >= 1 or passed * (len(self._kinds) + 1) >= self._happened + 1):
            fit = [victim for victim in victims if victim.able]
            if not fit:
                return
            victim = self._random.choice(fit)
            if self._kinds[self._happened] == "reboot":
                victim.reboot()
            else:
                victim.crash()
            self._happened += 1
