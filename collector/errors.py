"""Every refusal of the collector, named by whose turn it is to act.

This room knows no protocol: it says who has to move, not in which words. The
exchange turns a ``SourceError`` into a fault, the door turns the rest into a
status, the command line turns them into an exit code.
"""

from __future__ import annotations

from collections.abc import Sequence


class CollectorError(Exception):
    """Something that the collector refuses and can explain in a sentence."""


class SourceError(CollectorError):
    """The source said something that cannot be served; it has to act.

    *status* is a hint for the HTTP reply, as contract.md section 5 lists them.
    """

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class OperatorError(CollectorError):
    """The person who runs the collector has to act.

    *problems* are full sentences, each naming the thing, what is wrong and what
    would be right. *exit_code* is one of contract.md section 6.
    """

    def __init__(self, *problems: str, exit_code: int = 78) -> None:
        super().__init__("\n".join(problems))
        self.problems: Sequence[str] = problems
        self.exit_code = exit_code


class Backpressure(CollectorError):
    """Not now: the source keeps its events and comes again (HTTP 503).

    *reason* is one of a small fixed set of words, fit for a metric label.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
