"""The HTTP side of the collector: with ``console`` the only room that knows aiohttp's server."""
