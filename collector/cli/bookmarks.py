"""``wef bookmarks``: how far each source has got, as it was last acknowledged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from collector.cli.output import config_option, json_option, print_rows
from collector.cli.settings import load_settings, reading_state
from collector.cli.sources import subscriptions_of
from collector.clock import timestamp

COLUMNS = ("source", "subscription", "bookmark", "saved")


@click.group()
def command() -> None:
    """List and show the bookmarks of sources."""


@command.command("list")
@config_option
@json_option
def list_(config: str | None, as_json: bool) -> None:
    """One line for each source key and subscription."""
    print_rows(_rows(config), COLUMNS, as_json=as_json, empty="No bookmark is stored yet.")


@command.command("show")
@click.argument("source")
@click.argument("subscription", required=False)
@config_option
@json_option
def show(source: str, subscription: str | None, config: str | None, as_json: bool) -> None:
    """The bookmarks of SOURCE (its key), of one SUBSCRIPTION (name) or of all."""
    rows = [
        row
        for row in _rows(config)
        if row["source"] == source.lower() and (subscription is None or row["subscription"] == subscription)
    ]
    print_rows(rows, COLUMNS, as_json=as_json, empty=f"No bookmark of {source!r} is stored.")
    if not rows:
        raise click.exceptions.Exit(1)


def _rows(config: str | None) -> Iterator[dict[str, Any]]:
    settings = load_settings(config)
    subscriptions = subscriptions_of(settings)
    with reading_state(settings) as store:
        for source, identifier, bookmark in sorted(store.bookmarks(), key=lambda entry: entry[:2]):
            subscription = subscriptions.by_id(identifier)
            yield {
                "source": source,
                "subscription": subscription.name if subscription else identifier,
                "bookmark": bookmark.xml,
                "saved": timestamp(bookmark.saved) if bookmark.saved else None,
            }
