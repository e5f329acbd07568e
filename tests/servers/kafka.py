"""A real Kafka broker: KRaft, one process, topics are never made by themselves. And a guarded one with every door.

Properties are the broker's own names: ``Kafka({"message.max.bytes": "20000"})``. It must not know the
collector's sinks.
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from collector.clock import SystemClock
from collector.simulate.authority import issue, make_authority
from tests.servers.distribution import Distribution, fetched
from tests.servers.server import FUNCTIONAL, NotStarted, Server, free_port

CLUSTER = "d2VmLXRlc3RzLWNsdXN0ZQ"
"""Any 16 bytes in base64 are the id of a cluster."""


class Door(Protocol):
    """Something with a port, in front of a broker."""

    port: int


class Kafka(Server):
    """One broker on ``bootstrap``, which is also the controller.

    *properties* are added to the broker's, or stand instead of them. *quick* starts in half the time
    and runs slower: False for benchmarks. ``kill`` and ``start`` again: back after about 4 s.
    """

    name = "kafka"
    memory = "512m"

    def __init__(
        self,
        properties: Mapping[str, str] | None = None,
        *,
        quick: bool = True,
        distribution: Distribution | None = None,
    ) -> None:
        self.distribution = distribution or fetched()
        super().__init__()
        self.quick = quick
        self.port = free_port()
        self.controller = f"127.0.0.1:{free_port()}"
        self.bootstrap = f"127.0.0.1:{self.port}"
        self.properties = {**self._basics(), **(properties or {})}

    def second(self, properties: Mapping[str, str] | None = None) -> Broker:
        """One more broker of the same cluster, not yet started: topics can have two replicas then."""
        return Broker(self, properties)

    def behind(self, door: Door) -> Kafka:
        """Before a start: clients shall find the broker at *door*, a ``Proxy(kafka.port)``, and ``bootstrap`` too."""
        self.bootstrap = f"127.0.0.1:{door.port}"
        self.properties["advertised.listeners"] = f"PLAINTEXT://{self.bootstrap}"
        return self

    def command(self) -> Sequence[str]:
        return [*self._java("-Xms256m", f"-Xmx{self.memory}"), "kafka.Kafka", str(self._file)]

    def prepare(self) -> None:
        self._file.write_text("".join(f"{name}={value}\n" for name, value in self.properties.items()))
        if not (self.folder / "data" / "meta.properties").exists():
            self._format()

    def ready(self) -> bool:
        """An open port is enough: the broker listens when it can serve."""
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def _basics(self) -> dict[str, str]:
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{self.controller}",
            "listeners": f"PLAINTEXT://{self.bootstrap},CONTROLLER://{self.controller}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "log.dirs": str(self.folder / "data"),
            "num.partitions": "4",
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            # made-up events are of last spring: by default a broker deletes them 30 s after its start
            "log.retention.ms": "-1",
            # a broker that was killed waits for the end of its own old session: 9 s by default
            "broker.session.timeout.ms": "2000",
            "broker.heartbeat.interval.ms": "500",
            "replica.lag.time.max.ms": "2000",
        }

    @property
    def _file(self) -> Path:
        return self.folder / "server.properties"

    def _java(self, *options: str) -> list[str]:
        logging = ("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true")
        quick = FUNCTIONAL if self.quick else ()
        return [self.distribution.java, *options, *quick, *logging, "-cp", f"{self.distribution.kafka}/*"]

    def _format(self, *arguments: str) -> None:
        """Once for each data folder. 0.7 s."""
        tool = [*self._java("-Xmx256m", *FUNCTIONAL), "kafka.tools.StorageTool", "format", "-t", CLUSTER]
        done = subprocess.run(
            [*tool, "-c", str(self._file), *arguments], capture_output=True, text=True, timeout=60, check=False
        )
        if done.returncode != 0:
            raise NotStarted(f"the storage of {self.name} was not formatted:\n{done.stdout}{done.stderr}")


class Broker(Kafka):
    """A second broker beside *first*, without a controller of its own."""

    name = "kafka-second"
    memory = "400m"

    def __init__(self, first: Kafka, properties: Mapping[str, str] | None = None) -> None:
        super().__init__(quick=first.quick, distribution=first.distribution)
        self.controller = first.controller
        self.properties |= {
            "process.roles": "broker",
            "node.id": "2",
            "controller.quorum.voters": f"1@{self.controller}",
            "listeners": f"PLAINTEXT://{self.bootstrap}",
            **(properties or {}),
        }


class Realm(Protocol):
    """What a Kerberos listener needs of ``tests.servers.kdc.Kdc``."""

    krb5_conf: Path

    def keytab(self, principal: str) -> Path: ...
    def full(self, principal: str) -> str: ...


SCRAM = ("SCRAM-SHA-256", "SCRAM-SHA-512")
MODULES = "org.apache.kafka.common.security"


class SecureKafka(Kafka):
    """A broker with an authorizer: nobody may do anything on a guarded door unless an ACL says so.

    ``bootstrap`` is the administrator's plain door (``User:ANONYMOUS`` is a super user). The others:

    - ``ssl``: mutual TLS, principal ``User:wef`` for ``client_certificate`` and ``client_key``
    - ``sasl_ssl``, ``sasl_plaintext``: SCRAM-SHA-256 and -512 (``user``, ``scram_password``), PLAIN (``user``,
      ``plain_password``); principal ``User:wef``. With a *realm* ``sasl_plaintext`` also takes GSSAPI: service
      ``kafka`` on host ``localhost``, principals without their realm (``User:collector``).

    ``ca`` is the authority of all certificates; ``stranger_ca`` signed none of them.
    """

    name = "kafka-secure"
    user = "wef"
    scram_password = "scram-secret"
    plain_password = "plain-secret"

    def __init__(self, properties: Mapping[str, str] | None = None, *, realm: Realm | None = None) -> None:
        super().__init__()
        self.realm = realm
        # by name, because librdkafka compares names and not addresses
        self.ssl = f"localhost:{free_port()}"
        self.sasl_ssl = f"localhost:{free_port()}"
        self.sasl_plaintext = f"localhost:{free_port()}"
        self.ca, self.stranger_ca = self.folder / "ca.pem", self.folder / "stranger-ca.pem"
        self.client_certificate, self.client_key = self.folder / "client.pem", self.folder / "client.key"
        self._write_certificates()
        self.properties |= {**self._doors(), **self._mechanisms(), **(properties or {})}

    def command(self) -> Sequence[str]:
        java, *rest = super().command()
        return [java, *([f"-Djava.security.krb5.conf={self.realm.krb5_conf}"] if self.realm else []), *rest]

    def _write_certificates(self) -> None:
        now = SystemClock().now()
        authority = make_authority("wef test authority", now)
        server = issue(authority, ["localhost", "127.0.0.1"], server=True, now=now)
        client = issue(authority, [self.user], server=False, now=now)
        self.ca.write_bytes(authority.pem())
        self.stranger_ca.write_bytes(make_authority("somebody else", now).pem())
        (self.folder / "keystore.pem").write_bytes(server.key_pem() + server.pem())
        self.client_certificate.write_bytes(client.pem())
        self.client_key.write_bytes(client.key_pem())

    def _doors(self) -> dict[str, str]:
        doors = {"SSL": self.ssl, "SASL_SSL": self.sasl_ssl, "SASL_PLAINTEXT": self.sasl_plaintext}
        told = ",".join(f"{protocol}://{address}" for protocol, address in doors.items())
        heard = told.replace("localhost", "127.0.0.1")
        return {
            "listeners": f"PLAINTEXT://{self.bootstrap},{heard},CONTROLLER://{self.controller}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap},{told}",
            "listener.security.protocol.map": ",".join(
                ["CONTROLLER:PLAINTEXT", "PLAINTEXT:PLAINTEXT", *(f"{name}:{name}" for name in doors)]
            ),
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self.folder / "keystore.pem"),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.ca),
            "listener.name.ssl.ssl.client.auth": "required",
            "listener.name.ssl.ssl.principal.mapping.rules": "RULE:^CN=([^,]+).*$/$1/,DEFAULT",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "allow.everyone.if.no.acl.found": "false",
        }

    def _mechanisms(self) -> dict[str, str]:
        jaas = {name.lower(): f"{MODULES}.scram.ScramLoginModule required;" for name in SCRAM}
        jaas["plain"] = f'{MODULES}.plain.PlainLoginModule required user_{self.user}="{self.plain_password}";'
        lines = {
            f"listener.name.{door}.{mechanism}.sasl.jaas.config": module
            for door in ("sasl_ssl", "sasl_plaintext")
            for mechanism, module in jaas.items()
        }
        return {"sasl.enabled.mechanisms": ",".join([*SCRAM, "PLAIN"]), **lines, **self._kerberos()}

    def _kerberos(self) -> dict[str, str]:
        if self.realm is None:
            return {}
        keytab, principal = self.realm.keytab("kafka/localhost"), self.realm.full("kafka/localhost")
        module = "com.sun.security.auth.module.Krb5LoginModule required"
        return {
            "listener.name.sasl_plaintext.sasl.enabled.mechanisms": ",".join([*SCRAM, "PLAIN", "GSSAPI"]),
            "listener.name.sasl_plaintext.gssapi.sasl.jaas.config": (
                f'{module} useKeyTab=true storeKey=true keyTab="{keytab}" principal="{principal}";'
            ),
            "listener.name.sasl_plaintext.sasl.kerberos.service.name": "kafka",
        }

    def _format(self, *arguments: str) -> None:
        users = [f"{name}=[name={self.user},password={self.scram_password}]" for name in SCRAM]
        super()._format(*arguments, *(word for user in users for word in ("--add-scram", user)))
