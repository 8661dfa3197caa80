"""What all pages share: their templates, the monitors that they show, and how they are sent."""

import time
from collections.abc import Awaitable, Callable, Hashable, Iterable
from typing import Any

from aiohttp import web

from monitor.config import Monitor
from monitor.store import StoreUnavailableError
from monitor.store_pages import PageReader
from monitor.web.kept import KeptPages
from monitor.web.rendering import environment


class Pages:
    """Makes pages of the running program; `reader` is there once the database is."""

    def __init__(self) -> None:
        self.reader: PageReader | None = None
        self.monitors: dict[str, Monitor] = {}
        self._templates = environment()
        self._kept = KeptPages()

    def follow(self, monitors: Iterable[Monitor]) -> None:
        """Show these monitors, and no others."""
        self.monitors = {monitor.name: monitor for monitor in monitors}

    def render(self, template: str, here: str, **context: Any) -> str:
        """Fill in a template; `here` is the path of the navigation's entry that it belongs to."""
        return self._templates.get_template(template).render(here=here, now=time.time(), **context)

    async def send(
        self,
        request: web.Request,
        key: Hashable,
        make: Callable[[PageReader], Awaitable[str]],
        content_type: str = "text/html",
    ) -> web.Response:
        """Send the page that `make` makes, or one that was made for the same key a moment ago."""
        reader = self.reader
        if reader is None:
            return self.problem(503, "The program is starting", "Try again in a moment.")
        try:
            page = await self._kept.get(key, lambda: make(reader))
        except StoreUnavailableError:
            return self.problem(
                503, "PostgreSQL is away", "Checks go on, and results wait until it is back. Try again then."
            )
        headers = {
            "Content-Type": f"{content_type}; charset=utf-8",
            "Cache-Control": "no-store",
            "Vary": "Accept-Encoding",
        }
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            return web.Response(body=page.compressed, headers={**headers, "Content-Encoding": "gzip"})
        return web.Response(body=page.plain, headers=headers)

    def problem(self, status: int, title: str, text: str) -> web.Response:
        """Make a page that says why there is no other."""
        page = self.render("problem.html", "", title=title, text=text)
        return web.Response(text=page, status=status, content_type="text/html")


def whole_number(text: str, least: int = 1) -> int:
    """Read a number from a query; what is none is `least`."""
    return max(least, int(text)) if text.isascii() and text.isdigit() and len(text) < 10 else least  # noqa: PLR2004
