"""Whose template a stream would get: ours, or one that stands above it.

Fleet's integrations install theirs at priority 200, on purpose above ours (sinks.md 2.2). That is no failure, but
people have to know whose mapping applies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from collector.sinks.elasticsearch.cluster import Cluster
from collector.sinks.elasticsearch.templates import OURS, Asset, StreamNames
from collector.sinks.findings import Change, Finding, Found

OBJECT = "data stream"
_LIST = (
    "/_index_template?filter_path=index_templates.name,index_templates.index_template.index_patterns,"
    "index_templates.index_template.priority,index_templates.index_template._meta.managed_by"
)


@dataclass(frozen=True, slots=True)
class Claim:
    """An index template of the cluster, and which names it claims."""

    name: str
    patterns: Sequence[str]
    priority: int
    ours: bool = False
    """Made by this command, for these settings or older ones."""

    def covers(self, stream: str) -> bool:
        # Elasticsearch knows "*" alone; "?" and "[" stand in no legal name or pattern
        return any(fnmatchcase(stream, pattern) for pattern in self.patterns)


async def look(cluster: Cluster, wanted: Sequence[Asset], streams: StreamNames, *, policies: bool) -> list[Found]:
    """A note for each stream that would not get our template, and what the server says of one that would.

    *policies*: index templates have an ISM policy of the same name.
    """
    ours = {asset.name for asset in wanted if asset.kind == "index template"}
    claims = _claims((await cluster.ask("GET", _LIST)).table)
    if not ours <= {claim.name for claim in claims}:
        return []  # nothing is installed yet: what is missing says it all
    left = [claim for claim in claims if _left_over(claim, ours, wanted)]
    if left:
        return [found for claim in left for found in await _removed(cluster, claim, policies=policies)]
    foreign: dict[Claim, list[str]] = {}
    own: dict[str, str] = {}
    for stream in (name for part in streams.parts for name in streams.of(part)):
        winner = max((one for one in claims if one.covers(stream)), key=lambda claim: claim.priority, default=None)
        if winner is None:
            continue  # our template is there with other patterns, which is told of already
        if winner.name in ours:
            own.setdefault(winner.name, stream)
        else:
            foreign.setdefault(winner, []).append(stream)
    found = [_note(winner, names) for winner, names in foreign.items()]
    return found + [note for name, stream in own.items() for note in await _simulated(cluster, name, stream)]


def _left_over(claim: Claim, ours: set[str], wanted: Sequence[Asset]) -> bool:
    """Whether *claim* was made by this command for older settings of this sink: a retention that is gone."""
    patterns = {pattern for asset in wanted for pattern in asset.body.get("index_patterns", ())}
    named = any(claim.name.startswith(f"{name}-") for name in ours)
    return claim.ours and named and claim.name not in ours and set(claim.patterns) <= patterns


async def _removed(cluster: Cluster, claim: Claim, *, policies: bool) -> list[Found]:
    text = "it is left over from older settings, and still wins for its streams; it should not be there"
    paths = [("index template", f"/_index_template/{claim.name}")]
    policy = f"/_plugins/_ism/policies/{claim.name}"
    if policies and (await cluster.ask("GET", policy)).good:
        paths.insert(0, ("lifecycle policy", policy))
    return [Found(Finding(kind, claim.name, "different", text), Change("DELETE", path)) for kind, path in paths]


def _note(winner: Claim, names: Sequence[str]) -> Found:
    text = f"the template {winner.name} (priority {winner.priority}) wins: its mapping applies, not ours"
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return Found(Finding(OBJECT, shown, "note", text))


async def _simulated(cluster: Cluster, template: str, stream: str) -> list[Found]:
    """What the server itself says about *stream*: whether event data keeps its type, and nothing overlaps."""
    answer = await cluster.ask("POST", f"/_index_template/_simulate_index/{stream}")
    if not answer.good:
        text = f"the templates do not fit together: {answer.reason}"
        return [Found(Finding(OBJECT, stream, "different", text))]
    overlapping = answer.table.get("overlapping")
    losers = [entry.get("name") for entry in overlapping or () if isinstance(entry, dict)]
    if template in losers:
        text = "another template wins, says the server"
        return [Found(Finding(OBJECT, stream, "note", text))]
    first = _first_dynamic(answer.table)
    if first is not None and not first.startswith(("event_data_", "winlog_")):
        text = f"the dynamic template {first} comes before ours, and types event data by its names"
        return [Found(Finding(OBJECT, stream, "note", text))]
    above = f", above {', '.join(sorted(str(name) for name in losers))}" if losers else ""
    return [Found(Finding(OBJECT, stream, "right", f"gets the template {template}{above}"))]


def _first_dynamic(simulated: Mapping[str, Any]) -> str | None:
    """The first dynamic template that could claim a name below winlog, in the order in which the server asks."""
    template = simulated.get("template")
    mappings = template.get("mappings") if isinstance(template, dict) else None
    dynamic = mappings.get("dynamic_templates") if isinstance(mappings, dict) else None
    for entry in dynamic if isinstance(dynamic, list) else ():
        for name, rule in entry.items() if isinstance(entry, dict) else ():
            patterns = rule.get("path_match", []) if isinstance(rule, dict) else []
            patterns = patterns if isinstance(patterns, list) else [patterns]
            if any(fnmatchcase("winlog.event_data.ip", str(pattern)) for pattern in patterns):
                return str(name)
    return None


def _claims(listed: Mapping[str, Any]) -> list[Claim]:
    found = []
    entries = listed.get("index_templates")
    for entry in entries if isinstance(entries, list) else ():
        body = entry.get("index_template") if isinstance(entry, dict) else None
        if isinstance(body, dict) and isinstance(body.get("index_patterns"), list):
            priority = body.get("priority")
            patterns = tuple(map(str, body["index_patterns"]))
            ours = body.get("_meta") == OURS
            found.append(Claim(str(entry.get("name")), patterns, priority if isinstance(priority, int) else 0, ours))
    return found
