"""`/badges/<name>/…`: one fact about a monitor of the status page, as a picture."""

import time

from aiohttp import web

from monitor.store_pages import PageReader
from monitor.uptime.sums import percentile
from monitor.web.badge import response_time_badge, status_badge, uptime_badge
from monitor.web.history import DAY_H, bounds, times
from monitor.web.overview import histories, states
from monitor.web.pages import Pages
from monitor.web.status_page import StatusPages

_DAYS = 30


class BadgePages:
    """`status.svg`, `uptime.svg` (of 30 days) and `response-time.svg` (the median of a day)."""

    def __init__(self, pages: Pages, status_pages: StatusPages) -> None:
        self._pages = pages
        self._status_pages = status_pages

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/badges/{name:.+}/{kind:status|uptime|response-time}.svg", self._send)]

    async def _send(self, request: web.Request) -> web.Response:
        name, kind = request.match_info["name"], request.match_info["kind"]
        if name not in self._status_pages.monitors:
            raise web.HTTPNotFound(text="the status page shows no such monitor\n")

        async def make(reader: PageReader) -> str:
            if kind == "status":
                (state,) = await states(reader, [self._pages.unknown[name]])
                return status_badge(state.status)
            if kind == "uptime":
                return uptime_badge((await histories(reader, [name]))[name].uptime_of(_DAYS), _DAYS)
            end = bounds(time.time()).end_hour
            hours = (await reader.sums([name], "hour", end - DAY_H, end)).get(name, {})
            every = [sums for hour in hours.values() for sums in hour]
            return response_time_badge(percentile(times(every), 0.5))

        return await self._pages.send(request, ("badge", name, kind), make, "image/svg+xml")
