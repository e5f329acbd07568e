"""What ``wef setup kafka`` wants of topics: which there must be, which take what the sink sends; and a real broker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ConfigResource,
    ConfigResourceType,
    ResourcePattern,
    ResourceType,
)
from pydantic import ValidationError

from collector.sinks.datasets import known_datasets
from collector.sinks.findings import Found
from collector.sinks.kafka.settings import KafkaSettings
from collector.sinks.kafka.topic_settings import TopicSettings
from collector.sinks.kafka.wanted import Subscribed, Topic, Topics, judged, missing, pattern, topics
from tests.cli.running import Ended, wef
from tests.end_to_end.stage import free_port
from tests.servers.fixtures import Factory
from tests.servers.kafka import Kafka, SecureKafka

SECURITY = Subscribed("one", ("Security", "Microsoft-Windows-Sysmon/Operational"))


def settings(**written: Any) -> KafkaSettings:
    return KafkaSettings.model_validate({"brokers": ["127.0.0.1:9092"], **written})


def wanted(topic: str, *subscribed: Subscribed) -> Topics:
    return topics(settings(topic=topic), subscribed)


def described(name: str = "t", replication: int = 3, insync: int = 3, **config: str) -> Topic:
    return Topic(name, 3, replication, {word.replace("_", "."): value for word, value in config.items()}, insync=insync)


def configured(config: dict[str, str]) -> Topic:
    return Topic("t", 3, 3, config, insync=3)


def states(found: list[Found]) -> list[str]:
    return [one.finding.state for one in found]


@pytest.mark.parametrize(
    ("template", "names"),
    [
        ("windows", ["windows"]),
        ("windows-{dataset}", [f"windows-{dataset}" for dataset in known_datasets()]),
        ("w.{subscription}", ["w.one", "w.two"]),
        ("w.{channel}", ["w.microsoft-windows-sysmon-operational", "w.security", "w.system"]),
        (
            "w.{subscription}.{channel}",
            ["w.one.microsoft-windows-sysmon-operational", "w.one.security", "w.two.system"],
        ),
    ],
)
def test_the_topics_are_those_that_the_sink_will_write_to(template: str, names: list[str]) -> None:
    """One that is forgotten stops the lane when its first event comes."""
    assert wanted(template, SECURITY, Subscribed("two", ("System",))) == Topics(sorted(names))


def test_a_channel_of_ones_own_dataset_has_its_topic() -> None:
    """The setting datasets names more than the built-in table does."""
    own = settings(topic="w-{dataset}", datasets={"DNS Server": "windows.dns_server"})

    assert "w-windows.dns_server" in topics(own, ()).names


@pytest.mark.parametrize(
    ("template", "subscribed", "placeholder"),
    [
        ("w-{computer}", [SECURITY], "computer"),
        ("w-{source}", [SECURITY], "source"),
        ("w-{channel}", [], "channel"),
        ("w-{subscription}", [], "subscription"),
        ("w-{channel}", [Subscribed("relay", ("ForwardedEvents",))], "channel"),
    ],
)
def test_topics_that_nobody_can_know_are_said_to_be_unknown(
    template: str, subscribed: list[Subscribed], placeholder: str
) -> None:
    """Brokers make no topics by themselves here: a setup that says "right" would be a lie."""
    found = wanted(template, *subscribed)

    assert (list(found.names), list(found.unknown)) == ([], [placeholder])


def test_a_pattern_finds_the_topics_that_a_template_has_made() -> None:
    """Those that are there can be looked at, whoever chose their names."""
    assert pattern("w.{computer}-x").fullmatch("w.pc01.corp-x")
    assert not pattern("w.{computer}-x").fullmatch("wxpc01-x")


def test_a_topic_without_peculiarities_is_right() -> None:
    """The brokers' defaults take what the sink sends by default."""
    topic = described(max_message_bytes="1048588", cleanup_policy="delete", min_insync_replicas="2")

    assert states(judged(topic, settings())) == ["right"]


@pytest.mark.parametrize(
    ("config", "more", "change"),
    [
        ({"cleanup.policy": "compact"}, {}, {"cleanup.policy": "delete"}),
        ({"cleanup.policy": "compact,delete"}, {}, {"cleanup.policy": "delete"}),
        ({"max.message.bytes": "1000"}, {}, {"max.message.bytes": "1001024"}),
        ({"max.message.bytes": "1048588"}, {"max_message_size": "2MiB"}, {"max.message.bytes": "2098176"}),
        ({"retention.ms": "1"}, {"setup": {"retention": "7d"}}, {"retention.ms": "604800000"}),
        ({}, {"setup": {"config": {"segment.bytes": "9"}}}, {"segment.bytes": "9"}),
        ({"min.insync.replicas": "1"}, {"setup": {"replication": 3}}, {"min.insync.replicas": "2"}),
        (
            {"message.timestamp.type": "CreateTime", "retention.ms": "604800000"},
            {},
            {"message.timestamp.type": "LogAppendTime"},
        ),
    ],
)
def test_what_loses_or_refuses_records_is_different(
    config: dict[str, str], more: dict[str, Any], change: dict[str, str]
) -> None:
    """And the change holds exactly that, nothing that somebody else has set."""
    (found,) = [one for one in judged(configured(config), settings(**more)) if one.finding.state == "different"]

    assert found.change is not None
    assert found.change.body == {"config": change}


@pytest.mark.parametrize(
    ("config", "setup"),
    [
        ({"message.timestamp.type": "LogAppendTime", "retention.ms": "604800000"}, {}),
        ({"message.timestamp.type": "CreateTime", "retention.ms": "-1"}, {}),
        (
            {"message.timestamp.type": "CreateTime", "retention.ms": "604800000"},
            {"config": {"message.timestamp.type": "CreateTime"}},
        ),
    ],
)
def test_the_events_own_times_are_right_where_nothing_old_is_lost_or_somebody_wants_them(
    config: dict[str, str], setup: dict[str, Any]
) -> None:
    """Without retention by time there is nothing to delete; and an operator may know better."""
    assert "different" not in states(judged(configured(config), settings(setup=setup)))


@pytest.mark.parametrize(
    ("topic", "setup", "words"),
    [
        (described(), {"partitions": 6}, "breaks the order of their events"),
        (described(replication=1, insync=1), {"replication": 2}, "kafka-reassign-partitions"),
        (Topic("t", 3, 3, {}, leaderless=1), {}, "1 of its 3 partitions have no leader"),
        (described(insync=1, min_insync_replicas="2"), {}, "nothing can be written"),
        (Topic("t", 3, 3, {}, insync=3, writable=False), {}, "its ACL needs Write"),
    ],
)
def test_what_moves_data_or_needs_a_person_is_told_and_not_done(
    topic: Topic, setup: dict[str, Any], words: str
) -> None:
    """More partitions send computers elsewhere; that is nobody's decision but the operator's."""
    (found,) = [one for one in judged(topic, settings(setup=setup)) if one.finding.state == "different"]

    assert words in found.finding.difference
    assert found.change is None


def test_a_single_copy_that_counts_as_safe_is_worth_a_word() -> None:
    """acks=all with min.insync.replicas 1 is one disk, however many replicas there are."""
    found = judged(described(min_insync_replicas="1"), settings())

    assert states(found) == ["right", "note"]


def test_a_topic_is_made_for_the_records_that_are_sent() -> None:
    """A topic that refuses what the sink sends fills the dead letters instead."""
    change = missing("t", settings(max_message_size="2MiB", setup={"partitions": 6, "replication": 3})).change

    assert change is not None
    assert change.body == {
        "partitions": 6,
        "replication_factor": 3,
        "config": {
            "min.insync.replicas": "2",
            "max.message.bytes": "2098176",
            "cleanup.policy": "delete",
            "message.timestamp.type": "LogAppendTime",
        },
    }


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ({"config": {"retention.ms": "1"}}, "write retention"),
        ({"config": {"cleanup.policy": "compact"}}, "keeps one event of each computer"),
        ({"replication": 1, "min_insync_replicas": 2}, "more than the 1 replicas"),
    ],
)
def test_settings_that_would_lose_events_are_refused(written: dict[str, Any], words: str) -> None:
    """Before a broker is asked."""
    with pytest.raises(ValidationError) as refused:
        TopicSettings.model_validate(written)
    assert words in str(refused.value.errors())


# The real broker ---------------------------------------------------------------------------------------------------

Setup = Callable[..., Ended]


@pytest.fixture
def setup(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Setup:
    """``wef setup kafka --json`` with a sink of these lines."""

    def run(brokers: str, *arguments: str, sink: str = "", setup: str = "") -> Ended:
        (tmp_path / "subscriptions").mkdir(exist_ok=True)
        file = tmp_path / "collector.toml"
        file.write_text(
            f'[sinks.kafka]\ntype = "kafka"\nbrokers = ["{brokers}"]\n{sink}\n[sinks.kafka.setup]\n{setup}\n'
        )
        return wef(capsys, "setup", "kafka", "--json", "--config", file, *arguments)

    return run


@pytest.fixture
def prefix() -> str:
    """Of topics of the test's own."""
    return f"setup-{uuid4().hex[:8]}"


def admin(broker: Kafka) -> Any:
    return KafkaAdminClient(bootstrap_servers=broker.bootstrap)


@pytest.mark.slow
def test_missing_then_applied_then_nothing_to_do(kafka: Kafka, setup: Setup, prefix: str) -> None:
    """The whole life of the command: 1, 0, 0; and what is made is what was asked for."""
    sink, own = f'topic = "{prefix}-{{dataset}}"', 'partitions = 3\nretention = "7d"'
    first = setup(kafka.bootstrap, sink=sink, setup=own)
    applied = setup(kafka.bootstrap, "--apply", sink=sink, setup=own)
    again = setup(kafka.bootstrap, sink=sink, setup=own)

    assert [first.code, applied.code, again.code] == [1, 0, 0]
    assert {row["state"] for row in first.rows} == {"missing"}
    assert {row["difference"] for row in applied.rows} == {"was missing; made"}
    client = admin(kafka)
    (fact,) = client.describe_topics([f"{prefix}-system.security"])
    client.close()
    assert len(fact["partitions"]) == 3


@pytest.mark.slow
def test_a_topic_that_loses_events_is_mended(kafka: Kafka, setup: Setup, prefix: str) -> None:
    """Compaction keeps the last event of each computer, a small limit none of the large ones."""
    client = admin(kafka)
    config = {"cleanup.policy": "compact", "max.message.bytes": "2000", "segment.ms": "600000"}
    client.create_topics({prefix: {"configs": config}}, wait_for_metadata=True)
    sink = f'topic = "{prefix}"'

    (row,) = setup(kafka.bootstrap, sink=sink).rows
    assert (row["state"], row["difference"].count("should be")) == ("different", 2)
    assert [setup(kafka.bootstrap, "--apply", sink=sink).code, setup(kafka.bootstrap, sink=sink).code] == [0, 0]
    held = client.describe_configs(
        [ConfigResource(ConfigResourceType.TOPIC, prefix, configs=None)], config_filter="all"
    )
    client.close()
    config = {name: held["topic"][prefix][name]["value"] for name in config}
    assert config == {"cleanup.policy": "delete", "max.message.bytes": "1001024", "segment.ms": "600000"}


@pytest.mark.slow
def test_what_the_broker_refuses_is_told_in_its_words(kafka: Kafka, setup: Setup, prefix: str) -> None:
    """One broker cannot hold three replicas; the exit code says that nothing was made."""
    ended = setup(kafka.bootstrap, "--apply", sink=f'topic = "{prefix}"', setup="replication = 3")

    assert ended.code == 1
    assert "InvalidReplicationFactor" in ended.rows[0]["difference"]


@pytest.mark.slow
def test_topics_that_machines_have_chosen_are_looked_at(kafka: Kafka, setup: Setup, prefix: str) -> None:
    """They cannot be made beforehand, but those that are there can be wrong like any other."""
    client = admin(kafka)
    client.create_topics({f"{prefix}-pc01": {"configs": {"cleanup.policy": "compact"}}}, wait_for_metadata=True)
    client.close()
    ended = setup(kafka.bootstrap, sink=f'topic = "{prefix}-{{computer}}"')

    assert [(row["name"], row["state"]) for row in ended.rows] == [
        ("{computer}", "note"),
        (f"{prefix}-pc01", "different"),
    ]


@pytest.mark.slow
def test_refusals_of_a_guarded_broker_tell_why(
    secure_kafka_factory: Factory[SecureKafka], setup: Setup, prefix: str
) -> None:
    """A wrong password, a missing right and a CA that signed nothing each look like an outage to the library."""
    broker = secure_kafka_factory()
    plain = f'topic = "{prefix}"\nsecurity = "sasl_plaintext"\nsasl = "SCRAM-SHA-256"\nusername = "{broker.user}"'
    good = f'{plain}\npassword = "{broker.scram_password}"'
    stranger = good.replace("sasl_plaintext", "sasl_ssl") + f'\nca = "{broker.stranger_ca}"'

    wrong = setup(broker.sasl_plaintext, sink=f'{plain}\npassword = "wrong-secret"')
    unable = setup(broker.sasl_plaintext, "--apply", sink=good)
    distrusted = setup(broker.sasl_ssl, sink=stranger)
    grant(broker, prefix)
    able = setup(broker.sasl_plaintext, "--apply", sink=good)

    assert (wrong.code, unable.code, distrusted.code, able.code) == (77, 77, 69, 0)
    assert "password" in wrong.err
    assert "wrong-secret" not in wrong.err
    assert "DescribeConfigs" in unable.err
    assert "CERTIFICATE_VERIFY_FAILED" in distrusted.err


def grant(broker: SecureKafka, topic: str) -> None:
    """Every right on *topic*, to the user of the guarded doors."""
    client = admin(broker)
    where = ResourcePattern(ResourceType.TOPIC, topic, ACLResourcePatternType.LITERAL)
    client.create_acls(
        [
            ACL(
                principal=f"User:{broker.user}",
                host="*",
                operation=ACLOperation.ALL,
                permission_type=ACLPermissionType.ALLOW,
                resource_pattern=where,
            )
        ]
    )
    client.close()


@pytest.mark.slow
def test_no_broker_ends_with_69(setup: Setup) -> None:
    """Within seconds, and with the address that was asked."""
    address = f"127.0.0.1:{free_port()}"
    ended = setup(address)

    assert ended.code == 69
    assert address in ended.err
