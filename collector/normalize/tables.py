"""The tables that the collector adds to beats' decoder: task names, well-known SIDs, channels' letter case.

Rules are data: three TOML texts come in as bytes, ``Rules`` comes out. The texts that are
shipped lie beside this file; ``default_rules`` reads them once, when somebody first asks.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any


@dataclass(frozen=True, slots=True)
class Account:
    """Who a SID is, in the words of winlogbeat; "" where there is no such thing."""

    name: str
    domain: str
    type: str


@dataclass(frozen=True, slots=True, eq=False)  # equal only to itself, so that what follows from it can be remembered
class Rules:
    """*tasks*: provider -> number -> name. *accounts*: whole SIDs; *families*: how SIDs begin, {rest} is the rest.

    *channels*: lower case -> the letter case that rules on documents expect.
    """

    tasks: Mapping[str, Mapping[int, str]]
    accounts: Mapping[str, Account]
    families: tuple[tuple[str, Account], ...]
    channels: Mapping[str, str]

    @classmethod
    def parse(cls, tasks: bytes, accounts: bytes, channels: bytes) -> Rules:
        """Read the three TOML texts. Raises ``ValueError`` when one is not what it should be."""
        try:
            named = tomllib.loads(accounts.decode())
            return cls(
                {
                    provider: {int(number): str(name) for number, name in names.items()}
                    for provider, names in tomllib.loads(tasks.decode()).items()
                },
                {sid: _account(row) for sid, row in named["account"].items()},
                tuple((prefix, _account(row)) for prefix, row in named["family"].items()),
                {name.lower(): name for name in tomllib.loads(channels.decode())["channels"]},
            )
        except (KeyError, AttributeError, TypeError) as error:
            raise ValueError(f"a table of normalize has not the shape it should have: {error!r}") from error

    def task(self, provider: str, number: int) -> str:
        names = self.tasks.get(provider)
        return names.get(number, "") if names else ""

    def account(self, sid: str) -> Account | None:
        known = self.accounts.get(sid)
        if known is not None:
            return known
        for prefix, account in self.families:
            if sid.startswith(prefix):
                return Account(account.name.replace("{rest}", sid[len(prefix) :]), account.domain, account.type)
        return None

    def channel(self, name: str) -> str:
        return self.channels.get(name.lower(), name)


def _account(row: Any) -> Account:
    name, domain, kind = row
    return Account(str(name), str(domain), str(kind))


@cache
def default_rules() -> Rules:
    """The tables that are shipped with the collector."""
    folder = resources.files(__package__)
    return Rules.parse(*((folder / name).read_bytes() for name in ("tasks.toml", "accounts.toml", "channels.toml")))
