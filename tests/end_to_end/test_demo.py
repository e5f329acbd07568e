"""``wef demo --kafka --elasticsearch`` against the real servers: the first minute of somebody who has both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.stage import free_port, json_lines, wef
from tests.servers.elasticsearch import Elasticsearch
from tests.servers.kafka import Kafka

pytestmark = pytest.mark.slow

KEYS = ["ok", "sent", "acknowledged", "stored", "duplicates", "refused", "seconds", "kafka", "elasticsearch"]


def demo(folder: Path, kafka: Kafka, elasticsearch: Elasticsearch, *more: str) -> tuple[dict[str, Any], str]:
    """The verdict, and everything that was printed."""
    done = wef(
        "demo", "--seconds", "2", "--state", str(folder / "demo"), "--kafka", kafka.bootstrap,
        "--elasticsearch", elasticsearch.url, *more, folder=folder,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1]), done.stdout + done.stderr


@pytest.mark.parametrize("engine", ["kafka-python", "librdkafka"])
def test_every_event_of_the_demo_is_in_both_servers(
    tmp_path: Path, kafka: Kafka, elasticsearch: Elasticsearch, engine: str
) -> None:
    """What the README shows. The second run meets what the first one left in the servers and in its folder."""
    for _ in range(2):
        verdict, printed = demo(tmp_path, kafka, elasticsearch, "--kafka-engine", engine)

        assert list(verdict) == KEYS, printed
        assert verdict["ok"] is True, printed
        assert verdict["kafka"] == verdict["elasticsearch"] == verdict["stored"] == verdict["sent"] > 100
    assert "windows-system.security" in printed
    assert "logs-system.security-default" in printed
    assert "sinks list" in printed
    rows = json_lines(wef("sinks", "list", "--config", "demo/collector.toml", "--json", folder=tmp_path).stdout)
    assert [row["sink"] for row in rows] == ["events", "kafka", "elasticsearch"]
    assert all(row["spool_bytes"] == 0 and row["rejected"] == 0 for row in rows)


@pytest.mark.parametrize(("option", "start"), [("--elasticsearch", "http://"), ("--kafka", "")])
def test_a_server_that_does_not_answer_is_named_before_anything_starts(tmp_path: Path, option: str, start: str) -> None:
    """Twenty machines that push into nothing would be a confusing first minute."""
    address = f"{start}127.0.0.1:{free_port()}"

    done = wef("demo", "--seconds", "1", "--state", "demo", option, address, folder=tmp_path, check=False)

    assert done.returncode == 69
    assert address in done.stderr
    assert done.stdout == ""
    assert (tmp_path / "demo" / "demo.log").read_text() == ""
