"""Whether the program is alive, and whether it can do its work."""

from collections.abc import Callable, Sequence

from aiohttp import web


class HealthPages:
    """`/healthz` answers as long as the event loop runs; `/readyz` says why the program is not ready."""

    def __init__(self, missing: Callable[[], Sequence[str]]) -> None:
        self._missing = missing

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/healthz", self._healthz), web.get("/readyz", self._readyz)]

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        missing = self._missing()
        if missing:
            return web.Response(status=503, text="".join(f"{line}\n" for line in missing))
        return web.Response(text="ok\n")
