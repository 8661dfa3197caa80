"""Maintenance on the page of a monitor: present and future windows, and the forms that make and end them."""

import time
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from monitor.config.model import Monitor
from monitor.runtime.text import HOUR_S
from monitor.uptime.maintenance import LONGEST_S, MadeWindows, Scope, intervals
from monitor.web import acts
from monitor.web.api.operations.parameters import body_instant
from monitor.web.api.operations.problems import ProblemError
from monitor.web.clients.requests import form
from monitor.web.pages.base import Pages, whole_number
from monitor.web.pages.rendering import monitor_path

_LENGTHS_H = (1, 2, 4, 8, 24, 72, 168)


class MaintenanceForms:
    """Makes and ends windows."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/monitors/{name:.+}/maintenance", self._make),
            web.post(r"/monitors/{name:.+}/maintenance/{id:\d{1,18}}/end", self._end),
        ]

    async def _make(self, request: web.Request) -> web.Response:
        monitor = self._pages.asked(request)
        fields = form(request)
        who, why = acts.signature(fields)
        scopes = {name: scope for name, (scope, _) in _scopes(monitor).items()}
        name, group = scopes.get(fields.get("scope", ""), (monitor.name, None))
        try:
            since = body_instant("since", fields["since"]) if fields.get("since") else time.time()
            until = since + whole_number(fields.get("hours", "")) * HOUR_S
            is_all = name is None and group is None
            window = acts.MaintenanceRequest(until, who, why, since, name, group, is_all)
            await acts.make_window(self._pages.running, self._pages.monitors, window)
        except ProblemError as error:
            wrong = " ".join(f"{each.parameter} {each.problem}." for each in error.errors)
            return self._pages.problem(400, "This window is not allowed", wrong)
        raise web.HTTPSeeOther(self._pages.back({}, monitor_path(monitor.name)))

    async def _end(self, request: web.Request) -> web.Response:
        monitor = self._pages.asked(request)
        await self._pages.running.alerts.end_maintenance(int(request.match_info["id"]), time.time())
        raise web.HTTPSeeOther(self._pages.back(form(request), monitor_path(monitor.name)))


def maintenance_of(monitor: Monitor, made: MadeWindows, now: float) -> Mapping[str, Any]:
    configured = intervals(monitor.maintenance, now, now + LONGEST_S)
    is_open = bool(configured) and configured[0][0] <= now
    return {
        "configured_until": configured[0][1] if is_open else None,
        "made": [each for each in made.of(monitor) if each.until_at > now],
        "scopes": [(name, label) for name, (_, label) in _scopes(monitor).items()],
        "lengths_h": _LENGTHS_H,
    }


def _scopes(monitor: Monitor) -> dict[str, tuple[Scope, str]]:
    """Return what a window made on this page can be of, with its label, by the value in the form."""
    group = {"group": ((None, monitor.group), f"group {monitor.group}")} if monitor.group else {}
    return {"monitor": ((monitor.name, None), "this monitor"), **group, "all": ((None, None), "all monitors")}
