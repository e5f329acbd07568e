"""Which topics a sink will write to, and whether a topic takes what the sink sends. Pure; it asks no broker.

A topic template with {computer} or {source} lets machines choose topics: those cannot be known before events come.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from string import Formatter

from collector.sinks.datasets import datasets, known_datasets
from collector.sinks.findings import Change, Finding, Found
from collector.sinks.kafka.settings import KafkaSettings
from collector.sinks.kafka.topic_settings import CLEANUP
from collector.sinks.kafka.topics import TopicTemplate

OBJECT = "topic"
LIMIT = "max.message.bytes"
STAMP, BY_EVENT, ON_ARRIVAL = "message.timestamp.type", "CreateTime", "LogAppendTime"
"""Retention goes by the records' timestamps. By the events' own times a broker deletes within minutes what a machine
sends after a month in a drawer, and what a subscription reads of the past (seen with Kafka 4.3)."""
FRAME = 1024
"""Bytes that a batch with one record adds to the record: 61 for the batch, some for lengths; rounded up."""
FORWARDED_LOG = "forwardedevents"
"""Events of this channel keep the channel that they came from, so a subscription to it names none of theirs."""


@dataclass(frozen=True, slots=True)
class Subscribed:
    """A subscription, as far as topics are named after it. *channels*: those it selects from."""

    name: str
    channels: Sequence[str]


@dataclass(frozen=True, slots=True)
class Topics:
    """*names*: topics that have to be there. *unknown*: placeholders whose values nobody knows, with the reason."""

    names: Sequence[str]
    unknown: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as the cluster describes it. *leaderless*: partitions that have no leader."""

    name: str
    partitions: int
    replication: int
    config: Mapping[str, str]
    leaderless: int = 0
    insync: int = 1
    """The least number of replicas in sync that any partition has."""
    writable: bool = True
    """Whether the credentials that asked may write to it."""


def topics(settings: KafkaSettings, subscribed: Sequence[Subscribed]) -> Topics:
    """What the template of *settings* can name, with these subscriptions."""
    template = TopicTemplate(settings.topic, datasets(settings.datasets))
    unknown = dict(_unknown(template.fields, subscribed))
    if unknown.keys() & {"computer", "source", "channel"}:
        return Topics((), unknown)
    if template.fields & {"channel"}:
        rows = [(one.name, channel) for one in subscribed for channel in one.channels]
    elif "dataset" in template.fields:
        # Every dataset, whatever is subscribed to today: a new subscription should not need a new topic.
        template = TopicTemplate(settings.topic)
        names = [one.name for one in subscribed] if "subscription" in template.fields else [""]
        rows = list(itertools.product(names, known_datasets(settings.datasets)))
    else:
        rows = [(one.name, "") for one in subscribed] if "subscription" in template.fields else [("", "")]
    found = {template.topic(channel=channel, subscription=name, computer="", source="") for name, channel in rows}
    return Topics(sorted(found), unknown)


def _unknown(fields: Iterable[str], subscribed: Sequence[Subscribed]) -> Iterator[tuple[str, str]]:
    for name in sorted({"computer", "source"}.intersection(fields)):
        yield name, "machines choose it, so its topics cannot be known before events come"
    if "subscription" in fields and not subscribed:
        yield "subscription", "there is no subscription yet"
    if "channel" in fields and not subscribed:
        yield "channel", "there is no subscription yet"
    elif "channel" in fields and any(one.lower() == FORWARDED_LOG for each in subscribed for one in each.channels):
        yield "channel", "a subscription takes ForwardedEvents, whose events keep the channel that they came from"


def pattern(template: str) -> re.Pattern[str]:
    """What topics of *template* look like, for those that cannot be listed."""
    parts = (re.escape(text) + ("" if name is None else "(.+)") for text, name, *_ in Formatter().parse(template))
    return re.compile("".join(parts))


def missing(name: str, settings: KafkaSettings) -> Found:
    """A topic that has to be made."""
    setup = settings.setup
    body: dict[str, object] = {}
    if setup.partitions is not None:
        body["partitions"] = setup.partitions
    if setup.replication is not None:
        body["replication_factor"] = setup.replication
    config = {**setup.topic_config(), **({LIMIT: str(_needed(settings))} if _unusual(settings) else {})}
    config.setdefault(CLEANUP, "delete")  # brokers can have another default
    config.setdefault(STAMP, ON_ARRIVAL)
    body["config"] = config
    return Found(Finding(OBJECT, name, "missing"), Change("CREATE", name, body))


def judged(topic: Topic, settings: KafkaSettings) -> list[Found]:
    """What is different about *topic*, with one change for all that setup may change; or that it is right."""
    told, config = [], {}
    for name, wanted, sentence in _config_differences(topic, settings):
        told.append(sentence)
        config[name] = wanted
    found = []
    if config:
        change = Change("ALTER", topic.name, {"config": config})
        found.append(Found(Finding(OBJECT, topic.name, "different", "; ".join(told)), change))
    found += [Found(Finding(OBJECT, topic.name, "different", text)) for text in _beyond_us(topic, settings)]
    found += [Found(Finding(OBJECT, topic.name, "note", text)) for text in _advice(topic, settings)]
    if not any(one.finding.state == "different" for one in found):
        found.insert(0, Found(Finding(OBJECT, topic.name, "right")))
    return found


def _config_differences(topic: Topic, settings: KafkaSettings) -> Iterator[tuple[str, str, str]]:
    """Name, wanted value, sentence."""
    owned = settings.setup.topic_config()
    if CLEANUP not in owned and "compact" in topic.config.get(CLEANUP, ""):
        yield (
            CLEANUP,
            "delete",
            f"{CLEANUP} is {topic.config[CLEANUP]}: only the last event of each key would be kept, should be delete",
        )
    if STAMP not in owned and topic.config.get(STAMP) == BY_EVENT and topic.config.get("retention.ms") != "-1":
        yield (
            STAMP,
            ON_ARRIVAL,
            f"{STAMP} is {BY_EVENT}: events older than retention.ms would be deleted as soon as they come,"
            f" should be {ON_ARRIVAL}",
        )
    limit, needed = topic.config.get(LIMIT, ""), _needed(settings)
    if limit.isdigit() and int(limit) < needed:
        sent = settings.max_message_size
        yield (
            LIMIT,
            str(needed),
            f"{LIMIT} is {limit}: records of up to {sent} bytes would be refused, should be {needed}",
        )
    for name, wanted in owned.items():
        if topic.config.get(name) != wanted:
            yield name, wanted, f"{name} is {topic.config.get(name, 'not set')}, should be {wanted}"


def _beyond_us(topic: Topic, settings: KafkaSettings) -> Iterator[str]:
    """Differences that setup does not touch: they move data, or need a broker."""
    setup = settings.setup
    if setup.partitions is not None and topic.partitions < setup.partitions:
        yield (
            f"it has {topic.partitions} partitions, should have {setup.partitions}; adding some moves computers to"
            " others, and breaks the order of their events once: kafka-topics --alter does it"
        )
    if setup.replication is not None and topic.replication < setup.replication:
        yield (
            f"it has {topic.replication} replicas, should have {setup.replication}:"
            " kafka-reassign-partitions moves them"
        )
    if not topic.writable:
        yield "these credentials may not write to it; its ACL needs Write"
    if topic.leaderless:
        yield f"{topic.leaderless} of its {topic.partitions} partitions have no leader; a broker is away"
    required = min(int(topic.config.get("min.insync.replicas", "1") or 1), topic.replication)
    if not topic.leaderless and topic.insync < required:
        yield f"a partition has {topic.insync} replicas in sync of the {required} it needs; nothing can be written"


def _advice(topic: Topic, settings: KafkaSettings) -> Iterator[str]:
    if settings.setup.insync is None and topic.replication > 1 and topic.config.get("min.insync.replicas", "1") == "1":
        yield (
            f"it has {topic.replication} replicas and min.insync.replicas 1: what one broker has confirmed is lost with"
            " its disk; min_insync_replicas = 2 in setup demands two"
        )


def _needed(settings: KafkaSettings) -> int:
    return settings.max_message_size + FRAME


def _unusual(settings: KafkaSettings) -> bool:
    """Whether the sink sends more than brokers take by default (1,048,588)."""
    return _needed(settings) > 1_048_588
