"""The servers themselves: they answer, obey, keep their data, and leave nothing behind."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    NewTopic,
    ResourcePattern,
    ResourceType,
)
from kafka.errors import KafkaError, TopicAuthorizationFailedError

from tests.conftest import REPOSITORY
from tests.servers.elasticsearch import Elasticsearch, SecureElasticsearch
from tests.servers.fixtures import Factory, made
from tests.servers.kafka import Kafka, SecureKafka
from tests.servers.opensearch import OpenSearch
from tests.servers.proxy import Proxy
from tests.servers.server import NotStarted, Server

DOCUMENT = b'{"create":{"_id":"one"}}\n{"@timestamp":"2026-01-01T00:00:00Z","message":"hello"}\n'


def topic(broker: Kafka, name: str) -> None:
    with_admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    with_admin.create_topics([NewTopic(name, 1, 1)])
    with_admin.close()


def produce(address: str, name: str, value: bytes, **settings: object) -> None:
    producer = KafkaProducer(bootstrap_servers=address, enable_idempotence=False, max_block_ms=10_000, **settings)
    try:
        producer.send(name, value).get(20)
    finally:
        producer.close(1)


def consumed(broker: Kafka, name: str) -> list[bytes]:
    consumer = KafkaConsumer(
        name, bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest", consumer_timeout_ms=2000
    )
    try:
        return [record.value for record in consumer]
    finally:
        consumer.close()


@pytest.mark.slow
def test_a_broker_that_is_killed_comes_back_with_its_records(kafka_factory: Factory[Kafka]) -> None:
    """What a fault test concludes from a record that is missing afterwards must be about us."""
    broker = kafka_factory()
    topic(broker, "kept")
    produce(broker.bootstrap, "kept", b"before")

    broker.kill()
    assert not broker.ready()
    broker.start().wait()

    assert consumed(broker, "kept") == [b"before"]


@pytest.mark.slow
def test_a_stalled_broker_holds_its_connections_and_says_nothing(kafka: Kafka) -> None:
    """SIGSTOP is the outage that clients are worst at: no reset tells them."""
    kafka.stall()
    try:
        with socket.create_connection(("127.0.0.1", kafka.port), 1) as connection:
            connection.settimeout(0.3)
            connection.sendall(bytes.fromhex("0000000e 0012 0000 00000001 0004 74657374"))
            with pytest.raises(TimeoutError):
                connection.recv(1)
            kafka.resume()
            connection.settimeout(20)
            assert connection.recv(1)
    finally:
        kafka.resume()


@pytest.mark.slow
def test_two_brokers_hold_two_replicas(kafka_factory: Factory[Kafka]) -> None:
    """min.insync.replicas above the number of replicas is ignored: too few replicas need a second broker."""
    first = kafka_factory(wait=False)
    with first.second() as second:
        second.start()
        first.wait()
        second.wait()
        admin = KafkaAdminClient(bootstrap_servers=first.bootstrap)
        try:
            admin.create_topics([NewTopic("both", replica_assignments={0: [1, 2]})])
            (described,) = admin.describe_topics(["both"])
        finally:
            admin.close()

    assert sorted(described["partitions"][0]["replica_nodes"]) == [1, 2]


@pytest.fixture(scope="module")
def guarded() -> Iterator[SecureKafka]:
    with made(SecureKafka) as broker:
        broker.start().wait()
        topic(broker, "allowed")
        topic(broker, "forbidden")
        admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
        pattern = ResourcePattern(ResourceType.TOPIC, "allowed")
        admin.create_acls(
            [
                ACL(
                    principal="User:wef",
                    host="*",
                    operation=ACLOperation.WRITE,
                    permission_type=ACLPermissionType.ALLOW,
                    resource_pattern=pattern,
                )
            ]
        )
        admin.close()
        yield broker


def doors(broker: SecureKafka) -> dict[str, dict[str, object]]:
    """Every door of a guarded broker, as kafka-python's settings."""
    trust = {"ssl_cafile": str(broker.ca)}
    certificate = {"ssl_certfile": str(broker.client_certificate), "ssl_keyfile": str(broker.client_key)}
    words = {"PLAIN": broker.plain_password, "SCRAM-SHA-256": broker.scram_password}
    words["SCRAM-SHA-512"] = broker.scram_password
    found: dict[str, dict[str, object]] = {
        "SSL": {"bootstrap_servers": broker.ssl, "security_protocol": "SSL", **trust, **certificate}
    }
    for protocol, address in (("SASL_SSL", broker.sasl_ssl), ("SASL_PLAINTEXT", broker.sasl_plaintext)):
        for mechanism, password in words.items():
            found[f"{protocol} {mechanism}"] = {
                "bootstrap_servers": address,
                "security_protocol": protocol,
                "sasl_mechanism": mechanism,
                "sasl_plain_username": broker.user,
                "sasl_plain_password": password,
                **trust,
            }
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    "door",
    ["SSL", *(f"{p} {m}" for p in ("SASL_SSL", "SASL_PLAINTEXT") for m in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"))],
)
def test_every_door_of_a_guarded_broker_lets_the_same_user_in(guarded: SecureKafka, door: str) -> None:
    """The same rights behind each, or a test of one door would say nothing about another."""
    settings = doors(guarded)[door]
    address = str(settings.pop("bootstrap_servers"))

    produce(address, "allowed", door.encode(), **settings)
    with pytest.raises(TopicAuthorizationFailedError):
        produce(address, "forbidden", b"no", **settings)


@pytest.mark.slow
def test_a_wrong_password_opens_no_door(guarded: SecureKafka) -> None:
    """A broker that took anything would prove nothing."""
    settings = doors(guarded)["SASL_PLAINTEXT SCRAM-SHA-512"]
    settings |= {"sasl_plain_password": "wrong", "bootstrap_timeout_ms": 1500}
    address = str(settings.pop("bootstrap_servers"))

    with pytest.raises(KafkaError):
        produce(address, "allowed", b"no", **settings)


@pytest.fixture(scope="module")
def node() -> Iterator[Elasticsearch]:
    """A node for both tests below; the session's is not theirs to kill or to change."""
    with made(Elasticsearch) as node:
        yield node.start().wait()


@pytest.mark.slow
def test_elasticsearch_keeps_its_documents_over_a_kill(node: Elasticsearch) -> None:
    """And a stalled node is stalled itself, not only its launcher."""
    node.told("POST", "/logs-kept-test/_bulk?refresh=true", DOCUMENT)

    node.stall()
    with pytest.raises(TimeoutError):
        node.ask("GET", "/", timeout=0.3)
    node.resume()
    assert node.ask("GET", "/").status == 200

    node.kill()
    assert not node.ready()
    node.start().wait()
    assert [hit["_id"] for hit in node.documents("logs-kept-test")] == ["one"]


@pytest.mark.slow
def test_elasticsearch_takes_elastics_own_templates(node: Elasticsearch) -> None:
    """The collector's templates meet them in every real cluster."""
    node.load_built_in_templates()
    (reply,) = node.told("POST", "/logs-any-default/_bulk?refresh=true", DOCUMENT)["items"]

    assert reply["create"]["_index"].startswith(".ds-logs-any-default-")
    mappings = node.told("GET", "/logs-any-default/_mapping")
    (properties,) = (index["mappings"]["properties"] for index in mappings.values())
    assert properties["data_stream"]["properties"]["dataset"]["type"] == "keyword"


@pytest.mark.slow
def test_secure_elasticsearch_knows_its_users_and_keys(
    secure_elasticsearch_factory: Factory[SecureElasticsearch],
) -> None:
    """The writer may write events and nothing else, by password and by key."""
    node = secure_elasticsearch_factory()
    assert len(node.api_key()) > 40

    node.user, node.password = node.writer, node.writer_password
    statuses = {
        "health": node.ask("GET", "/_cluster/health").status,
        "write": node.ask("POST", "/logs-x-y/_bulk", DOCUMENT).body["items"][0]["create"]["status"],
        "elsewhere": node.ask("POST", "/other/_bulk", DOCUMENT).body["items"][0]["create"]["status"],
        "templates": node.ask("PUT", "/_index_template/x", {"index_patterns": ["x"]}).status,
    }
    node.password = "wrong"
    statuses["wrong password"] = node.ask("GET", "/").status

    assert statuses == {"health": 200, "write": 201, "elsewhere": 403, "templates": 403, "wrong password": 401}


@pytest.mark.slow
def test_opensearch_answers_as_itself(opensearch: OpenSearch) -> None:
    """One short look in the normal run: the sink's own mode for it is tested against the real one."""
    assert opensearch.told("GET", "/")["version"]["distribution"] == "opensearch"


@pytest.mark.long
def test_elasticsearch_nine_has_the_same_plugin(elasticsearch_factory: Factory[Elasticsearch]) -> None:
    """The fill's second edition: GET / comes from it."""
    node = elasticsearch_factory(nine=True)

    node.load_built_in_templates()

    assert node.told("GET", "/")["version"]["number"].startswith("9.")


class Echo(Server):
    """Something quick that listens: a Python that answers with what it hears."""

    name = "echo"
    CODE = textwrap.dedent("""\
        import socket, subprocess, sys
        subprocess.Popen(["sleep", "600"])
        listener = socket.create_server(("127.0.0.1", 0))
        open("port", "w").write(str(listener.getsockname()[1]))
        while True:
            connection, _ = listener.accept()
            while heard := connection.recv(65536):
                connection.sendall(heard)
        """)

    def command(self) -> Sequence[str]:
        return [sys.executable, "-c", self.CODE]

    @property
    def port(self) -> int:
        return int((self.folder / "port").read_text())

    def ready(self) -> bool:
        return (self.folder / "port").exists() and bool((self.folder / "port").read_text())


def members(group: int) -> list[int]:
    """The living processes of a process group."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, process_group = stat.read_text().rpartition(")")[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(process_group) == group and state != "Z":
            found.append(int(stat.parent.name))
    return found


def test_nothing_is_left_when_the_owner_is_killed() -> None:
    """kill -9 of a test run, by an impatient person or a CI system: not even the server's own children stay."""
    code = (
        "import sys; from tests.servers.test_servers import Echo; server = Echo().start().wait();"
        "print(server.leader, server.folder, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        group, folder = owner.stdout.readline().split()
        assert len(members(int(group))) == 2

        owner.kill()
        wait_until(lambda: not members(int(group)) and not Path(folder).exists())


def wait_until(true: Callable[[], bool]) -> None:
    """Return when *true* answers so; within 10 s, or it is a failure."""
    for _ in range(2000):
        if true():
            return
        signal.sigtimedwait([], 0.005)
    raise AssertionError("it did not become true within 10 s")


def test_stop_takes_the_children_and_the_folder() -> None:
    """The keeper kills what the server left in its group."""
    server = Echo().start().wait()
    group = server.leader

    server.remove()

    assert members(group) == []
    assert not server.folder.exists()


class Refusing(Echo):
    CODE = "raise SystemExit('unknown setting [no.such]')"


def test_a_server_that_ends_at_once_says_why() -> None:
    """Its own words, not a time-out: a setting that it does not know ends every one of them."""
    with Refusing() as server, pytest.raises(NotStarted, match=r"unknown setting \[no\.such\]"):
        server.start().wait()


def test_a_stalled_server_can_be_stopped() -> None:
    """A test that fails in the middle of an outage must not hang the run."""
    with Echo() as server:
        server.start().wait()
        server.stall()


@pytest.fixture
def door() -> Iterator[tuple[Proxy, Echo]]:
    with Echo() as server, Proxy(server.start().wait().port) as proxy:
        yield proxy, server


def test_a_door_passes_both_ways_and_counts(door: tuple[Proxy, Echo]) -> None:
    """The tests that ask how much was sent ask it here."""
    proxy, _ = door
    with socket.create_connection(("127.0.0.1", proxy.port), 5) as connection:
        connection.sendall(b"hello")
        assert connection.recv(100) == b"hello"

    assert (proxy.sent, proxy.received, proxy.connections) == (5, 5, 1)


def test_a_door_that_is_cut_resets_refuses_and_can_be_mended(door: tuple[Proxy, Echo]) -> None:
    """What a firewall rule does in the middle of a connection."""
    proxy, _ = door
    with socket.create_connection(("127.0.0.1", proxy.port), 5) as connection:
        connection.sendall(b"hello")
        assert connection.recv(100) == b"hello"
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            connection.recv(100)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", proxy.port), 5)

    proxy.mend()

    with socket.create_connection(("127.0.0.1", proxy.port), 5) as connection:
        connection.sendall(b"again")
        assert connection.recv(100) == b"again"


def test_a_silent_door_accepts_and_delivers_late(door: tuple[Proxy, Echo]) -> None:
    """A link that comes back brings the bytes of the old connection: late records are real."""
    proxy, _ = door
    proxy.blackhole = True
    with socket.create_connection(("127.0.0.1", proxy.port), 5) as connection:
        connection.sendall(b"hello")
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.recv(100)
        proxy.blackhole = False
        connection.settimeout(5)
        assert connection.recv(100) == b"hello"


@pytest.mark.slow
def test_a_broker_behind_a_door_is_reached_only_through_it(kafka_factory: Factory[Kafka]) -> None:
    """A broker tells its clients where it is; without ``behind`` they would walk around the door."""
    broker = Kafka()
    with broker, Proxy(broker.port) as proxy:
        broker.behind(proxy).start().wait()
        topic(broker, "through")
        before = proxy.sent

        produce(f"127.0.0.1:{broker.port}", "through", bytes(20_000))

        assert proxy.sent - before > 20_000
