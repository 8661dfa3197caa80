"""The web server: where it listens, and whom it answers."""

import errno
import hmac
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from aiohttp import web
from yarl import URL

from monitor.config import Config
from monitor.web_address import is_loopback

OPEN_PATHS = frozenset(("/healthz",))
_END_S = 0.5

_Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

_log = logging.getLogger(__name__)


class WebError(Exception):
    """The server cannot listen where it should; the text says why, in one line."""


@asynccontextmanager
async def serving(config: Config, routes: Iterable[web.RouteDef]) -> AsyncIterator[list[str]]:
    """Answer requests for these routes, unless `web_port` is null; gives the URLs of the server.

    Raises:
        WebError: the port is in use, or not for this program.

    """
    if config.web_port is None:
        yield []
        return
    app = web.Application(middlewares=[_only_with(config)])
    app.add_routes(list(routes))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_END_S)
    await runner.setup()
    try:
        try:
            await _listen(runner, config)
        except OSError as error:
            where = f"web_host {config.web_host}, web_port {config.web_port}"
            reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
            raise WebError(f"{where}: {reason}") from error
        urls = sorted(_url(address) for address in runner.addresses)
        _log.info("web: %s", ", ".join(urls))
        yield urls
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, config: Config) -> None:
    """Listen on the port; where the default is in use, on any free one, so that a second program starts."""
    try:
        await web.TCPSite(runner, config.web_host, config.web_port).start()
    except OSError as error:
        if config.web_port_is_given or error.errno != errno.EADDRINUSE:
            raise
        _log.warning(
            "web_port %d is in use, and the configuration names none: any free one is taken", config.web_port
        )
        await web.TCPSite(runner, config.web_host, 0).start()


def _url(address: Any) -> str:
    return str(URL.build(scheme="http", host=address[0], port=address[1], path="/"))


def _only_with(config: Config) -> Any:
    """Let those in who have the token; without one, those who know this machine by a name that only it has.

    A page of the outside world can give its own name this machine's address (DNS rebinding), but not change
    the name that the browser sends.
    """
    token = config.web_token.get_secret_value() if config.web_token else None
    expected = f"Bearer {token}".encode()

    @web.middleware
    async def middleware(request: web.Request, handler: _Handler) -> web.StreamResponse:
        if token is None:
            if not _is_ours(request.headers.get("Host", "")):
                raise web.HTTPMisdirectedRequest(text="this server does not go by that name\n")
        elif request.path not in OPEN_PATHS:
            given = request.headers.get("Authorization", "").encode(errors="surrogateescape")
            if not hmac.compare_digest(given, expected):
                raise web.HTTPUnauthorized(
                    text="web_token is needed\n", headers={"WWW-Authenticate": "Bearer"}
                )
        return await handler(request)

    return middleware


def _is_ours(host: str) -> bool:
    try:
        name = URL(f"http://{host}").host or ""
    except ValueError:
        return False
    return is_loopback(name)
