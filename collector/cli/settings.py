"""How commands come by the settings: the tables of sinks handed to the loader, in one place."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from collector.config.load import find, load
from collector.config.settings import CollectorSettings
from collector.sinks.table import SINKS
from collector.store.sqlite import SqliteStore
from collector.store.state_folder import StateFolder


def load_settings(config: str | None) -> CollectorSettings:
    """The settings of ``--config``, or of the usual places. Raises ``OperatorError``."""
    return load(find(config), sinks={word: kind.settings for word, kind in SINKS.items()})


@contextmanager
def reading_state(settings: CollectorSettings) -> Iterator[SqliteStore]:
    """The state, to read only: beside a running collector and without one; empty before the first start."""
    store = SqliteStore.open(StateFolder(settings.state).database, readonly=True)
    try:
        yield store
    finally:
        asyncio.run(store.close())
