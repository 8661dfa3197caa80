"""The API's uptime of any time range: from sums of hours and days, never from the rows of results."""

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from aiohttp import web

from monitor.runtime.text import DAY_S, HOUR_S
from monitor.uptime.sums import Sums, percentile, shares
from monitor.web.api.operations.operation import Operation, answer, csv_answer
from monitor.web.api.operations.parameters import (
    LIMIT,
    NAME_CURSOR,
    SINCE,
    UNTIL,
    first_names,
    names_after,
    text,
    time_range,
)
from monitor.web.api.operations.tables import columns
from monitor.web.pages.base import Pages
from monitor.web.pages.content.history import DAY_H, times
from monitor.web.queries import PageReader

_HOURS_D = 8  # days that are read as hours: a late result may have changed them after the day was summed up
_HOURS_KEPT_D = 399


class Uptime(msgspec.Struct, frozen=True):
    """How a monitor was in a time range: shares of the time, which add up to 1, checks and incidents."""

    monitor: str
    since_at: float
    """The beginning of the hour that was asked for, or of the day, if it is more than 400 days ago."""
    until_at: float
    """The end of the hour (or day), but no later than now."""
    uptime: float | None
    """The share of up or degraded in the known time outside of maintenance; null if there is none."""
    up_share: float
    degraded_share: float
    down_share: float
    maintenance_share: float
    unknown_share: float
    checks: int
    checks_up: int
    checks_degraded: int
    checks_down: int
    checks_unknown: int
    incidents_down: int
    """Incidents that were open at some time of the range; the same is true of the next three."""
    incidents_partial: int
    incidents_degraded: int
    incidents_no_data: int
    p50_s: float | None
    """The median response time of the checks that were up or degraded; like p95 and p99 exact to a fifth."""
    p95_s: float | None
    p99_s: float | None
    slowest_s: float | None


class UptimeList(msgspec.Struct, frozen=True):
    """Uptimes by the monitors' names; `next` is the cursor of the next page, null on the last."""

    uptimes: Sequence[Uptime]
    next: str | None


_COLUMNS = columns(Uptime)
_ABOUT = (
    "For the whole hours that the range touches, and for whole days where it is more than 400 days ago. "
    "Maintenance and time without results do not count."
)


class ApiUptime:
    """The uptime of the monitors in the configuration."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def operations(self) -> list[Operation]:
        names = text("monitor", "only the monitors of these names", repeats=True)
        several = (names, SINCE, UNTIL, LIMIT, NAME_CURSOR)
        one = (SINCE, UNTIL)
        return [
            Operation(
                "GET",
                "/uptime",
                "Uptime of all monitors",
                f"{_ABOUT} Monitors are in the order of their names.",
                self._list,
                UptimeList,
                several,
                _COLUMNS,
            ),
            Operation(
                "GET",
                "/monitors/{name}/uptime",
                "Uptime of a monitor",
                f"{_ABOUT} As CSV it is a table of one row.",
                self._one,
                Uptime,
                one,
                _COLUMNS,
            ),
        ]

    async def _list(self, request: web.Request, asked: Mapping[str, Any]) -> web.Response:
        wanted = asked["monitor"]
        names = [
            name
            for name in names_after(self._pages.monitors, asked["cursor"])
            if not wanted or name in wanted
        ]
        page, onward = first_names(names, asked["limit"])
        uptimes = await _uptimes(self._pages.running.reader, page, asked)
        if asked["format"] == "csv":
            return csv_answer(uptimes, _COLUMNS, request, onward)
        return answer(UptimeList(uptimes, onward), request, onward)

    async def _one(self, request: web.Request, asked: Mapping[str, Any]) -> web.Response:
        name = self._pages.asked(request).name
        (uptime,) = await _uptimes(self._pages.running.reader, [name], asked)
        if asked["format"] == "csv":
            return csv_answer([uptime], _COLUMNS, request)
        return answer(uptime, request)


async def _uptimes(reader: PageReader, names: Sequence[str], asked: Mapping[str, Any]) -> list[Uptime]:
    now = time.time()
    since, until = time_range(asked, now, DAY_S)
    hours, days = bounds_of(since, until, now)
    sums = await reader.stretch(names, hours, days)
    since, until = hours[0] * HOUR_S, min(hours[1] * HOUR_S, max(now, until))
    incidents = await reader.incident_counts(names, since, until)
    return [_uptime(name, since, until, sums.get(name, ()), incidents.get(name, {})) for name in names]


def bounds_of(since: float, until: float, now: float) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the hours of a time range, and the days among them that are complete and long over.

    Both are counted since 1970, from the first to before the second. A range that begins or ends where no
    hours are kept any more is extended to whole days.
    """
    first, end = math.floor(since / HOUR_S), math.ceil(until / HOUR_S)
    today = math.floor(now / DAY_S)
    kept = (today - _HOURS_KEPT_D) * DAY_H
    if first < kept:
        first -= first % DAY_H
    if end < kept:
        end += -end % DAY_H
    first_day, end_day = -(-first // DAY_H), min(end // DAY_H, today - _HOURS_D + 1)
    return (first, end), (first_day, max(first_day, end_day))


def _uptime(
    name: str, since: float, until: float, sums: Iterable[Sums], incidents: Mapping[str, int]
) -> Uptime:
    each = list(sums)
    part = shares(each, until - since)
    counts = times(each)
    return Uptime(
        monitor=name,
        since_at=since,
        until_at=until,
        uptime=part.uptime,
        up_share=part.up,
        degraded_share=part.degraded,
        down_share=part.down,
        maintenance_share=part.maintenance,
        unknown_share=part.unknown,
        checks=sum(one.checks for one in each),
        checks_up=sum(one.up for one in each),
        checks_degraded=sum(one.degraded for one in each),
        checks_down=sum(one.down for one in each),
        checks_unknown=sum(one.unknown for one in each),
        incidents_down=incidents.get("down", 0),
        incidents_partial=incidents.get("partial", 0),
        incidents_degraded=incidents.get("degraded", 0),
        incidents_no_data=incidents.get("no_data", 0),
        p50_s=percentile(counts, 0.5),
        p95_s=percentile(counts, 0.95),
        p99_s=percentile(counts, 0.99),
        slowest_s=max((one.slowest_s for one in each), default=0) or None,
    )
