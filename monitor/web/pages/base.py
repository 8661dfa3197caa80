"""What all pages have in common: templates, the monitors that they show, and how they are sent."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple, TypeAlias, TypeVar
from urllib.parse import unquote

from aiohttp import web

from monitor.config.model import Monitor
from monitor.domains.known import Domain
from monitor.result import CheckResult
from monitor.storage.database import RefusedError, StoreUnavailableError
from monitor.web.api.operations.problems import ProblemError
from monitor.web.cache import CachedPage, PageCache
from monitor.web.clients.access import is_api, wants_page
from monitor.web.clients.requests import Handler
from monitor.web.orders import StandingOrders
from monitor.web.pages.content.states import ShownState, seen, unknown
from monitor.web.pages.rendering import environment
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
_ANSWER_S, _AWAY_S = 10.0, 1.0
_BACK = {"overview": "/", "incidents": "/incidents"}

T = TypeVar("T")
NewestOf: TypeAlias = Callable[[str], CheckResult | None]


class Away(NamedTuple):
    """Since when, and why, the database is unavailable, where that is known."""

    since_at: float | None
    why: str


class Pages:
    """Makes and sends pages; with `has_sessions`, people log in, so each page has a button to log out."""

    def __init__(self, program: Program, *, has_sessions: bool = False) -> None:
        self.program = program
        self.monitors: dict[str, Monitor] = {}
        self.unknown: dict[str, ShownState] = {}
        self.orders = StandingOrders()
        self.latest: NewestOf = lambda _: None
        """Returns the newest result of a monitor that this process has made."""
        self._last: dict[str, ShownState] = {}
        self._templates = environment(has_sessions=has_sessions)
        self._kept = PageCache()
        self._kept_without = PageCache()  # its pages must not wait for those that wait for the database
        self._one = asyncio.Lock()

    @property
    def running(self) -> Running:
        return self.program.running

    def follow(self, monitors: Iterable[Monitor]) -> None:
        self.monitors = {monitor.name: monitor for monitor in monitors}
        self.orders.follow(self.monitors)
        self.unknown = {name: unknown(monitor) for name, monitor in self.monitors.items()}
        self._last = {}
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

    def remember(self, states: Iterable[ShownState]) -> None:
        """Keep what was read, for pages that are made while the database is unavailable."""
        self._last.update({each.name: each for each in states})

    def seen(self, name: str) -> ShownState:
        """Return how a monitor is as far as this process knows without the database."""
        last = self._last.get(name, self.unknown[name])
        return seen(last, self.latest(name))._replace(orders=self.orders.of(name, time.time()))

    def domain_of(self, name: str) -> Domain | None:
        """Return what is known of the registration of a monitor's domain, if it is watched."""
        return self.running.domains.of(name)

    def away(self, reader: PageReader | None) -> Away | None:
        """Return since when the database is unavailable, for a page that is made without it."""
        if reader is not None:
            return None
        known = self.running.away
        return Away(known.unavailable_since_at, known.why) if known else Away(None, "")

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
        self._kept_without.forget()

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
        return _sent(request, await self._kept.get(key, lambda: make(reader)), content_type)

    async def send_known(
        self, request: web.Request, key: Hashable, make: Callable[[PageReader | None], Awaitable[str]]
    ) -> web.Response:
        """Send the page that `make` returns; without a reader while the database is unavailable.

        The database gets ten seconds to answer, or one if it took nothing at the last attempt.
        """
        reader = self.running.reader
        limit_s = _ANSWER_S if self.running.away is None else _AWAY_S
        try:
            async with asyncio.timeout(limit_s):
                page = await self._kept.get(key, lambda: make(reader))
        except (StoreUnavailableError, TimeoutError):
            page = await self._kept_without.get(key, lambda: make(None))
        return _sent(request, page)

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
            page = self._unavailable(request)
        except web.HTTPClientError as error:
            if not wants_page(request):
                raise
            page = self.problem(error.status, error.reason, (error.text or "").strip())
            page.headers.update(
                {name: error.headers[name] for name in _KEPT_HEADERS if name in error.headers}
            )
        return page

    def _unavailable(self, request: web.Request) -> web.Response:
        sent = "What was sent may not be stored: look, and send it again when it is back. "
        known = "Checks continue, and results wait until it is back. The overview shows what is known."
        text = sent + known if request.method == "POST" else known
        return self.problem(503, "PostgreSQL is unavailable", text)

    def login(self, onward: str, problem: str) -> str:
        """Return the page that asks for the token; `onward` is the path that it leads to."""
        return self.render("login.html", "", next=onward, problem=problem)

    def problem(self, status: int, title: str, text: str) -> web.Response:
        """Return a page that says why there is no other."""
        page = self.render("problem.html", "", title=title, text=text)
        return web.Response(text=page, status=status, content_type="text/html")


def _sent(request: web.Request, page: CachedPage, content_type: str = "text/html") -> web.Response:
    headers = {
        "Content-Type": f"{content_type}; charset=utf-8",
        "Cache-Control": "no-store",
        "Vary": "Accept-Encoding",
    }
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        return web.Response(body=page.compressed, headers={**headers, "Content-Encoding": "gzip"})
    return web.Response(body=page.plain, headers=headers)


def _is_there_before_start(request: web.Request) -> bool:
    resource = request.match_info.route.resource
    return resource is None or resource.canonical in _BEFORE_START  # no resource: 404 or 405


def whole_number(text: str, least: int = 1) -> int:
    """Return the number, at least `least`; a text that is no number counts as `least`."""
    return max(least, int(text)) if text.isascii() and text.isdigit() and len(text) < 10 else least  # noqa: PLR2004 - digits
