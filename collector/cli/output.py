"""How commands print: tables for people, one JSON object a line for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import click
import orjson

F = TypeVar("F", bound=Callable[..., Any])

config_option = click.option(
    "--config",
    "config",
    metavar="FILE",
    default=None,
    help="The settings. Default: $WEF_CONFIG, ./collector.toml, /etc/wef-collector/collector.toml.",
)
"""Every command that reads settings takes this; hand its value to ``config.load.find``, which knows the rest."""

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")


def print_json(row: Mapping[str, Any]) -> None:
    """One object, one line."""
    try:
        line = orjson.dumps(row, default=str, option=orjson.OPT_UTC_Z)
    except orjson.JSONEncodeError:  # the name of a file need not be UTF-8, and Python keeps its bytes as surrogates
        line = json.dumps(row, default=str).encode("ascii")
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


def print_rows(
    rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool, empty: str = "Nothing to show."
) -> None:
    """*rows* with the keys *columns*, as a table or as JSON lines. *empty* is said to people when there are none."""
    if as_json:
        for row in rows:
            print_json({column: row[column] for column in columns})
        return
    from rich.console import Console  # here, because wef serve imports this file and never prints a table
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(printable(row[column]) for column in columns))
    if table.row_count:
        Console(soft_wrap=not sys.stdout.isatty(), width=None if sys.stdout.isatty() else 10_000, markup=False).print(
            table
        )
    else:
        click.echo(empty)


def printable(value: object) -> str:
    """Text that cannot drive a terminal: control characters are shown, not obeyed."""
    text = "-" if value is None or value == "" else str(value)
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
