"""`/monitors/<name>`: the page of one monitor."""

import math
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from aiohttp import web

from monitor.config.model import Monitor
from monitor.domains.known import Domain
from monitor.result import CheckResult
from monitor.runtime.text import DAY_S, duration
from monitor.uptime.maintenance import intervals
from monitor.web.pages.asked_checks import AskedChecks
from monitor.web.pages.base import Pages
from monitor.web.pages.content.charts import Frame, response_chart, stacked_chart
from monitor.web.pages.content.history import DAY_H, bounds
from monitor.web.pages.content.response_times import (
    PHASE_LAYERS,
    RANGES,
    by_day,
    frame_of,
    phase_points,
    range_of,
    response_points,
    shades_of,
    step_layers,
    step_points,
    steps_of,
)
from monitor.web.pages.content.results import shown_result, step_in_words
from monitor.web.pages.content.states import labels_of
from monitor.web.pages.maintenance import maintenance_of
from monitor.web.pages.overview import ordered_states, rows_of
from monitor.web.pages.rendering import monitor_path
from monitor.web.queries import PageReader, Place, ResultRow, Step
from monitor.web.settings import in_words

_LINES = ("p50", "p95", "max")
_RESULTS = 10
_INCIDENTS = 50
_SHADES = 200

Fact: TypeAlias = tuple[str, str | float]
"""What it is of, and the fact; an instant is in Unix seconds."""


class MonitorPage:
    """Charts, incidents, results, certificate, domain and settings."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._asked_checks = AskedChecks(pages)

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/monitors/{name:.+}", self._show), *self._asked_checks.routes()]

    async def _show(self, request: web.Request) -> web.Response:
        monitor, asked = self._pages.asked(request), range_of(request.query.get("range"))
        key = (monitor.name, asked)
        return await self._pages.send_known(request, key, lambda reader: self._make(reader, monitor, asked))

    async def _make(self, reader: PageReader | None, monitor: Monitor, asked: str) -> str:
        if reader is None:
            return self._make_seen(monitor, asked)
        name, now = monitor.name, time.time()
        (state,) = await ordered_states(self._pages, reader, [name])
        make_rows = await rows_of(self._pages, reader, [state], "")
        results = await reader.results(name, now - DAY_S, Place(), _RESULTS)
        shown = frame_of(RANGES[asked], now, monitor.interval_s)
        incidents = await reader.incidents([name], shown.since, shown.until, limit=_INCIDENTS)
        outages = await reader.incidents([name], shown.since, shown.until, limit=_SHADES, while_flapping=True)
        made = await reader.maintenance(shown.since, math.inf)
        make_steps = await self._steps(reader, name, asked, shown)
        layers = step_layers(monitor, RANGES[asked])
        times = await reader.step_times(name, shown.since, shown.until, shown.step_s) if layers else {}

        def context() -> dict[str, Any]:
            *steps, whole = make_steps()
            people = made.within(monitor, shown.since, shown.until)
            maintenance = intervals(monitor.maintenance, shown.since, shown.until, people)
            shades = shades_of(outages, maintenance, now)
            return {
                "row": make_rows()[name],
                "path": monitor_path(name),
                "labels": labels_of(state),
                "runbook": monitor.runbook,
                "quantiles": [("p50", whole.p50), ("p95", whole.p95), ("p99", whole.p99)],
                "ranges": RANGES,
                "range": asked,
                "response_chart": response_chart(response_points(steps), _LINES, shades, shown),
                "phases_chart": stacked_chart("phases", phase_points(steps), PHASE_LAYERS, shades, shown),
                "phase_layers": PHASE_LAYERS,
                "steps_chart": stacked_chart("steps", step_points(times, layers), layers, shades, shown),
                "step_layers": layers,
                "incidents": incidents,
                "orders": {},
                "several": False,
                **maintenance_of(monitor, made, now),
                "results": list(map(shown_result, results)),
                "certificate": list(_certificate(results)),
                "domain": list(_domain(self._pages.domain_of(name), now)),
                "settings": in_words(monitor),
                **self._asked_checks.shown(monitor),
            }

        return await self._pages.render_beside("monitor.html", "", context)

    def _make_seen(self, monitor: Monitor, asked: str) -> str:
        result = self._pages.latest(monitor.name)
        return self._pages.render(
            "monitor_seen.html",
            "",
            away=self._pages.away(None),
            row=self._pages.seen(monitor.name),
            path=monitor_path(monitor.name),
            range=asked,
            facts=[] if result is None else list(_facts(result)),
            domain=list(_domain(self._pages.domain_of(monitor.name), time.time())),
            settings=in_words(monitor),
            **self._asked_checks.shown(monitor),
        )

    async def _steps(
        self, reader: PageReader, name: str, asked: str, shown: Frame
    ) -> Callable[[], list[Step]]:
        """Read the response times of a range; return what makes its steps, and one for all of it last."""
        source = RANGES[asked].source
        if source == "results":
            read = await reader.course(name, shown.since, shown.until, shown.step_s)
            return lambda: read
        first, end = round(shown.since / shown.step_s), round(shown.until / shown.step_s)
        periods = (await reader.sums([name], source, first, end)).get(name, {})
        if source == "day":
            recent = await reader.sums([name], "hour", bounds(time.time()).first_hour, end * DAY_H)
            periods |= by_day(recent.get(name, {}))
        return lambda: steps_of(periods, shown.step_s)


def _facts(result: CheckResult) -> Iterator[Fact]:
    """Yield what is known of a result that may not be stored yet."""
    yield "checked at", result.timestamp
    yield "response time", duration(result.response_time)
    yield "code", "-" if result.response_status is None else str(result.response_status)
    yield "address", result.ip or "-"
    for step in result.steps or ():
        yield f"step {step.name}", step_in_words(step.status, step.seconds)


def _domain(domain: Domain | None, now: float) -> Iterator[Fact]:
    """Yield what is known of the registration of a domain."""
    if domain is None:
        return
    yield "name", domain.name
    expires_at = domain.expiry(now)
    yield "registration expires", "not known" if expires_at is None else expires_at
    if domain.asked_at is not None:
        yield "asked at", domain.asked_at
    if domain.why is not None:
        yield "why not known" if expires_at is None else "newest answer", domain.why


def _certificate(results: list[ResultRow]) -> Iterator[Fact]:
    """Yield the facts about the newest certificate that a check saw."""
    found = next((result for result in results if result.tls), None)
    if found is not None and found.tls is not None:
        for key, value in found.tls.items():
            if key == "chain_expires_at":
                yield "verified chain expires", "not verified" if value is None else value
            else:
                yield key.replace("_", " "), str(value)
        if found.certificate_expires_at is not None:
            yield "presented chain expires", found.certificate_expires_at
