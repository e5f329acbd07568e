"""What the header's repeating texts say together: computed once for each kind of event, not for each event.

A log holds some hundred combinations of provider, id, version, level, task, opcode, keywords and
channel; their names, words and document fields are remembered. Knows no batch and nothing unique to one event.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from collector.kernel.fields import Fields
from collector.normalize.tables import Rules
from collector.normalize.winmeta import LEVELS, OPCODES, keywords, long, number, outcome

HIGHEST_LEVEL = 255  # an unsigned byte in Windows; a made-up number must not get into a store's index
_MOST_KINDS = 2048
_LONGEST_KIND = 1024
"""Characters of what is remembered: together they bound the memory that made-up headers can hold to a few MB."""


class Head(NamedTuple):
    """*level* is the number, *code* the event id as decimal text. *winlog* and *event* are shared: copy them."""

    code: str
    channel: str
    level: int
    winlog: dict[str, Any]
    event: dict[str, Any]


def head(fields: Fields, rules: Rules | None) -> Head:
    """The head of an event; *rules* None: as beats' own decoder, without tables."""
    kind = (
        fields.provider_name, fields.provider_guid, fields.event_id, fields.version, fields.level, fields.task,
        fields.opcode or "", fields.keywords, fields.channel,
    )  # fmt: skip
    make = _remembered if len("".join(kind)) <= _LONGEST_KIND else _made
    return make(kind, fields.opcode is not None, rules)


def _made(kind: tuple[str, ...], has_opcode: bool, rules: Rules | None) -> Head:
    provider, guid, event_id, version, level, task, opcode, mask, channel = kind
    level_number, code = number(level), str(number(event_id))
    channel = rules.channel(channel) if rules else channel
    winlog: dict[str, Any] = {"event_id": code}
    if rules:
        winlog["api"] = "wineventlog"
    optional = {
        "channel": channel,
        "provider_name": provider,
        "provider_guid": guid,
        "version": long(version),
        "level": LEVELS.get(level_number, "") if level_number or level in ("", "0") else "",
        "task": rules.task(provider, number(task)) if rules else "" if number(task) else "None",
        "opcode": OPCODES.get(number(opcode), "") if has_opcode else "",
        "keywords": keywords(mask, exact=rules is None),
    }
    winlog |= {name: value for name, value in optional.items() if value}
    event = {"kind": "event", "provider": provider, "code": code}
    result = outcome(mask)
    if result:
        event["outcome"] = result
    return Head(code, channel, level_number if level_number <= HIGHEST_LEVEL else 0, winlog, event)


_remembered = lru_cache(maxsize=_MOST_KINDS)(_made)
