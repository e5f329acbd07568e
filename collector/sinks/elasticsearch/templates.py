"""Everything that ``wef setup elasticsearch`` installs, as finished bodies. Pure; it asks no server.

Two component templates, one index template and more for other retentions, and policies where a lifecycle needs
them. They stand above Elastic's built-in templates (priority 100), compose them, and stay below Fleet's (200).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from collector.sinks.datasets import known_datasets
from collector.sinks.elasticsearch import policies
from collector.sinks.elasticsearch.mappings import ANALYSIS, Product, mappings
from collector.sinks.elasticsearch.template_settings import TemplateSettings
from collector.sinks.findings import Change

Version = tuple[int, int]
Resolved = Literal["dsl", "ilm", "ism", "none"]
NEWEST: Version = (99, 0)
"""Stands for a server that does not tell its version."""
BEYOND_LIMIT: Version = (8, 13)
"""index.mapping.total_fields.ignore_dynamic_beyond_limit came with it."""
LIFECYCLE: Version = (8, 11)
"""The data stream lifecycle in templates came with it."""
BUILT_IN_MAPPINGS, BUILT_IN_SETTINGS, BUILT_IN_ECS = "logs@mappings", "logs@settings", "ecs@mappings"
_EVERY_NAMESPACE = "*"

Kind = Literal["component template", "index template", "lifecycle policy"]


@dataclass(frozen=True, slots=True)
class Server:
    """What has to be known of a server to write for it."""

    product: Product
    version: Version = NEWEST


@dataclass(frozen=True, slots=True)
class StreamNames:
    """Which data streams a sink writes: its setting ``data_stream``, its namespaces, its own datasets."""

    template: str
    namespaces: Sequence[str]
    datasets: Mapping[str, str] = field(default_factory=dict)

    @property
    def by_dataset(self) -> bool:
        return "{dataset}" in self.template

    def of(self, dataset: str | None) -> list[str]:
        """The streams that *dataset* is written to, one for each namespace that the settings name."""
        return sorted({self._name(dataset, namespace) for namespace in self.namespaces})

    def pattern(self, dataset: str | None) -> str:
        """The index pattern that covers *dataset* in every namespace."""
        return self._name(dataset, _EVERY_NAMESPACE)

    def _name(self, dataset: str | None, namespace: str) -> str:
        return self.template.format(dataset=dataset or "", namespace=namespace)

    @property
    def parts(self) -> list[str | None]:
        """The datasets, or None once where the name of the stream does not depend on it."""
        return list(known_datasets(self.datasets)) if self.by_dataset else [None]


@dataclass(frozen=True, slots=True)
class Asset:
    """A thing to install: *path* is where it is put and read again, *body* what the server should hold then."""

    kind: Kind
    name: str
    path: str
    body: Mapping[str, Any]

    @property
    def change(self) -> Change:
        return Change("PUT", self.path, self.body)


@dataclass(frozen=True, slots=True)
class Group:
    """An index template of ours, and the datasets it is for. *kept*: seconds; None: for ever."""

    name: str
    datasets: Sequence[str | None]
    kept: float | None
    priority: int


def groups(settings: TemplateSettings, streams: StreamNames) -> list[Group]:
    """One for all datasets, and above it one for each that is kept for another time.

    So names never hang on values: a retention that changes is changed in place, and no two templates
    of one priority ever claim the same stream, which servers refuse. Raises ``ValueError`` with a sentence.
    """
    base = f"{settings.prefix}-{_word(streams.template.partition('{')[0]) or 'events'}"
    found = [Group(base, streams.parts, settings.retention, settings.priority)]
    for dataset, kept in sorted(settings.retentions.items()):
        if dataset not in streams.parts:
            raise ValueError(f'retentions: no stream of this sink has the dataset "{dataset}".')
        if kept != settings.retention:
            found.append(Group(f"{base}-{dataset}", [dataset], kept, settings.priority + 1))
    return found


def lifecycle_of(settings: TemplateSettings, server: Server) -> Resolved:
    """Who deletes, with ``auto`` resolved. Raises ``ValueError`` with a sentence when this server cannot do it."""
    chosen = settings.lifecycle
    if chosen == "auto":
        if settings.retention is None and not settings.retentions:
            return "none"
        chosen = "dsl" if server.product == "elasticsearch" else "ism"
    if chosen in ("dsl", "ilm") and server.product == "opensearch":
        raise ValueError(f'lifecycle = "{chosen}" is Elasticsearch\'s; OpenSearch has "ism".')
    if chosen == "ism" and server.product == "elasticsearch":
        raise ValueError('lifecycle = "ism" is OpenSearch\'s; Elasticsearch has "dsl" and "ilm".')
    if chosen == "dsl" and server.version < LIFECYCLE:
        raise ValueError(f'lifecycle = "dsl" needs Elasticsearch {LIFECYCLE[0]}.{LIFECYCLE[1]}; "ilm" works with all.')
    return chosen


def assets(settings: TemplateSettings, streams: StreamNames, server: Server) -> list[Asset]:
    """What the server should hold, in the order in which it has to be installed."""
    lifecycle = lifecycle_of(settings, server)
    found = groups(settings, streams)
    # An ISM policy names its streams itself and is attached to new indices by that, so it comes first as well.
    made = [_policy(group, lifecycle, streams) for group in found]
    parts = [
        _component(settings, "settings", {"settings": _settings(settings, server), **_options(settings)}),
        # The analyzer stands beside the field that uses it: each component template is checked alone.
        _component(
            settings,
            "mappings",
            {"settings": {"analysis": ANALYSIS}, "mappings": mappings(settings.event_data, server.product)},
        ),
    ]
    return [
        *(policy for policy in made if policy is not None),
        *parts,
        *(_index_template(group, lifecycle, settings, streams, server) for group in found),
    ]


def _policy(group: Group, lifecycle: Resolved, streams: StreamNames) -> Asset | None:
    if lifecycle == "ilm":
        return Asset("lifecycle policy", group.name, f"/_ilm/policy/{group.name}", policies.ilm(group.kept))
    if lifecycle == "ism":
        patterns = [streams.pattern(dataset) for dataset in group.datasets]
        body = policies.ism(group.kept, patterns, group.priority)
        return Asset("lifecycle policy", group.name, f"/_plugins/_ism/policies/{group.name}", body)
    return None


def _component(settings: TemplateSettings, part: str, template: Mapping[str, Any]) -> Asset:
    name = f"{settings.prefix}@{part}"
    return Asset("component template", name, f"/_component_template/{name}", {"template": template, "_meta": OURS})


OURS = {"managed_by": "wef setup elasticsearch"}


def _settings(settings: TemplateSettings, server: Server) -> dict[str, Any]:
    index: dict[str, Any] = {
        "codec": "best_compression",
        "refresh_interval": "5s",
        "mapping.ignore_malformed": True,
        "mapping.total_fields.limit": settings.fields,
    }
    if server.product == "elasticsearch" and server.version >= BEYOND_LIMIT:
        index["mapping.total_fields.ignore_dynamic_beyond_limit"] = True
    if settings.shards is not None:
        index["number_of_shards"] = settings.shards
    if settings.replicas is not None:
        index["number_of_replicas"] = settings.replicas
    return {"index": index}


def _options(settings: TemplateSettings) -> dict[str, Any]:
    if settings.failure_store is None:
        return {}
    return {"data_stream_options": {"failure_store": {"enabled": settings.failure_store}}}


def _index_template(
    group: Group, lifecycle: Resolved, settings: TemplateSettings, streams: StreamNames, server: Server
) -> Asset:
    own = [f"{settings.prefix}@mappings", f"{settings.prefix}@settings"]
    body: dict[str, Any] = {
        "index_patterns": [streams.pattern(dataset) for dataset in group.datasets],
        "priority": group.priority,
        "data_stream": {},
        "composed_of": own,
        "_meta": OURS,
    }
    if server.product == "elasticsearch":
        built_in = [BUILT_IN_MAPPINGS, BUILT_IN_SETTINGS] if streams.template.startswith("logs-") else []
        # Ours after the general ones, whose settings it replaces, and before ecs@mappings, whose dynamic templates
        # would claim names of event data: the first that matches wins (servers.md 4.4).
        body["composed_of"] = [*built_in, *own, BUILT_IN_ECS]
        body["ignore_missing_component_templates"] = [*built_in, BUILT_IN_ECS]
    template = _lifecycle_part(group, lifecycle)
    if template:
        body["template"] = template
    return Asset("index template", group.name, f"/_index_template/{group.name}", body)


def _lifecycle_part(group: Group, lifecycle: Resolved) -> dict[str, Any]:
    """One of both, never two: logs@settings names a policy of ILM, which would win over a lifecycle."""
    if lifecycle == "dsl":
        kept = {} if group.kept is None else {"data_retention": policies.in_days(group.kept)}
        return {"lifecycle": kept, "settings": {"index": {"lifecycle.prefer_ilm": False}}}
    if lifecycle == "ilm":
        return {"settings": {"index": {"lifecycle.name": group.name}}}
    return {}


def _word(text: str) -> str:
    return re.sub(r"[^a-z0-9_.-]", "", text.lower()).strip("-._")
