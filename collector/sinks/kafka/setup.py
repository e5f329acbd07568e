"""What ``wef setup kafka`` finds in a cluster, and does there: topics and their configuration.

Always with kafka-python's admin client, whichever engine the sink has; it blocks, so it lives in threads. What should
be there is decided in ``wanted``.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any, NoReturn, TypeVar

import kafka.errors as errors
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from collector.errors import OperatorError
from collector.sinks.findings import Change, Finding, Found, Refused
from collector.sinks.kafka.python_producer import client_id, connection_settings
from collector.sinks.kafka.python_verdicts import WHISPERS, distrusted, words_of
from collector.sinks.kafka.settings import KafkaSettings
from collector.sinks.kafka.wanted import Subscribed, Topic, judged, missing, pattern, topics

UNREACHABLE, NOT_PERMITTED = 69, 77
BOOTSTRAP_MS = 5000
"""How long the constructor looks for a broker."""
RIGHTS = "Describe, DescribeConfigs, Create and AlterConfigs on the topics, and Write for the sink"

_HIDDEN = (errors.TopicAuthorizationFailedError, errors.ClusterAuthorizationFailedError)
_ABSENT = (errors.UnknownTopicOrPartitionError, errors.InvalidTopicError)
_BACKOFF = re.compile(r" \(backoff [0-9.]+ secs\)$")

Result = TypeVar("Result")


class KafkaSetup:
    """The cluster of the sink *name*; *subscribed* name topics where the template has their placeholders."""

    def __init__(self, name: str, settings: KafkaSettings, subscribed: Sequence[Subscribed]) -> None:
        self._name, self._settings = name, settings
        self._wanted = topics(settings, subscribed)
        self._admin: Any = None
        self._begun = 0.0

    async def inspect(self) -> Sequence[Found]:
        found = [
            Found(Finding("placeholder", f"{{{word}}}", "note", f"{reason}; brokers do not make topics by themselves"))
            for word, reason in self._wanted.unknown.items()
        ]
        names = list(self._wanted.names)
        if self._wanted.unknown:  # those that are there already can be looked at
            shape = pattern(self._settings.topic)
            there = await self._do(lambda admin: frozenset(admin.list_topics()))
            names += sorted(name for name in there - set(names) if shape.fullmatch(name))
        described = {topic.name: topic for topic in await self._described(names)}
        for name in names:
            topic = described.get(name)
            found += [missing(name, self._settings)] if topic is None else judged(topic, self._settings)
        return found

    async def perform(self, change: Change) -> None:
        body = dict(change.body or {})
        if change.verb == "CREATE":
            wanted = {
                "num_partitions": body.get("partitions", -1),
                "replication_factor": body.get("replication_factor", -1),
                "configs": body["config"],
            }
            answer = await self._do(lambda admin: admin.create_topics({change.target: wanted}, raise_errors=False))
            self._refuse_created(answer["topics"])
            await self._do(lambda admin: admin.wait_for_topics([change.target]))
        else:
            resource = _resource(change.target, body["config"])
            answer = await self._do(lambda admin: admin.alter_configs([resource], raise_on_unknown=False))
            said = str(answer["topic"][change.target])
            if said != "OK":
                self._refuse(said)

    async def close(self) -> None:
        admin, self._admin = self._admin, None
        if admin is not None:
            await asyncio.to_thread(admin.close)

    async def _described(self, names: Sequence[str]) -> list[Topic]:
        """Those of *names* that are there. A topic that we may not see might be: nobody knows, so that is refused."""
        if not names:
            return []
        answered = await self._do(lambda admin: admin.describe_topics(names))
        hidden = [fact["name"] for fact in answered if errors.for_code(fact["error_code"]) in _HIDDEN]
        if hidden:
            self._not_permitted(f"whether {_listed(hidden)} is there may not be seen")
        facts = [fact for fact in answered if errors.for_code(fact["error_code"]) not in _ABSENT]
        if not facts:
            return []
        resources = [_resource(fact["name"], None) for fact in facts]
        configs = (await self._do(lambda admin: admin.describe_configs(resources, config_filter="all")))["topic"]
        unread = [fact["name"] for fact in facts if not configs.get(fact["name"])]
        if unread:
            self._not_permitted(f"the configuration of {_listed(unread)} may not be read")
        return [_topic(fact, configs[fact["name"]]) for fact in facts]

    async def _do(self, ask: Callable[[Any], Result]) -> Result:
        """*ask* of the admin client, in a thread. Raises ``OperatorError`` (69, 77)."""
        try:
            return await asyncio.to_thread(self._asked, ask)
        except errors.AuthorizationError as error:
            self._not_permitted(type(error).__name__.removesuffix("Error"))
        except (errors.KafkaError, OSError) as error:
            self._unreachable(error)

    def _asked(self, ask: Callable[[Any], Result]) -> Result:
        WHISPERS.listen()
        if self._admin is None:
            self._begun = time.monotonic()
            connection = connection_settings(self._name, self._settings)
            self._admin = KafkaAdminClient(
                **connection,
                bootstrap_timeout_ms=BOOTSTRAP_MS,
                request_timeout_ms=round(self._settings.request_timeout * 1000),
            )
        return ask(self._admin)

    def _not_permitted(self, what: str) -> NoReturn:
        raise OperatorError(f"sinks.{self._name}: {what}; its user needs {RIGHTS}.", exit_code=NOT_PERMITTED)

    def _unreachable(self, error: Exception) -> NoReturn:
        """Why, as far as the library's log tells it: a wrong password looks like a broker that is away."""
        heard = (self._begun, _threads(self._name))
        why = _BACKOFF.sub("", WHISPERS.since(*heard) or words_of(error))
        settings = self._settings
        brokers = f"sinks.{self._name}: {', '.join(settings.brokers)}"
        if "SaslAuthentication" in why or (settings.sasl is not None and WHISPERS.hung_up(*heard)):
            hint = (
                f"The brokers hung up when we logged in: check security, sasl ({settings.sasl}), username and password."
            )
            raise OperatorError(f"{brokers} will not let us in: {why}.", hint, exit_code=NOT_PERMITTED)
        hints = [f"Check security ({settings.security}), ca and certificate."] if distrusted(why) else []
        raise OperatorError(f"{brokers} cannot be reached: {why}.", *hints, exit_code=UNREACHABLE)

    def _refuse_created(self, created: Sequence[dict[str, Any]]) -> None:
        for topic in created:
            kind = errors.for_code(topic["error_code"])
            if kind not in (errors.NoError, errors.TopicAlreadyExistsError):  # somebody else made it: good enough
                self._refuse(f"{kind.__name__}: {topic['error_message'] or 'no reason given'}")

    def _refuse(self, said: str) -> NoReturn:
        if "AuthorizationFailed" in said:
            self._not_permitted(said[:200].rstrip("."))
        raise Refused(f"the broker refused it: {said[:300]}")


def _threads(name: str) -> Collection[str]:
    """The threads in which the library speaks of this client."""
    return {f"kafka-io-{client_id(name)}"}


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _resource(topic: str, config: dict[str, str] | None) -> Any:
    return ConfigResource(ConfigResourceType.TOPIC, topic, configs=config)


def _topic(fact: dict[str, Any], config: dict[str, Any]) -> Topic:
    partitions = fact["partitions"]
    return Topic(
        fact["name"],
        len(partitions),
        min((len(one["replica_nodes"]) for one in partitions), default=0),
        {name: str(entry["value"]) for name, entry in config.items() if entry["value"] is not None},
        leaderless=sum(one["leader_id"] < 0 for one in partitions),
        insync=min((len(one["isr_nodes"]) for one in partitions), default=0),
        writable="WRITE" in (fact["authorized_operations"] or ("WRITE",)),
    )
