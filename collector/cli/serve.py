"""``wef serve``: the collector in the foreground. SIGTERM drains, SIGHUP reads files again."""

from __future__ import annotations

import asyncio
import gc
import signal
from typing import Final

import click

from collector import telemetry
from collector.app import Collector
from collector.cli.output import config_option
from collector.cli.settings import load_settings
from collector.config.settings import CollectorSettings
from collector.errors import OperatorError
from collector.pull.references import nothing_can_come
from collector.subscriptions.folder import load_folder

CYCLES: Final = (20_000, 20, 50)
"""When to look for reference cycles, in allocations; Python's own 700 are two looks at every batch of 100 events, for
nothing: a batch leaves no cycle behind. Measured on the Kafka lane, that took about a tenth of the time."""


@click.command()
@config_option
def command(config: str | None) -> None:
    """Run the collector in the foreground.

    SIGTERM and Ctrl-C drain it and end it with 0; SIGHUP reads subscriptions and certificates again.
    """
    settings = load_settings(config)
    if not settings.listeners:
        loaded = load_folder(settings.subscriptions.path, settings.subscriptions.revision)
        if said := nothing_can_come(settings, loaded.all):
            raise OperatorError(said)
    telemetry.configure(settings.log.level, settings.log.format)
    asyncio.run(serve(settings))


async def serve(settings: CollectorSettings, collector: Collector | None = None) -> None:
    """Run until SIGTERM or SIGINT; a second one ends at once, and the sources send again.

    A signal that comes while it starts is obeyed when it has started; by itself SIGHUP would end the process.
    """
    loop, asked, started = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
    reloads: set[asyncio.Task[None]] = set()
    one_by_one = asyncio.Lock()  # else an older reading could be the last to take effect
    collector = collector or Collector(settings)
    reasons: list[str] = []

    def stop(reason: str) -> None:
        if reasons:
            raise SystemExit(1)
        reasons.append(reason)
        asked.set()

    async def reload_in_turn() -> None:
        await started.wait()
        async with one_by_one:
            await collector.reload()

    def reload() -> None:
        task = asyncio.ensure_future(reload_in_turn())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number.name)
    loop.add_signal_handler(signal.SIGHUP, reload)
    await collector.start()
    seldom_look_for_cycles()
    started.set()
    await asked.wait()
    await collector.stop(reasons[0])


def seldom_look_for_cycles() -> None:
    """Once everything is loaded: never look at that again, and seldom at what comes.

    Memory does not wait for it. References are counted all the same; only cycles wait.
    """
    gc.set_threshold(*CYCLES)
    gc.collect()
    gc.freeze()
