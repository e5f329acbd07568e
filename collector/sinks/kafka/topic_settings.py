"""``[sinks.NAME.setup]`` of a Kafka sink: what its topics should be like. It knows no broker."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from collector.config.explain import problems_error
from collector.config.settings import Settings
from collector.config.units import Duration, Size

CLEANUP = "cleanup.policy"
_ELSEWHERE = {
    "min.insync.replicas": "min_insync_replicas",
    "retention.ms": "retention",
    "retention.bytes": "retention_size",
    "max.message.bytes": "max_message_size of the sink",
}
Config = dict[str, str]


class TopicSettings(Settings):
    """What ``wef setup kafka`` makes; nothing else reads it. What is not given is the brokers' default.

    *retention_size*: bytes of one partition. *config*: further settings of a topic, by Kafka's names.
    """

    partitions: Annotated[int, Field(ge=1, le=10_000)] | None = None
    replication: Annotated[int, Field(ge=1, le=32)] | None = None
    min_insync_replicas: Annotated[int, Field(ge=1, le=32)] | None = None
    retention: Annotated[Duration, Field(ge=60)] | None = None
    retention_size: Annotated[Size, Field(ge=2**20)] | None = None
    config: Config = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems: list[tuple[tuple[str | int, ...], str]] = [
            (("config", name), f"this has a key of its own; write {_ELSEWHERE[name]}.")
            for name in self.config
            if name in _ELSEWHERE
        ]
        if "compact" in self.config.get(CLEANUP, ""):
            problems.append(
                (("config", CLEANUP), 'compaction keeps one event of each computer; leave it out, or write "delete".')
            )
        if self.replication is not None and (self.min_insync_replicas or 1) > self.replication:
            problems.append(
                (
                    ("min_insync_replicas",),
                    f"{self.min_insync_replicas} is more than the {self.replication} replicas that there will be.",
                )
            )
        if problems:
            raise problems_error(problems)
        return self

    @property
    def insync(self) -> int | None:
        """min.insync.replicas. With three replicas it is two: one broker may be away, and acks=all is two disks."""
        if self.min_insync_replicas is not None:
            return self.min_insync_replicas
        return 2 if (self.replication or 1) >= 3 else None

    def topic_config(self) -> Config:
        """What these settings own of a topic's configuration, by Kafka's names."""
        owned = dict(self.config)
        if self.insync is not None:
            owned["min.insync.replicas"] = str(self.insync)
        if self.retention is not None:
            owned["retention.ms"] = str(int(self.retention * 1000))
        if self.retention_size is not None:
            owned["retention.bytes"] = str(self.retention_size)
        return owned
