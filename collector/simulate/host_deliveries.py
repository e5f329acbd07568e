"""How a machine pushes where a collector has subscribed to it: the test of the address, then deliveries.

The deliveries themselves are those of every source (``delivery``); here is only who runs them, and till when.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from urllib.parse import urlsplit

from collector.simulate.delivery import Delivery, Manner
from collector.simulate.host import Host
from collector.simulate.host_push import Pushing
from collector.simulate.replies import Judgement
from collector.simulate.source import Source
from collector.simulate.wire import Wire
from collector.wire.proof import Proof

REACHING = 5.0
"""Seconds for the connectivity test of a NotifyTo address; the Subscribe waits for it."""


class HostDeliveries:
    """The deliveries of all machines. *context* and *prove* are how a machine of that name shows who it is.

    *troubles* are sentences about what went wrong, the newest last.
    """

    def __init__(
        self,
        manner: Manner,
        *,
        context: Callable[[str], ssl.SSLContext | None] = lambda name: None,
        prove: Callable[[str], Callable[[], Proof] | None] = lambda name: None,
    ) -> None:
        self.troubles: list[str] = []
        self._manner = manner
        self._context = context
        self._prove = prove
        self._running: set[asyncio.Task[None]] = set()

    async def reachable(self, pushing: Pushing) -> bool:
        """Windows' connectivity test: somebody listens at NotifyTo (protocol.md 7.5)."""
        try:
            url = urlsplit(pushing.call.delivery.notify_to)
            port = url.port or (443 if url.scheme.lower() == "https" else 80)
        except ValueError:
            return False
        try:
            async with asyncio.timeout(REACHING):
                _, writer = await asyncio.open_connection(url.hostname, port)
        except (OSError, TimeoutError):
            return False
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return True

    def start(self, host: Host, pushing: Pushing) -> None:
        """Deliver until the subscription ends."""
        name = host.source.name

        def open_wire(url: str) -> Wire:
            secure = url.lower().startswith("https:")
            context = self._context(name) if secure else None
            return Wire(url, self._manner.charset, context, self._manner.timeout, self._prove(name))

        def heard(source: Source, judgement: Judgement) -> None:
            reason = getattr(judgement, "reason", "")
            if reason:
                self.troubles.append(f"{source.name}: {reason}")
                del self.troubles[:-20]

        delivery = Delivery(host.source, pushing.reading, self._manner, open_wire, heard, pushing.call.delivery.mode)
        task = asyncio.create_task(delivery.run())
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        pushing.ended = delivery.unsubscribe

    async def stop(self) -> None:
        """End all of them at once."""
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
