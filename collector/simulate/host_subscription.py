"""What a pretend machine remembers of a subscription that a collector made on it.

``HostSubscription`` is the machine's own memory and goes with a reboot; ``Account`` is the simulator's, and stays:
from where on the collector is owed events. It knows no message and no network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from collector.simulate.host_cursor import Cursor
from collector.simulate.host_refusals import Refusal
from collector.simulate.log import EventLog, Record


@dataclass(slots=True)
class Account:
    """A subscription by (user, name) over all its lives; *start* as of the first one. Other fields as in ``Cursor``.

    *over*: its last life was ended by an Unsubscribe.
    """

    key: str
    start: Mapping[str, int]
    selects: Callable[[Record], bool]
    over: bool = False

    def owed(self, log: EventLog, confirmed: Callable[[int], bool]) -> list[int]:
        """The sequences of what *log* still holds, was meant for the collector, and is not *confirmed*."""
        return [
            record.sequence
            for record in log.since(log.oldest)
            if record.record_id > self.start.get(record.channel, 0)
            and not confirmed(record.sequence)
            and self.selects(record)
        ]


@dataclass(eq=False, slots=True)
class HostSubscription:
    """One life of a pull subscription.

    *context* is the EnumerationContext that is good for the next Pull. *handed* are the sequences that the last
    answer took along: the next Pull says that they are safe. *spoken* is when the machine answered last, *pulling*
    that a Pull waits, *closed* why there is nothing to be had any more.
    """

    identifier: str
    user: str
    account: Account
    cursor: Cursor
    context: str
    heartbeat: float | None
    cdata: bool
    spoken: float
    handed: tuple[int, ...] = ()
    pulling: bool = False
    closed: Refusal | None = None

    @property
    def at_rest(self) -> bool:
        """All that there is was handed over."""
        return not self.handed and self.cursor.at_end
