"""``wef serve``: the collector in the foreground. SIGTERM drains, SIGHUP reads files again."""

from __future__ import annotations

import asyncio
import signal

import click

from collector import telemetry
from collector.app import Collector
from collector.cli.output import config_option
from collector.cli.settings import load_settings
from collector.config.settings import CollectorSettings
from collector.errors import OperatorError


@click.command()
@config_option
def command(config: str | None) -> None:
    """Run the collector in the foreground.

    SIGTERM and Ctrl-C drain it and end it with 0; SIGHUP reads subscriptions and certificates again.
    """
    settings = load_settings(config)
    if not settings.listeners:
        raise OperatorError("There is no listener, so no source can come; add [listeners.NAME] to the settings.")
    telemetry.configure(settings.log.level, settings.log.format)
    asyncio.run(serve(settings))


async def serve(settings: CollectorSettings) -> None:
    """Run until SIGTERM or SIGINT; a second one ends at once, and the sources send again."""
    loop, asked = asyncio.get_running_loop(), asyncio.Event()
    reloads: set[asyncio.Task[None]] = set()
    collector = Collector(settings)
    reasons: list[str] = []

    def stop(reason: str) -> None:
        if reasons:
            raise SystemExit(1)
        reasons.append(reason)
        asked.set()

    def reload() -> None:
        task = asyncio.ensure_future(collector.reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    await collector.start()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number.name)
    loop.add_signal_handler(signal.SIGHUP, reload)
    await asked.wait()
    await collector.stop(reasons[0])
