"""What all pages share: their templates, the monitors that they show, and how they are sent."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from typing import Any, TypeVar
from urllib.parse import unquote

from aiohttp import web

from monitor.config import Monitor
from monitor.storage_database import RefusedError, StoreUnavailableError
from monitor.store_pages import PageReader
from monitor.web.access import Handler, wants_page
from monitor.web.kept import KeptPages
from monitor.web.rendering import environment
from monitor.web.views import Standing, unknown

_KEPT = ("Allow", "Retry-After")
_MAX_LINE = 1_000

T = TypeVar("T")


class Pages:
    """Makes pages of the running program; `reader` is there once the database is.

    `has_sessions` says that people log in, and want a way out.
    """

    def __init__(self, *, has_sessions: bool = False) -> None:
        self.reader: PageReader | None = None
        self.monitors: dict[str, Monitor] = {}
        self.unknown: dict[str, Standing] = {}
        self._templates = environment(has_sessions=has_sessions)
        self._kept = KeptPages()
        self._one = asyncio.Lock()

    def follow(self, monitors: Iterable[Monitor]) -> None:
        """Show these monitors, and no others."""
        self.monitors = {monitor.name: monitor for monitor in monitors}
        self.unknown = {name: unknown(monitor) for name, monitor in self.monitors.items()}

    def asked(self, request: web.Request) -> Monitor:
        """Give the monitor that the address names."""
        name = request.match_info["name"]
        monitor = self.monitors.get(name) or self.monitors.get(unquote(name))
        if monitor is None:
            raise web.HTTPNotFound(text="no monitor has this name\n")
        return monitor

    def forget(self) -> None:
        """Make every page anew: something has changed."""
        self._kept.forget()

    def render(self, template: str, here: str, **context: Any) -> str:
        """Fill in a template; `here` is the path of the navigation's entry that it belongs to."""
        return self._templates.get_template(template).render(here=here, now=time.time(), **context)

    async def render_beside(self, template: str, here: str, context: Callable[[], Mapping[str, Any]]) -> str:
        """Do the same in a thread, also what `context` makes: a page may be large, and checks go on."""
        return await self.beside(lambda: self.render(template, here, **context()))

    async def beside(self, make: Callable[[], T]) -> T:
        """Make something in a thread, one at a time: the loop competes with no more than that."""
        async with self._one:
            return await asyncio.to_thread(make)

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
            return self.starting()
        try:
            page = await self._kept.get(key, lambda: make(reader))
        except RefusedError:
            return self.problem(400, "This cannot be asked", "No text of the database is like that.")
        except StoreUnavailableError:
            return self.away()
        headers = {
            "Content-Type": f"{content_type}; charset=utf-8",
            "Cache-Control": "no-store",
            "Vary": "Accept-Encoding",
        }
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            return web.Response(body=page.compressed, headers={**headers, "Content-Encoding": "gzip"})
        return web.Response(body=page.plain, headers=headers)

    @web.middleware
    async def errors_as_pages(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Tell browsers on a page of ours what programs are told in a line."""
        try:
            return await handler(request)
        except web.HTTPClientError as error:
            if not wants_page(request):
                raise
            page = self.problem(error.status, error.reason, (error.text or "").strip())
            page.headers.update({name: error.headers[name] for name in _KEPT if name in error.headers})
            return page

    def starting(self) -> web.Response:
        """Say that there is nothing to show yet."""
        return self.problem(503, "The program is starting", "Try again in a moment.")

    def away(self) -> web.Response:
        """Say that the database does not answer."""
        return self.problem(
            503, "PostgreSQL is away", "Checks go on, and results wait until it is back. Try again then."
        )

    def problem(self, status: int, title: str, text: str) -> web.Response:
        """Make a page that says why there is no other."""
        page = self.render("problem.html", "", title=title, text=text)
        return web.Response(text=page, status=status, content_type="text/html")


def line(said: object) -> str:
    """Take what somebody typed, as one line that the database can keep."""
    text = str(said or "").replace("\0", "").encode("utf-8", "replace").decode()
    return " ".join(text.split())[:_MAX_LINE]


def whole_number(text: str, least: int = 1) -> int:
    """Read a number from a query; what is none is `least`."""
    return max(least, int(text)) if text.isascii() and text.isdigit() and len(text) < 10 else least  # noqa: PLR2004
