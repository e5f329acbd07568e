"""What kind of machine a pretend host is: where Windows hosts differ, and what openwsman does otherwise.

Values only.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HostNature:
    """Times in seconds, sizes in bytes; the defaults are of a current Windows as it is shipped (protocol.md 11.3).

    *style* is windows or openwsman (protocol.md 15.1: one event in a PullResponse and without n:Items, a context
    that never changes, HTTP 400 for faults of the sender). *quiet* is what a Pull gets when nothing happened:
    ``empty`` (n:Items without content), ``itemless`` (no n:Items) or ``timedout`` (the fault; the context stays).
    *charset* None: as the request. *greets*: it begins with event 111 when there is no bookmark. *linger* is how
    long it waits for company once there is an event. *strict_heartbeat*: a subscription is closed when no Pull
    comes within its heartbeat interval. *operations* is the quota of the Event Forwarding plugin for each user.
    *missing* and *locked* are channels (lower case) that there are not, and that nobody may read.
    """

    style: str = "windows"
    quiet: str = "empty"
    charset: str | None = None
    greets: bool = True
    linger: float = 0.0
    strict_heartbeat: bool = True
    enumeration_timeout: float = 240.0
    max_timeout: float = 60.0
    max_envelope: int = 512000
    max_items: int = 32000
    operations: int = 15
    missing: frozenset[str] = frozenset()
    locked: frozenset[str] = frozenset()
    product: str = "OS: 10.0.20348 SP: 0.0 Stack: 3.0"

    def __post_init__(self) -> None:
        for value, known in ((self.style, ("windows", "openwsman")), (self.quiet, ("empty", "itemless", "timedout"))):
            if value not in known:
                raise ValueError(f'"{value}" is none of {", ".join(known)}')

    @property
    def openwsman(self) -> bool:
        return self.style == "openwsman"
