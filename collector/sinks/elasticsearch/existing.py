"""Streams that exist already: what a changed template does not reach by itself.

Mappings and settings come with the next backing index, so the stream is rolled over. The data stream lifecycle is
copied once, when a stream is made: a longer retention in the template alone would let the old one go on deleting.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from collector.sinks.elasticsearch import policies
from collector.sinks.elasticsearch.cluster import Cluster
from collector.sinks.elasticsearch.comparison import difference
from collector.sinks.elasticsearch.templates import Asset, Group, StreamNames
from collector.sinks.findings import Change, Finding, Found

OBJECT = "data stream"


async def look(
    cluster: Cluster, managed: Sequence[Group], streams: StreamNames, wanted: Sequence[Asset], lifecycle: str
) -> list[Found]:
    """What differs about streams that exist and have our template. None where the server cannot list streams."""
    mapping = next(asset.body["template"]["mappings"] for asset in wanted if asset.name.endswith("@mappings"))
    found: list[Found] = []
    for group in managed:
        patterns = ",".join(streams.pattern(dataset) for dataset in group.datasets)
        answer = await cluster.try_to_ask("GET", f"/_data_stream/{patterns}")
        entries = answer.table.get("data_streams") if answer.good else None
        if answer.status in (401, 403):
            text = "streams that exist were not looked at: that needs view_index_metadata"
            return [*found, Found(Finding(OBJECT, patterns[:80], "note", text))]
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict) and entry.get("template") == group.name:
                found += await _look_at(cluster, group, entry, mapping, lifecycle)
    return found


async def _look_at(
    cluster: Cluster, group: Group, entry: Mapping[str, Any], mapping: Mapping[str, Any], lifecycle: str
) -> list[Found]:
    name, found = str(entry.get("name")), []
    if lifecycle == "dsl":
        found += _lifecycle(name, group, entry.get("lifecycle"))
    elif lifecycle == "none":
        found += _old_lifecycle(name, entry.get("lifecycle"))
    indices = entry.get("indices")
    newest = indices[-1].get("index_name") if isinstance(indices, list) and indices else None
    if isinstance(newest, str):
        answer = await cluster.ask("GET", f"/{newest}/_mapping")
        held = answer.table.get(newest)
        told = missing_from(mapping, held.get("mappings") if isinstance(held, dict) else None)
        if answer.good and told:
            text = f"its write index {newest} was made before these templates ({told}); a rollover begins the next"
            found.append(Found(Finding(OBJECT, name, "different", text), Change("POST", f"/{name}/_rollover")))
    return found


def _lifecycle(name: str, group: Group, held: object) -> list[Found]:
    body = {} if group.kept is None else {"data_retention": policies.in_days(group.kept)}
    told = difference({"lifecycle": body}, {"lifecycle": held})
    if not told:
        return []
    finding = Finding(OBJECT, name, "different", f"it exists, and its {told}")
    return [Found(finding, Change("PUT", f"/_data_stream/{name}/_lifecycle", body))]


def _old_lifecycle(name: str, held: object) -> list[Found]:
    """The settings ask for no deletion any more, but a stream keeps the lifecycle it was made with."""
    kept = held.get("data_retention") if isinstance(held, dict) else None
    if kept is None:
        return []
    text = (
        f"its own lifecycle deletes after {kept}, though setup gives no retention;"
        f" DELETE /_data_stream/{name}/_lifecycle ends that"
    )
    return [Found(Finding(OBJECT, name, "note", text))]


def missing_from(ours: Mapping[str, Any], theirs: object) -> str:
    """The first field or dynamic template of ours that an index does not have as we want it; empty: none.

    What documents and other templates have added counts for nothing.
    """
    held = theirs if isinstance(theirs, dict) else {}
    names = {name for entry in held.get("dynamic_templates") or () if isinstance(entry, dict) for name in entry}
    for template in ours["dynamic_templates"]:
        for name in template:
            if name not in names:
                return f"it has no dynamic template {name}"
    return _missing_field(ours["properties"], held.get("properties"), "")


def _missing_field(ours: Mapping[str, Any], theirs: object, at: str) -> str:
    held = theirs if isinstance(theirs, dict) else {}
    for name, field in ours.items():
        there = held.get(name)
        there = there if isinstance(there, dict) else {}
        wanted, has = field.get("type", "object"), there.get("type", "object" if "properties" in there else None)
        empty_object = wanted == "object" and not field.get("properties")
        if wanted != has and not (empty_object and there):
            return f"{at}{name} is {has or 'missing'}, should be {wanted}"
        told = _missing_field(field.get("properties", {}), there.get("properties"), f"{at}{name}.")
        if told:
            return told
    return ""
