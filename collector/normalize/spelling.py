"""What repeats from event to event, spelled once as JSON for the compiled kernel; the rules stay those of ``document``.

Each fragment is cut out of a whole document that ``document`` made, so no rule is written twice. The kernel
remembers what it was told, in bounds. Knows what a document looks like, and no event.
"""

from __future__ import annotations

from typing import Any

import orjson

from collector.kernel.fields import Fields
from collector.normalize.document import Options, Row, document
from collector.normalize.head import Head, head
from collector.normalize.pairs import clean_key
from collector.normalize.recover import Piece
from collector.normalize.tables import Rules

_KIND = (
    "provider_name", "provider_guid", "event_id", "version", "level", "task", "opcode", "keywords", "channel",
    "provider_source_name", "event_id_qualifiers", "rendered_level", "rendered_task", "rendered_opcode",
)  # fmt: skip
"""The texts of a kind, in the order of the kernel's slots; the rendered keywords follow."""
_ATTRIBUTES = frozenset({"provider_name", "provider_guid", "provider_source_name", "event_id_qualifiers"})
_RENDERED = ("level", "task", "opcode", "keywords")
_NONE = b"\x02"


class Spelling:
    """Spells by one set of *rules*. Every text comes in as UTF-8 and in the form that it has in the XML."""

    __slots__ = ("_options",)

    def __init__(self, rules: Rules) -> None:
        self._options = Options(rules=rules)

    def kind(self, key: bytes) -> tuple[Any, ...]:
        """What a header's repeating texts say together.

        *key*: U+0001, or U+0002 when there is no Opcode, then the texts of ``_KIND`` and the rendered
        keywords, a NUL after each. The answer: code, channel, provider, level (as a Key has them); channel
        and the rest as an event id has them; and the fragments ``log``, ``tags`` and the beginning of
        ``winlog``, what follows its ``user``, what ends it, ``event`` without its last brace.
        """
        fields = _fields(key)
        rules = self._options.tables()
        kind = head(fields, rules)
        found = self._document(fields, kind)
        winlog = found["winlog"]
        late = {name: winlog[name] for name in _RENDERED if name in winlog and name not in kind.winlog}
        first = {name: winlog[name] for name in kind.winlog}
        extras = {name: value for name, value in winlog.items() if name not in first and name not in late}
        return (
            kind.code,
            kind.channel,
            fields.provider_name,
            kind.level,
            fields.channel.lower().encode(),
            f"\0{fields.provider_name}\0{fields.event_id}".encode(),
            _members({"log": found["log"]}) if "log" in found else b"",
            _members({"tags": found["tags"], "winlog": first})[:-1],
            _members(late),
            _members(extras),
            b"}" + _members({"event": found["event"]})[:-1],
        )

    def computer(self, text: bytes) -> tuple[str, bytes, bytes, bytes] | None:
        """Its name; the same as an event id has it; the fragments ``ecs`` and ``host``, and that of ``winlog``.

        None: it has no name.
        """
        fields = Fields()
        fields.computer = text.decode().strip()
        if not fields.computer:
            return None
        found = self._document(fields, head(fields, self._options.tables()))
        return (
            fields.computer,
            fields.computer.lower().encode(),
            _members({"ecs": found["ecs"], "host": found["host"]}),
            _members({"computer_name": found["winlog"]["computer_name"]}),
        )

    def user(self, sid: bytes) -> bytes:
        """The fragment for a SID in Security."""
        fields = Fields()
        fields.user_sid = sid.decode()
        found = self._document(fields, head(fields, self._options.tables()))
        return _members({"user": found["winlog"]["user"]})

    def name(self, name: bytes) -> bytes:
        """The key that a name of EventData becomes, without quotes; empty when it becomes a position."""
        key = clean_key(name.decode())
        return b"" if key in ("", "Data") else orjson.dumps(key)[1:-1]

    def _document(self, fields: Fields, kind: Head) -> dict[str, Any]:
        return document(Row(Piece("", fields), kind, None), "", self._options)


def _fields(key: bytes) -> Fields:
    fields = Fields()
    texts = key[1:].decode().split("\0")[:-1]
    for name, text in zip(_KIND, texts[: len(_KIND)], strict=True):
        setattr(fields, name, text if name in _ATTRIBUTES else text.strip())
    if key[:1] == _NONE:
        fields.opcode = None
    fields.rendered_keywords = [word for word in map(str.strip, texts[len(_KIND) :]) if word]
    return fields


def _members(found: dict[str, Any]) -> bytes:
    """The inside of *found* as JSON, each member with a comma before it."""
    return b"," + orjson.dumps(found)[1:-1] if found else b""
