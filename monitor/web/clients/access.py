"""Whom the web server answers, and the headers of all its pages.

With `web_token`, those who have the token: programs send it as `Authorization: Bearer`, people log in.
Without one, only this machine, under a name that only this machine has: a foreign page can point its own
host name to the address of this machine (DNS rebinding), but it cannot change the host name that the browser
sends. A foreign page can link to pages here, and show badges, but cannot make a browser change, check or read
anything: browsers say which page a request comes from.
"""

from collections.abc import Callable
from urllib.parse import quote

from aiohttp import web
from yarl import URL

from monitor.config.checks import is_loopback
from monitor.config.model import Config
from monitor.web.clients.addresses import Clients
from monitor.web.clients.requests import Handler, Refusals, form
from monitor.web.clients.sessions import SESSION_S, EndedSessions, FailedTries, Sessions

COOKIE = "website_health_session"
OPEN = (
    "/healthz",
    "/status",
    "/status/rss",
    "/badges/{name}/{kind}.svg",
    "/static/{name}",
    "/login",
    "/logout",
)
"""The routes that everybody may see."""
_COSTLY = ("/probe", "/events")
"""The routes to which no page of another site may even link: they check something or keep a connection."""

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class Access:
    """The middleware that stands before all pages, and the pages to log in and out."""

    def __init__(self, config: Config, login_page: Callable[[str, str], str]) -> None:
        token = config.web_token.get_secret_value() if config.web_token else None
        ended = EndedSessions(config.data_dir / "ended_sessions")
        self._sessions = Sessions(token, ended) if token else None
        self._failed = FailedTries()
        self.clients = Clients(config.trusted_proxies)
        self.refusals = Refusals()
        self._login_page = login_page

    def routes(self) -> list[web.RouteDef]:
        """Return the routes to log in and out, if there is a token."""
        if self._sessions is None:
            return []
        return [
            web.get("/login", self._ask),
            web.post("/login", self._log_in),
            web.post("/logout", self._log_out),
        ]

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._refuse_others(request)
        return await handler(request)

    async def add_headers(self, _: web.Request, response: web.StreamResponse) -> None:
        """Add the headers of all responses, at the signal `on_response_prepare`."""
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)

    def _refuse_others(self, request: web.Request) -> None:
        if self._sessions is None and not _is_this_machine(request.headers.get("Host", "")):
            raise web.HTTPMisdirectedRequest(text="this server does not answer to this host name\n")
        if not _is_own_page(request) and not _is_for_others(request):
            raise web.HTTPForbidden(text="a page of another site is not allowed to do this\n")
        if self._sessions is None or _is_open(request) or self._is_known(request, self._sessions):
            return
        if request.method in _SAFE_METHODS and wants_page(request):
            raise web.HTTPSeeOther(f"/login?next={quote(request.path_qs, safe='')}")
        refusal = web.HTTPUnauthorized(text="web_token is needed\n", headers={"WWW-Authenticate": "Bearer"})
        if wants_page(request):
            refusal.text = self._login_page("/", "Log in first: nothing was changed.")
            refusal.content_type = "text/html"
        raise refusal

    def _is_known(self, request: web.Request, sessions: Sessions) -> bool:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self._admits(request, sessions, token)
        return sessions.knows(request.cookies.get(COOKIE, ""))

    def _admits(self, request: web.Request, sessions: Sessions, token: str) -> bool:
        """Return whether this is the token.

        Raises:
            HTTPTooManyRequests: it is not, and too many wrong ones came from this client.

        """
        if sessions.admits(token):
            return True
        client = self.clients.of(request)
        if wait_s := self._failed.wait_s(client):
            raise web.HTTPTooManyRequests(
                text="too many wrong tokens\n", headers={"Retry-After": f"{wait_s + 1:.0f}"}
            )
        self._failed.add(client)
        return False

    async def _ask(self, request: web.Request) -> web.Response:
        page = self._login_page(_own_path(request.query.get("next", "")), "")
        return web.Response(text=page, content_type="text/html")

    async def _log_in(self, request: web.Request) -> web.Response:
        fields = form(request)
        onward = _own_path(fields.get("next", ""))
        assert self._sessions is not None  # noqa: S101 - without a token, there is no such route
        if not self._admits(request, self._sessions, fields.get("token", "")):
            page = self._login_page(onward, "This is not the token.")
            return web.Response(text=page, content_type="text/html", status=403)
        response = web.Response(status=303, headers={"Location": onward})
        response.set_cookie(
            COOKIE,
            self._sessions.issue(),
            max_age=int(SESSION_S),
            httponly=True,
            samesite="Lax",
            secure=request.secure or request.headers.get("X-Forwarded-Proto") == "https",
        )
        return response

    async def _log_out(self, request: web.Request) -> web.Response:
        assert self._sessions is not None  # noqa: S101 - without a token, there is no such route
        await self._sessions.end(request.cookies.get(COOKIE, ""))
        response = web.Response(status=303, headers={"Location": "/login"})
        response.del_cookie(COOKIE)
        return response


def route(request: web.Request) -> str:
    """Return the pattern of the route, empty where there is none."""
    resource = request.match_info.route.resource
    return "" if resource is None else resource.canonical


def is_api(request: web.Request) -> bool:
    """Return whether the answer is for programs, whoever asks."""
    return request.path == "/api" or request.path.startswith("/api/")


def wants_page(request: web.Request) -> bool:
    """Return whether a browser asks for a page for people."""
    return not is_api(request) and "text/html" in request.headers.get("Accept", "")


def _is_open(request: web.Request) -> bool:
    return route(request) in OPEN


def _is_this_machine(host: str) -> bool:
    try:
        name = URL(f"http://{host}").host or ""
    except ValueError:
        return False
    return is_loopback(name)


def _is_own_page(request: web.Request) -> bool:
    """Return whether our own page sends this, or no page at all (then there is no cookie to abuse)."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("Origin")
    return origin is None or origin.partition("://")[2] == request.headers.get("Host")


def _is_for_others(request: web.Request) -> bool:
    """Return whether a page of another site may send this: for an open page, or as a link to follow."""
    if request.method not in _SAFE_METHODS:
        return False
    follows_link = request.headers.get("Sec-Fetch-Dest") == "document"
    return _is_open(request) or (follows_link and route(request) not in _COSTLY)


def _own_path(path: str) -> str:
    """Return the path if it is one of this server, and else `/`."""
    if path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable():
        return path
    return "/"
