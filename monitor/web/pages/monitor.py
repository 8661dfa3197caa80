"""`/monitors/<name>`: the page of one monitor."""

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from aiohttp import web

from monitor.config.model import Monitor
from monitor.result import CheckResult, OwnTroubleError, why
from monitor.runtime.text import DAY_S, duration, instant
from monitor.storage.database import StoreUnavailableError
from monitor.uptime.maintenance import intervals
from monitor.uptime.sums import status_of
from monitor.web.pages.base import Pages
from monitor.web.pages.charts import Frame, phases_chart, response_chart
from monitor.web.pages.history import DAY_H, bounds
from monitor.web.pages.maintenance import maintenance_of
from monitor.web.pages.overview import ordered_states, rows_of
from monitor.web.pages.rendering import monitor_path
from monitor.web.pages.response_times import (
    PHASES,
    RANGES,
    by_day,
    frame_of,
    phase_points,
    response_points,
    shades_of,
    steps_of,
)
from monitor.web.pages.states import labels_of
from monitor.web.queries import PageReader, Place, ResultRow, Step
from monitor.web.settings import in_words, settings_of

_WAIT_S = 5.0
_LOOK_S = 0.1  # between two looks whether a result is stored
_LINES = ("p50", "p95", "max")
_RESULTS = 20
_INCIDENTS = 50
_SHADES = 200


class MonitorPage:
    """Charts, incidents, results, certificate and settings."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/monitors/{name:.+}", self._show),
            web.post("/monitors/{name:.+}/check", self._check),
        ]

    async def _show(self, request: web.Request) -> web.Response:
        monitor, asked = self._pages.asked(request), _range(request)
        key = (monitor.name, asked)
        return await self._pages.send_known(request, key, lambda reader: self._make(reader, monitor, asked))

    async def _check(self, request: web.Request) -> web.Response:
        """Check now, and show the page again when the result is stored like all others."""
        monitor = self._pages.asked(request)
        try:
            result = await self._pages.running.check_now(monitor.name, monitor.timeout_s + _WAIT_S)
        except (KeyError, TimeoutError, OwnTroubleError):
            return self._pages.problem(503, "No result", "The check could not be made just now.")
        await self._stored(result)
        self._pages.forget()
        raise web.HTTPSeeOther(f"{monitor_path(monitor.name)}?range={_range(request)}")

    async def _stored(self, result: CheckResult) -> None:
        """Wait until the result is stored, but not for long: Kafka or PostgreSQL may be unavailable."""
        reader = self._pages.running.reader
        with suppress(TimeoutError, StoreUnavailableError):
            async with asyncio.timeout(_WAIT_S):
                while True:
                    if await reader.is_stored(result):
                        return
                    await asyncio.sleep(_LOOK_S)

    async def _make(self, reader: PageReader | None, monitor: Monitor, asked: str) -> str:
        if reader is None:
            return self._make_seen(monitor, asked)
        name, now = monitor.name, time.time()
        (state,) = await ordered_states(self._pages, reader, [name])
        make_rows = await rows_of(self._pages, reader, [state], "")
        results = await reader.results(name, now - DAY_S, Place(), _RESULTS)
        shown = frame_of(RANGES[asked], now)
        incidents = await reader.incidents([name], shown.since, shown.until, limit=_INCIDENTS)
        outages = await reader.incidents([name], shown.since, shown.until, limit=_SHADES, while_flapping=True)
        made = await reader.maintenance(shown.since, math.inf)
        make_steps = await self._steps(reader, name, asked, shown)

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
                "phases_chart": phases_chart(phase_points(steps), PHASES, shades, shown),
                "phase_names": PHASES,
                "incidents": incidents,
                "orders": {},
                "several": False,
                **maintenance_of(monitor, made, now),
                "results": list(map(_shown, results)),
                "certificate": list(_certificate(results)),
                "settings": list(in_words(settings_of(monitor))),
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
            settings=list(in_words(settings_of(monitor))),
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


def _range(request: web.Request) -> str:
    asked = request.query.get("range", "")
    return asked if asked in RANGES else "24h"


def _shown(result: ResultRow) -> dict[str, Any]:
    return {
        **result._asdict(),
        "status": status_of(up=result.up, degraded=result.degraded),
        "code": result.status,
        "phases": ", ".join(
            f"{phase} {duration(seconds)}"
            for phase in PHASES
            if (seconds := getattr(result, f"{phase}_s")) is not None
        ),
        "why": why(result.reason, result.detail),
        "evidence": "\n".join(_evidence(result)),
    }


def _evidence(result: ResultRow) -> Iterator[str]:
    if result.evidence:
        yield from (f"{name}: {value}" for name, value in result.evidence["headers"].items())
        yield ""
        yield result.evidence["body"]


def _facts(result: CheckResult) -> Iterator[tuple[str, str]]:
    """Yield what is known of a result that may not be stored yet, each fact with its name."""
    yield "checked at", instant(result.timestamp)
    yield "response time", duration(result.response_time)
    yield "code", "-" if result.response_status is None else str(result.response_status)
    yield "address", result.ip or "-"


def _certificate(results: list[ResultRow]) -> Iterator[tuple[str, str]]:
    """Yield the facts about the newest certificate that a check saw, each with its name."""
    found = next((result for result in results if result.tls), None)
    if found is not None and found.tls is not None:
        for key, value in found.tls.items():
            if key == "chain_expires_at":
                yield "verified chain expires", "not verified" if value is None else instant(value)
            else:
                yield key.replace("_", " "), str(value)
        if found.certificate_expires_at is not None:
            yield "presented chain expires", instant(found.certificate_expires_at)
