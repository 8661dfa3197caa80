"""Whether a failed check is the fault of the site, or of our own network."""

import asyncio
import socket
import time
from typing import Any

import aiohappyeyeballs
import msgspec

from monitor.config.model import Monitor
from monitor.config.public_url import public_url
from monitor.probe.exchange.connector import Network
from monitor.probe.probe import Checker, Probe
from monitor.result import CheckResult, OwnTroubleError, Reason

LIMIT_S = 2.0  # for one attempt
_SPACING_S = 0.25  # from the start of one attempt to the start of the next
_HAPPY_EYEBALLS_S = 0.25
_SERVER_ERROR = 500
_clock = time.monotonic  # the clock of uvloop's loop only counts milliseconds

# With these reasons, somebody outside of our own network has answered.
_NETWORK_WORKS = {
    Reason.TLS_EXPIRED,
    Reason.PROTOCOL_ERROR,
    Reason.TOO_MANY_REDIRECTS,
    Reason.STATUS,
    Reason.HEADER,
    Reason.BODY,
    Reason.JSON,
    Reason.BODY_TOO_LARGE,
    Reason.TOO_SLOW,
    Reason.CERTIFICATE_EXPIRING,
    Reason.BLOCKED_ADDRESS,
}


class Connectivity:
    """Whether `target` can be reached: HOST:PORT by a connection, a URL by a status below 500.

    It tries only when asked. There is one attempt at a time; all who wait for one share its outcome.
    """

    def __init__(self, target: str | None, network: Network) -> None:
        self.target = target
        self._network = network
        self._lock = asyncio.Lock()
        self._tried_at = float("-inf")
        self._passed_at = float("-inf")  # when the last attempt that succeeded began
        self._failed_at = float("-inf")  # when the last attempt that failed ended
        self._trouble: str | None = None

    async def trouble(self, since: float) -> str | None:
        """Return why the target could not be reached at some moment from `since` (monotonic clock) to now.

        `None`: it can be reached. Only an attempt that began after this call can show that.

        Raises:
            OwnTroubleError: this machine cannot try.

        """
        if self.target is None:
            return None
        asked_at = _clock()
        async with self._lock:
            if self._failed_at >= since:
                return self._trouble
            if self._passed_at >= asked_at:
                return None
            await asyncio.sleep(self._tried_at + _SPACING_S - _clock())
            self._tried_at = _clock()
            attempt = self._request if "://" in self.target else self._connect
            trouble = await attempt(self.target)
            if trouble is None:
                self._passed_at = self._tried_at
            else:
                self._failed_at, self._trouble = _clock(), trouble
            return trouble

    async def _request(self, url: str) -> str | None:
        settings: dict[str, Any] = {"timeout_s": LIMIT_S, "follow_redirects": False, "max_body_bytes": 0}
        probe = Probe(Monitor(name="connectivity_check", url=url, **settings), "", self._network)
        try:
            result = await probe.check(0.0)
        finally:
            await probe.close()
        if result.response_status is None:
            return f"{public_url(url)} cannot be reached: {result.detail}"
        if result.response_status >= _SERVER_ERROR:
            return f"{public_url(url)} answered {result.response_status}"
        return None

    async def _connect(self, target: str) -> str | None:
        host, _, port = target.rpartition(":")
        try:
            async with asyncio.timeout(LIMIT_S):
                found = await self._network.resolver.resolve(host.strip("[]"), int(port))
                places: list[aiohappyeyeballs.AddrInfoType] = [
                    (each["family"], socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (each["host"], each["port"]))
                    for each in found
                ]
                sock = await aiohappyeyeballs.start_connection(
                    places, happy_eyeballs_delay=_HAPPY_EYEBALLS_S, interleave=1
                )
        except TimeoutError:
            return f"{target} cannot be reached within {LIMIT_S:g} s"
        except OSError as error:
            return f"{target} cannot be reached: {error.strerror}"
        except (RuntimeError, MemoryError) as error:
            raise OwnTroubleError(f"cannot try to reach {target}: {error}") from error
        sock.close()
        return None


class GuardedProbe:
    """Checks as its checker does, but does not blame a site while our own network does not work."""

    def __init__(self, checker: Checker, connectivity: Connectivity) -> None:
        self._checker = checker
        self._connectivity = connectivity

    async def check(self, scheduled_at: float) -> CheckResult:
        """Check once; if that fails while the target cannot be reached, `up` is `None`."""
        began_at = _clock()
        result = await self._checker.check(scheduled_at)
        if result.up or result.reason in _NETWORK_WORKS:
            return result
        trouble = await self._connectivity.trouble(began_at)
        if trouble is None:
            return result
        return msgspec.structs.replace(
            result,
            up=None,
            reason=Reason.MONITOR_OFFLINE,
            detail=f"{trouble}; the check ended with {result.reason}: {result.detail}",
        )

    async def close(self) -> None:
        await self._checker.close()
