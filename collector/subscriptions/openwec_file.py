"""A subscription as OpenWEC's TOML files say it (subscriptions.md 4.2). It opens nothing: text in, value out.

What has no counterpart here is named in a note. A filter that cannot be carried over never opens
the subscription to more sources than it had: it is imported disabled, with the reason.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any, Literal
from uuid import UUID

from pydantic import AliasChoices, ConfigDict, Field, ValidationError, field_validator

from collector.config.explain import explain, path_of, syntax_problem
from collector.config.lines import line_of
from collector.config.settings import Settings
from collector.query.query_list import QueryProblems, parse_query_list
from collector.subscriptions.problems import FileProblems
from collector.subscriptions.subscription import Audience, DeliverySettings, Imported, Subscription
from collector.subscriptions.toml_file import DEFAULT_LOCALE, placed_in_query

OURS = ("select", "suppress", "audience", "delivery", "type")
"""Keys that only our own files have."""
_GLOB = re.compile(r"[*?\[]")


class OpenWecFilter(Settings):
    """``[filter]``; older versions call the targets princs or cert_subjects."""

    operation: Literal["Only", "Except"] | None = None
    type: str = Field(default="Client", validation_alias=AliasChoices("type", "kind"))
    flags: list[str] = Field(default_factory=list)
    targets: list[str] = Field(
        default_factory=list, validation_alias=AliasChoices("targets", "princs", "cert_subjects")
    )


class OpenWecOptions(Settings):
    """``[options]``; intervals in seconds. Options that this version does not know are kept for the notes."""

    model_config = ConfigDict(extra="allow")

    uri: str | None = None
    enabled: bool = True
    heartbeat_interval: int = Field(default=3600, ge=1)
    connection_retry_count: int = Field(default=5, ge=0)
    connection_retry_interval: int = Field(default=60, ge=0)
    max_time: int = Field(default=30, ge=1)
    max_elements: int | None = Field(default=None, ge=1)
    max_envelope_size: int = Field(default=512_000, ge=1)
    read_existing_events: bool = False
    content_format: Literal["Raw", "RenderedText"] = "Raw"
    ignore_channel_error: bool = True
    locale: str | None = None
    data_locale: str | None = None


class OpenWecFile(Settings):
    """The whole file."""

    model_config = ConfigDict(extra="allow")

    uuid: str
    name: str
    query: str
    version: str | None = None
    options: OpenWecOptions = Field(default_factory=OpenWecOptions)
    filter: OpenWecFilter | None = None
    outputs: list[dict[str, Any]] = Field(default_factory=list)

    @field_validator("uuid")
    @classmethod
    def _uuid(cls, value: str) -> str:
        try:
            return str(UUID(value))
        except ValueError as error:
            raise ValueError(f'"{value}" is no UUID') from error


def read_openwec(text: str) -> Imported:
    """The subscription that *text* says. Raises ``FileProblems``."""
    try:
        table = tomllib.loads(text)
        if "uuid" not in table and any(key in table for key in OURS):
            raise FileProblems([(None, "this is a file of our own; copy it into the folder of subscriptions.")])
        file = OpenWecFile.model_validate(table)
    except tomllib.TOMLDecodeError as error:
        raise FileProblems([syntax_problem(error, text)]) from error
    except ValidationError as error:
        found = explain(error, OpenWecFile)
        raise FileProblems([(line_of(text, at), f"at {path_of(at)}: {said}") for at, said in found]) from error
    try:
        query = parse_query_list(file.query).xml()
    except QueryProblems as error:
        raise FileProblems([placed_in_query(file.query, text, line, said) for line, said in error.problems]) from error
    audience, shut = _audience(file.filter)
    return Imported(
        _subscription(file, query, audience, enabled=file.options.enabled and not shut),
        file.query.strip(),
        (*([shut] if shut else []), *_left_out(file)),
    )


def _subscription(file: OpenWecFile, query: str, audience: Audience, *, enabled: bool) -> Subscription:
    options = file.options
    rendered = options.content_format == "RenderedText"
    retrying = options.connection_retry_count > 0 and options.connection_retry_interval > 0
    return Subscription(
        name=file.name,
        id=file.uuid,
        query=query,
        enabled=enabled,
        content_format="rendered_text" if rendered else "raw",
        locale=options.locale or (DEFAULT_LOCALE if rendered else None),
        read_existing_events=options.read_existing_events,
        ignore_channel_error=options.ignore_channel_error,
        delivery=DeliverySettings(
            max_latency=float(options.max_time),
            heartbeat=float(options.heartbeat_interval),
            max_items=options.max_elements or 0,
            max_envelope_size=options.max_envelope_size,
            # one without the other means the same there: no retry
            connection_retry=float(options.connection_retry_interval) if retrying else 0.0,
            retries=options.connection_retry_count if retrying else 0,
        ),
        audience=audience,
    )


def _audience(found: OpenWecFilter | None) -> tuple[Audience, str]:
    """Who may have it; and why nobody may until a person has looked, or ``""``."""
    if found is None or found.operation is None:
        return Audience(), ""
    shown = f"{found.operation} {', '.join(found.targets) or 'nobody'}"
    if found.type not in ("Client", "KerberosPrinc", "TLSCertSubject"):
        return Audience(), (
            f"DISABLED: its filter ({shown}) goes by {found.type}, which a source may claim as it likes."
            " Say in [audience] who may have it, then enable it."
        )
    if found.operation == "Only" and not found.targets:
        return Audience(), "DISABLED: its filter lets nobody have it. Say in [audience] who may, then enable it."
    targets = tuple(target if "GlobPattern" in found.flags else _literal(target) for target in found.targets)
    return (Audience(allow=targets) if found.operation == "Only" else Audience(deny=targets)), ""


def _literal(target: str) -> str:
    """A glob that matches nothing but *target*."""
    return _GLOB.sub(lambda match: f"[{match[0]}]", target)


def _left_out(file: OpenWecFile) -> list[str]:
    options, notes = file.options, []
    if options.uri is not None:
        notes.append(
            f"Not carried over: uri {options.uri!r}. There, only sources whose policy names this path got the"
            " subscription; here it is for everybody in [audience]."
        )
    for output in file.outputs:
        kind, form = output.get("driver", "?"), output.get("format", "?")
        state = "" if output.get("enabled", True) else ", disabled"
        notes.append(f"Not carried over: the output {kind} ({form}{state}). Outputs are [sinks] in collector.toml.")
    if options.data_locale is not None and options.data_locale != options.locale:
        notes.append(f"Not carried over: data_locale {options.data_locale!r}; numbers come in locale.")
    unknown = [f"options.{key}" for key in options.model_extra or ()] + list(file.model_extra or ())
    if unknown:
        notes.append(f"Not carried over, because nothing is known of it: {', '.join(unknown)}.")
    return notes
