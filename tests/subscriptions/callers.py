"""Callers for the tests of this room."""

from __future__ import annotations

from collector.model import Caller


def caller(
    key: str = "ws-0001.corp.example",
    *,
    name: str = "WS-0001.corp.example",
    principal: str = "",
    names: tuple[str, ...] = (),
    issuer: str | None = "ab" * 20,
    mechanism: str = "certificate",
    sids: frozenset[str] | None = None,
) -> Caller:
    return Caller(key, name, principal or name, mechanism, "10.0.0.1", names, issuer, sids)
