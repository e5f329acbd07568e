"""The plain ``{name}`` in the templates of paths, topics and data streams, and nothing cleverer. Pure."""

from __future__ import annotations

from collections.abc import Collection
from string import Formatter


def placeholders(text: str, known: Collection[str]) -> list[str]:
    """The names that *text* has a place for, as often as it has one; all are of *known*.

    Raises ``ValueError``, with a sentence, for unknown names, conversions, attributes and braces that do not close.
    """
    try:
        parsed = list(Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f'"{text}": {error}; a placeholder is written {{name}}, a brace {{{{ or }}}}') from error
    found = []
    for _, name, specification, conversion in parsed:
        if name is None:
            continue
        if name not in known or specification or conversion:
            raise ValueError(f"there is no {{{name}}}; placeholders are {' '.join(f'{{{one}}}' for one in known)}")
        found.append(name)
    return found
