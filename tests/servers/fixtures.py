"""The servers as pytest fixtures: real, on 127.0.0.1, started when the first test asks, gone at the end.

``kafka``, ``elasticsearch`` (with the plugin) and ``opensearch`` live as long as the session: a test takes
a topic or a namespace of its own, and leaves the server as it found it. A test that stops, kills or
configures takes a factory, whose servers end with the test::

    def test_...(kafka_factory, elasticsearch_factory):
        broker = kafka_factory({"message.max.bytes": "20000"})                     # started and answering
        node = elasticsearch_factory({"http.max_content_length": "1mb"}, wait=False)
        node.wait()

What one test asks for starts together, 10 s on two cores. Under pytest-xdist every worker has its own.
Where the servers cannot be had a test skips with a sentence (WEF_TEST_REQUIRE=all: fails).

Mark every test that uses one of these ``slow``: a bare pytest is for the minute between two edits. Tests with
Elasticsearch 9 are ``long``, and so is what needs minutes: ``./tests/run --long``.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any, Protocol, TypeVar

import pytest

from tests.conftest import absent
from tests.servers.distribution import Absent
from tests.servers.elasticsearch import Elasticsearch, SecureElasticsearch
from tests.servers.kafka import Kafka, SecureKafka
from tests.servers.kdc import Kdc
from tests.servers.opensearch import OpenSearch
from tests.servers.proxy import Proxy
from tests.servers.server import Server

Kind = TypeVar("Kind", bound=Server)
KindMade = TypeVar("KindMade", bound=Server, covariant=True)
SHARED: Mapping[str, Callable[[], Server]] = {
    "elasticsearch": Elasticsearch,  # the slowest first
    "opensearch": OpenSearch,
    "kafka": Kafka,
}


class Shared:
    """The session's servers, by the name of their fixture."""

    def __init__(self, ending: ExitStack) -> None:
        self._ending = ending
        self._started: dict[str, Server] = {}
        self._answering: set[str] = set()

    def take(self, name: str, asked: list[str]) -> Server:
        """The server of *name*, answering; those that the same test *asked* for are starting meanwhile."""
        for other, make in SHARED.items():
            if (other == name or other in asked) and other not in self._started:
                self._started[other] = self._ending.enter_context(made(make)).start()
        server = self._started[name]
        if name not in self._answering:
            server.wait()
            self._answering.add(name)
        return server


def made(make: Callable[..., Kind], *arguments: Any, **named: Any) -> Kind:
    """A server that was not started yet; the test skips where it cannot be had."""
    try:
        return make(*arguments, **named)
    except Absent as reason:
        sentence = str(reason)
    absent(sentence)
    raise AssertionError("absent() never returns")


@pytest.fixture(scope="session")
def shared_servers() -> Iterator[Shared]:
    """For the three fixtures below."""
    with ExitStack() as ending:
        yield Shared(ending)


@pytest.fixture(scope="session")
def kafka(shared_servers: Shared, request: pytest.FixtureRequest) -> Server:
    """The session's broker, a ``tests.servers.kafka.Kafka``."""
    return shared_servers.take("kafka", request.fixturenames)


@pytest.fixture(scope="session")
def elasticsearch(shared_servers: Shared, request: pytest.FixtureRequest) -> Server:
    """The session's Elasticsearch 8, a ``tests.servers.elasticsearch.Elasticsearch`` with the plugin."""
    return shared_servers.take("elasticsearch", request.fixturenames)


@pytest.fixture(scope="session")
def opensearch(shared_servers: Shared, request: pytest.FixtureRequest) -> Server:
    """The session's OpenSearch, a ``tests.servers.opensearch.OpenSearch``."""
    return shared_servers.take("opensearch", request.fixturenames)


@pytest.fixture(scope="session")
def kerberos_library() -> None:
    """For tests whose programs speak Kerberos: skips where the extra is not installed."""
    if importlib.util.find_spec("gssapi") is None:
        absent("the Python package gssapi is not there: tests/servers/install builds it, with gcc and libkrb5-dev")


@pytest.fixture(scope="session")
def kdc() -> Iterator[Kdc]:
    """The session's realm ``WEF.TEST``, answering; this process is its client from now on.

    The Kerberos library reads ``KRB5_CONFIG`` whenever it makes a context, so setting it here is enough, also
    after its first use. A test adds principals of its own and leaves the others alone. Initiators need no
    ``KRB5CCNAME``: ``gssapi.Credentials(usage="initiate", store={"ccache": "FILE:..."})`` with ``kdc.ticket(NAME)``,
    or ``store={"client_keytab": str(kdc.keytab(NAME)), "ccache": "MEMORY:NAME"}``. Acceptors need only their keytab.
    """
    with made(Kdc) as kdc, pytest.MonkeyPatch.context() as patch:
        patch.setenv("KRB5_CONFIG", str(kdc.krb5_conf))
        yield kdc.start().wait()


class Factory(Protocol[KindMade]):
    """Makes servers that end with the test: ``factory(settings, wait=False, **options of the class)``."""

    def __call__(self, settings: Mapping[str, Any] | None = None, *, wait: bool = True, **options: Any) -> KindMade: ...


def factory(make: Callable[..., Kind], ending: ExitStack) -> Factory[Kind]:
    def start(settings: Mapping[str, Any] | None = None, *, wait: bool = True, **options: Any) -> Kind:
        server = made(make, settings, **options)
        ending.enter_context(server)
        server.start()
        return server.wait() if wait else server

    return start


@pytest.fixture
def ending() -> Iterator[ExitStack]:
    """What a test started and must not leave behind: ``ending.enter_context(server)``."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def kafka_factory(ending: ExitStack) -> Factory[Kafka]:
    """Brokers of the test's own."""
    return factory(Kafka, ending)


@pytest.fixture
def secure_kafka_factory(ending: ExitStack) -> Factory[SecureKafka]:
    """Brokers with TLS, SASL and an authorizer."""
    return factory(SecureKafka, ending)


@pytest.fixture
def elasticsearch_factory(ending: ExitStack) -> Factory[Elasticsearch]:
    """Nodes of the test's own; ``nine=True`` is version 9."""
    return factory(Elasticsearch, ending)


@pytest.fixture
def secure_elasticsearch_factory(ending: ExitStack) -> Factory[SecureElasticsearch]:
    """Nodes with TLS, users and API keys."""
    return factory(SecureElasticsearch, ending)


@pytest.fixture
def opensearch_factory(ending: ExitStack) -> Factory[OpenSearch]:
    """Nodes of the test's own."""
    return factory(OpenSearch, ending)


@pytest.fixture
def proxy_factory(ending: ExitStack) -> Callable[[int], Proxy]:
    """Doors in front of a port: ``proxy_factory(kafka.port)``."""
    return lambda port: ending.enter_context(Proxy(port))
