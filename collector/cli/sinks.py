"""``wef sinks``: how the lanes stand, from what the running collector last saved."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from collector.cli.output import config_option, json_option, print_rows
from collector.cli.settings import load_settings, reading_state
from collector.clock import timestamp
from collector.store.state_folder import StateFolder

COLUMNS = (
    "sink", "type", "state", "queued", "spool_bytes", "spool_oldest", "delivered", "rejected", "last_error",
)  # fmt: skip


@click.group()
def command() -> None:
    """List the sinks and how their lanes stand."""


@command.command("list")
@config_option
@json_option
def list_(config: str | None, as_json: bool) -> None:
    """One line for each sink of the settings."""
    print_rows(_rows(config), COLUMNS, as_json=as_json, empty="There is no sink.")


def _rows(config: str | None) -> Iterator[dict[str, Any]]:
    settings = load_settings(config)
    running = StateFolder(settings.state).in_use()
    with reading_state(settings) as store:
        known = {lane.sink: lane for lane in store.lanes()}
    for name, sink in settings.sinks.items():
        lane = known.get(name)
        yield {
            "sink": name,
            "type": sink.type,
            "state": lane.state if lane and running else "stopped",
            "queued": lane.queued if lane and running else 0,
            "spool_bytes": lane.spool_bytes if lane else 0,
            "spool_oldest": timestamp(lane.spool_oldest) if lane and lane.spool_oldest else None,
            "delivered": lane.delivered if lane else 0,
            "rejected": lane.rejected if lane else 0,
            "last_error": lane.last_error if lane else "",
        }
