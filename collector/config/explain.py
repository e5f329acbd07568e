"""What is wrong with a file of settings, as sentences that each name a key.

It turns pydantic's findings into the house's tone - the thing, what is wrong, what would be
right - and knows no particular setting. Values are quoted, but never those of a key that
holds a secret.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

Location = tuple[str | int, ...]
Problem = tuple[Location, str]

_KINDS = {
    "string_type": "a text in quotes",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list in brackets",
    "tuple_type": "a list in brackets",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
}
"""What would be right, for each of pydantic's complaints about a type."""

_TABLES = ("dict_type", "model_type", "model_attributes_type")

_SYNTAX = {
    "Invalid value": "here must stand a value: a text in quotes, a number, true, false, a list or a table",
    "Cannot overwrite a value": "this key was given before; keep one of them",
    "Expected '=' after a key in a key/value pair": "a key must be followed by = and its value",
    "Expected newline or end of document after a statement": "the line should end here; one key and one value a line",
    "Invalid statement": "here must stand a key with its value, or a [table]",
    "Unterminated string": "a text begins here and has no closing quote",
    "Unclosed array": "a list begins here and has no closing bracket",
    "Illegal character '\\n'": "a text must end on the line where it begins; longer ones stand in triple quotes",
}


def problems_error(problems: Iterable[Problem]) -> PydanticCustomError:
    """What a validator raises that found several things: locations below its own, and sentences."""
    return PydanticCustomError("problems", "there are problems", {"problems": list(problems)})


def explain(error: ValidationError, model: type[BaseModel], at: Location = ()) -> list[Problem]:
    """Every finding of *error* about a *model* that stands at *at*, in the order of the fields."""
    found: list[Problem] = []
    for detail in error.errors(include_url=False):
        location = (*at, *detail["loc"])
        if detail["type"] == "problems":
            found.extend(((*location, *below), sentence) for below, sentence in detail["ctx"]["problems"])
        elif detail["type"] == "extra_forbidden":
            found.append((location, unknown_key(str(detail["loc"][-1]), keys_at(model, detail["loc"][:-1]))))
        else:
            found.append((location, _sentence(detail)))
    return list(dict.fromkeys(found))


def unknown_key(key: str, known: Sequence[str]) -> str:
    """The sentence about *key*, with the nearest of the *known* ones."""
    return f"there is no such key. {nearest(key, known)}"


def nearest(word: str, known: Sequence[str]) -> str:
    """``Did you mean ...?``, or what there is."""
    folded = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), folded, n=1, cutoff=0.6)
    if close:
        return f'Did you mean "{folded[close[0]]}"?'
    return f"There are: {', '.join(known)}." if known else "Nothing can stand here."


def keys_at(model: type[BaseModel], location: Location) -> list[str]:
    """The keys that the table at *location* below *model* may have; empty where none are fixed."""
    annotation: Any = model
    for part in location:
        found = _model_in(annotation)
        if found is not None and part in found.model_fields:
            annotation = found.model_fields[str(part)].annotation
    found = _model_in(annotation)
    return list(found.model_fields) if found is not None else []


def path_of(location: Location) -> str:
    """``("sinks", "siem", "brokers", 0)`` as people write it: ``sinks.siem.brokers[0]``."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def syntax_problem(error: tomllib.TOMLDecodeError, text: str) -> tuple[int, str]:
    """The line (from 1) and the sentence for a *text* that is no TOML."""
    said, _, place = str(error).partition(" (at ")
    sentence = _SYNTAX.get(said, said[:1].lower() + said[1:])
    found = re.fullmatch(r"line (\d+), column (\d+)\)", place)
    if found is None:  # "end of document"
        return max(1, len(text.splitlines())), f"{sentence}."
    return int(found[1]), f"{sentence} (column {found[2]})."


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part)) is not None), None)


def _sentence(detail: ErrorDetails) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "missing":
        return "this key is missing and has no default."
    if kind in _TABLES and len(detail["loc"]) == 2:  # [sinks] for [sinks.NAME]; the text may be a password
        what = "a text" if isinstance(detail["input"], str) else quoted(detail["input"])
        return f"{what} is not a table. What has keys of its own has a name: [{detail['loc'][0]}.NAME]."
    if kind in _KINDS:
        return f"{quoted(detail['input'])} is not {_KINDS[kind]}."
    if kind == "literal_error":
        return f"{quoted(detail['input'])} is not one of {context['expected']}."
    if kind == "value_error":
        return f"{context['error']}".rstrip(".") + "."
    if kind == "too_short":
        return "the list is empty; give at least one."
    if kind in ("greater_than", "greater_than_equal", "less_than", "less_than_equal"):
        return f"{quoted(detail['input'])} is out of range: {detail['msg'].removeprefix('Input ')}."
    return f"{detail['msg'].removeprefix('Input ')}."


def quoted(value: object) -> str:
    """*value* as TOML writes it."""
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, bool):
        return str(value).lower()
    return "a table" if isinstance(value, Mapping) else repr(value)
