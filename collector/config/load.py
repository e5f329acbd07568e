"""Finding and reading collector.toml: all of it or nothing, and every problem at once.

The rooms above hand in their tables of Settings classes; this room knows none of them.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from collector.config.explain import Problem, explain, nearest, path_of, syntax_problem
from collector.config.paths import Place
from collector.config.settings import CollectorSettings, SinkSettings
from collector.errors import OperatorError

VARIABLE = "WEF_CONFIG"
LOCAL = Path("collector.toml")
SYSTEM = Path("/etc/wef-collector/collector.toml")
DEFAULT_SINKS: Mapping[str, Any] = {"events": {"type": "events"}}
"""Used when collector.toml names no sink at all: nobody should lose events by saying too little."""


def find(path: str | None, environ: Mapping[str, str] = os.environ) -> Path:
    """The settings file: *path*, else $WEF_CONFIG, ./collector.toml, /etc/wef-collector/collector.toml.

    Raises ``OperatorError`` (78) that names every place tried.
    """
    named = path or environ.get(VARIABLE)
    if named:
        if Path(named).is_file():
            return Path(named)
        whence = "--config" if path else f"${VARIABLE}"
        raise OperatorError(f"{named} ({whence}) is not there, or is no file; it should be a collector.toml.")
    for place in (LOCAL, SYSTEM):
        if place.is_file():
            return place
    raise OperatorError(
        f"No settings were found: --config was not given, ${VARIABLE} is not set,"
        f" and neither {LOCAL.absolute()} nor {SYSTEM} is there."
    )


def load(
    path: Path, *, sinks: Mapping[str, type[SinkSettings]], environ: Mapping[str, str] = os.environ
) -> CollectorSettings:
    """The settings in *path*; *sinks* maps the word after ``type =`` to that sink's Settings class.

    Raises ``OperatorError`` (78) with a first line that counts, and one line for each problem.
    """
    written = _read(path)
    place = Place(path.absolute().parent, environ)
    problems: list[Problem] = []
    built = _sinks(written.pop("sinks", None), sinks, place, problems)
    written.setdefault("subscriptions", {})  # its default path is relative to the file as well
    try:
        settings = CollectorSettings.model_validate({**written, "sinks": built}, context=place)
    except ValidationError as error:
        problems = [*explain(error, CollectorSettings), *problems]
    if problems:
        raise _refusal(path, [f"  at {path_of(where)}: {sentence}" for where, sentence in problems])
    return settings


def _sinks(
    written: object, kinds: Mapping[str, type[SinkSettings]], place: Place, problems: list[Problem]
) -> dict[str, SinkSettings]:
    """Every sink by its own class; what is wrong is added to *problems*."""
    built: dict[str, SinkSettings] = {}
    if written is not None and not isinstance(written, dict):
        problems.append((("sinks",), "this is no table; write [sinks.NAME] with a type."))
        return built
    for name, table in (written or DEFAULT_SINKS).items():
        at = ("sinks", name)
        if not isinstance(table, dict):
            problems.append((at, f"this is no table; write [sinks.{name}] with a type."))
            continue
        word = table.get("type")
        kind = kinds.get(word) if isinstance(word, str) else None
        if kind is None:
            problems.append(((*at, "type"), _no_such_type(word, list(kinds))))
            continue
        try:
            built[name] = kind.model_validate(table, context=place)
        except ValidationError as error:
            problems.extend(explain(error, kind, at))
    return built


def _no_such_type(word: object, known: list[str]) -> str:
    if word is None:
        return f"this key is missing; it is one of {', '.join(known)}."
    return f"there is no sink type {word!r}. {nearest(str(word), known)}"


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise OperatorError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise _refusal(path, [f"  at byte {error.start}: this is not UTF-8; save the file as UTF-8 text."]) from error
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line, sentence = syntax_problem(error, text)
        raise _refusal(path, [f"  at line {line}: {sentence}"]) from error


def _refusal(path: Path, lines: list[str]) -> OperatorError:
    count = f"{len(lines)} problem{'s' if len(lines) != 1 else ''}"
    return OperatorError(f"{path} has {count}.", *lines)
