"""One check of one URL.

A site that is down is a result, not an error: `check` returns a `CheckResult` for all
that a website can do to us. It raises `OwnTroubleError` when this machine cannot make
the check, and anything else only for a bug of ours.
"""

import asyncio
import ssl
from base64 import b64encode
from functools import partial
from typing import Any, Protocol, cast

import aiohttp
from yarl import URL

from monitor.config.model import Monitor
from monitor.probe.connector import Network, OwnOriginRequest
from monitor.probe.expect import Failure, Response
from monitor.probe.failures import FAILURES, drop_traceback, explain, timed_out
from monitor.probe.judge import Judge
from monitor.probe.response import Received, as_text, charset_in
from monitor.probe.timing import Phase, Timing, current
from monitor.probe.tls import TlsSettings, seen_of_refused
from monitor.result import PROCESS, CheckResult, OwnTroubleError, Reason, next_number, result_id

_USER_AGENT = "website-health-monitor/0.1"

_IDEMPOTENT = {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"}


class Checker(Protocol):
    """Makes the checks of one monitor; use it from one task at a time."""

    async def check(self, scheduled_at: float) -> CheckResult:
        """Check once, for the slot `scheduled_at` (Unix seconds).

        Raises:
            OwnTroubleError: this machine could not make the check.

        """

    async def close(self) -> None:
        """Close what was opened for the checks, without the network."""


class Probe:
    """Checks the URL of one monitor."""

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
        self._request = _request(monitor)

    async def check(self, scheduled_at: float, timing: Timing | None = None) -> CheckResult:
        """Check once. The response is there within `timeout_s`, counted from when `timing` began."""
        self._request["ssl"] = self._context_for(self._tls)
        session = self._session or self._open_session()
        timing = timing or Timing()
        current.set(timing)
        seen = Received()
        failure = await self._exchange(session, timing, seen)
        timing.end()
        if timing.tls is not None:
            seen.tls = timing.tls.seen()
        if failure is None:
            failure = await self._judge.judge(self._response(timing, seen))
        return self._result(scheduled_at, timing, seen, failure)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _open_session(self) -> aiohttp.ClientSession:
        self._session = aiohttp.ClientSession(
            connector=self._network.connector(self._monitor),
            connector_owner=False,
            cookie_jar=self._jar,
            headers=_headers(self._monitor),
            request_class=cast(
                "type[aiohttp.ClientRequest]",
                partial(OwnOriginRequest, origin=self._url.origin(), tls_elsewhere=self._tls_elsewhere),
            ),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            max_line_size=65536,
            max_field_size=65536,
            max_headers=512,
        )
        # aiohttp would repeat a failed request on a new connection, and we would not see the failure.
        self._session._retry_connection = False  # noqa: SLF001
        return self._session

    def _tls_elsewhere(self) -> ssl.SSLContext:
        return self._context_for(self._tls._replace(client_cert=None, client_key=None))

    def _context_for(self, settings: TlsSettings) -> ssl.SSLContext:
        try:
            return self._network.tls.get(settings)
        except OSError as error:
            raise OwnTroubleError(f"the TLS files cannot be used: {error}") from error

    async def _exchange(
        self, session: aiohttp.ClientSession, timing: Timing, seen: Received
    ) -> Failure | None:
        """Send the request and read the response into `seen`; return why that failed."""
        try:
            async with asyncio.timeout(self._monitor.timeout_s - timing.so_far()):
                await self._fetch(session, timing, seen)
        except TimeoutError:
            return timed_out(timing, self._monitor.timeout_s)
        except aiohttp.TooManyRedirects as error:
            _note_head(error.history[-1], seen)
            seen.redirects = self._monitor.max_redirects
            return Reason.TOO_MANY_REDIRECTS, f"more than {self._monitor.max_redirects} redirects"
        except FAILURES as error:
            failure = explain(error, timing)
            if isinstance(error, aiohttp.ClientConnectorCertificateError):
                seen.tls = seen_of_refused(error.certificate_error)
            drop_traceback(error)
            return failure
        finally:
            if timing.transport is not None and not (seen.complete and self._monitor.reuse_connection):
                timing.transport.abort()
        return None

    async def _fetch(self, session: aiohttp.ClientSession, timing: Timing, seen: Received) -> None:
        self._jar.clear()
        response = await self._send(session, timing)
        timing.enter(Phase.TRANSFER)
        _note_head(response, seen)
        seen.redirects = len(response.history)
        try:
            await self._read(response, seen)
        finally:
            response.close()
        if seen.complete and timing.protocol is not None:
            # A body without a length ends when the site closes the connection, but not when it resets it.
            lost = timing.protocol.exception()
            if isinstance(lost, aiohttp.ClientOSError):
                raise lost

    async def _send(self, session: aiohttp.ClientSession, timing: Timing) -> aiohttp.ClientResponse:
        method = self._monitor.method
        try:
            return await session.request(method, self._url, **self._request)
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
            # The site may have closed a kept connection just now: that is no failure.
            if not timing.reused or timing.connections > 1 or method not in _IDEMPOTENT:
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

    def _response(self, timing: Timing, seen: Received) -> Response:
        return Response(
            status=seen.status or 0,
            headers={name: seen.headers.getall(name, ()) for name in self._judge.header_names},
            body=seen.body,
            charset=seen.charset,
            truncated=seen.truncated,
            response_time=timing.response_time,
            checked_at=timing.timestamp,
            secure=seen.tls.tls is not None,
            certificate_expires_at=seen.tls.certificate_expires_at,
        )

    def _result(
        self, scheduled_at: float, timing: Timing, seen: Received, failure: Failure | None
    ) -> CheckResult:
        monitor = self._monitor
        reason, detail = failure or (None, None)
        slow = monitor.degraded_after_s is not None and timing.response_time > monitor.degraded_after_s
        text, cut = "", False
        if monitor.store_body == "always":
            text, cut = as_text(seen.body, seen.charset, monitor.store_body_bytes)
        return CheckResult(
            timestamp=timing.timestamp,
            response_data=text,
            response_status=seen.status,
            response_time=timing.response_time,
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


def _request(monitor: Monitor) -> dict[str, Any]:
    return {
        "data": monitor.body.get_secret_value().encode() if monitor.body else None,
        "allow_redirects": monitor.follow_redirects,
        "max_redirects": monitor.max_redirects + 1,  # aiohttp fails at its limit, not after it
        "server_hostname": monitor.server_name,
        "proxy": monitor.proxy.get_secret_value() if monitor.proxy else None,
    }


def _note_head(response: aiohttp.ClientResponse, seen: Received) -> None:
    seen.status, seen.headers = response.status, response.headers
    seen.version = ".".join(map(str, response.version or ()))


def _headers(monitor: Monitor) -> dict[str, str]:
    headers = {"User-Agent": _USER_AGENT}
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
