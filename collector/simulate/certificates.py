"""Whose certificate a pretend source shows, and what the sources are called when files decide it.

It knows paths and TLS contexts, no messages.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from collector.errors import OperatorError
from collector.wire.tls import tls_context

MARK = "{source}"


class Certificates:
    """The TLS side of a fleet: one context for all, or one for each source, loaded when it first connects.

    *ca*, *certificate* and *key* are PEM files; ``{source}`` in the last two is the source's name. *tls*
    False: plain HTTP, where all three are refused.
    """

    def __init__(self, ca: str | None, certificate: str | None, key: str | None, *, tls: bool) -> None:
        if not tls and (ca or certificate or key):
            raise OperatorError(
                "ca, cert and key are for https; the URL begins with http://. Write https:// or leave them out."
            )
        if key and not certificate:
            raise OperatorError(f"key {key}: there is no cert beside it; give both.")
        self._certificate = certificate
        self._key = key
        self._tls = tls
        self._load = cache(lambda mine, its_key: tls_context(ca, mine, its_key))

    @property
    def shared(self) -> bool:
        """Every source shows the same certificate, so that the collector sees one and the same source."""
        return self._certificate is not None and MARK not in self._certificate

    def context(self, source: str) -> ssl.SSLContext | None:
        """The context for *source*, None for plain HTTP. Raises ``OperatorError`` naming a file that does not do."""
        if not self._tls:
            return None
        certificate = filled(self._certificate, source) if self._certificate is not None else None
        return self._load(certificate, filled(self._key, source) if self._key is not None else None)

    def names(self, made_up: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """(name, role) of each source: *made_up*, unless the certificates that are there have other names.

        Raises ``OperatorError`` when there are not enough of them.
        """
        pattern = self._certificate
        if pattern is None or MARK not in pattern or all(Path(filled(pattern, name)).exists() for name, _ in made_up):
            return list(made_up)
        found = present(pattern)
        if len(found) < len(made_up):
            raise OperatorError(
                f"{pattern}: there are {len(found)} such files and {len(made_up)} sources; make more certificates "
                "(wef tls init DIR --clients N) or give fewer --sources."
            )
        return [(name, role) for name, (_, role) in zip(found, made_up, strict=False)]


def present(pattern: str) -> list[str]:
    """The names for which the file *pattern* exists, client2 before client10."""
    before, _, after = Path(pattern).name.partition(MARK)
    folder = Path(pattern).parent
    if not folder.is_dir() or not (before or after) or MARK in str(folder):
        return []
    names = [
        path.name[len(before) : len(path.name) - len(after)]
        for path in folder.iterdir()
        if path.name.startswith(before) and path.name.endswith(after) and len(path.name) > len(before) + len(after)
    ]
    return sorted(names, key=lambda name: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)])


def filled(pattern: str, source: str) -> str:
    """*pattern* with the name of *source* in it."""
    return pattern.replace(MARK, source)
