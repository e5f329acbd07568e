"""A subscription as our own TOML file says it (contract.md 2). It opens nothing: text in, value out."""

from __future__ import annotations

import re
import tomllib
from typing import Annotated, Literal
from uuid import UUID, uuid5

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from collector.config.explain import explain, path_of, problems_error, syntax_problem
from collector.config.lines import line_of
from collector.config.settings import Settings
from collector.config.units import Duration, Size
from collector.query.query_list import QueryList, QueryProblems, parse_query_list, query_list_of
from collector.subscriptions.problems import FileProblems
from collector.subscriptions.sddl import SddlError, parse_sddl
from collector.subscriptions.sources import SourceList
from collector.subscriptions.sources_key import WANTED, read_sources
from collector.subscriptions.subscription import Audience, DeliverySettings, Spoofing, Subscription

NAMESPACE = UUID("290c0a3f-735d-45b4-8d64-9443d36df9bc")
"""The namespace of the ids made of names. It must never change: with another id every source starts anew."""
SMALLEST_ENVELOPE = 8192  # [DSP0226] R6.2-4
DEFAULT_LOCALE = "en-US"
"""The one language that detection content is written for."""

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Channel = Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[^\x00-\x1f\x7f]+$")]
Glob = Annotated[str, Field(min_length=1)]
_DOMAIN = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*", re.ASCII)


class ClauseTable(Settings):
    """``[[select]]`` or ``[[suppress]]``."""

    channel: Channel
    query: str = "*"


class DeliveryTable(Settings):
    """``[delivery]``; the defaults are those that subscriptions.md section 4 recommends."""

    max_latency: Annotated[Duration, Field(gt=0)] = 30.0
    heartbeat: Annotated[Duration, Field(gt=0)] = 900.0
    max_items: Annotated[int, Field(ge=0)] = 0
    max_envelope_size: Annotated[Size, Field(ge=SMALLEST_ENVELOPE)] = 512_000
    connection_retry: Duration = 60.0
    retries: Annotated[int, Field(ge=0)] = 5

    @model_validator(mode="after")
    def _both_or_none(self) -> DeliveryTable:
        if (self.connection_retry == 0) != (self.retries == 0):  # [MS-WSMV] 3.1.4.1.30.2
            raise problems_error([(("retries",), "connection_retry and retries are both zero or both more than zero.")])
        return self


class AudienceTable(Settings):
    """``[audience]`` for everybody, ``[certificates]`` for callers with a certificate."""

    allow: list[Glob] = Field(default_factory=list)
    deny: list[Glob] = Field(default_factory=list)


class SpoofingTable(Settings):
    """``[spoofing]``"""

    policy: Literal["off", "tag", "quarantine", "reject"] = "off"
    relays: list[Glob] = Field(default_factory=list)
    domains: list[str] = Field(default_factory=list)

    @field_validator("domains")
    @classmethod
    def _suffixes(cls, value: list[str]) -> list[str]:
        wrong = [
            ((row,), f'"{domain}" is no DNS domain; write it bare, such as "corp.example": no star, no dot in front.')
            for row, domain in enumerate(value)
            if not _DOMAIN.fullmatch(domain)
        ]
        if wrong:
            raise problems_error(wrong)
        return [domain.lower() for domain in value]


class SubscriptionFile(Settings):
    """The whole file."""

    name: Name
    id: str | None = None
    enabled: bool = True
    description: str = ""
    type: Literal["source-initiated", "pull", "push"] = "source-initiated"
    content_format: Literal["raw", "rendered_text"] = "raw"
    locale: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")] | None = None
    read_existing_events: bool = False
    ignore_channel_error: bool = True
    compression: Literal["none", "sldc"] = "none"
    delivery: DeliveryTable = Field(default_factory=DeliveryTable)
    audience: AudienceTable = Field(default_factory=AudienceTable)
    certificates: AudienceTable = Field(default_factory=AudienceTable)
    spoofing: SpoofingTable = Field(default_factory=SpoofingTable)
    select: list[ClauseTable] = Field(default_factory=list)
    suppress: list[ClauseTable] = Field(default_factory=list)
    query: str | None = None
    sources: Annotated[tuple[SourceList, ...], BeforeValidator(read_sources)] = ()
    credentials: str | None = None
    expires: Annotated[str, Field(min_length=1)] | None = None
    sddl: Annotated[str, Field(min_length=1)] | None = None
    issuers: list[str] = Field(default_factory=list)

    @field_validator("id")
    @classmethod
    def _uuid(cls, value: str | None) -> str | None:
        try:
            return value and str(UUID(value.removeprefix("uuid:")))
        except ValueError as error:
            raise PydanticCustomError(
                "problems",
                "no UUID",
                {"problems": [((), f'"{value}" is no UUID; write one such as "{uuid5(NAMESPACE, "example")}".')]},
            ) from error

    @field_validator("sddl")
    @classmethod
    def _descriptor(cls, value: str | None) -> str | None:
        try:
            if value is not None:
                parse_sddl(value)
        except SddlError as error:
            raise problems_error([((), str(error))]) from error
        return value

    @field_validator("issuers")
    @classmethod
    def _thumbprints(cls, value: list[str]) -> list[str]:
        found = [thumbprint_of(text) for text in value]
        wrong = [
            ((row,), f'"{value[row]}" is no SHA-1 thumbprint of a CA; it has 40 hexadecimal digits.')
            for row, thumbprint in enumerate(found)
            if len(thumbprint) != 40
        ]
        if wrong:
            raise problems_error(wrong)
        return found

    @model_validator(mode="after")
    def _one_query(self) -> SubscriptionFile:
        if self.query is not None and (self.select or self.suppress):
            raise problems_error([(("query",), "it stands beside [[select]] or [[suppress]]; write one or the other.")])
        if self.query is None and not self.select:
            raise problems_error([((), "nothing is selected; give at least one [[select]] with a channel.")])
        if self.type == "source-initiated" and (self.sources or self.credentials):
            raise problems_error([(("type",), 'sources and credentials need type = "pull" or "push".')])
        if self.type != "source-initiated" and self.enabled and not self.sources:
            raise problems_error([(("sources",), f"type {self.type} calls its sources: it is missing. {WANTED}")])
        return self


def read_toml(text: str) -> Subscription:
    """The subscription that *text* says, without revision and origin. Raises ``FileProblems``."""
    try:
        file = SubscriptionFile.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise FileProblems([syntax_problem(error, text)]) from error
    except RecursionError as error:
        raise FileProblems([(None, "it nests brackets thousands deep; a subscription needs two levels.")]) from error
    except ValidationError as error:
        found = explain(error, SubscriptionFile)
        raise FileProblems([(line_of(text, where), _at(path_of(where), said)) for where, said in found]) from error
    return Subscription(
        name=file.name,
        id=file.id or str(uuid5(NAMESPACE, file.name)),
        query=_queries(file, text).xml(),
        enabled=file.enabled,
        description=file.description.strip(),
        type=file.type,
        content_format=file.content_format,
        locale=file.locale or (DEFAULT_LOCALE if file.content_format == "rendered_text" else None),
        read_existing_events=file.read_existing_events,
        ignore_channel_error=file.ignore_channel_error,
        compression=file.compression,
        delivery=DeliverySettings(**file.delivery.model_dump()),
        audience=Audience(tuple(file.audience.allow), tuple(file.audience.deny)),
        spoofing=Spoofing(file.spoofing.policy, tuple(file.spoofing.relays), tuple(file.spoofing.domains)),
        sources=file.sources,
        credentials=file.credentials,
        expires=file.expires,
        sddl=file.sddl,
        issuers=tuple(file.issuers),
        certificates=Audience(tuple(file.certificates.allow), tuple(file.certificates.deny)),
    )


def thumbprint_of(text: str) -> str:
    """Without the blanks and the invisible U+200E that come along when it is copied from the MMC (protocol.md 13.1)."""
    return re.sub(r"[^0-9a-f]", "", text.lower())


def decoded(content: bytes) -> str:
    """The text of a TOML file, its lines ended by LF. Raises ``FileProblems``."""
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise FileProblems([(line, "this is not UTF-8; save the file as UTF-8 text.")]) from error


def _queries(file: SubscriptionFile, text: str) -> QueryList:
    try:
        if file.query is not None:
            return parse_query_list(file.query)
        return query_list_of(
            [(clause.channel, clause.query) for clause in file.select],
            [(clause.channel, clause.query) for clause in file.suppress],
        )
    except QueryProblems as error:
        raise FileProblems([_placed(file, text, line, said) for line, said in error.problems]) from error


def _placed(file: SubscriptionFile, text: str, place: int | None, said: str) -> tuple[int | None, str]:
    """A problem of the query, on its line of the file."""
    if file.query is None:
        if place is None:
            return None, f"{said}."
        kind, row = ("select", place - 1) if place <= len(file.select) else ("suppress", place - 1 - len(file.select))
        return line_of(text, (kind, row, "query")), _at(path_of((kind, row, "query")), f"{said}.")
    return placed_in_query(file.query, text, place, said)


def placed_in_query(query: str, text: str, place: int | None, said: str) -> tuple[int | None, str]:
    """A problem on line *place* of the key ``query``, on its line of the file."""
    start = text.find(query)  # a text in triple quotes stands in the file as it is
    if start < 0 or place is None:
        return line_of(text, ("query",)), f"at query: {said}."
    return text.count("\n", 0, start) + place, f"at query: {said}."


def _at(path: str, sentence: str) -> str:
    return f"at {path}: {sentence}" if path else sentence
