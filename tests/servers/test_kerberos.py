"""A realm of our own, and a broker that trusts it: Kerberos is what large Windows houses guard Kafka with."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ACL, ACLOperation, ACLPermissionType, NewTopic, ResourcePattern, ResourceType

from tests.conftest import absent
from tests.servers.fixtures import Factory, made
from tests.servers.kafka import SecureKafka
from tests.servers.kdc import Kdc

PRODUCE = """
import sys
from kafka import KafkaProducer
producer = KafkaProducer(bootstrap_servers=sys.argv[1], security_protocol="SASL_PLAINTEXT", sasl_mechanism="GSSAPI",
                         sasl_kerberos_service_name="kafka", enable_idempotence=False, bootstrap_timeout_ms=20000)
print(producer.send("events", b"signed").get(20).offset)
producer.close(5)
"""


@pytest.fixture(scope="module")
def kdc() -> Iterator[Kdc]:
    with made(Kdc) as kdc:
        yield kdc.start().wait()


def test_a_ticket_is_had_with_a_keytab(kdc: Kdc) -> None:
    """And none for somebody the realm does not know."""
    kdc.keytab("HTTP/localhost")

    assert kdc.ticket("HTTP/localhost").stat().st_size > 0
    assert "does not exist" in kdc.administer("getprinc stranger", check=False)


@pytest.mark.slow
def test_kafka_takes_records_over_gssapi(kdc: Kdc, secure_kafka_factory: Factory[SecureKafka]) -> None:
    """The ticket's owner is the principal that the ACLs name, without its realm."""
    if importlib.util.find_spec("gssapi") is None:
        absent("the Python package gssapi is not there: tests/servers/install builds it, with gcc and libkrb5-dev")
    broker = secure_kafka_factory(realm=kdc)
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    admin.create_topics([NewTopic("events", 1, 1)])
    admin.create_acls(
        [
            ACL(
                principal="User:collector",
                host="*",
                operation=ACLOperation.WRITE,
                permission_type=ACLPermissionType.ALLOW,
                resource_pattern=ResourcePattern(ResourceType.TOPIC, "events"),
            )
        ]
    )
    admin.close()

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PRODUCE, broker.sasl_plaintext],
        env={**os.environ, **kdc.environment_of("collector")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stdout.strip()) == (0, "0"), done.stderr
