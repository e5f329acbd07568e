"""Lifecycle policies of Elasticsearch (ILM) and OpenSearch (ISM), as finished bodies. Pure; it asks no server.

Whole backing indices are deleted, counted from their rollover: so the shorter the retention, the sooner an index
is closed off. The steps are those of Elasticsearch's own data stream lifecycle.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

HOUR, DAY = 3600, 86_400
LARGEST = "50gb"
"""A primary shard above this is slow to move; Elastic's and OpenSearch's advice alike."""
_ROLLOVER = ((1 * DAY, "1h"), (14 * DAY, "1d"), (90 * DAY, "7d"))
LATEST = "30d"


def in_days(seconds: float | None) -> str:
    """Seconds as the servers spell them: whole days, else hours."""
    if seconds is None:
        return "forever"
    whole = int(seconds)
    return f"{whole // DAY}d" if whole % DAY == 0 else f"{-(-whole // HOUR)}h"


def rollover_after(kept: float | None) -> str:
    """How old an index may become before the next one is begun."""
    return next((after for limit, after in _ROLLOVER if kept is not None and kept <= limit), LATEST)


def ilm(kept: float | None) -> dict[str, Any]:
    """A policy of Elasticsearch that keeps events for *kept* seconds; None: for ever."""
    rollover = {"max_primary_shard_size": LARGEST, "max_age": rollover_after(kept)}
    phases: dict[str, Any] = {
        "hot": {"min_age": "0ms", "actions": {"rollover": rollover}},
        "warm": {"min_age": "2d", "actions": {"forcemerge": {"max_num_segments": 1}}},
    }
    if kept is not None:
        phases["delete"] = {"min_age": in_days(kept), "actions": {"delete": {}}}
        if kept <= 2 * DAY:
            del phases["warm"]  # it would begin when the index is deleted
    return {"policy": {"phases": phases}}


def ism(kept: float | None, patterns: Sequence[str], priority: int) -> dict[str, Any]:
    """The same for OpenSearch."""
    after = rollover_after(kept)
    hot: dict[str, Any] = {
        "name": "hot",
        "actions": [{"rollover": {"min_primary_shard_size": LARGEST, "min_index_age": after}}],
        "transitions": [],
    }
    states = [hot]
    if kept is not None:
        # min_rollover_age is the time since the rollover: no event is deleted before it is *kept* old.
        hot["transitions"] = [{"state_name": "delete", "conditions": {"min_rollover_age": in_days(kept)}}]
        states.append({"name": "delete", "actions": [{"delete": {}}], "transitions": []})
    return {
        "policy": {
            "description": "Windows events; made by wef setup elasticsearch",
            "default_state": "hot",
            "states": states,
            "ism_template": [{"index_patterns": list(patterns), "priority": priority}],
        }
    }
