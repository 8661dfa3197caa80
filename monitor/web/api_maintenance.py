"""Maintenance through the API: when windows are open, and those that people make and end."""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from aiohttp import web

from monitor import maintenance_made
from monitor.config import Monitor
from monitor.maintenance import intervals
from monitor.maintenance_made import LONGEST_S, MadeWindows
from monitor.web.api_alerting import ApiAlerting, Line
from monitor.web.api_operation import Operation, answer, reader_of
from monitor.web.api_parameters import (
    LIMIT,
    NAME_CURSOR,
    Instant,
    body_instant,
    instant,
    name_cursor,
    stretch,
    text,
)
from monitor.web.api_problem import Mistake, ProblemError
from monitor.web.pages import Pages

_WEEK_S = 7 * 86_400.0


class Window(msgspec.Struct, frozen=True):
    """A stretch of time in which a monitor's maintenance windows are open, as far as it was asked for.

    With `id`, it is of one window that somebody made; without, of those of the configuration.
    """

    monitor: str
    since_at: float
    until_at: float
    id: int | None = None
    who: str | None = None
    why: str | None = None


class WindowList(msgspec.Struct, frozen=True):
    """Maintenance in the order of the monitors' names; `next` is the cursor with which the list goes on."""

    maintenance: Sequence[Window]
    next: str | None


class MaintenanceRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From when (by default now) until when there is maintenance: of a monitor, of a group, or of all."""

    until: Instant
    who: Line
    why: Line
    since: Instant | None = None
    monitor: str | None = None
    group: str | None = None
    all: bool = False


class MadeWindow(msgspec.Struct, frozen=True):
    """A window that somebody made; with neither `monitor` nor `group`, it is of all monitors."""

    id: int
    monitor: str | None
    group: str | None
    since_at: float
    until_at: float
    at: float
    who: str
    why: str


class ApiMaintenance:
    """Reads from what pages read, and writes where people's words are kept."""

    def __init__(self, pages: Pages, alerting: ApiAlerting) -> None:
        self._pages = pages
        self._alerting = alerting

    def operations(self) -> list[Operation]:
        """Give what can be asked."""
        listed = (
            text("monitor", "only these monitors, by name", repeats=True),
            instant("since", "from then on; by default now"),
            instant("until", "before then, at most 31 days later; by default a week later"),
            LIMIT,
            NAME_CURSOR,
        )
        return [
            Operation(
                "GET", "/maintenance", "When maintenance windows are open", self._list, WindowList, listed
            ),
            Operation(
                "POST",
                "/maintenance",
                "Make a maintenance window, of at most 31 days, of what one of monitor, group and all names",
                self._make,
                MadeWindow,
                takes=MaintenanceRequest,
            ),
            Operation(
                "POST",
                "/maintenance/{id}/end",
                "End a window that was made, now; one to come is taken back",
                self._end,
                MadeWindow,
            ),
        ]

    async def _list(self, request: web.Request, asked: Mapping[str, Any]) -> web.Response:
        since, until = _asked_stretch(asked, time.time())
        made = await reader_of(self._pages).maintenance(since, until)
        wanted = asked["monitor"]
        monitors = [
            monitor
            for name, monitor in self._pages.monitors.items()
            if (monitor.maintenance or made.scopes(monitor))
            and name.encode() > asked["cursor"]
            and (not wanted or name in wanted)
        ]
        monitors.sort(key=lambda monitor: monitor.name.encode())
        page = monitors[: asked["limit"]]
        onward = name_cursor(page[-1].name) if len(monitors) > len(page) else None
        windows = await asyncio.to_thread(_windows, page, made, since, until)
        return answer(WindowList(windows, onward), request, onward)

    async def _make(self, request: web.Request, asked: Mapping[str, Any]) -> web.Response:
        body, now = asked["body"], time.time()
        until = body_instant("until", body.until)
        since = now if body.since is None else body_instant("since", body.since)
        wrong = [*self._scope_mistakes(body), *maintenance_made.mistakes(since, until, now)]
        if wrong:
            raise ProblemError.about([Mistake(*each) for each in wrong], 422)
        window = maintenance_made.Made(
            0, body.monitor, body.group, max(since, now), until, now, body.who, body.why
        )
        return self._answer(await self._alerting.opened().make_maintenance(window), request)

    def _scope_mistakes(self, body: MaintenanceRequest) -> Iterator[tuple[str, str]]:
        given = [body.monitor is not None, body.group is not None, body.all]
        if sum(given) != 1:
            yield "monitor", "or else group must be given, or all be true: one of the three"
        if body.monitor is not None and body.monitor not in self._pages.monitors:
            yield "monitor", "must be the name of a monitor of the configuration"
        groups = {monitor.group for monitor in self._pages.monitors.values()}
        if body.group is not None and body.group not in groups:
            yield "group", "must be the group of a monitor of the configuration"

    async def _end(self, request: web.Request, _: Mapping[str, Any]) -> web.Response:
        number = int(request.match_info["id"])
        ended = await self._alerting.opened().end_maintenance(number, time.time())
        if ended is None:
            raise ProblemError(404, "nobody made a window of this number, or it is over")
        return self._answer(ended, request)

    def _answer(self, made: maintenance_made.Made, request: web.Request) -> web.Response:
        self._pages.forget()
        return answer(MadeWindow(*made), request)


def _asked_stretch(asked: Mapping[str, Any], now: float) -> tuple[float, float]:
    since = now if asked["since"] is None else asked["since"]
    since, until = stretch({**asked, "since": since}, since + _WEEK_S, 0)
    if until - since > LONGEST_S:
        raise ProblemError.about([Mistake("until", "must be at most 31 days after since")], 422)
    return since, until


def _windows(monitors: Sequence[Monitor], made: MadeWindows, since: float, until: float) -> list[Window]:
    return [
        window for monitor in monitors for window in sorted(_of(monitor, made, since, until), key=_since_at)
    ]


def _of(monitor: Monitor, made: MadeWindows, since: float, until: float) -> Iterator[Window]:
    for each in intervals(monitor.maintenance, since, until):
        yield Window(monitor.name, *each)
    for one in made.of(monitor):
        first, last = max(one.starts_at, since), min(one.ends_at, until)
        yield Window(monitor.name, first, last, one.id, one.who, one.why)


def _since_at(window: Window) -> float:
    return window.since_at
