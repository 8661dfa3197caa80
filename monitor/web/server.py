"""The web server: where it listens, and what it does before each page."""

import errno
import logging
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from yarl import URL

from monitor.config.model import Config
from monitor.web.api.operations.problems import problems
from monitor.web.clients.access import Access
from monitor.web.clients.connections import Connections, max_connections
from monitor.web.clients.requests import Bodies

_END_S = 0.5
_MAX_BODY_BYTES = 65_536  # of a request

_log = logging.getLogger(__name__)


class WebError(Exception):
    """The server cannot listen on the configured address; the text says why, in one line."""


@asynccontextmanager
async def serving(
    config: Config, access: Access, routes: Iterable[web.AbstractRouteDef], middlewares: Iterable[Any] = ()
) -> AsyncIterator[list[str]]:
    """Answer requests for these routes, unless `web_port` is null; the context is the URLs of the server.

    Raises:
        WebError: the port is in use, or the system does not allow it.

    """
    if config.web_port is None:
        yield []
        return
    bodies = Bodies(access.clients, access.refusals)
    app = web.Application(
        middlewares=[problems, access.middleware, bodies.middleware, *middlewares],
        client_max_size=_MAX_BODY_BYTES,
    )
    app.on_response_prepare.append(access.add_headers)
    app.add_routes([*access.routes(), *routes])
    runner = _Runner(app, access)
    await runner.setup()
    try:
        try:
            await _listen(runner, config)
        except OSError as error:
            where = f"web_host {config.web_host}, web_port {config.web_port}"
            reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or error
            raise WebError(f"{where}: {reason}") from error
        urls = sorted(_url(address) for address in runner.addresses)
        _log.info("web: %s", ", ".join(urls))
        yield urls
    finally:
        await runner.cleanup()


class _Runner(web.AppRunner):
    """Runs an application on connections of which there are not too many."""

    def __init__(self, app: web.Application, access: Access) -> None:
        super().__init__(app, shutdown_timeout=_END_S)
        self._access = access

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        return Connections(server, self._access.clients, self._access.refusals, max_connections())


async def _listen(runner: web.AppRunner, config: Config) -> None:
    """Listen on the port; if the default port is in use, on any free one, so that a second program starts."""
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
