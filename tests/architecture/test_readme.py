"""The README's tables tell the truth: every setting, every metric, every command, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import get_args

from pydantic import BaseModel

from collector.cli.main import COMMANDS
from collector.config.pull import CredentialsSettings
from collector.config.settings import CollectorSettings, ListenerSettings
from collector.sinks.table import SINKS
from collector.telemetry import REGISTRY
from tests.conftest import REPOSITORY

README = (REPOSITORY / "README.md").read_text()


def section(title: str) -> str:
    return README.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def first_cells(text: str) -> list[str]:
    return re.findall(r"^\| `([^`]+)`", text, re.MULTILINE)


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Dotted names of every setting, as the README writes them."""
    for name, field in model.model_fields.items():
        kinds = [field.annotation, *get_args(field.annotation)]
        inner = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        if prefix + name in {"listeners", "sinks", "credentials"}:
            continue
        if inner is None:
            yield prefix + name
        else:
            yield from keys(inner, f"{prefix}{name}.")


def test_every_setting_is_in_the_table_and_nothing_else() -> None:
    """An operator searches here first; a missing key costs an evening."""
    wanted = set(keys(CollectorSettings))
    wanted |= {f"listeners.NAME.{name}" for name in ListenerSettings.model_fields}
    wanted |= {f"credentials.NAME.{name}" for name in CredentialsSettings.model_fields}
    wanted |= {f"sinks.NAME.{name}" for kind in SINKS.values() for name in kind.settings.model_fields}

    assert set(first_cells(section("Settings"))) == wanted


def test_every_metric_is_in_the_table_with_its_labels() -> None:
    """Alarms are written from this table."""
    rows = dict(re.findall(r"^\| `(wef_\w+)` \| ([\w, ]*) ?\|", section("Metrics"), re.MULTILINE))

    assert set(rows) == {family.name for family in REGISTRY.collect()}
    for name, labels in rows.items():
        labelled = getattr(REGISTRY._names_to_collectors[name], "_labelnames", None)
        assert tuple(label.strip() for label in labels.split(",") if label.strip()) == labelled, name


def test_every_command_is_in_the_table() -> None:
    """What is not named here is found by nobody."""
    assert {cell.split()[1] for cell in first_cells(section("Commands"))} == set(COMMANDS)


def test_both_commands_of_a_new_user_are_named() -> None:
    """The first minute decides."""
    assert "./deploy/demo" in README
    assert "./tests/run" in README
