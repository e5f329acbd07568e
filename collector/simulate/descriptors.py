"""How many files this process may have open: each subscription of a source is a connection.

It knows the operating system's limit and nothing of sources.
"""

from __future__ import annotations

import contextlib
import resource

from collector.errors import OperatorError

SPARE = 64
"""Descriptors for all that is no connection: the event loop, standard streams, files, modules being loaded."""


def make_room(connections: int) -> None:
    """Raise the soft limit to the hard one. Raises ``OperatorError`` when *connections* do not fit even so."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):  # a hard limit beyond the kernel's own: the soft one stays
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    if soft != resource.RLIM_INFINITY and soft < connections + SPARE:
        raise exhausted(connections)


def exhausted(connections: int | None = None) -> OperatorError:
    """The sentence for a process that ran out of them; *connections* is how many it needs, where that is known."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    need = f"{connections} connections need {connections + SPARE}" if connections else "the connections need more"
    return OperatorError(
        f"This process may have {limit} files open, and {need}: each subscription of a source is a connection. "
        "Give fewer --sources, or raise the hard limit (ulimit -Hn, LimitNOFILE= of a unit)."
    )
