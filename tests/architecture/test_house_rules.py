"""The laws of the house that a tool can check: docstrings, sizes, tables that tell the truth."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

SOURCES = sorted((REPOSITORY / "collector").rglob("*.py"))
COMPILED = sorted((REPOSITORY / "collector").rglob("*.p[yx][xi]"))
FORBIDDEN_NAMES = {"manager", "helper", "helpers", "util", "utils", "common", "misc", "process", "data"}
BROAD_ALLOWED = {
    "listener/door.py": "the door answers 500 with an incident id",
    "routing/lane.py": "the lane keeps every record and goes on",
    "commit.py": "the thread hands the error to every job of its round",
}


def name(path: Path) -> str:
    return str(path.relative_to(REPOSITORY / "collector"))


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_every_file_says_what_it_is_for(path: Path) -> None:
    """A newcomer finds the room by reading first lines."""
    assert ast.get_docstring(ast.parse(path.read_text()))


def test_no_room_is_called_what_every_room_could_be_called() -> None:
    """design.md, "Words": such names are where unrelated things gather."""
    assert [name(path) for path in SOURCES if path.stem in FORBIDDEN_NAMES or path.parent.name in FORBIDDEN_NAMES] == []


def test_no_file_hides_a_second_noun() -> None:
    """design.md, "The band that feels good": none above about 500 lines."""
    assert [name(path) for path in [*SOURCES, *COMPILED] if path.read_text().count("\n") > 500] == []


def broad(handler: ast.ExceptHandler) -> bool:
    """Catches everything and does not pass it on."""
    last = handler.body[-1]
    if isinstance(last, ast.Raise) and last.exc is None:
        return False
    return handler.type is None or (
        isinstance(handler.type, ast.Name) and handler.type.id in {"Exception", "BaseException"}
    )


def test_broad_excepts_stand_where_the_house_allows_them() -> None:
    """Anywhere else they turn a lost event into silence."""
    found = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ExceptHandler) and broad(node):
                found.add(name(path))

    assert found <= set(BROAD_ALLOWED)


def test_every_command_of_the_table_exists() -> None:
    """A command that cannot be loaded would only be found by a user."""
    from collector.cli.main import COMMANDS

    for module, _ in COMMANDS.values():
        assert importlib.import_module(f"collector.cli.{module}").command is not None
