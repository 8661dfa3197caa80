"""One check of one URL.

A site that is down is a result, not an error: `check` returns a `CheckResult` for all
that a website can do to us. It raises `OwnTroubleError` when this machine cannot make
the check, and anything else only for a bug of ours.
"""

import asyncio
import socket
import ssl
import time
from base64 import b64encode
from functools import partial
from types import TracebackType
from typing import Any, Self, cast

import aiohttp
from yarl import URL

from monitor.body import as_text, charset_in
from monitor.config import Monitor
from monitor.deny import Denied
from monitor.expect import Failure, Response
from monitor.expect_judge import Judge
from monitor.failure import FAILURES, explain, let_go, timed_out
from monitor.own_origin import OwnOriginRequest
from monitor.probe_response import Received
from monitor.resolve import GetAddrInfo, Resolver
from monitor.resolve_dns import DnsResolver
from monitor.result import PROCESS, CheckResult, OwnTroubleError, Reason, next_number, result_id
from monitor.timing import Stage, TimedConnector, Timing, current
from monitor.tls_contexts import TlsContexts, TlsSettings
from monitor.tls_peer import seen_of_refused

USER_AGENT = "website-health-monitor/0.1"

_FAMILIES = {"any": socket.AF_UNSPEC, 4: socket.AF_INET, 6: socket.AF_INET6}
_LOOK_UP_SHARE = 0.5  # of the timeout, for DNS servers that do not answer
_IDEMPOTENT = {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"}


class Network:
    """What all probes share: look-ups, connectors and TLS contexts (these are large)."""

    def __init__(self, max_lookups: int, getaddrinfo: GetAddrInfo = socket.getaddrinfo) -> None:
        self.resolver = Resolver(max_lookups, getaddrinfo)
        self._connectors: dict[tuple[object, ...], TimedConnector] = {}
        self.tls = TlsContexts()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for connector in self._connectors.values():
            await connector.close()
        await self.resolver.close()

    def connector(self, monitor: Monitor) -> TimedConnector:
        """Get the connector for what this monitor says of DNS, addresses and kept connections."""
        limit_s = monitor.timeout_s * _LOOK_UP_SHARE if monitor.resolver else None
        key = (
            monitor.ip_family,
            monitor.reuse_connection,
            monitor.resolver,
            limit_s,
            monitor.deny_addresses,
        )
        if key not in self._connectors:
            self._connectors[key] = TimedConnector(
                self.resolver if limit_s is None else DnsResolver(monitor.resolver, limit_s),
                _FAMILIES[monitor.ip_family],
                Denied(monitor.deny_addresses),
                keep=monitor.reuse_connection,
            )
        return self._connectors[key]


class Probe:
    """Checks one monitor; use it from one task at a time."""

    def __init__(self, monitor: Monitor, location: str, network: Network) -> None:
        self._monitor = monitor
        self._location = location
        self._network = network
        self._public_url = monitor.public_url
        self._url = URL(monitor.url).with_user(None)
        self._judge = Judge(monitor.expect)
        self._tls = TlsSettings(monitor.verify_tls, monitor.ca_file, monitor.client_cert, monitor.client_key)
        self._jar = aiohttp.CookieJar(unsafe=True)
        self._session: aiohttp.ClientSession | None = None
        self._request: dict[str, Any] = {}

    async def check(self, scheduled_at: float, timing: Timing | None = None) -> CheckResult:
        """Check once, for the slot `scheduled_at` (Unix seconds).

        The response is there within `timeout_s`, counted from when `timing` began.

        Raises:
            OwnTroubleError: this machine could not make the check.

        """
        tls = self._context_for(self._tls)
        session = self._session or self._open_session()
        self._request["ssl"] = tls
        seen = Received()
        timing = timing or Timing()
        current.set(timing)
        timestamp = time.time()
        failure: Failure | None = None
        try:
            async with asyncio.timeout(self._monitor.timeout_s - timing.so_far()):
                await self._fetch(session, timing, seen)
        except TimeoutError:
            failure = timed_out(timing, self._monitor.timeout_s)
        except aiohttp.TooManyRedirects as error:
            _note_head(error.history[-1], seen)
            seen.redirects = self._monitor.max_redirects
            failure = Reason.TOO_MANY_REDIRECTS, f"more than {self._monitor.max_redirects} redirects"
        except FAILURES as error:
            failure = explain(error, timing)
            if isinstance(error, aiohttp.ClientConnectorCertificateError):
                seen.tls = seen_of_refused(error.certificate_error)
            let_go(error)
        finally:
            if timing.transport is not None and not (seen.complete and self._monitor.reuse_connection):
                timing.transport.abort()
        response_time = timing.end()
        if timing.tls is not None:
            seen.tls = timing.tls.seen()
        if failure is None:
            failure = await self._judge.judge(self._response(seen, timestamp, response_time))
        return self._result(scheduled_at, timestamp, response_time, timing, seen, failure)

    async def close(self) -> None:
        """Let go of the session; the network's connections stay."""
        if self._session is not None:
            await self._session.close()

    def _tls_elsewhere(self) -> ssl.SSLContext:
        return self._context_for(self._tls._replace(client_cert=None, client_key=None))

    def _context_for(self, settings: TlsSettings) -> ssl.SSLContext:
        try:
            return self._network.tls.get(settings)
        except OSError as error:
            raise OwnTroubleError(f"the TLS files cannot be used: {error}") from error

    def _open_session(self) -> aiohttp.ClientSession:
        monitor = self._monitor
        self._request = {
            "data": monitor.body.get_secret_value().encode() if monitor.body else None,
            "allow_redirects": monitor.follow_redirects,
            "max_redirects": monitor.max_redirects + 1,  # aiohttp counts the one too many
            "server_hostname": monitor.server_name,
            "proxy": monitor.proxy.get_secret_value() if monitor.proxy else None,
        }
        self._session = aiohttp.ClientSession(
            connector=self._network.connector(monitor),
            connector_owner=False,
            cookie_jar=self._jar,
            headers=_headers(monitor),
            request_class=cast(
                "type[aiohttp.ClientRequest]",
                partial(OwnOriginRequest, origin=self._url.origin(), tls_elsewhere=self._tls_elsewhere),
            ),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            max_line_size=65536,
            max_field_size=65536,
            max_headers=512,
        )
        # aiohttp would repeat a failed request, also on a new connection: a failure unseen.
        self._session._retry_connection = False  # noqa: SLF001
        return self._session

    async def _fetch(self, session: aiohttp.ClientSession, timing: Timing, seen: Received) -> None:
        self._jar.clear()
        response = await self._send(session, timing)
        timing.enter(Stage.TRANSFER)
        _note_head(response, seen)
        seen.redirects = len(response.history)
        try:
            await self._read(response, seen)
        finally:
            response.close()
        if seen.complete and timing.protocol is not None:
            # A body without a length ends with the connection: a reset is no such end.
            lost = timing.protocol.exception()
            if isinstance(lost, aiohttp.ClientOSError):
                raise lost

    async def _send(self, session: aiohttp.ClientSession, timing: Timing) -> aiohttp.ClientResponse:
        method = self._monitor.method
        try:
            return await session.request(method, self._url, **self._request)
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
            # A kept connection may have been closed by the site just now: no failure.
            if not timing.kept or timing.connections > 1 or method not in _IDEMPOTENT:
                raise
        timing.connections = 0
        return await session.request(method, self._url, **self._request)

    async def _read(self, response: aiohttp.ClientResponse, seen: Received) -> None:
        limit = self._monitor.max_body_bytes
        seen.charset = charset_in(response.headers.get("Content-Type", ""))
        while chunk := await response.content.readany():
            seen.body += chunk
            if len(seen.body) > limit:
                del seen.body[limit:]
                seen.truncated = True
                return
        if (error := response.content.exception()) is not None:
            raise error
        seen.complete = True

    def _response(self, seen: Received, timestamp: float, response_time: float) -> Response:
        return Response(
            status=seen.status or 0,
            headers={name: seen.headers.getall(name, ()) for name in self._judge.header_names},
            body=seen.body,
            charset=seen.charset,
            truncated=seen.truncated,
            response_time=response_time,
            checked_at=timestamp,
            secure=seen.tls.tls is not None,
            certificate_expires_at=seen.tls.certificate_expires_at,
        )

    def _result(
        self,
        scheduled_at: float,
        timestamp: float,
        response_time: float,
        timing: Timing,
        seen: Received,
        failure: Failure | None,
    ) -> CheckResult:
        monitor = self._monitor
        reason, detail = failure or (None, None)
        slow = monitor.degraded_after_s is not None and response_time > monitor.degraded_after_s
        text, cut = "", False
        if monitor.store_body == "always":
            text, cut = as_text(seen.body, seen.charset, monitor.store_body_bytes)
        return CheckResult(
            timestamp=timestamp,
            response_data=text,
            response_status=seen.status,
            response_time=response_time,
            id=result_id(self._location, monitor.name, scheduled_at),
            monitor=monitor.name,
            url=self._public_url,
            location=self._location,
            scheduled_at=scheduled_at,
            process=PROCESS,
            number=next_number(),
            up=failure is None,
            degraded=failure is None and slow,
            reason=reason,
            detail=detail,
            phases=timing.phases(),
            redirects=max(0, timing.connections - 1) if seen.redirects is None else seen.redirects,
            http_version=seen.version,
            ip=timing.ip,
            body_bytes=len(seen.body),
            body_truncated=seen.truncated or cut,
            content_length=seen.content_length,
            last_modified_at=seen.last_modified_at,
            certificate_expires_at=seen.tls.certificate_expires_at,
            tls=seen.tls.tls,
            evidence=seen.evidence(keep_body=monitor.store_body != "never") if failure else None,
        )


def _note_head(response: aiohttp.ClientResponse, seen: Received) -> None:
    seen.status, seen.headers = response.status, response.headers
    seen.version = ".".join(map(str, response.version or ()))


def _headers(monitor: Monitor) -> dict[str, str]:
    headers = {"User-Agent": USER_AGENT}
    url = URL(monitor.url)
    if monitor.bearer_token:
        headers["Authorization"] = f"Bearer {monitor.bearer_token.get_secret_value()}"
    elif monitor.basic_auth:
        headers["Authorization"] = _basic(
            monitor.basic_auth.username, monitor.basic_auth.password.get_secret_value()
        )
    elif url.user is not None or url.password is not None:
        headers["Authorization"] = _basic(url.user or "", url.password or "")
    for name, value in monitor.headers.items():
        headers = {kept: text for kept, text in headers.items() if kept.lower() != name.lower()}
        headers[name] = value.get_secret_value()
    return headers


def _basic(username: str, password: str) -> str:
    return "Basic " + b64encode(f"{username}:{password}".encode()).decode()
