"""``wef sources``: who is there, who is silent, and what was last refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from collector.cli.output import config_option, json_option, print_rows
from collector.cli.settings import load_settings, reading_state
from collector.clock import SystemClock, timestamp
from collector.config.settings import CollectorSettings
from collector.errors import OperatorError
from collector.evidence.presence import lag_of, state_of
from collector.subscriptions.folder import SubscriptionSet, load_folder

COLUMNS = (
    "source", "key", "address", "subscription", "state", "first_seen", "last_seen", "last_heartbeat", "last_event",
    "events", "lag_seconds", "version", "last_refusal",
)  # fmt: skip
HEARTBEAT = 900.0  # what a subscription file says when it says nothing (subscriptions.md 4)


@click.group()
def command() -> None:
    """Which sources are there, and which are silent."""


@command.command("list")
@config_option
@json_option
def list_(config: str | None, as_json: bool) -> None:
    """One line for each source and subscription."""
    settings = load_settings(config)
    print_rows(_rows(settings), COLUMNS, as_json=as_json, empty="No source has called yet.")


def _rows(settings: CollectorSettings) -> Iterator[dict[str, Any]]:
    subscriptions, now = subscriptions_of(settings), SystemClock().now()
    with reading_state(settings) as store:
        for presence in sorted(store.presences(), key=lambda entry: (entry.source, entry.subscription)):
            subscription = subscriptions.by_id(presence.subscription)
            lag = lag_of(presence)
            yield {
                "source": presence.source,
                "key": presence.key,
                "address": presence.address,
                "subscription": subscription.name if subscription else presence.subscription,
                "state": state_of(presence, subscription.delivery.heartbeat if subscription else HEARTBEAT, now),
                "first_seen": timestamp(presence.first_seen),
                "last_seen": timestamp(presence.last_seen),
                "last_heartbeat": timestamp(presence.last_heartbeat) if presence.last_heartbeat else None,
                "last_event": timestamp(presence.last_event) if presence.last_event else None,
                "events": presence.events,
                "lag_seconds": round(lag, 3) if lag is not None else None,
                "version": presence.version,
                "last_refusal": presence.last_refusal,
            }


def subscriptions_of(settings: CollectorSettings) -> SubscriptionSet:
    """The subscriptions, for their names; none when their files are broken just now."""
    try:
        return load_folder(settings.subscriptions.path, settings.subscriptions.revision)
    except OperatorError as error:
        click.echo(f"{error}\nSubscriptions are shown by their ids.", err=True)
        return SubscriptionSet(())
