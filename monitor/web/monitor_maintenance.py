"""Maintenance on the page of a monitor: what there is and is to come, and what makes and ends it."""

import time
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from monitor.config import Monitor
from monitor.maintenance import intervals
from monitor.maintenance_made import LONGEST_S, MadeWindow, MadeWindows, Scope, mistakes
from monitor.storage_database import StoreUnavailableError
from monitor.web.api_parameters import INSTANT_ALLOWED, read_instant
from monitor.web.pages import Pages, line, whole_number
from monitor.web.rendering import monitor_path

_HOUR_S = 3_600
_LENGTHS_H = (1, 2, 4, 8, 24, 72, 168)


class MaintenanceForms:
    """Does what the forms ask for."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def routes(self) -> list[web.RouteDef]:
        """Give what the buttons do."""
        return [
            web.post("/monitors/{name:.+}/maintenance", self._make),
            web.post(r"/monitors/{name:.+}/maintenance/{id:\d{1,18}}/end", self._end),
        ]

    async def _make(self, request: web.Request) -> web.Response:
        monitor, now = self._pages.asked(request), time.time()
        form = await request.post()
        who, why = line(form.get("who")), line(form.get("why"))
        if not (who and why):
            return self._pages.problem(400, "Who, and why?", "Others want to know.")
        try:
            since = read_instant(str(form["since"])) if form.get("since") else now
        except ValueError:
            return self._pages.problem(400, "This cannot be a window", f"The start {INSTANT_ALLOWED}.")
        until = since + whole_number(str(form.get("hours", ""))) * _HOUR_S
        if wrong := " ".join(f"{field} {allowed}." for field, allowed in mistakes(since, until, now)):
            return self._pages.problem(400, "This cannot be a window", wrong)
        scope = {name: scope for name, (scope, _) in _scopes(monitor).items()}
        of = scope.get(str(form.get("scope", "")), (monitor.name, None))
        try:
            await self._pages.running.alerts.make_maintenance(
                MadeWindow(0, *of, max(since, now), until, now, who, why)
            )
        except StoreUnavailableError:
            return self._pages.away()
        return self._back(monitor)

    async def _end(self, request: web.Request) -> web.Response:
        monitor = self._pages.asked(request)
        try:
            await self._pages.running.alerts.end_maintenance(int(request.match_info["id"]), time.time())
        except StoreUnavailableError:
            return self._pages.away()
        return self._back(monitor)

    def _back(self, monitor: Monitor) -> web.Response:
        self._pages.forget()
        raise web.HTTPSeeOther(monitor_path(monitor.name))


def maintenance_of(monitor: Monitor, made: MadeWindows, now: float) -> Mapping[str, Any]:
    """Say what the page has to know of a monitor's maintenance."""
    configured = intervals(monitor.maintenance, now, now + LONGEST_S)
    is_open = bool(configured) and configured[0][0] <= now
    return {
        "configured_until": configured[0][1] if is_open else None,
        "made": [each for each in made.of(monitor) if each.ends_at > now],
        "scopes": [(name, label) for name, (_, label) in _scopes(monitor).items()],
        "lengths_h": _LENGTHS_H,
    }


def _scopes(monitor: Monitor) -> dict[str, tuple[Scope, str]]:
    """Say of what a window can be that is made on the monitor's page: by the form's word, with its label."""
    group = {"group": ((None, monitor.group), f"group {monitor.group}")} if monitor.group else {}
    return {
        "monitor": ((monitor.name, None), "this monitor"),
        **group,
        "all": ((None, None), "all monitors"),
    }
