"""Which type each field of a document has in the index: the table of sinks.md 2.2. Pure; it knows no server.

What is not named here gets its type from the dynamic templates: the names of winlog.event_data are the
sources' to choose, and the patterns of Elastic's own ``ecs@mappings`` would make dates and addresses of some.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

Product = Literal["elasticsearch", "opensearch"]
Field = dict[str, Any]

WIDE = 8191
"""Characters of event data that are indexed: as UTF-8 at most 32,764 bytes, and Lucene refuses a term above 32,766."""
NARROW = 1024
"""Characters of everything that is a name, and not text."""

KEYWORD: Field = {"type": "keyword", "ignore_above": NARROW}
LONG: Field = {"type": "long"}
DATE: Field = {"type": "date"}
BOOLEAN: Field = {"type": "boolean"}
OBJECT: Field = {"type": "object"}
ADDRESS: Field = {"type": "ip", "ignore_malformed": True}
TEXT: Field = {"type": "match_only_text"}
NAME: Field = {**KEYWORD, "fields": {"text": TEXT}}
COMMAND: Field = {"type": "wildcard", "fields": {"text": TEXT}}

_FIELDS: tuple[tuple[Field, tuple[str, ...]], ...] = (
    ({"type": "date_nanos"}, ("@timestamp",)),
    ({"type": "date_nanos", "ignore_malformed": True}, ("winlog.time_created",)),
    (DATE, ("event.created", "event.ingested")),
    (TEXT, ("message",)),
    ({"type": "keyword", "index": False, "doc_values": False}, ("event.original",)),
    (
        KEYWORD,
        (
            "winlog.record_id", "winlog.event_id", "winlog.channel", "winlog.provider_name", "winlog.computer_name",
            "event.code", "event.action", "event.outcome", "event.provider", "log.level", "dns.answers.data",
            "wef.event_id", "wef.collector", "wef.client.name", "wef.client.principal", "wef.subscription.id",
            "wef.subscription.name", "wef.subscription.revision",
        ),
    ),
    (
        LONG,
        (
            "winlog.version", "winlog.process.pid", "winlog.process.thread.id", "winlog.processor_id",
            "winlog.session_id", "winlog.kernel_time", "winlog.user_time", "winlog.processor_time", "event.sequence",
            "process.pid", "process.parent.pid", "process.args_count", "process.thread.id", "source.port",
            "destination.port", "powershell.sequence", "powershell.total",
        ),
    ),
    (COMMAND, ("process.command_line", "process.parent.command_line")),
    (
        NAME,
        (
            "process.executable", "process.name", "process.title", "process.working_directory",
            "process.parent.executable", "process.parent.name", "process.parent.title", "file.path", "user.name",
            "user.full_name",
        ),
    ),
    (KEYWORD, ("process.entity_id", "process.parent.entity_id", "host.name", "user.id", "user.domain")),
    ({"type": "text", "analyzer": "powershell_script_analyzer"}, ("powershell.file.script_block_text",)),
    (OBJECT, ("powershell.command.invocation_details",)),
    ({"type": "wildcard"}, ("registry.data.strings",)),
    (ADDRESS, ("source.ip", "destination.ip", "related.ip", "dns.resolved_ip", "wef.client.ip")),
    (
        BOOLEAN,
        (
            "sysmon.file.archived", "sysmon.file.is_executable", "file.code_signature.signed",
            "file.code_signature.valid",
        ),
    ),
)  # fmt: skip
ANALYSIS = {"analyzer": {"powershell_script_analyzer": {"type": "pattern", "pattern": r"[\W&&[^-]]+"}}}
"""Splits scripts at everything but word characters and "-": Get-ChildItem stays one word."""
_FREE = ("winlog.event_data", "winlog.user_data")
"""Below these the sources choose the names."""


def mappings(event_data: Literal["dynamic", "flattened"], product: Product) -> dict[str, Any]:
    """Of the component template. One pattern each: OpenSearch stores an array of them as one text (servers.md 5.2)."""
    free = {"type": "object", "dynamic": True} if event_data == "dynamic" else _flat(product)
    placed = [(name, field) for field, names in _FIELDS for name in names] + [(name, free) for name in _FREE]
    return {
        "date_detection": False,
        "dynamic_templates": list(_dynamic_templates(event_data)),
        "properties": _nested(placed),
    }


def _flat(product: Product) -> Field:
    return {"type": "flattened", "ignore_above": WIDE} if product == "elasticsearch" else {"type": "flat_object"}


def _dynamic_templates(event_data: str) -> Iterable[dict[str, Any]]:
    """The first that matches wins. Without match_mapping_type a template would also claim whole objects."""
    if event_data == "dynamic":
        for free in _FREE:
            for kind in ("string", "long", "double", "boolean"):
                yield _template(f"{free.removeprefix('winlog.')}_{kind}", f"{free}.*", kind, WIDE)
    yield _template("winlog_strings", "winlog.*", "string", NARROW)
    yield _template("wef_strings", "wef.*", "string", NARROW)


def _template(name: str, pattern: str, kind: str, ignore_above: int) -> dict[str, Any]:
    mapping = {"type": "keyword", "ignore_above": ignore_above}
    return {name: {"path_match": pattern, "match_mapping_type": kind, "mapping": mapping}}


def _nested(placed: Iterable[tuple[str, Field]]) -> dict[str, Any]:
    """``a.b`` as properties of ``a``, the way the server spells it."""
    properties: dict[str, Any] = {}
    for name, field in placed:
        *path, last = name.split(".")
        here = properties
        for part in path:
            here = here.setdefault(part, {}).setdefault("properties", {})
        here[last] = dict(field)
    return properties
