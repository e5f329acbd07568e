"""What ``[sinks.NAME]`` of type "elasticsearch" may say, and why it is refused. It opens no file and no connection."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator

from collector.config.explain import Problem, problems_error
from collector.config.paths import FilePath
from collector.config.secrets import Secret
from collector.config.settings import SinkSettings
from collector.config.units import Duration, Size
from collector.sinks.datasets import DatasetsByChannel, StreamPart
from collector.sinks.elasticsearch.streams import checked_template
from collector.sinks.elasticsearch.template_settings import TemplateSettings

_VISIBLE = re.compile(r"[\x21-\x7e]+", re.ASCII)
"""What a header can carry without quoting."""


class ElasticsearchSettings(SinkSettings):
    """``type = "elasticsearch"`` (contract.md 1.2), for Elasticsearch 8 and 9, and OpenSearch by *product*."""

    type: Literal["elasticsearch"] = "elasticsearch"
    hosts: list[str]
    product: Literal["elasticsearch", "opensearch"] = "elasticsearch"
    api_key: Secret | None = None
    username: str | None = None
    password: Secret | None = None
    ca: FilePath | None = None
    certificate: FilePath | None = None
    private_key: FilePath | None = None
    data_stream: Annotated[str, AfterValidator(checked_template)] = "logs-{dataset}-{namespace}"
    namespace: StreamPart = "default"
    namespaces: dict[str, StreamPart] = Field(default_factory=dict)
    datasets: DatasetsByChannel = Field(default_factory=dict)
    format: Literal["winlogbeat"] = "winlogbeat"
    """Elasticsearch takes documents only; the templates of ``wef setup`` are made for this spelling."""
    bulk_size: Annotated[Size, Field(ge=64 * 2**10, le=90 * 2**20)] = 5 * 2**20
    """Elastic advises 5-15 MB; ``http.max_content_length`` is 100 MB (sinks.md 2.5)."""
    bulk_records: Annotated[int, Field(ge=1, le=50_000)] = 1600
    """What beats send."""
    bulk_time: Annotated[Duration, Field(ge=0, le=60)] = 0.2
    """How long a bulk that is not full waits for more while another one is under way."""
    concurrency: Annotated[int, Field(ge=1, le=32)] = 2
    """Measured (servers.md 8.2): two requests give 30 % more than one, four little more than two."""
    request_timeout: Annotated[Duration, Field(ge=1, le=600)] = 30.0
    compression: Literal["none", "gzip"] = "none"
    """gzip costs the collector four to five times the CPU (dependencies.md 12.2): for slow links only."""
    max_document_size: Annotated[Size, Field(ge=64 * 2**10, le=90 * 2**20)] = 10 * 2**20
    """Longer documents are shortened: far above any event, far below ``http.max_content_length``."""
    setup: TemplateSettings = Field(default_factory=TemplateSettings)
    """What ``wef setup elasticsearch`` installs; the sink itself does not read it."""

    @field_validator("hosts", mode="before")
    @classmethod
    def _list_of_texts(cls, value: object) -> object:
        if not isinstance(value, list) or not all(isinstance(host, str) for host in value):
            # not quoted: somebody may have written a password into it
            raise ValueError('this is no list of addresses; write ["https://search.corp.example:9200"]')
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems = [*self._host_problems(), *self._credential_problems(), *self._tls_problems()]
        if "@timestamp" in self.drop_fields:
            sentence = "a data stream refuses every document without @timestamp; leave it out of the list."
            problems.append((("drop_fields",), sentence))
        if problems:
            raise problems_error(problems)
        return self

    def _host_problems(self) -> list[Problem]:
        if not self.hosts:
            return [(("hosts",), 'the list is empty; give at least one, such as "https://search.corp.example:9200".')]
        problems: list[Problem] = [
            (("hosts", number), sentence) for number, host in enumerate(self.hosts) if (sentence := _host_problem(host))
        ]
        if len({host.rstrip("/") for host in self.hosts}) < len(self.hosts):
            problems.append((("hosts",), "an address stands here twice; name each host once."))
        return problems

    def _credential_problems(self) -> list[Problem]:
        problems: list[Problem] = []
        if self.api_key is not None and (self.username is not None or self.password is not None):
            problems.append((("api_key",), "it stands beside username or password; give the key or the pair."))
        elif (self.username is None) != (self.password is None):
            missing, there = ("password", "username") if self.password is None else ("username", "password")
            problems.append(((missing,), f"this key is missing; {there} needs it."))
        if self.username is not None and (not self.username or ":" in self.username):
            problems.append((("username",), f'"{self.username}" is no user name; it has characters, and no ":" in it.'))
        if self.api_key is not None and not _VISIBLE.fullmatch(self.api_key.get_secret_value()):
            problems.append(
                (
                    ("api_key",),
                    'it holds blanks or letters beyond ASCII; write the "encoded" key, or "id:key".',
                )
            )
        return problems

    def _tls_problems(self) -> list[Problem]:
        problems: list[Problem] = []
        if (self.certificate is None) != (self.private_key is None):
            missing, there = (
                ("private_key", "certificate") if self.private_key is None else ("certificate", "private_key")
            )
            problems.append(((missing,), f"this key is missing; {there} needs it."))
        if not any(host.lower().startswith("https://") for host in self.hosts):
            problems.extend(
                ((name,), "plain http does not use it; remove it, or write https:// in hosts.")
                for name in ("ca", "certificate", "private_key")
                if getattr(self, name) is not None
            )
        return problems


def _host_problem(host: str) -> str:
    """What is wrong with one of *hosts*; its user part is never quoted, it may be a password."""
    wanted = 'write an address such as "https://search.corp.example:9200"'
    try:
        parts = urlsplit(host)
        port = parts.port
    except ValueError as error:
        return f"this is no address ({error}); {wanted}." if "@" not in host else f"this is no address; {wanted}."
    if "@" in host:
        return "it holds a user or a password; write them as username and password."
    if not _whole(parts) or port == 0:
        return f'"{host}" is no address of http or https; {wanted}.'
    if parts.query or parts.fragment:
        return f'"{host}" holds more than an address; {wanted}, with a path in front of a proxy at most.'
    return ""


def _whole(parts: SplitResult) -> bool:
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not re.search(r"\s", parts.geturl())
