"""`/probe`: a check of a monitor or by a module, made now, and answered as blackbox_exporter does."""

import math
import time
from uuid import UUID

from aiohttp import web

from monitor.config.model import Config, Monitor
from monitor.result import CheckResult, OwnTroubleError
from monitor.web.metrics import blackbox, steps
from monitor.web.metrics.checks import DOMAIN_EXPIRY, domain_samples
from monitor.web.metrics.exposition import MetricsText
from monitor.web.metrics.targets import Targets
from monitor.web.running import Program

_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_OFFSET_S = 0.5  # blackbox_exporter's: the answer has to arrive in time
_NO_HEADER_S = 120.0  # blackbox_exporter's


class ProbePage:
    """Checks what is configured, and what the configuration allows to check by a module."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._targets = Targets()

    def follow(self, config: Config) -> None:
        self._targets.follow(config)

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/probe", self._probe)]

    async def _probe(self, request: web.Request) -> web.Response:
        monitor, by_module = self._targets.asked(request.query)
        limit_s = _limit_s(request, monitor)
        if monitor.paused:
            return web.Response(text="# paused\n", headers={"Content-Type": _CONTENT_TYPE})
        began = time.perf_counter()
        try:
            if by_module:
                result = await self._program.running.probe_target(monitor, limit_s)
            else:
                result = await self._program.running.probe(monitor.name, limit_s)
        except TimeoutError:
            result = _nothing_seen(monitor, time.perf_counter() - began)
        except (KeyError, OwnTroubleError):
            raise web.HTTPServiceUnavailable(text="the check could not be made\n") from None
        if result.up is None:
            raise web.HTTPServiceUnavailable(text="this machine has no network\n")
        page = MetricsText((*blackbox.FAMILIES, steps.FAMILY, DOMAIN_EXPIRY))
        timeout_s = min(limit_s, monitor.timeout_s)
        page.add(blackbox.samples(result, steps.shown(result, monitor), timeout_s))
        page.add(steps.samples(result))
        page.add(domain_samples(self._program.running.domains.of(monitor.name), time.time()))
        return web.Response(
            body=b"".join(page.parts(openmetrics=False)), headers={"Content-Type": _CONTENT_TYPE}
        )


def _limit_s(request: web.Request, monitor: Monitor) -> float:
    """Return how long Prometheus waits, less the offset; if nothing is left, the timeout of the monitor."""
    header = request.headers.get("X-Prometheus-Scrape-Timeout-Seconds")
    if header is None:
        return _NO_HEADER_S
    try:
        seconds = float(header)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise web.HTTPBadRequest(text="X-Prometheus-Scrape-Timeout-Seconds is no number\n")
    return seconds - _OFFSET_S if seconds > _OFFSET_S else monitor.timeout_s


def _nothing_seen(monitor: Monitor, seconds: float) -> CheckResult:
    """Return a result for a check that was too slow; the check goes on, and its own result is dropped."""
    return CheckResult(
        timestamp=0,
        response_data="",
        response_status=None,
        response_time=seconds,
        id=UUID(int=0),
        monitor=monitor.name,
        url=monitor.public_url,
        location="",
        scheduled_at=0,
        up=False,
    )
