"""The API's account of uptime, for any stretch of time: from sums of hours and days, never from rows."""

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from aiohttp import web

from monitor.store_pages import PageReader
from monitor.uptime import HOUR_S, Sums, percentile, shares
from monitor.web.api_csv import columns
from monitor.web.api_operation import Operation, answer, csv_answer, monitor_of, reader_of
from monitor.web.api_parameters import (
    FORMAT,
    LIMIT,
    NAME_CURSOR,
    SINCE,
    UNTIL,
    name_cursor,
    stretch,
    text,
)
from monitor.web.history import DAY_H, times
from monitor.web.pages import Pages

_DAY_S = 86_400.0
_HOURS_D = 8  # days that are read by the hour: a late result may have changed them since they were summed up
_HOURS_KEPT_D = 399


class Uptime(msgspec.Struct, frozen=True):
    """How a monitor was in a stretch of time: shares of it, which add to 1, and what else is known."""

    monitor: str
    since_at: float
    """The beginning of the hour that was asked for; more than 400 days ago, of the day."""
    until_at: float
    """The end of the hour (or day), but not later than now."""
    uptime: float | None
    """The share that was up or degraded, of the time known and outside of maintenance; null: none."""
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
    """Those that went on within the stretch; so are the following."""
    incidents_partial: int
    incidents_no_data: int
    p50_s: float | None
    """Half of the responses of what was up took no longer; right within a fifth."""
    p95_s: float | None
    p99_s: float | None
    slowest_s: float | None


class UptimeList(msgspec.Struct, frozen=True):
    """Accounts in the order of the monitors' names; `next` is the cursor with which the list goes on."""

    uptimes: Sequence[Uptime]
    next: str | None


class Stretch(NamedTuple):
    """Whole hours, of which those within `days` are read as days."""

    first_hour: int
    end_hour: int
    first_day: int
    end_day: int


class ApiUptime:
    """The uptime of monitors of the configuration."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def operations(self) -> list[Operation]:
        """Give what can be asked."""
        names = text("monitor", "only these monitors, by name", repeats=True)
        several = (names, SINCE, UNTIL, LIMIT, NAME_CURSOR, FORMAT)
        one = (SINCE, UNTIL)
        return [
            Operation("GET", "/uptime", "Uptime of all monitors", self._list, UptimeList, several),
            Operation("GET", "/monitors/{name}/uptime", "Uptime of a monitor", self._one, Uptime, one),
        ]

    async def _list(self, request: web.Request, asked: Mapping[str, Any]) -> web.Response:
        wanted = asked["monitor"]
        names = [
            name
            for name in self._pages.monitors
            if name.encode() > asked["cursor"] and (not wanted or name in wanted)
        ]
        names.sort(key=str.encode)
        page = names[: asked["limit"]]
        uptimes = await _uptimes(reader_of(self._pages), page, asked)
        onward = name_cursor(page[-1]) if len(names) > len(page) else None
        if asked["format"] == "csv":
            return csv_answer(uptimes, columns(Uptime), request, onward)
        return answer(UptimeList(uptimes, onward), request, onward)

    async def _one(self, request: web.Request, asked: Mapping[str, Any]) -> web.Response:
        name = monitor_of(self._pages, request).name
        (uptime,) = await _uptimes(reader_of(self._pages), [name], asked)
        return answer(uptime, request)


async def _uptimes(reader: PageReader, names: list[str], asked: Mapping[str, Any]) -> list[Uptime]:
    now = time.time()
    since, until = stretch(asked, now, _DAY_S)
    part = stretch_of(since, until, now)
    sums = await reader.stretch(names, part[:2], part[2:])
    incidents = await reader.incident_counts(names, since, until)
    since, until = part.first_hour * HOUR_S, min(part.end_hour * HOUR_S, max(now, until))
    return [_uptime(name, since, until, sums.get(name, ()), incidents.get(name, {})) for name in names]


def stretch_of(since: float, until: float, now: float) -> Stretch:
    """Choose what is read of a stretch: days where they are whole and long over, else hours.

    Where hours are forgotten, it is made longer, to whole days.
    """
    first, end = math.floor(since / HOUR_S), math.ceil(until / HOUR_S)
    today = math.floor(now / _DAY_S)
    kept = (today - _HOURS_KEPT_D) * DAY_H
    if first < kept:
        first -= first % DAY_H
    if end < kept:
        end += -end % DAY_H
    first_day, end_day = -(-first // DAY_H), min(end // DAY_H, today - _HOURS_D + 1)
    return Stretch(first, end, first_day, max(first_day, end_day))


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
        incidents_no_data=incidents.get("no_data", 0),
        p50_s=percentile(counts, 0.5),
        p95_s=percentile(counts, 0.95),
        p99_s=percentile(counts, 0.99),
        slowest_s=max((one.slowest_s for one in each), default=0) or None,
    )
