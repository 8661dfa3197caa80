"""`/status`: the monitors of `status_page`, for everybody: without URLs, reasons and settings."""

import time
from datetime import UTC, datetime
from email.utils import format_datetime
from itertools import groupby
from typing import Any
from xml.sax.saxutils import escape

from aiohttp import web

from monitor.config.model import Monitor, StatusPage
from monitor.runtime.text import DAY_S, duration
from monitor.uptime.maintenance import Interval
from monitor.web.orders import Orders
from monitor.web.pages.base import Pages, whole_number
from monitor.web.pages.overview import ordered_states, rows_of
from monitor.web.pages.states import PAGE_ROWS, ShownState, banner_of
from monitor.web.queries import Incident, PageReader

_PAST_S = 14 * DAY_S
_INCIDENTS = 50
_COMING = 20
_KINDS = {"down": "down", "partial": "down from some locations", "flapping": "up and down in turns"}
"""What customers are told of; all other kinds of incidents are ours."""


class StatusPages:
    """The page, and its incidents as RSS; `settings` choose what they show."""

    def __init__(self, pages: Pages) -> None:
        self.settings = StatusPage()
        self._pages = pages

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/status", self._show), web.get("/status/rss", self._rss)]

    async def _show(self, request: web.Request) -> web.Response:
        pages = max(1, -(-len(self.monitors) // PAGE_ROWS))
        number = min(pages, whole_number(request.query.get("page", "")))
        key = ("status", number)
        return await self._pages.send_known(request, key, lambda reader: self._make(reader, number, pages))

    async def _rss(self, request: web.Request) -> web.Response:
        return await self._pages.send(request, "rss", self._make_rss, "application/rss+xml")

    @property
    def monitors(self) -> dict[str, Monitor]:
        """The monitors that everybody may see."""
        shown, groups = self.settings.monitors, self.settings.groups
        return {
            name: monitor
            for name, monitor in self._pages.monitors.items()
            if not (shown or groups) or name in shown or monitor.group in groups
        }

    async def _make(self, reader: PageReader | None, number: int, pages: int) -> str:
        stored = await ordered_states(self._pages, reader, self.monitors)
        coming = await self._coming()
        known = {each.name for each in stored if each.orders.acknowledged}
        every = await self._pages.beside(lambda: _public(stored))
        shown = every[(number - 1) * PAGE_ROWS : number * PAGE_ROWS]
        make_rows = await rows_of(self._pages, reader, shown, "")
        incidents = None if reader is None else await self._incidents(reader)

        def context() -> dict[str, Any]:
            rows = make_rows()
            return {
                "title": self.settings.title,
                "announcement": self.settings.announcement,
                "banner": banner_of(every, "service"),
                "groups": [
                    (group, [rows[each.name] for each in members])
                    for group, members in groupby(shown, key=lambda each: each.group)
                ],
                "known": known,
                "coming": coming,
                "incidents": incidents,
                "kinds": _KINDS,
                "pages": pages,
                "page": number,
                "page_url": "/status?page={}".format,
            }

        return await self._pages.render_beside("status.html", "/status", context)

    async def _coming(self) -> list[tuple[Interval, list[str]]]:
        """Return the maintenance that begins within a week, with its monitors."""
        orders, names, now = self._pages.orders, list(self.monitors), time.time()
        return await self._pages.beside(lambda: orders.coming(names, now)[:_COMING])

    async def _incidents(self, reader: PageReader) -> list[Incident]:
        now = time.time()
        found = await reader.incidents(list(self.monitors), now - _PAST_S, now, limit=_INCIDENTS)
        return [each for each in found if each.kind in _KINDS]

    async def _make_rss(self, reader: PageReader) -> str:
        entries = [_entry(each) for each in await self._incidents(reader)]
        title = escape(self.settings.title)
        return (
            '<?xml version="1.0" encoding="utf-8"?>\n<rss version="2.0"><channel>'
            f"<title>{title}</title><link>/status</link><description>{title}: incidents</description>"
            f"{''.join(entries)}</channel></rss>\n"
        )


def _public(every: list[ShownState]) -> list[ShownState]:
    """Return the states without what is not for everybody, in the order of the page.

    Of what is ordered, only maintenance is for everybody: a silence ends no outage.
    """
    shown = [
        each._replace(
            why="", url="", labels={}, orders=Orders(maintenance_until_at=each.orders.maintenance_until_at)
        )
        for each in every
    ]
    return sorted(shown, key=lambda each: (each.group == "", each.group, each.name))


def _entry(incident: Incident) -> str:
    what = f"is {_KINDS[incident.kind]}"
    if incident.ended_at is not None:
        what = f"was {_KINDS[incident.kind]} for {duration(incident.ended_at - incident.started_at)}"
    at = incident.started_at if incident.ended_at is None else incident.ended_at
    return (
        f"<item><title>{escape(f'{incident.monitor} {what}')}</title>"
        f'<guid isPermaLink="false">{incident.id}-{incident.ended_at or "open"}</guid>'
        f"<pubDate>{format_datetime(datetime.fromtimestamp(at, UTC))}</pubDate></item>"
    )
