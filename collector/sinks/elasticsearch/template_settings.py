"""``[sinks.NAME.setup]`` of an Elasticsearch sink: what its templates should say. It knows no server."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from collector.config.explain import Problem, problems_error
from collector.config.settings import Settings
from collector.config.units import Duration
from collector.sinks.datasets import StreamPart

DAY = 86_400.0
ELASTICS = frozenset({"apm", "ecs", "logs", "metrics", "otel", "profiling", "synthetics", "traces"})
"""Begin the names of Elastic's own component templates (``logs@settings``): overwritten, they change every stream."""
Lifecycle = Literal["auto", "dsl", "ilm", "ism", "none"]
Retention = Annotated[Duration, Field(ge=DAY)]
"""Whole backing indices are deleted, and the shortest-lived of them lives for hours: less than a day cannot be kept."""


class TemplateSettings(Settings):
    """What ``wef setup elasticsearch`` installs; nothing else reads it.

    *retention* None: events are kept until somebody deletes them. *retentions*: by dataset, before *retention*.
    *lifecycle*: who deletes; ``auto`` is the data stream lifecycle of Elasticsearch and ISM of OpenSearch; ``none``
    leaves it to the cluster's own templates. *event_data*: ``dynamic`` maps each name of winlog.event_data to a
    field, ``flattened`` all of them to one. *failure_store* None: as the cluster's own templates say.
    """

    prefix: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")] = "wef"
    """Begins the names of all templates and policies, so that two collectors can share a cluster."""
    priority: Annotated[int, Field(ge=101, le=198)] = 150
    """Above the built-in templates (100), below those of Fleet's integrations (200); other retentions get one more."""
    retention: Retention | None = None
    retentions: dict[StreamPart, Retention] = Field(default_factory=dict)
    lifecycle: Lifecycle = "auto"
    event_data: Literal["dynamic", "flattened"] = "dynamic"
    failure_store: bool | None = None
    shards: Annotated[int, Field(ge=1, le=1024)] | None = None
    replicas: Annotated[int, Field(ge=0, le=20)] | None = None
    fields: Annotated[int, Field(ge=1000, le=100_000)] = 2000
    """``index.mapping.total_fields.limit``: a stream of one channel has under 500; what is above it is not indexed."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems: list[Problem] = []
        if self.prefix in ELASTICS:
            problems.append(
                (("prefix",), f'"{self.prefix}@settings" is Elastic\'s own; choose another, such as "wef".')
            )
        if self.lifecycle == "none" and (self.retention is not None or self.retentions):
            problems.append(
                (("lifecycle",), '"none" deletes nothing, but a retention is given; remove one of the two.')
            )
        if problems:
            raise problems_error(problems)
        return self

    def kept(self, dataset: str | None) -> float | None:
        """Seconds that events of *dataset* are kept; None: until somebody deletes them."""
        return self.retentions.get(dataset, self.retention) if dataset is not None else self.retention
