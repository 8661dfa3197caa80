"""One check of one URL.

A site that is down is a result, not an error: `check` returns a `CheckResult` for all
that a website can do to us. It raises `OwnTroubleError` when this machine cannot make
the check, and anything else only for a bug of ours.
"""

import asyncio
import ssl
from typing import Protocol

from aiohttp import CookieJar

from monitor.config.model import Monitor
from monitor.config.sent_secrets import sent_secrets
from monitor.probe.evidence import evidence_of
from monitor.probe.exchange.connector import Network
from monitor.probe.exchange.exchange import Exchange
from monitor.probe.exchange.tls import TlsSettings, seen_of_refused
from monitor.probe.failures import Failed, timed_out
from monitor.probe.judging.expect import MAX_DETAIL, Failure, Response
from monitor.probe.judging.judge import Judge
from monitor.probe.masking import Masking
from monitor.probe.response import Received, as_text
from monitor.probe.timing import Timing
from monitor.result import PROCESS, CheckResult, Evidence, OwnTroubleError, next_number, result_id
from monitor.runtime.text import quoted


class Checker(Protocol):
    """Makes the checks of one monitor; use it from one task at a time."""

    async def check(self, scheduled_at: float) -> CheckResult:
        """Check once, for the slot `scheduled_at` (Unix seconds).

        Raises:
            OwnTroubleError: this machine could not make the check.

        """

    async def close(self) -> None:
        """Close what was opened for the checks, without the network."""


def slowness(monitor: Monitor, seconds: float) -> str | None:
    """Return why a response that took so long is degraded, if it is."""
    slow_s = monitor.degraded_after_s
    if slow_s is None or seconds <= slow_s:
        return None
    return f"took {seconds:.3f} s, degraded after {slow_s:g} s"


class Probe:
    """Checks the URL of one monitor."""

    def __init__(self, monitor: Monitor, location: str, network: Network) -> None:
        self._monitor = monitor
        self._location = location
        self._network = network
        self._public_url = monitor.public_url
        self._masking = Masking(sent_secrets(monitor, network.environ))
        self._judge = Judge(monitor.expect)
        self._tls = TlsSettings(monitor.verify_tls, monitor.ca_file, monitor.client_cert, monitor.client_key)
        self._tls_elsewhere = self._tls._replace(client_cert=None, client_key=None)
        self._exchange = Exchange(monitor, network.connector(monitor), network.environ)

    def ask(self, monitor: Monitor, jar: CookieJar, masking: Masking) -> None:
        """Send another request from now on; all else that `monitor` says must be as before.

        Raises:
            ValueError: it cannot be sent.

        """
        self._exchange.ask(monitor, jar)
        self._monitor, self._masking = monitor, masking
        self._public_url = monitor.public_url

    async def check(
        self, scheduled_at: float, timing: Timing | None = None, seen: Received | None = None
    ) -> CheckResult:
        """Check once. The response is there within `timeout_s`, counted from when `timing` began.

        What has been received is in `seen` afterwards.
        """
        if self._exchange.is_secure:
            self._context = self._made(self._tls)  # that is no part of the check
        timing = timing or Timing()
        seen = seen or Received()
        failure = await self._fetch(timing, seen)
        timing.end()
        if timing.tls is not None:
            seen.tls = timing.tls.seen()
        if failure is None:
            failure = await self._judge.judge(self._response(timing, seen))
        return self.result(scheduled_at, timing, seen, failure)

    async def close(self) -> None:
        self._exchange.close()

    def _context_for(self, own: bool) -> ssl.SSLContext:
        return self._context if own else self._made(self._tls_elsewhere)

    def _made(self, settings: TlsSettings) -> ssl.SSLContext:
        try:
            return self._network.tls.get(settings)
        except OSError as error:
            raise OwnTroubleError(f"the TLS files cannot be used: {error}") from error

    async def _fetch(self, timing: Timing, seen: Received) -> Failure | None:
        """Read the response into `seen`; return why there is none."""
        limit_s = self._monitor.timeout_s
        try:
            async with asyncio.timeout(limit_s - timing.so_far()):
                await self._exchange.fetch(timing, seen, self._context_for)
        except TimeoutError:
            return timed_out(timing.phase, limit_s)
        except Failed as failed:
            if failed.presented:
                timing.presented, seen.tls = failed.presented, seen_of_refused(failed.presented)
            return failed.reason, failed.detail
        except MemoryError as error:
            raise OwnTroubleError("no memory left") from error
        return None

    def _response(self, timing: Timing, seen: Received) -> Response:
        return Response(
            status=seen.status or 0,
            headers={name: seen.headers.getall(name, ()) for name in self._judge.header_names},
            body=seen.body,
            charset=seen.charset,
            truncated=seen.truncated,
            response_time=timing.response_time,
            checked_at=timing.timestamp,
            tls=seen.tls.tls,
            certificate_expires_at=seen.tls.certificate_expires_at,
        )

    def _evidence(self, timing: Timing, seen: Received) -> Evidence | None:
        keep_body = self._monitor.store_body != "never"
        return evidence_of(timing, seen, self._public_url, self._masking, keep_body=keep_body)

    def result(
        self, scheduled_at: float, timing: Timing, seen: Received, failure: Failure | None
    ) -> CheckResult:
        """Return the result of a check that has ended, for this reason if it has failed."""
        monitor = self._monitor
        reason, detail = (failure[0], quoted(failure[1], MAX_DETAIL)) if failure else (None, None)
        slow = None if failure else slowness(monitor, timing.response_time)
        text, cut = "", False
        if monitor.store_body == "always":
            text, cut = as_text(seen.body, seen.charset, monitor.store_body_bytes, self._masking)
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
            degraded=slow is not None,
            reason=reason,
            detail=slow or (detail and self._masking.line(detail)),
            phases=timing.phases(),
            redirects=max(0, timing.hops - 1) if seen.redirects is None else seen.redirects,
            http_version=seen.version,
            ip=timing.ip,
            body_bytes=len(seen.body),
            body_truncated=seen.truncated or cut,
            content_length=seen.content_length,
            last_modified_at=seen.last_modified_at,
            certificate_expires_at=seen.tls.certificate_expires_at,
            tls=seen.tls.tls,
            evidence=self._evidence(timing, seen) if failure else None,
        )
