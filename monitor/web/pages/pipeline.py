"""`/pipeline`, for an operator at night: how far results come, and where they wait."""

import time

from aiohttp import web

from monitor.web.pages.base import Pages
from monitor.web.pages.channels import ChannelTests


class PipelinePage:
    """Shows the measurements of the program, which are there once it has started.

    It does not read the database, so that it also answers while the database is unavailable.
    """

    def __init__(self, pages: Pages, location: str, tests: ChannelTests) -> None:
        self._pages = pages
        self._tests = tests
        self._location = location
        self._started_at = time.time()

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/pipeline", self._show)]

    async def _show(self, _: web.Request) -> web.Response:
        page = self._pages.render(
            "pipeline.html",
            "/pipeline",
            problems=self._pages.program.missing(),
            location=self._location,
            started_at=self._started_at,
            processes=self._pages.program.processes(),
            sections=self._pages.program.measure(),
            channels=self._tests.shown(),
        )
        return web.Response(text=page, content_type="text/html", headers={"Cache-Control": "no-store"})
