"""Which data stream a record goes to, and the prebuilt bytes that take it there (sinks.md 2.1).

A target is made once for each dataset and namespace: the beginning of its action line, and what its
documents say about their stream. It knows names and no server.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from collector.formats.placed import Place
from collector.sinks.datasets import datasets, module_of
from collector.sinks.placeholders import placeholders

LONGEST = 255
"""Bytes of an index name that Elasticsearch accepts."""
PLACEHOLDERS = ("dataset", "namespace")
_NAME = re.compile(r"[a-z0-9][a-z0-9_.+\-]*", re.ASCII)
"""Stricter than Elasticsearch, which takes nearly everything but ``\\ / * ? " < > | , # :``, blanks and capitals."""
_BY_SCHEME = re.compile(r"([a-z0-9_.]+)-\{dataset\}-\{namespace\}", re.ASCII)
"""Elastic's naming scheme: only then do documents say ``data_stream.*``, and must (constant_keyword)."""


def checked_template(text: str) -> str:
    """*text*, when it can name data streams. Raises ``ValueError`` with a sentence."""
    placeholders(text, PLACEHOLDERS)
    shown = text.format(dataset="x", namespace="x")
    if not _NAME.fullmatch(shown) or len(text) > LONGEST:
        raise ValueError(
            f'"{text}" names no data stream; use a-z, 0-9, "-", "_" and ".", beginning with a letter or digit,'
            ' such as "logs-{dataset}-{namespace}" or "winlogbeat-8.19.0"'
        )
    return text


@dataclass(frozen=True, slots=True)
class Target:
    """A data stream. *action*: its action line up to the id's value; *nameless*: the whole line, for no id.

    *place*: what its documents say about it; None: nothing.
    """

    stream: str
    action: bytes
    nameless: bytes
    place: Place | None


class Streams:
    """From channels to targets. *own*: channel -> dataset before the built-in table; *dropped*: drop_fields."""

    def __init__(
        self,
        template: str,
        namespace: str,
        namespaces: Mapping[str, str] | None = None,
        own: Mapping[str, str] | None = None,
        dropped: Collection[str] = (),
    ) -> None:
        scheme = _BY_SCHEME.fullmatch(template)
        self._type = scheme[1] if scheme else ""
        self._template = template
        self._namespace, self._namespaces = namespace, dict(namespaces or {})
        self._dropped = frozenset(dropped)
        self._dataset = datasets(own)
        self._targets: dict[tuple[str, str], Target] = {}  # bounded: both names come from the settings

    def of(self, subscription: str) -> Callable[[str], Target]:
        """A function from a channel to its target, for records of *subscription*."""
        namespace = self._namespaces.get(subscription, self._namespace)
        dataset, targets = self._dataset, self._targets

        def target(channel: str) -> Target:
            name = dataset(channel)
            return targets.get((name, namespace)) or self._made(name, namespace)

        return target

    def _made(self, dataset: str, namespace: str) -> Target:
        stream = self._template.format(dataset=dataset, namespace=namespace)
        place = None
        if self._type:
            place = Place.of((self._type, dataset, namespace), module_of(dataset), dropped=self._dropped)
        index = b'{"create":{"_index":"' + stream.encode()
        made = Target(stream, index + b'","_id":"', index + b'"}}\n', place)
        self._targets[dataset, namespace] = made
        return made
