"""From a topic template and an event's names to a topic that Kafka takes. Pure.

Computer, channel and source come from the network: whatever they hold, the topic is a legal name, and
what is remembered of them is bounded.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable
from string import Formatter
from typing import Final

from collector.sinks.placeholders import placeholders

FIELDS: Final = ("dataset", "channel", "subscription", "computer", "source")
LONGEST: Final = 249
"""Characters of a topic's name that Kafka takes."""
REMEMBERED: Final = 16_384
"""Names whose topic is remembered: the computers of a large site."""

_UNSAFE = re.compile(r"[^a-zA-Z0-9._-]+", re.ASCII)
_DIGEST: Final = 9
"""A ``-`` and eight hexadecimal digits in the place of what was cut off."""


class TopicTemplate:
    """``windows-{dataset}``. Raises ValueError, with a sentence, for what can be no topic.

    *dataset*: channel -> dataset.
    """

    def __init__(self, text: str, dataset: Callable[[str], str] = str) -> None:
        self.text = text
        self.fields = frozenset(placeholders(text, FIELDS))
        literal = "".join(part for part, *_ in Formatter().parse(text))
        if not text or _UNSAFE.search(literal) or len(literal) > LONGEST:
            raise ValueError(
                f'"{text}" is no topic; use up to {LONGEST} of a-z, A-Z, 0-9, ".", "_" and "-", and placeholders'
            )
        if not self.fields and text in {".", ".."}:
            raise ValueError(f'"{text}" is a name that Kafka refuses; choose another')
        self._dataset = dataset
        self._topic = functools.lru_cache(maxsize=REMEMBERED)(self._fill)

    def topic(self, *, channel: str, subscription: str, computer: str, source: str) -> str:
        """The topic of an event. Names without a place in the template do not matter."""
        fields = self.fields
        return self._topic(
            channel if "channel" in fields or "dataset" in fields else "",
            subscription if "subscription" in fields else "",
            computer if "computer" in fields else "",
            source if "source" in fields else "",
        )

    def _fill(self, channel: str, subscription: str, computer: str, source: str) -> str:
        names = {"channel": channel, "subscription": subscription, "computer": computer, "source": source}
        slugs = {field: slug(name) for field, name in names.items()}
        return _legal(self.text.format_map({**slugs, "dataset": self._dataset(channel)}))


def slug(name: str) -> str:
    """*name* in lower case; whatever Kafka takes in no topic becomes ``-``, an empty name too."""
    return _UNSAFE.sub("-", name.lower()) or "-"


def _legal(topic: str) -> str:
    """A topic that is short enough: different long names stay different."""
    if topic in {".", ".."}:
        return topic.replace(".", "-")
    if len(topic) <= LONGEST:
        return topic
    digest = hashlib.blake2b(topic.encode(), digest_size=4).hexdigest()
    return f"{topic[: LONGEST - _DIGEST]}-{digest}"
