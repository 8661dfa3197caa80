"""What an operator needs at night: how far results come, and where they wait."""

import time
from collections.abc import Callable, Iterable, Sequence

from aiohttp import web

from monitor.web.pages import Pages

Facts = Sequence[tuple[str, Sequence[tuple[str, str]]]]


class PipelinePage:
    """Shows facts about the running program, by section; they are there once the program has started.

    It does not ask the database: it is there when that is not.
    """

    def __init__(self, pages: Pages, location: str, missing: Callable[[], Iterable[str]]) -> None:
        self.facts: Callable[[], Facts] = lambda: ()
        self._pages = pages
        self._location = location
        self._missing = missing
        self._started_at = time.time()

    def routes(self) -> list[web.RouteDef]:
        """Give the page."""
        return [web.get("/pipeline", self._show)]

    async def _show(self, _: web.Request) -> web.Response:
        page = self._pages.render(
            "pipeline.html",
            "/pipeline",
            problems=list(self._missing()),
            location=self._location,
            started_at=self._started_at,
            sections=self.facts(),
        )
        return web.Response(text=page, content_type="text/html", headers={"Cache-Control": "no-store"})
