"""README, "The same without a domain": followed word for word, it ends in sealed events that are stored."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.end_to_end.readme import section, taken, walking
from tests.end_to_end.stage import json_lines

pytestmark = pytest.mark.slow  # a KDC and a collector in processes of their own

PORTS = (5985, 9598)


def test_the_readme_is_followed_word_for_word_and_sealed_events_are_stored(tmp_path: Path) -> None:
    """A text that was right once and never run again costs every newcomer an hour."""
    with walking(tmp_path, PORTS) as walk:
        walk.follow(section("The same without a domain"))
        walk.type("wait")
        said = walk.heard()

    assert "was let in by kerberos, sealed" in said
    (verdict,) = re.findall(r"^ok: (\d+) of (\d+) events acknowledged", said, re.MULTILINE)
    assert verdict[0] == verdict[1] != "0"
    (found,) = json_lines("\n".join(line for line in said.splitlines() if line.startswith('{"@timestamp"')))
    assert re.fullmatch(r"WS-000[123]\$@WEF\.TEST", found["wef"]["client"]["principal"])
    assert not any(taken(port) for port in PORTS), "the last line ends them"
