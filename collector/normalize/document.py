"""One event's fields -> its ``winlogbeat`` document, normalization.md section 4.

Total: whatever the fields hold, a document comes out that Elasticsearch can index, so types are
guarded here and a value that does not fit is left out. It knows neither batch nor caller: what
is the same for a whole batch is added by ``formats``. ``event`` is the last key, for that reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from collector.kernel.fields import Fields
from collector.normalize.head import Head
from collector.normalize.moments import Moment
from collector.normalize.pairs import add_nested, collect, tidy
from collector.normalize.recover import Piece
from collector.normalize.tables import Rules, default_rules
from collector.normalize.winmeta import long, number

ECS_VERSION = "8.17.0"
MOST_TEXT = 256 * 1024
"""Bytes (UTF-8) of ``message`` and of ``event.original`` (sinks.md 1, poison protection)."""
MOST_ERROR_MESSAGE = 8 * 1024
TRUNCATED = "truncated"
TIME_INVALID = "time_invalid"


@dataclass(frozen=True, slots=True)
class Options:
    """*exact*: what beats' own decoder says, without tables and additions. *original*: keep the XML in the document.

    *rules*: the tables; None means those that are shipped.
    """

    exact: bool = False
    original: bool = False
    rules: Rules | None = None

    def tables(self) -> Rules | None:
        """The tables to use; None: none, because the result must be beats' own."""
        return None if self.exact else self.rules or default_rules()


class Row(NamedTuple):
    """One row of a harvest: what recovery made of the text, its head, its own time; None where there is none.

    *tags* are words that others want in the document.
    """

    piece: Piece
    head: Head | None
    moment: Moment | None
    tags: tuple[str, ...] = ()


def document(row: Row, received: str, options: Options) -> dict[str, Any]:
    """The document of *row*; *received* (RFC 3339) stands in where the event has no time of its own."""
    piece, head, moment, added = row
    fields = piece.fields
    tags = ["forwarded", *(f"_{TAGS.get(flaw, flaw)}" for flaw in piece.flaws), *added]
    if fields is None or head is None:
        return _error_document(piece, received, tags)
    winlog, event = _winlog(fields, head, moment, options), {**head.event}
    found: dict[str, Any] = {"@timestamp": moment.text if moment and moment.time else received}
    if options.exact:
        if fields.computer:
            found["host"] = {"name": fields.computer}
    else:
        found["ecs"] = {"version": ECS_VERSION}
        found["host"] = {"name": fields.computer, "os": _OS} if fields.computer else {"os": _OS}
    if "level" in winlog:
        found["log"] = {"level": winlog["level"]}
    if "task" in winlog:
        event["action"] = winlog["task"]
    if fields.message:
        found["message"] = cut(tidy(fields.message), MOST_TEXT)
    if fields.error_code or piece.problem or (fields.error_item and not options.exact):
        found["error"] = _error(piece, fields, options.exact)
    if options.original:
        event["original"] = cut(piece.text, MOST_TEXT)
    found["tags"] = tags
    found["winlog"] = winlog
    found["event"] = event
    return found


def cut(text: str, most: int) -> str:
    """*text*, or as many of its characters as *most* bytes hold."""
    if len(text) * 4 <= most:
        return text
    encoded = text.encode("utf-8", "replace")
    return text if len(encoded) <= most else encoded[:most].decode("utf-8", "ignore")


def too_long(text: str) -> bool:
    return len(text) * 4 > MOST_TEXT and len(text.encode("utf-8", "replace")) > MOST_TEXT


_OS = {"type": "windows", "family": "windows"}
# The tags that normalization.md names differ from the flaw words of the metric.
TAGS = {"rendering_truncated": "rendering_info_truncated"}


def _error_document(piece: Piece, received: str, tags: list[str]) -> dict[str, Any]:
    """normalization.md 3.3, step 6: nothing helped, so the text itself is the evidence."""
    return {
        "@timestamp": received,
        "error": {"message": piece.problem, "type": "unparsable_event"},
        "message": cut(piece.text, MOST_ERROR_MESSAGE),
        "tags": tags,
        "event": {"kind": "pipeline_error", "original": cut(piece.text, MOST_TEXT)},
    }


def _error(piece: Piece, fields: Fields, exact: bool) -> dict[str, str]:
    error = {"message": piece.problem} if piece.problem else {}
    if fields.error_code:
        error["code"] = fields.error_code
    if fields.error_item and not exact:
        error["id"] = fields.error_item
    return error


def _winlog(fields: Fields, head: Head, moment: Moment | None, options: Options) -> dict[str, Any]:
    exact = options.exact
    winlog = {**head.winlog}
    record = number(fields.record_id)
    if record:
        winlog["record_id"] = str(record)
    if fields.computer:
        winlog["computer_name"] = fields.computer
    if fields.activity_id:
        winlog["activity_id"] = fields.activity_id
    if fields.related_activity_id:
        winlog["related_activity_id"] = fields.related_activity_id
    if moment is not None:
        winlog["time_created"] = moment.text
    _add_execution(winlog, fields)
    if fields.user_sid:
        winlog["user"] = _user(fields.user_sid, options.tables())
    _add_rendered(winlog, fields, exact)
    _add_data(winlog, fields, exact)
    if not exact:
        _add_extras(winlog, fields, moment)
    return winlog


def _add_rendered(winlog: dict[str, Any], fields: Fields, exact: bool) -> None:
    """Names that the source itself rendered win over those that numbers give."""
    if fields.rendered_level:
        winlog["level"] = fields.rendered_level.lower()
    if fields.rendered_task and (exact or fields.rendered_task != "None"):
        winlog["task"] = fields.rendered_task
    if fields.rendered_opcode:
        winlog["opcode"] = fields.rendered_opcode
    if fields.rendered_keywords:
        winlog["keywords"] = fields.rendered_keywords


def _user(sid: str, rules: Rules | None) -> dict[str, str]:
    user = {"identifier": sid}
    account = rules.account(sid) if rules else None
    if account is not None:
        known = {"name": account.name, "domain": account.domain, "type": account.type}
        user |= {name: value for name, value in known.items() if value}
    return user


def _add_execution(winlog: dict[str, Any], fields: Fields) -> None:
    """Numbers of Execution; 0 is what classic providers write for "not known"."""
    pid, thread = long(fields.process_id), long(fields.thread_id)
    if pid or thread:
        process: dict[str, Any] = {"pid": pid} if pid else {}
        if thread:
            process["thread"] = {"id": thread}
        winlog["process"] = process
    if fields.processor_id or fields.session_id or fields.kernel_time or fields.user_time or fields.processor_time:
        for name in ("processor_id", "session_id", "kernel_time", "user_time", "processor_time"):  # event traces only
            value = long(getattr(fields, name))
            if value:
                winlog[name] = value


def _add_data(winlog: dict[str, Any], fields: Fields, exact: bool) -> None:
    if fields.event_data:
        found, unnamed, overflow = collect(fields.event_data)
        if unnamed and not exact:
            found["Data"] = unnamed  # Sigma's rules on Application search this one
        if found:
            winlog["event_data"] = found
        if overflow:
            winlog["event_data_overflow"] = overflow
    if fields.user_data_root:
        found, _, overflow = collect(fields.user_data)
        if not exact:
            add_nested(found, fields.user_data_nested)
        if found:
            winlog["user_data"] = found | {"xml_name": fields.user_data_root}
        if overflow:
            winlog["user_data_overflow"] = overflow


def _add_extras(winlog: dict[str, Any], fields: Fields, moment: Moment | None) -> None:
    """What beats drop."""
    if fields.provider_source_name:
        winlog["provider_source_name"] = fields.provider_source_name
    if fields.event_id_qualifiers:
        winlog["event_id_qualifiers"] = fields.event_id_qualifiers
    if fields.error_payload:
        winlog["processing_error"] = {"event_payload": fields.error_payload}
    if fields.binary_event_data:
        winlog["binary_event_data"] = fields.binary_event_data
    if fields.debug_data:
        found, _, _ = collect(fields.debug_data)
        if found:
            winlog["debug_data"] = found
    if moment is None and fields.time:
        winlog["time_created_text"] = fields.time  # no date: a date field would refuse the whole document
