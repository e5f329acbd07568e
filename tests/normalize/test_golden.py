"""Our exact documents against beats' own, pair by pair (normalization.md 10.1, first rung)."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from collector.normalize import Options, harvest
from tests.conftest import absent
from tests.normalize.samples import batch

LIVE_AGENT = "written by an agent on Windows: SID resolved, api present, level and message moved out of winlog"
EXCEPTIONS = {140: LIVE_AGENT, 141: LIVE_AGENT}
SEVERAL = {1, 70, 71}
"""Lines that hold several events; beats decode the first only, so only our first row is compared."""


@pytest.fixture(scope="module")
def pairs(shared_data: Path) -> list[dict[str, Any]]:
    file = shared_data / "golden" / "winlog_pairs_visible.jsonl.gz"
    if not file.is_file():
        absent(f"the golden pairs are not at {file}")
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def test_every_pair_is_reproduced_but_for_the_listed_exceptions(pairs: list[dict[str, Any]]) -> None:
    """Dashboards, pipelines and rules were written for these documents; each difference breaks one."""
    different = {line for line, pair in enumerate(pairs) if ours(pair["xml"]) != theirs(pair["decoded"])}

    assert different == set(EXCEPTIONS)


def test_each_exception_differs_where_its_reason_says(pairs: list[dict[str, Any]]) -> None:
    """An exception is no place for other differences to hide in."""
    for line in EXCEPTIONS:
        mine, golden = ours(pairs[line]["xml"]), theirs(pairs[line]["decoded"])
        changed = {name for name in mine.keys() | golden.keys() if mine.get(name) != golden.get(name)}
        assert changed == {"api", "user", "level", "message"}


def test_texts_with_several_events_give_all_of_them(pairs: list[dict[str, Any]]) -> None:
    """Beats' decoder stops after the first; the others are events all the same."""
    for line in SEVERAL:
        text = pairs[line]["xml"]
        assert len(harvest(batch(text))) == text.count("</Event>") > 1
    assert {line for line, pair in enumerate(pairs) if len(harvest(batch(pair["xml"]))) > 1} == SEVERAL


def ours(xml: str) -> dict[str, Any]:
    """``winlog`` of our document with the copies that the processor makes of what we write at the top only."""
    document = harvest(batch(xml), Options(exact=True)).fields()[0]
    winlog = dict(document["winlog"])
    for name, value in (
        ("outcome", document["event"].get("outcome")),
        ("message", document.get("message")),
        ("error", document.get("error")),
    ):
        if value is not None:
            winlog[name] = value
    return comparable(winlog)


def theirs(decoded: dict[str, Any]) -> dict[str, Any]:
    return comparable(dict(decoded["winlog"]))


def comparable(winlog: dict[str, Any]) -> dict[str, Any]:
    """Ids as texts, keywords without order, and without the time, which the goldens cut to milliseconds."""
    winlog.pop("time_created", None)
    for name in ("record_id", "event_id"):
        if name in winlog:
            winlog[name] = str(winlog[name])
    if "keywords" in winlog:
        winlog["keywords"] = sorted(winlog["keywords"])
    return winlog
