"""README, "Pull from machines that cannot push": followed word for word, with tickets and with certificates."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.end_to_end.readme import section, taken, walking
from tests.end_to_end.stage import json_lines

pytestmark = pytest.mark.slow  # a KDC, machines and a collector in processes of their own

MONITORING = 9598


def test_the_readme_is_followed_word_for_word_and_pretend_machines_are_pulled(tmp_path: Path) -> None:
    """Its operator is tired, and the machines are far away: what stands there has to work as it stands there."""
    with walking(tmp_path, [MONITORING]) as walk:
        walk.follow(section("The same without Windows"))
        said = walk.heard()

    assert said.count("3 machines listen, from http") == 2
    assert said.count("pulled/collector.toml is good: 0 listeners, 1 sink, 1 subscription (1 enabled).") == 2
    assert "it has proven to be HTTP/localhost; what is said is sealed" in said
    assert "the machine has forgotten us" in said
    verdicts = re.findall(r"^ok: (\d+) of (\d+) events acknowledged .* (\d+) sent again, 0 refused", said, re.MULTILINE)
    assert [got == sent != "0" for got, sent, _ in verdicts] == [True, True]
    assert len(re.findall(r"^localhost +localhost:\d+ +127\.0\.0\.1 +security +active", said, re.MULTILINE)) == 3
    (found,) = json_lines("\n".join(line for line in said.splitlines() if line.startswith('{"@timestamp"')))
    assert found["wef"]["client"]["principal"] == "HTTP/localhost"
    assert not taken(MONITORING), "the last line ends them"
