"""What ``[sinks.NAME]`` with ``type = "kafka"`` may say, and whether it fits together.

It knows which engines can do what; it loads none of them and asks no broker.
"""

from __future__ import annotations

import importlib.util
import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from collector.config.explain import Problem, problems_error
from collector.config.paths import FilePath
from collector.config.secrets import Secret
from collector.config.settings import SinkSettings
from collector.config.units import Duration, Size
from collector.sinks.datasets import DatasetsByChannel
from collector.sinks.kafka.topic_settings import TopicSettings
from collector.sinks.kafka.topics import TopicTemplate

_BROKER = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})", re.ASCII)


def _broker(text: str) -> str:
    found = _BROKER.fullmatch(text)
    if found is None or not 0 < int(found[1]) <= 65535:
        raise ValueError(f'"{text}" is no broker; write "host:port", such as "kafka1.corp.example:9092"')
    return text


def _template(text: str) -> str:
    TopicTemplate(text)
    return text


EngineName = Literal["kafka-python", "librdkafka"]


class KafkaSettings(SinkSettings):
    """``type = "kafka"`` (contract.md 1.2). The client certificate's key is *private_key*: *key* is the record's."""

    type: Literal["kafka"] = "kafka"
    brokers: Annotated[list[Annotated[str, AfterValidator(_broker)]], Field(min_length=1)]
    topic: Annotated[str, AfterValidator(_template)] = "windows-{dataset}"
    key: Literal["computer", "computer+channel", "none"] = "computer"
    engine: Literal["auto", "kafka-python", "librdkafka"] = "auto"
    compression: Literal["none", "gzip", "lz4", "zstd"] = "zstd"
    security: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = "plaintext"
    sasl: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "GSSAPI"] | None = None
    username: str | None = None
    password: Secret | None = None
    kerberos_service: Annotated[str, Field(min_length=1)] = "kafka"
    """The first part of the brokers' Kerberos principals."""
    ca: FilePath | None = None
    """None: the CAs that the system trusts."""
    certificate: FilePath | None = None
    private_key: FilePath | None = None
    format: Literal["winlogbeat", "raw", "raw_json"] = "winlogbeat"
    datasets: DatasetsByChannel = Field(default_factory=dict)
    max_message_size: Annotated[Size, Field(ge=4096, le=2**30)] = 1_000_000
    """Bytes of a record with key and headers. Brokers take batches of 1,048,588 by default, and a batch has a frame."""
    oversized: Literal["truncate", "letter"] = "truncate"
    missing_topic: Literal["wait", "letter"] = "wait"
    delivery_timeout: Annotated[Duration, Field(ge=1, le=3600)] = 30.0
    """Seconds until what no broker confirmed goes back to the lane: long enough for an election, short for a spool."""
    request_timeout: Annotated[Duration, Field(ge=0.5, le=600)] = 15.0
    """Seconds that one request waits. A short one makes a slow broker store batches twice (servers.md 7.2)."""
    linger: Annotated[Duration, Field(ge=0, le=5)] = 0.02
    """Seconds that a batch waits for company; 20 ms fill batches and nobody notices (servers.md 7.2)."""
    setup: TopicSettings = Field(default_factory=TopicSettings)
    """What ``wef setup kafka`` makes; the sink itself does not read it."""

    @property
    def engine_name(self) -> EngineName:
        """Which engine these settings get: librdkafka takes a quarter of the CPU, but its wheel knows no GSSAPI."""
        if self.engine != "auto":
            return self.engine
        return "librdkafka" if self.sasl != "GSSAPI" and _installed("confluent_kafka") else "kafka-python"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems = [*self._engine_problems(), *self._sasl_problems(), *self._tls_problems(), *self._time_problems()]
        if problems:
            raise problems_error(problems)
        return self

    def _engine_problems(self) -> list[Problem]:
        at = ("engine",)
        problems: list[Problem] = []
        if self.engine == "librdkafka" and not _installed("confluent_kafka"):
            problems.append(
                (at, 'librdkafka is not installed; run pip install "wef-collector[librdkafka]", or say "auto".')
            )
        if self.engine == "librdkafka" and self.sasl == "GSSAPI":
            problems.append((at, 'librdkafka as it is distributed cannot do sasl = "GSSAPI"; say "kafka-python".'))
        if self.sasl == "GSSAPI" and not _installed("gssapi"):
            problems.append((("sasl",), "GSSAPI needs the Python package gssapi, which is not installed."))
        return problems

    def _sasl_problems(self) -> list[Problem]:
        if not self.security.startswith("sasl_"):
            return [
                ((name,), f'security = "{self.security}" does not use it; remove it, or set security = "sasl_ssl".')
                for name in ("sasl", "username", "password")
                if getattr(self, name) is not None
            ]
        if self.sasl is None:
            return [(("sasl",), f'security = "{self.security}" needs it, such as sasl = "SCRAM-SHA-512".')]
        if self.sasl == "GSSAPI":
            return [
                ((name,), "GSSAPI does not use it; it takes the Kerberos credentials of the collector's user.")
                for name in ("username", "password")
                if getattr(self, name) is not None
            ]
        return [
            ((name,), f'sasl = "{self.sasl}" needs it.') for name in ("username", "password") if not getattr(self, name)
        ]

    def _tls_problems(self) -> list[Problem]:
        given = [name for name in ("ca", "certificate", "private_key") if getattr(self, name) is not None]
        if not self.security.endswith("ssl"):
            secure = "sasl_ssl" if self.security.startswith("sasl_") else "ssl"
            return [
                ((name,), f'security = "{self.security}" does not use it; remove it, or set security = "{secure}".')
                for name in given
            ]
        problems: list[Problem] = [
            ((name,), "there is no such file; it should be in PEM.")
            for name in given
            if not getattr(self, name).is_file()
        ]
        if self.private_key is not None and self.certificate is None:
            problems.append(
                (("certificate",), "private_key is given, so the certificate that belongs to it is needed.")
            )
        return problems

    def _time_problems(self) -> list[Problem]:
        attempt = self.request_timeout + self.linger
        if self.delivery_timeout >= attempt:
            return []
        sentence = (
            f"{self.delivery_timeout:g} s is less than the {attempt:g} s that one attempt may take (request_timeout"
            " and linger); make it longer, or request_timeout shorter."
        )
        return [(("delivery_timeout",), sentence)]


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
