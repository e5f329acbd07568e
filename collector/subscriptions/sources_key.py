"""The key ``sources`` of a subscription file: how lists of sources are written down in TOML (contract.md 2)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from collector.config.explain import Problem, problems_error, quoted, unknown_key
from collector.subscriptions.sources import (
    CsvSources,
    DirectorySources,
    FileSources,
    ListedSources,
    SourceAddress,
    SourceList,
    SourceProblem,
    parse_source,
)

WANTED = (
    'Write such as ["http://pc01:5985", "pc02.corp.example"], { file = "hosts.txt" }, { csv = "hosts.csv" } or'
    ' { ldap = { url = "ldaps://dc.corp.example", base = "DC=corp,DC=example" } }.'
)
_LISTS = ("file", "csv", "ldap")
_LDAP_KEYS = ("url", "base", "filter", "attribute", "credentials", "bind")
_BINDS = ("kerberos", "simple")
_NEEDED = ("url", "base")
_URL = re.compile(r"ldaps?://(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(?::[0-9]{1,5})?/?", re.ASCII | re.IGNORECASE)


def read_sources(value: object) -> tuple[SourceList, ...]:
    """The lists that *value* names: a text or table, or a list of them. Raises pydantic's error with all problems."""
    if isinstance(value, tuple):
        return value
    entries = value if isinstance(value, list) else [value]
    found: list[SourceList] = []
    listed: list[SourceAddress] = []
    problems: list[Problem] = []
    for row, entry in enumerate(entries):
        place = (row,) if isinstance(value, list) else ()
        try:
            if isinstance(entry, str):
                listed.append(parse_source(entry))
            elif isinstance(entry, dict):
                wrong = list(_wrong(entry))
                problems.extend(((*place, *path), said) for path, said in wrong)
                found.extend([] if wrong else [_table(entry)])
            else:
                problems.append((place, f"{quoted(entry)} is no source and no list of them. {WANTED}"))
        except SourceProblem as error:
            problems.append((place, f"{error}."))
    if problems:
        raise problems_error(problems)
    return (*((ListedSources(tuple(listed)),) if listed else ()), *found)


def _wrong(table: dict[str, Any]) -> Iterator[Problem]:
    for key in table:
        if key not in _LISTS:
            yield (key,), unknown_key(key, _LISTS)
    if len(table) != 1:
        yield (), f"a table names one list. {WANTED}"
    for key in ("file", "csv"):
        if key in table and not (isinstance(table[key], str) and table[key]):
            yield (key,), f'{quoted(table[key])} is no path; write such as "hosts.{"csv" if key == "csv" else "txt"}".'
    if "ldap" in table:
        yield from (((("ldap", *path)), said) for path, said in _wrong_ldap(table["ldap"]))


def _wrong_ldap(table: object) -> Iterator[Problem]:
    if not isinstance(table, dict):
        yield (), f"{quoted(table)} is no table. {WANTED}"
        return
    for key, value in table.items():
        if key not in _LDAP_KEYS:
            yield (key,), unknown_key(key, _LDAP_KEYS)
        elif not (isinstance(value, str) and value):
            yield (key,), f"{quoted(value)} is no text; ldap's keys are texts."
    for key in _NEEDED:
        if key not in table:
            yield (key,), "it is missing; a search needs url and base."
    url, bind = table.get("url"), table.get("bind", "kerberos")
    if isinstance(url, str) and not _is_directory(url):
        shown = "what stands there" if "@" in url else f'"{url}"'  # an account in a URL has its password with it
        yield ("url",), f'{shown} is no directory; write such as "ldaps://dc.corp.example".'
    if isinstance(bind, str) and bind and bind not in _BINDS:
        yield ("bind",), f'"{bind}" is none; kerberos or simple (user name and password, inside TLS) would be right.'
    if bind == "simple" and "credentials" not in table:
        yield ("credentials",), "it is missing; bind simple needs a name of [credentials] with username and password."


def _is_directory(url: str) -> bool:
    """Scheme, host and perhaps a port; who we are stands elsewhere."""
    try:
        return _URL.fullmatch(url) is not None and urlsplit(url).port != 0
    except ValueError:  # a port above 65535, an IPv6 address that is none
        return False


def _table(table: dict[str, Any]) -> SourceList:
    match table:
        case {"file": path}:
            return FileSources(Path(path))
        case {"csv": path}:
            return CsvSources(Path(path))
        case {"ldap": search}:
            return DirectorySources(**search)
        case _:
            raise AssertionError(table)
