"""What all pages have in common: templates, the monitors that they show, and how they are sent."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import unquote

from aiohttp import web

from monitor.config.model import Monitor
from monitor.storage.database import RefusedError, StoreUnavailableError
from monitor.web.api.problems import ProblemError
from monitor.web.cache import PageCache
from monitor.web.clients.access import is_api, wants_page
from monitor.web.clients.requests import Handler
from monitor.web.orders import StandingOrders
from monitor.web.pages.rendering import environment
from monitor.web.pages.states import ShownState, unknown
from monitor.web.queries import PageReader
from monitor.web.running import Program, Running

_KEPT_HEADERS = ("Allow", "Retry-After")
_BEFORE_START = {  # routes
    "/healthz",
    "/readyz",
    "/metrics",
    "/pipeline",
    "/channels/{name}/test",
    "/events",  # the page that says that the program is starting waits for the first event
    "/login",
    "/logout",
    "/static/{name}",
    "/api/v1/openapi.json",
}
_BACK = {"overview": "/", "incidents": "/incidents"}

T = TypeVar("T")


class Pages:
    """Makes and sends pages; with `has_sessions`, people log in, so each page has a button to log out."""

    def __init__(self, program: Program, *, has_sessions: bool = False) -> None:
        self.program = program
        self.monitors: dict[str, Monitor] = {}
        self.unknown: dict[str, ShownState] = {}
        self.orders = StandingOrders()
        self._templates = environment(has_sessions=has_sessions)
        self._kept = PageCache()
        self._one = asyncio.Lock()

    @property
    def running(self) -> Running:
        return self.program.running

    def follow(self, monitors: Iterable[Monitor]) -> None:
        self.monitors = {monitor.name: monitor for monitor in monitors}
        self.orders.follow(self.monitors)
        self.unknown = {name: unknown(monitor) for name, monitor in self.monitors.items()}
        self.forget()

    def asked(self, request: web.Request) -> Monitor:
        """Return the monitor that the path names.

        Raises:
            ProblemError: the configuration has no monitor of this name.

        """
        name = request.match_info["name"]
        monitor = self.monitors.get(name) or self.monitors.get(unquote(name))
        if monitor is None:
            raise ProblemError(404, "no monitor has this name")
        return monitor

    async def read_orders(self) -> None:
        """Read what is ordered now; raises `StoreUnavailableError`, and then what was read last stays."""
        await self.orders.read(self.running.reader, self.running.alerts, time.time())

    def back(self, fields: Mapping[str, str], path: str) -> str:
        """Make every page again; return where a form that ends an order leads: where it was, or `path`."""
        self.forget()
        return _BACK.get(fields.get("back", ""), path)

    def forget(self) -> None:
        """Make every page again, because something has changed."""
        self._kept.forget()

    def render(self, template: str, here: str, **context: Any) -> str:
        """Return a filled template; `here` is the path of its entry in the navigation."""
        return self._templates.get_template(template).render(here=here, now=time.time(), **context)

    async def render_beside(self, template: str, here: str, context: Callable[[], Mapping[str, Any]]) -> str:
        """Do the same, and call `context`, in a thread: a page may be large, and checks must go on."""
        return await self.beside(lambda: self.render(template, here, **context()))

    async def beside(self, make: Callable[[], T]) -> T:
        """Call `make` in a thread, one at a time, so that the event loop competes with no more than one."""
        async with self._one:
            return await asyncio.to_thread(make)

    async def send(
        self,
        request: web.Request,
        key: Hashable,
        make: Callable[[PageReader], Awaitable[str]],
        content_type: str = "text/html",
    ) -> web.Response:
        """Send the page that `make` returns, or the cached one of the same key."""
        reader = self.running.reader
        page = await self._kept.get(key, lambda: make(reader))
        headers = {
            "Content-Type": f"{content_type}; charset=utf-8",
            "Cache-Control": "no-store",
            "Vary": "Accept-Encoding",
        }
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            return web.Response(body=page.compressed, headers={**headers, "Content-Encoding": "gzip"})
        return web.Response(body=page.plain, headers=headers)

    @web.middleware
    async def wait_for_start(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer 503 until the program has started, except for what is there before."""
        if self.program.started is not None or _is_there_before_start(request):
            return await handler(request)
        if is_api(request):
            raise ProblemError(503, "the program is starting")
        if request.path == "/probe":  # Prometheus asks, not a person
            raise web.HTTPServiceUnavailable(text="the program is starting\n")
        return self.problem(503, "The program is starting", "Try again in a moment.")

    @web.middleware
    async def errors_as_pages(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Send errors to browsers as a page, and to programs as a line; the API answers its own errors."""
        if is_api(request):
            return await handler(request)
        try:
            return await handler(request)
        except ProblemError as error:
            if error.status == HTTPStatus.NOT_FOUND and not wants_page(request):
                return web.Response(text=f"{error}\n", status=error.status)
            page = self.problem(error.status, error.title, f"{error}.")
        except RefusedError:
            page = self.problem(400, "This text is not allowed", "The database cannot store such a text.")
        except StoreUnavailableError:
            text = "Checks continue, and results wait until it is back. Try again then."
            page = self.problem(503, "PostgreSQL is unavailable", text)
        except web.HTTPClientError as error:
            if not wants_page(request):
                raise
            page = self.problem(error.status, error.reason, (error.text or "").strip())
            page.headers.update(
                {name: error.headers[name] for name in _KEPT_HEADERS if name in error.headers}
            )
        return page

    def login(self, onward: str, problem: str) -> str:
        """Return the page that asks for the token; `onward` is the path that it leads to."""
        return self.render("login.html", "", next=onward, problem=problem)

    def problem(self, status: int, title: str, text: str) -> web.Response:
        """Return a page that says why there is no other."""
        page = self.render("problem.html", "", title=title, text=text)
        return web.Response(text=page, status=status, content_type="text/html")


def _is_there_before_start(request: web.Request) -> bool:
    resource = request.match_info.route.resource
    return resource is None or resource.canonical in _BEFORE_START  # no resource: 404 or 405


def whole_number(text: str, least: int = 1) -> int:
    """Return the number, at least `least`; a text that is no number counts as `least`."""
    return max(least, int(text)) if text.isascii() and text.isdigit() and len(text) < 10 else least  # noqa: PLR2004
