"""Maintenance through the API: when windows are open, and the windows that people make and end."""

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from aiohttp import web

from monitor.config.model import Monitor
from monitor.runtime.text import DAY_S
from monitor.uptime.maintenance import LONGEST_S, MadeWindow, MadeWindows, intervals
from monitor.web import acts
from monitor.web.api.operations.operation import Operation, answer, csv_answer
from monitor.web.api.operations.parameters import (
    LIMIT,
    NAME_CURSOR,
    first_names,
    instant,
    names_after,
    text,
    time_range,
)
from monitor.web.api.operations.problems import Mistake, ProblemError
from monitor.web.api.operations.tables import columns
from monitor.web.pages.base import Pages


class MaintenancePeriod(msgspec.Struct, frozen=True):
    """A time within the range that was asked for in which a monitor has maintenance.

    With `id`, it comes from a window that somebody made; without, from the configuration.
    """

    monitor: str
    since_at: float
    until_at: float
    id: int | None = None
    who: str | None = None
    why: str | None = None


class MaintenanceList(msgspec.Struct, frozen=True):
    """Maintenance in the order of the monitors' names; `next` is the cursor of the next page."""

    maintenance: Sequence[MaintenancePeriod]
    next: str | None


_COLUMNS = columns(MaintenancePeriod)


class ApiMaintenance:
    """When monitors have maintenance, and windows that people make and end."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def operations(self) -> list[Operation]:
        listed = (
            text("monitor", "only the monitors of these names", repeats=True),
            instant("since", "the beginning; by default now"),
            instant("until", "the end, not included, at most 31 days after `since`; by default a week"),
            LIMIT,
            NAME_CURSOR,
        )
        return [
            Operation(
                "GET",
                "/maintenance",
                "When maintenance windows are open",
                "One entry for each monitor and time, those of the configuration and those that people "
                "made. With maintenance, checks continue, no alerts are sent, and the time does not count "
                "for uptime.",
                self._list,
                MaintenanceList,
                listed,
                _COLUMNS,
            ),
            Operation(
                "POST",
                "/maintenance",
                "Make a maintenance window of at most 31 days; give one of `monitor`, `group` and `all`",
                "It begins at `since`, by default now, and takes effect at once, without a change of the "
                "configuration. 422: such a window is not possible; the answer says why.",
                self._make,
                MadeWindow,
                takes=acts.MaintenanceRequest,
            ),
            Operation(
                "POST",
                "/maintenance/{id}/end",
                "End a window that somebody made; a future one is cancelled",
                "Windows of the configuration end only there. 404: nobody made this window, or it is over.",
                self._end,
                MadeWindow,
            ),
        ]

    async def _list(self, request: web.Request, asked: Mapping[str, Any]) -> web.Response:
        since, until = _time_range(asked, time.time())
        made = await self._pages.running.reader.maintenance(since, until)
        wanted, monitors = asked["monitor"], self._pages.monitors
        names = [
            name
            for name in names_after(monitors, asked["cursor"])
            if (not wanted or name in wanted) and (monitors[name].maintenance or made.scopes(monitors[name]))
        ]
        page, onward = first_names(names, asked["limit"])
        periods = await asyncio.to_thread(_periods, [monitors[name] for name in page], made, since, until)
        if asked["format"] == "csv":
            return csv_answer(periods, _COLUMNS, request, onward)
        return answer(MaintenanceList(periods, onward), request, onward)

    async def _make(self, request: web.Request, asked: Mapping[str, Any]) -> web.Response:
        made = await acts.make_window(self._pages.running, self._pages.monitors, asked["body"])
        return self._answer(made, request)

    async def _end(self, request: web.Request, _: Mapping[str, Any]) -> web.Response:
        number = int(request.match_info["id"])
        ended = await self._pages.running.alerts.end_maintenance(number, time.time())
        if ended is None:
            raise ProblemError(404, "nobody made a window of this number, or it is over")
        return self._answer(ended, request)

    def _answer(self, made: MadeWindow, request: web.Request) -> web.Response:
        self._pages.forget()
        return answer(made, request)


def _time_range(asked: Mapping[str, Any], now: float) -> tuple[float, float]:
    since = now if asked["since"] is None else asked["since"]
    since, until = time_range({**asked, "since": since}, since + 7 * DAY_S, 0)
    if until - since > LONGEST_S:
        raise ProblemError.about([Mistake("until", "must be at most 31 days after since")], 422)
    return since, until


def _periods(
    monitors: Iterable[Monitor], made: MadeWindows, since: float, until: float
) -> list[MaintenancePeriod]:
    return [
        period
        for monitor in monitors
        for period in sorted(_periods_of(monitor, made, since, until), key=lambda each: each.since_at)
    ]


def _periods_of(
    monitor: Monitor, made: MadeWindows, since: float, until: float
) -> Iterator[MaintenancePeriod]:
    for each in intervals(monitor.maintenance, since, until):
        yield MaintenancePeriod(monitor.name, *each)
    for one in made.of(monitor):
        first, last = max(one.since_at, since), min(one.until_at, until)
        yield MaintenancePeriod(monitor.name, first, last, one.id, one.who, one.why)
