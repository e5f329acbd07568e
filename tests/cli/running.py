"""Running ``wef`` inside the test's own process: what it printed, and how it ended."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from collector.cli.main import main


@dataclass(frozen=True, slots=True)
class Ended:
    """*code* is the exit code; *out* and *err* are what was printed."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The JSON objects on stdout, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]


def wef(capsys: pytest.CaptureFixture[str], *arguments: object) -> Ended:
    """Run ``wef`` with *arguments*; what was printed before is forgotten."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    code = ended.value.code
    assert isinstance(code, int)
    return Ended(code, printed.out, printed.err)
