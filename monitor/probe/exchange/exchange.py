"""From a monitor's first request to the last byte of the final response: connections, redirects, cookies."""

import asyncio
import os
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate

import aiohttp
from aiohttp.http import RawResponseMessage

from monitor.config.model import Monitor
from monitor.probe.exchange.connector import Connector, begin_tls, open_tunnel
from monitor.probe.exchange.decoding import Decoding, NotEncodedError, decoding
from monitor.probe.exchange.request import Configured, Place, Request, redirected, tunnel_to
from monitor.probe.exchange.wire import Wire
from monitor.probe.failures import Failed, unusable_url
from monitor.probe.response import Received, charset_in
from monitor.probe.timing import Phase, Timing
from monitor.result import Reason
from monitor.runtime.text import quoted

MAX_COOKIES = 100  # of one check; the jar keeps 50 of a host
MAX_COOKIES_LENGTH = 32_768  # of those of one response; to read them takes up to 6 ms
_LITTLE_BYTES = 4_096  # of a body; to parse them takes 10 ms at most, however they came
_KEPT_S = 120  # for which an unused connection is kept
_IDEMPOTENT = {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"}

_Key = tuple[Place, ssl.SSLContext | None]


class Exchange:
    """The requests of one monitor; use it from one task at a time."""

    def __init__(
        self, monitor: Monitor, connector: Connector, environ: Mapping[str, str] = os.environ
    ) -> None:
        self._monitor = monitor
        self._environ = environ
        self._configured = Configured(monitor, environ)
        self._connector = connector
        self._jar: aiohttp.CookieJar | None = None
        self._kept: dict[_Key, Wire] = {}

    def ask(self, monitor: Monitor, jar: aiohttp.CookieJar) -> None:
        """Send another request from now on, with the cookies of the jar and into it.

        Raises:
            ValueError: it cannot be sent.

        """
        self._configured = Configured(monitor, self._environ, jar)
        self._monitor, self._jar = monitor, jar

    @property
    def is_secure(self) -> bool:
        """Whether the own origin is asked over TLS."""
        return self._configured.first.secure

    async def fetch(
        self, timing: Timing, seen: Received, context_for: Callable[[bool], ssl.SSLContext]
    ) -> None:
        """Send the request, follow redirects and read the response into `seen`.

        `context_for` returns the TLS context for the own origin, or that for others.

        Raises:
            Failed: there is no complete response.
            OwnTroubleError: this machine cannot make the check.

        """
        request = self._configured.first
        jar = self._jar
        while True:
            context = context_for(request.own) if request.secure else None
            wire, message = await self._send(request, context, timing)
            try:
                if cookies := message.headers.getall("Set-Cookie", ()):
                    if jar is None:
                        jar = aiohttp.CookieJar(unsafe=True)
                    jar.update_cookies_from_headers(_acceptable(cookies, jar), request.url)
                try:
                    following = self._following(request, message, jar)
                except ValueError:
                    timing.follow(request, message.code, _location(message))
                    raise unusable_url(redirected=True) from None
                if following is None:
                    timing.enter(Phase.TRANSFER)
                    _note_head(message, seen, timing.hops - 1)
                    await self._read(wire, seen, decoding(message.headers.get("Content-Encoding", "")))
                    return
            finally:
                self._release(wire, (request.site, context))
            if not self._leads_on(following, timing.hops):
                _note_head(message, seen, timing.hops - 1)
                raise self._refusal(following, timing.hops)
            timing.follow(request, message.code, following)
            request = following

    def close(self) -> None:
        for wire in self._kept.values():
            wire.abort()

    def _following(
        self, request: Request, message: RawResponseMessage, jar: aiohttp.CookieJar | None
    ) -> Request | None:
        """Return the request that a redirect leads to.

        Raises:
            ValueError: there is none that could be sent.

        """
        if not self._monitor.follow_redirects:
            return None
        leads_to = redirected(request, message.code, _location(message))
        if leads_to is None:
            return None
        method, url, target, with_body = leads_to
        own = request.own and url.origin() == self._configured.first.url.origin()
        cookies = jar.filter_cookies(url) if jar else None
        return self._configured.request(
            method, url, target, cookies, own=own, body=with_body and bool(request.body)
        )

    def _leads_on(self, following: Request, requests: int) -> bool:
        return requests <= self._monitor.max_redirects and self._monitor.may_lead_to(following.site.host)

    def _refusal(self, following: Request, requests: int) -> Failed:
        """Return why a redirect is not followed after so many requests."""
        if requests > self._monitor.max_redirects:
            return Failed(Reason.TOO_MANY_REDIRECTS, f"more than {self._monitor.max_redirects} redirects")
        host = quoted(following.site.host)
        return Failed(Reason.BLOCKED_ADDRESS, f"a redirect to {host}, which is no probe target")

    async def _send(
        self, request: Request, context: ssl.SSLContext | None, timing: Timing
    ) -> tuple[Wire, RawResponseMessage]:
        timing.hops += 1
        kept = self._kept.pop((request.site, context), None)
        if kept is not None and kept.resume():
            timing.ip, timing.tls = kept.ip, kept.peer
            try:
                return await _ask(kept, request, timing)
            except Failed as failed:
                # The site may have closed a kept connection just now: that is no failure.
                if failed.reason is not Reason.DISCONNECTED or request.method not in _IDEMPOTENT:
                    raise
        wire = await self._connect(request, context, timing)
        return await _ask(wire, request, timing)

    async def _connect(self, request: Request, context: ssl.SSLContext | None, timing: Timing) -> Wire:
        timing.tls = None
        proxy = request.proxy
        hold = context is not None and proxy is None
        place = request.site if proxy is None else proxy.place
        wire = await self._connector.connect(place, timing, hold=hold)
        if context is not None:
            try:
                if proxy is not None:
                    await open_tunnel(wire, tunnel_to(request, proxy))
                await begin_tls(wire, context, request.server_name, timing)
            except BaseException:  # a cancellation too closes the connection
                wire.abort()
                raise
        return wire

    async def _read(self, wire: Wire, seen: Received, encoding: Decoding) -> None:
        try:
            while not (seen.truncated or wire.is_read) and (chunk := await wire.more()):
                await self._take(seen, encoding.parts(chunk))
                if len(chunk) > _LITTLE_BYTES:
                    await asyncio.sleep(0)  # what follows may be there already
        except NotEncodedError:
            raise Failed(Reason.PROTOCOL_ERROR, "the body is not encoded as its headers say") from None
        if not (seen.truncated or encoding.is_complete):
            raise Failed(Reason.DISCONNECTED, "the encoded body ends in the middle")

    async def _take(self, seen: Received, parts: Iterator[bytes]) -> None:
        """Add these parts to the body; between two of them the event loop does what else is due."""
        limit = self._monitor.max_body_bytes
        for number, part in enumerate(parts):
            if number:
                await asyncio.sleep(0)
            seen.body += part
            if len(seen.body) > limit:
                del seen.body[limit:]
                seen.truncated = True
                return

    def _release(self, wire: Wire, key: _Key) -> None:
        """Close the connection, or keep it where that is wanted."""
        if self._monitor.reuse_connection and wire.reusable:
            wire.keep(_KEPT_S)
            self._kept[key] = wire
        else:
            wire.abort()


def _location(message: RawResponseMessage) -> str:
    return message.headers.get("Location") or message.headers.get("URI") or ""


def _acceptable(cookies: Sequence[str], jar: aiohttp.CookieJar) -> Sequence[str]:
    """Return the first of the cookies, as far as there is room for them."""
    room = max(0, MAX_COOKIES - len(jar))
    lengths = accumulate(map(len, cookies[:room]))
    return cookies[: sum(length <= MAX_COOKIES_LENGTH for length in lengths)]


async def _ask(wire: Wire, request: Request, timing: Timing) -> tuple[Wire, RawResponseMessage]:
    timing.enter(Phase.PROCESSING)
    try:
        return wire, await wire.ask(request)
    except BaseException:  # a cancellation too closes the connection
        wire.abort()
        raise


def _note_head(message: RawResponseMessage, seen: Received, redirects: int) -> None:
    seen.status, seen.headers = message.code, message.headers
    seen.version = f"{message.version.major}.{message.version.minor}"
    seen.redirects = redirects
    seen.charset = charset_in(message.headers.get("Content-Type", ""))
