"""What the readers of subscription files raise: sentences with lines, collected by ``folder``."""

from __future__ import annotations

from collections.abc import Sequence

from collector.errors import CollectorError


class FileProblems(CollectorError):
    """Everything that is wrong with one file: (line from 1, None where there is none; sentence)."""

    def __init__(self, problems: Sequence[tuple[int | None, str]]) -> None:
        super().__init__("\n".join(sentence for _, sentence in problems))
        self.problems = problems
