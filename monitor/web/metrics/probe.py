"""`/probe`: a check of a configured monitor, made now, and answered as blackbox_exporter does."""

import math
import time
from collections import defaultdict
from collections.abc import Iterable
from uuid import UUID

from aiohttp import web
from yarl import URL

from monitor.config.model import Monitor
from monitor.result import CheckResult, OwnTroubleError
from monitor.web.metrics import blackbox
from monitor.web.metrics.checks import DOMAIN_EXPIRY, domain_samples
from monitor.web.metrics.exposition import MetricsText
from monitor.web.running import Program

_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_OFFSET_S = 0.5  # blackbox_exporter's: the answer has to arrive in time
_NO_HEADER_S = 120.0  # blackbox_exporter's


class ProbePage:
    """Checks only what is configured; the parameter `module` is accepted and has no effect."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._targets: dict[str, list[Monitor]] = {}

    def follow(self, monitors: Iterable[Monitor]) -> None:
        """Answer for these monitors, by name or URL; of several that fit, for the first."""
        by_url: defaultdict[str, list[Monitor]] = defaultdict(list)
        by_name = {}
        for monitor in monitors:
            by_name[monitor.name] = [monitor]
            for url in {_same(monitor.url), _same(monitor.public_url)}:
                by_url[url].append(monitor)
        self._targets = by_url | by_name

    def _monitor(self, target: str, hostname: str | None) -> Monitor:
        found = self._targets.get(target) or self._targets.get(_same(target))
        if not found:
            raise web.HTTPNotFound(text="no monitor has this name or URL\n")
        if hostname:  # blackbox_exporter would ask another virtual host of the target
            found = [each for each in found if _host(each) == hostname.lower()]
        if not found:
            raise web.HTTPNotFound(text="no monitor of this name or URL sends this hostname as Host\n")
        return found[0]

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/probe", self._probe)]

    async def _probe(self, request: web.Request) -> web.Response:
        target = request.query.get("target")
        if not target:
            raise web.HTTPBadRequest(text="the parameter target is missing\n")
        monitor = self._monitor(target, request.query.get("hostname"))
        limit_s = _limit_s(request, monitor)
        if monitor.paused:
            return web.Response(text="# paused\n", headers={"Content-Type": _CONTENT_TYPE})
        began = time.perf_counter()
        try:
            result = await self._program.running.probe(monitor.name, limit_s)
        except TimeoutError:
            result = _nothing_seen(monitor, time.perf_counter() - began)
        except (KeyError, OwnTroubleError):
            raise web.HTTPServiceUnavailable(text="the check could not be made\n") from None
        if result.up is None:
            raise web.HTTPServiceUnavailable(text="this machine has no network\n")
        page = MetricsText((*blackbox.FAMILIES, DOMAIN_EXPIRY))
        timeout_s = min(limit_s, monitor.timeout_s)
        page.add(blackbox.samples(result, monitor, timeout_s))
        page.add(domain_samples(self._program.running.domains.of(monitor.name), time.time()))
        return web.Response(
            body=b"".join(page.parts(openmetrics=False)), headers={"Content-Type": _CONTENT_TYPE}
        )


def _host(monitor: Monitor) -> str:
    """Return what the first request has as its Host."""
    given = {name.lower(): value for name, value in monitor.headers.items()}.get("host")
    return (given.get_secret_value() if given else URL(monitor.url).host_port_subcomponent or "").lower()


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


def _same(target: str) -> str:
    """Return one text for all URLs that mean the same. The default scheme is that of blackbox_exporter."""
    try:
        url = URL(target if "://" in target else f"http://{target}")
    except ValueError:
        return target
    return f"{url.scheme}://{url.user}:{url.password}@{url.host}:{url.port}{url.raw_path_qs}"


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
