"""`/badges/<name>/…`: one fact about a monitor of the status page, as a small picture."""

import time
from typing import Literal

from aiohttp import web
from markupsafe import Markup

from monitor.runtime.text import duration, percent
from monitor.uptime.sums import percentile
from monitor.web.pages.base import Pages
from monitor.web.pages.content.history import DAY_H, bounds, times
from monitor.web.pages.overview import histories, ordered_states
from monitor.web.pages.status import StatusPages
from monitor.web.queries import PageReader

Colour = Literal["green", "yellow", "red", "blue", "grey"]

_DAYS = 30
_COLOURS: dict[Colour, str] = {
    "green": "#1e8e4e",
    "yellow": "#8a6200",
    "red": "#c62f2f",
    "blue": "#244f96",
    "grey": "#5f6975",
}
_STATUS: dict[str, tuple[str, Colour]] = {
    "up": ("up", "green"),
    "degraded": ("degraded", "yellow"),
    "down": ("down", "red"),
    "partial": ("partly down", "red"),
    "maintenance": ("in maintenance", "blue"),
}
_GOOD_UPTIME, _FAIR_UPTIME = 0.999, 0.99
_CHARACTER, _PADDING = 6.7, 12  # in pixels, for Verdana of 11 px, the font of most badges
_BADGE = Markup(
    '<svg xmlns="http://www.w3.org/2000/svg" width="{whole}" height="20" role="img"'
    ' aria-label="{label}: {text}"><title>{label}: {text}</title>'
    '<rect width="{whole}" height="20" rx="3" fill="#454d57"/>'
    '<path d="M{left} 0h{cut}a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3h-{cut}z" fill="{colour}"/>'
    '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">'
    '<text x="{label_x}" y="14">{label}</text><text x="{text_x}" y="14">{text}</text></g></svg>'
)


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
                (state,) = await ordered_states(self._pages, reader, [name])
                is_planned = state.orders.maintenance_until_at is not None
                return status_badge("maintenance" if is_planned else state.status)
            if kind == "uptime":
                return uptime_badge((await histories(reader, [name]))[name].uptime_of(_DAYS), _DAYS)
            end = bounds(time.time()).end_hour
            hours = (await reader.sums([name], "hour", end - DAY_H, end)).get(name, {})
            every = [sums for hour in hours.values() for sums in hour]
            return response_time_badge(percentile(times(every), 0.5))

        badge = await self._pages.send(request, ("badge", name, kind), make, "image/svg+xml")
        badge.headers["Cross-Origin-Resource-Policy"] = "cross-origin"  # badges are for pages of others
        return badge


def status_badge(status: str) -> Markup:
    """Return the badge of a status, or of `maintenance`."""
    return _badge("status", *_STATUS.get(status, (status, "grey")))


def uptime_badge(share: float | None, days: int) -> Markup:
    """Return the badge of the uptime of the last days; a dash where nothing is known."""
    if share is None:
        return _badge(f"uptime {days} d", "-", "grey")
    colour: Colour = "green" if share >= _GOOD_UPTIME else "yellow" if share >= _FAIR_UPTIME else "red"
    return _badge(f"uptime {days} d", percent(share), colour)


def response_time_badge(seconds: float | None) -> Markup:
    """Return the badge of the median response time of the last day; a dash where nothing is known."""
    return _badge("response time", duration(seconds), "grey" if seconds is None else "green")


def _badge(label: str, text: str, colour: Colour) -> Markup:
    left, right = (round(_CHARACTER * len(each) + _PADDING) for each in (label, text))
    return _BADGE.format(
        whole=left + right,
        left=left,
        cut=right - 3,
        colour=_COLOURS[colour],
        label=label,
        text=text,
        label_x=left / 2,
        text_x=left + right / 2,
    )
