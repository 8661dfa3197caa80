"""The page of one monitor."""

import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from aiohttp import web

from monitor.config import Monitor
from monitor.result import CheckResult, OwnTroubleError
from monitor.store_pages import PageReader, Place, ResultRow, Step
from monitor.uptime import status_of
from monitor.web import course
from monitor.web.charts import Frame, phases_chart, response_chart
from monitor.web.overview import rows_of, standings
from monitor.web.pages import Pages
from monitor.web.rendering import monitor_path, settings_of, utc

CheckNow = Callable[[str, float], Awaitable[CheckResult]]

_RESULTS = 50
_INCIDENTS = 50
_DAY_S = 86_400


class MonitorPage:
    """Charts, incidents, results, certificate and settings; `check_now` is there once the schedule is."""

    def __init__(self, pages: Pages) -> None:
        self.check_now: CheckNow | None = None
        self._pages = pages

    def routes(self) -> list[web.RouteDef]:
        """Give the page, and what its button does."""
        return [
            web.get("/monitors/{name:.+}", self._show),
            web.post("/monitors/{name:.+}/check", self._check),
        ]

    async def _show(self, request: web.Request) -> web.Response:
        monitor = self._pages.monitors.get(request.match_info["name"])
        if monitor is None:
            return self._pages.problem(404, "No such monitor", "The configuration has none of this name.")
        asked = request.query.get("range", "")
        asked = asked if asked in course.RANGES else "24h"

        async def make(reader: PageReader) -> str:
            return await self._make(reader, monitor, asked)

        return await self._pages.send(request, (monitor.name, asked), make)

    async def _check(self, request: web.Request) -> web.Response:
        """Check now; the result is stored like all others."""
        monitor = self._pages.monitors.get(request.match_info["name"])
        if monitor is None:
            return self._pages.problem(404, "No such monitor", "The configuration has none of this name.")
        try:
            if self.check_now is not None:
                await self.check_now(monitor.name, monitor.timeout_s)
        except (KeyError, TimeoutError, OwnTroubleError):
            return self._pages.problem(503, "No result", "The check could not be made just now.")
        raise web.HTTPSeeOther(monitor_path(monitor.name))

    async def _make(self, reader: PageReader, monitor: Monitor, asked: str) -> str:
        name, now = monitor.name, time.time()
        (standing,) = await standings(reader, {name: monitor})
        row = (await rows_of(reader, [standing], hourly=False))[name]
        results = await reader.results(name, now - _DAY_S, Place(), _RESULTS)
        shown = course.frame(course.RANGES[asked], now)
        incidents = await reader.incidents([name], shown.since, shown.until, limit=_INCIDENTS)
        *steps, whole = await self._steps(reader, name, asked, shown)
        spans = course.shades(incidents, shown)
        return self._pages.render(
            "monitor.html",
            "",
            row=row,
            path=monitor_path(name),
            quantiles=[("p50", whole.p50), ("p95", whole.p95), ("p99", whole.p99)],
            ranges=course.RANGES,
            range=asked,
            response_chart=response_chart(course.lines(steps), ("p50", "p95", "max"), spans, shown),
            phases_chart=phases_chart(course.stacks(steps), course.PHASES, spans, shown),
            phase_names=course.PHASES,
            incidents=incidents,
            several=False,
            results=list(map(_shown, results)),
            certificate=list(_certificate(results)),
            settings=list(settings_of(monitor)),
        )

    async def _steps(self, reader: PageReader, name: str, asked: str, shown: Frame) -> list[Step]:
        """Read the course of the range, and at last what all of it comes to."""
        source = course.RANGES[asked].source
        if source == "results":
            return await reader.course(name, shown.since, shown.until, shown.step_s)
        first, end = round(shown.since / shown.step_s), round(shown.until / shown.step_s)
        found = await reader.sums([name], source, first, end, with_times=True)
        return course.steps(found.get(name, {}), shown.step_s)


def _shown(result: ResultRow) -> dict[str, Any]:
    return {
        **result._asdict(),
        "status": status_of(up=result.up, degraded=result.degraded),
        "code": result.status,
        "why": ": ".join(filter(None, (result.reason, result.detail))),
        "evidence": "\n".join(_evidence(result)),
    }


def _evidence(result: ResultRow) -> Iterator[str]:
    if result.evidence:
        yield from (f"{name}: {value}" for name, value in result.evidence["headers"].items())
        yield ""
        yield result.evidence["body"]


def _certificate(results: list[ResultRow]) -> Iterator[tuple[str, str]]:
    """Say what the newest result with a certificate saw."""
    found = next((result for result in results if result.tls), None)
    if found is not None and found.tls is not None:
        for key, value in found.tls.items():
            if key == "chain_expires_at":
                yield "verified chain expires", "not verified" if value is None else utc(value)
            else:
                yield key.replace("_", " "), str(value)
        if found.certificate_expires_at is not None:
            yield "presented chain expires", utc(found.certificate_expires_at)
