"""A subscription spelled as our TOML file, for people to read and go on with. Pure: value in, text out.

What comes from somewhere else may hold anything, so every text is quoted here and no comment can
end before its line does. What is written must say what was read: ``importing`` compares.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from typing import assert_never
from uuid import uuid5

from collector.subscriptions.sources import CsvSources, DirectorySources, FileSources, ListedSources, SourceList
from collector.subscriptions.subscription import Audience, DeliverySettings, Imported, Spoofing, Subscription
from collector.subscriptions.toml_file import NAMESPACE

_UNITS = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))
_WIDTH = 118
_NOT_LITERAL = re.compile(r"'''|[^\n\t -~\x80-\U0010ffff]")
"""What a literal text of TOML cannot hold: its own end and control characters (TOML 1.0, "String")."""
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def toml_text(imported: Imported, origin: str) -> str:
    """The file. *origin* says in its first line where it was imported from."""
    subscription = imported.subscription
    lines = [
        *_comment(f"Imported from {origin}."),
        *(line for note in imported.notes for line in _comment(note)),
        "",
        *_settings(subscription),
        f"query = {_long_text(imported.query)}",
        "",
        *_delivery(subscription.delivery),
        *_audience("audience", subscription.audience),
        *_audience("certificates", subscription.certificates),
        *_spoofing(subscription.spoofing),
    ]
    return "\n".join(lines) + "\n"


def _settings(it: Subscription) -> Iterator[str]:
    yield f"name = {text(it.name)}"
    if it.id != str(uuid5(NAMESPACE, it.name)):  # else it says itself
        yield f"id = {text(it.id)}"
    if it.description:
        yield f"description = {text(it.description)}"
    yield f"enabled = {_truth(it.enabled)}"
    if it.type != "source-initiated":
        yield f"type = {text(it.type)}"
        yield f"sources = {_sources(it.sources)}"
        if it.credentials is not None:
            yield f"credentials = {text(it.credentials)}"
    yield f"content_format = {text(it.content_format)}"
    if it.locale is not None:
        yield f"locale = {text(it.locale)}"
    yield f"read_existing_events = {_truth(it.read_existing_events)}"
    if not it.ignore_channel_error:
        yield "ignore_channel_error = false"
    if it.expires is not None:
        yield f"expires = {text(it.expires)}"
    if it.sddl is not None:
        yield f"sddl = {text(it.sddl)}"
    if it.issuers:
        yield f"issuers = {_list(it.issuers)}"


def _sources(lists: Sequence[SourceList]) -> str:
    """The key ``sources``: one table alone, else a list."""
    listed = [entry for entry in lists if isinstance(entry, ListedSources)]
    if len(listed) == len(lists):
        return _list(address.written for entry in listed for address in entry.addresses)
    written = [one for entry in lists for one in _source_list(entry)]
    return written[0] if len(written) == 1 and written[0].startswith("{") else f"[{', '.join(written)}]"


def _source_list(entry: SourceList) -> Iterator[str]:
    match entry:
        case ListedSources(addresses):
            yield from (text(address.written) for address in addresses)
        case FileSources(path):
            yield f"{{ file = {text(str(path))} }}"
        case CsvSources(path):
            yield f"{{ csv = {text(str(path))} }}"
        case DirectorySources():
            said = {field.name: getattr(entry, field.name) for field in fields(entry)}
            yield f"{{ ldap = {{ {', '.join(f'{name} = {text(one)}' for name, one in said.items() if one)} }} }}"
        case _:
            assert_never(entry)


def _delivery(it: DeliverySettings) -> Iterator[str]:
    default = DeliverySettings()
    yield "[delivery]"
    yield f'max_latency = "{duration(it.max_latency)}"'
    yield f'heartbeat = "{duration(it.heartbeat)}"'
    if it.max_items != default.max_items:
        yield f"max_items = {it.max_items}"
    if it.max_envelope_size != default.max_envelope_size:
        yield f"max_envelope_size = {it.max_envelope_size}"
    if (it.connection_retry, it.retries) != (default.connection_retry, default.retries):
        yield f'connection_retry = "{duration(it.connection_retry)}"'
        yield f"retries = {it.retries}"


def _audience(name: str, it: Audience) -> Iterator[str]:
    if it.allow or it.deny:
        yield ""
        yield f"[{name}]"
        yield f"allow = {_list(it.allow)}"
        if it.deny:
            yield f"deny = {_list(it.deny)}"


def _spoofing(it: Spoofing) -> Iterator[str]:
    if it != Spoofing():
        yield ""
        yield "[spoofing]"
        yield f"policy = {text(it.policy)}"
        if it.relays:
            yield f"relays = {_list(it.relays)}"
        if it.domains:
            yield f"domains = {_list(it.domains)}"


def duration(seconds: float) -> str:
    """``"15m"`` of 900.0: the largest unit that leaves nothing over, to the millisecond."""
    milliseconds = round(seconds * 1000)
    unit, size = next(
        (unit, size) for unit, size in _UNITS if milliseconds % size == 0 and (milliseconds or size == 1000)
    )
    return f"{milliseconds // size}{unit}"


def text(value: str) -> str:
    """A basic string on one line (TOML 1.0): quotes, backslashes and control characters escaped."""
    return '"' + "".join(_ESCAPES.get(c, c if c.isprintable() else _escaped(c)) for c in value) + '"'


def _long_text(value: str) -> str:
    """As it is, so that a query stays readable; escaped only when it holds what that cannot."""
    if not _NOT_LITERAL.search(value) and not value.endswith("'"):
        return f"'''\n{value}\n'''"
    return text(value)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"


def _list(values: Iterable[str]) -> str:
    items = [text(value) for value in values]
    line = f"[{', '.join(items)}]"
    return line if len(line) < 80 else "[\n" + "".join(f"    {item},\n" for item in items) + "]"


def _truth(value: bool) -> str:
    return "true" if value else "false"


def _comment(sentence: str) -> list[str]:
    """Comment lines; whatever is not printable becomes a blank, so that none of it ends a line."""
    words = "".join(c if c.isprintable() else " " for c in sentence).split()
    lines, line = [], "#"
    for word in words:
        if len(line) + 1 + len(word) > _WIDTH and line not in ("#", "#  "):
            lines.append(line)
            line = "#  "
        line += f" {word}"
    return [*lines, line]
