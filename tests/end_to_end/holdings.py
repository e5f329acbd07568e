"""What each far end holds in the end, and whether that is what was promised.

Everything is read back from the far ends themselves, whole; nothing here asks the collector.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.contracts.topic_log import read_log
from tests.end_to_end.load import Name
from tests.servers.http_server import HttpServer

PAGE = 5000
FIELDS = ["wef.event_id", "winlog.computer_name", "winlog.channel", "winlog.record_id"]


class Held(NamedTuple):
    """One record at a far end: which event it is, and the id that the collector gave it."""

    name: Name
    event_id: str


Holdings = Sequence[Held]


def in_kafka(bootstrap: str, topic: str) -> Mapping[int, Holdings]:
    """For each partition its whole log, in order. Key and header of each record are what its value says."""
    partitions: dict[int, list[Held]] = {}
    for stored in read_log(bootstrap, topic):
        held = identified(json.loads(stored.value))
        assert stored.key == held.name.computer.lower().encode()
        assert dict(stored.headers)["event-id"] == held.event_id.encode()
        partitions.setdefault(stored.partition, []).append(held)
    return partitions


def in_search(server: HttpServer, namespace: str) -> Holdings:
    """Every document of the data streams of *namespace*; each has its event's id as ``_id``."""
    streams = f"logs-*-{namespace}"
    server.told("POST", f"/{streams}/_refresh?ignore_unavailable=true")
    asked = {"size": PAGE, "sort": ["_doc"], "_source": FIELDS}
    page = server.told("POST", f"/{streams}/_search?scroll=1m", asked)
    held: list[Held] = []
    while page["hits"]["hits"]:
        for hit in page["hits"]["hits"]:
            held.append(identified(hit["_source"]))
            assert hit["_id"] == held[-1].event_id
        page = server.told("POST", "/_search/scroll", {"scroll": "1m", "scroll_id": page["_scroll_id"]})
    server.told("DELETE", "/_search/scroll", {"scroll_id": page["_scroll_id"]})
    return held


def in_archive(folder: Path) -> Holdings:
    """Every whole line of the archive."""
    return [
        identified(json.loads(line))
        for path in sorted(folder.rglob("*.jsonl"))
        for line in path.read_bytes().splitlines(keepends=True)
        if line.endswith(b"\n")
    ]


def require_all(where: str, holdings: Holdings, acknowledged: Collection[Name]) -> None:
    """Every acknowledged event is there."""
    missing = sorted(set(acknowledged) - {held.name for held in holdings})
    assert not missing, f"{where} lacks {len(missing)} of {len(acknowledged)} acknowledged events: {missing[:5]}"


def require_none_invented(where: str, holdings: Holdings, happened: Mapping[str, Sequence[Name]]) -> None:
    """Nothing is there that no machine logged, and each event has one id and each id one event."""
    strange = {held.name for held in holdings}.difference(*happened.values())
    assert not strange, f"{where} has events that nobody logged: {sorted(strange)[:5]}"
    pairs = set(holdings)
    assert len(pairs) == len({held.name for held in pairs}) == len({held.event_id for held in pairs}), where


def require_once(where: str, holdings: Holdings) -> None:
    """No event is there twice."""
    twice = [held for held, times in Counter(holdings).items() if times > 1]
    assert not twice, f"{where} has {len(twice)} events more than once: {twice[:5]}"


def require_order(
    logs: Mapping[int, Holdings], happened: Mapping[str, Sequence[Name]], without: Collection[Name]
) -> None:
    """For each computer what it logged, in its order, is a subsequence of one partition; repetitions do no harm.

    Raises AssertionError naming the first event that is out of order. *without*: letters, which are not there.
    """
    for computer, names in happened.items():
        found = [number for number, log in logs.items() if any(held.name.computer == computer for held in log)]
        assert len(found) == 1, f"{computer} is in partitions {found}"
        wanted = iter([name for name in names if name not in without])
        due = next(wanted, None)
        for held in logs[found[0]]:
            if held.name == due:
                due = next(wanted, None)
        where = [at for at, held in enumerate(logs[found[0]]) if held.name == due]
        assert due is None, f"{due} never stands behind what its computer logged before it, only at {where}"


def identified(document: Mapping[str, Any]) -> Held:
    """Which event a document is about."""
    winlog = document["winlog"]
    name = Name(winlog["computer_name"], winlog["channel"], int(winlog["record_id"]))
    return Held(name, document["wef"]["event_id"])


def whole(logs: Mapping[int, Holdings]) -> Holdings:
    """All partitions of a topic."""
    return [held for number in sorted(logs) for held in logs[number]]


def errors(log: str) -> Iterator[str]:
    """The words of every ERROR line; a line that is no JSON counts, because it is nobody's to write."""
    for line in log.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            yield line
            continue
        if entry["level"] in {"error", "critical"}:
            yield str(entry["event"])


def unavailable(log: str) -> set[str]:
    """The sinks that were ever said to be unavailable."""
    entries = [json.loads(line) for line in log.splitlines()]
    return {entry["sink"] for entry in entries if entry["event"] == "sink unavailable, spooling"}
