"""/metrics, /healthz and /readyz, on an address of their own and without any event in them."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from collector.errors import OperatorError
from collector.telemetry import REGISTRY

CANNOT_LISTEN = 69


class Monitoring:
    """*is_ready* answers /readyz, *measure* freshens the gauges before a scrape."""

    def __init__(self, address: str, port: int, is_ready: Callable[[], bool], measure: Callable[[], None]) -> None:
        self._address = address
        self._port = port
        self._is_ready = is_ready
        self._measure = measure
        self._runner: web.AppRunner | None = None
        self.port = port

    async def start(self) -> None:
        """Listen. Raises ``OperatorError`` when the port is taken."""
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._address, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise OperatorError(
                f"monitoring: cannot listen on {self._address} port {self._port}: {error.strerror}."
                " Name another port under [monitoring], or end what uses it.",
                exit_code=CANNOT_LISTEN,
            ) from error
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _metrics(self, request: web.Request) -> web.Response:
        self._measure()
        return web.Response(body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _healthz(self, request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, request: web.Request) -> web.Response:
        if self._is_ready():
            return web.Response(text="ready\n")
        return web.Response(text="not ready\n", status=503)
