"""Whether the program lives, and whether it can do its work."""

from collections.abc import Callable, Iterable

from aiohttp import web

Missing = Callable[[], Iterable[str]]


class HealthPages:
    """`/healthz` answers as long as the event loop turns; `/readyz` says what is not ready."""

    def __init__(self) -> None:
        self.missing: Missing = lambda: ["the program is starting"]

    def look(self) -> list[str]:
        """Say what is not ready."""
        return list(self.missing())

    def routes(self) -> list[web.RouteDef]:
        """Give the pages."""
        return [web.get("/healthz", self._healthz), web.get("/readyz", self._readyz)]

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        missing = self.look()
        if missing:
            return web.Response(status=503, text="".join(f"{line}\n" for line in missing))
        return web.Response(text="ok\n")
