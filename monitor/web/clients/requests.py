"""What clients send and gets no page: answered in one line, counted, and logged once a minute at most."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias
from urllib.parse import parse_qsl

from aiohttp import web
from multidict import MultiMapping

from monitor.runtime.log_lines import Seldom
from monitor.web.clients.addresses import Clients

BODY_S = 30.0
"""The time for the body of a request, which is small."""
_MAX_FIELDS = 100  # of a form
_CHARSETS = ("utf-8", "utf8", "us-ascii")
_FORM_TYPE = "application/x-www-form-urlencoded"
_PLAIN = "identity"
_REFUSED = re.compile(r"\s*q=0(\.0*)?\s*")
_MULTIPART_TYPE = "multipart/form-data"
_FORM: web.RequestKey[Mapping[str, str]] = web.RequestKey("form", dict)

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

_log = logging.getLogger(__name__)


def takes_coding(headers: MultiMapping[str], coding: str) -> bool:
    """Return whether the client takes a body in this coding, by its name or as `*`; q=0 refuses it."""
    taken = {}
    for each in ",".join(headers.getall("Accept-Encoding", ())).lower().split(","):
        name, _, weight = each.partition(";")
        taken[name.strip()] = not _REFUSED.fullmatch(weight)
    return taken.get(coding, taken.get("*", False))


def form(request: web.Request) -> Mapping[str, str]:
    """Return the fields of the form that the request sends; none if it sends none."""
    fields: Mapping[str, str] = request.get(_FORM, {})
    return fields


class Refusals:
    """Counts requests that cannot be read, and connections that are closed because there are too many."""

    def __init__(self) -> None:
        self.requests = 0
        self.connections = 0
        self._seldom = Seldom(_log)

    def add_request(self, client: str, why: str) -> None:
        self.requests += 1
        self._seldom.log(logging.INFO, "request", f"a request of {client} cannot be read: {why}")

    def add_connection(self, client: str) -> None:
        self.connections += 1
        self._seldom.log(logging.WARNING, "connection", f"too many connections: one of {client} is closed")

    def log_bug(self, where: str, error: BaseException | None) -> None:
        """Log the traceback: of one place once a minute, because a client can repeat the request."""
        self._seldom.log(logging.ERROR, f"bug: {where}", f"a bug: {where}", error)


class Bodies:
    """Reads the body of a request before its page is asked: no page waits for it, or finds it broken."""

    def __init__(self, clients: Clients, refusals: Refusals) -> None:
        self._clients = clients
        self._refusals = refusals

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.can_read_body:
            try:
                await self._read(request)
            except web.HTTPClientError as refusal:
                self._refusals.add_request(self._clients.of(request), (refusal.text or "").strip())
                raise
        return await handler(request)

    async def _read(self, request: web.Request) -> None:
        if request.content_type == _MULTIPART_TYPE:
            raise web.HTTPUnsupportedMediaType(text=f"a form must be {_FORM_TYPE}\n")
        if request.headers.get("Content-Encoding", _PLAIN).lower() != _PLAIN:
            raise web.HTTPUnsupportedMediaType(text="a body must not be compressed\n")
        try:
            async with asyncio.timeout(BODY_S):
                body = await request.read()
        except TimeoutError:
            request.content.set_exception(web.RequestPayloadError())  # aiohttp would wait for the rest
            raise web.HTTPRequestTimeout(text=f"no whole body within {BODY_S:g} s\n") from None
        except (web.RequestPayloadError, ConnectionError, RuntimeError):  # RuntimeError: it is closed
            raise web.HTTPBadRequest(text="the body is broken\n") from None
        if request.content_type == _FORM_TYPE:
            request[_FORM] = _fields(body, request.charset)


def _fields(body: bytes, charset: str | None) -> Mapping[str, str]:
    refusal = web.HTTPBadRequest(text=f"a form must be UTF-8, of at most {_MAX_FIELDS} fields\n")
    if charset and charset.lower() not in _CHARSETS:
        raise refusal
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS))
    except ValueError:
        raise refusal from None
