"""`/status`: the monitors of `status_page`, for everybody: without URLs, reasons and settings."""

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from itertools import groupby
from typing import Any
from xml.sax.saxutils import escape

from aiohttp import web

from monitor.alerts.store import IncidentUpdate
from monitor.config.model import Monitor, StatusPage
from monitor.runtime.text import DAY_S, duration, instant, printable
from monitor.uptime.maintenance import Interval
from monitor.web.orders import Orders
from monitor.web.pages.base import Pages, whole_number
from monitor.web.pages.overview import ordered_states, rows_of
from monitor.web.pages.states import PAGE_ROWS, ShownState, banner_of
from monitor.web.queries import Incident, PageReader

_PAST_S = 14 * DAY_S
_INCIDENTS = 50
_COMING = 20
PUBLIC_KINDS = {"down": "down", "partial": "down from some locations", "flapping": "up and down in turns"}
"""What customers are told of; all other kinds of incidents are ours."""


class StatusPages:
    """The page, and its incidents as RSS; `settings` choose what they show.

    `page_url` is where people reach the pages: a feed needs absolute links.
    """

    def __init__(self, pages: Pages) -> None:
        self.settings = StatusPage()
        self.page_url = ""
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
        updates = await self._updates(incidents) if incidents else {}

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
                "updates": updates,
                "kinds": PUBLIC_KINDS,
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
        return [each for each in found if each.kind in PUBLIC_KINDS]

    async def _updates(self, incidents: list[Incident]) -> Mapping[int, list[IncidentUpdate]]:
        return await self._pages.running.alerts.updates([each.id for each in incidents])

    async def _make_rss(self, reader: PageReader) -> str:
        incidents, link = await self._incidents(reader), f"{self.page_url.rstrip('/')}/status"
        updates = await self._updates(incidents)
        entries = [entry for each in incidents for entry in _entries(each, updates[each.id], link)]
        title = _xml(self.settings.title)
        return (
            '<?xml version="1.0" encoding="utf-8"?>\n'
            '<rss version="2.0" xmlns:atom="http://www.w3.org/2005/Atom"><channel>'
            f'<atom:link href="{_xml(link)}/rss" rel="self" type="application/rss+xml"/>'
            f"<title>{title}</title><link>{_xml(link)}</link><description>{title}: incidents</description>"
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


def _entries(incident: Incident, updates: list[IncidentUpdate], link: str) -> Iterator[str]:
    """Return the items of an incident: what it is or was, and each update."""
    what = f"is {PUBLIC_KINDS[incident.kind]}"
    if incident.ended_at is not None:
        what = f"was {PUBLIC_KINDS[incident.kind]} for {duration(incident.ended_at - incident.started_at)}"
    at = incident.started_at if incident.ended_at is None else incident.ended_at
    about = f"{incident.monitor} {what}, since {instant(incident.started_at)} UTC."
    yield _item(f"{incident.id}-{incident.ended_at or 'open'}", at, f"{incident.monitor} {what}", about, link)
    for each in updates:
        yield _item(f"update-{each.id}", each.at, f"{incident.monitor}: {each.text}", each.text, link)


def _item(guid: str, at: float, title: str, description: str, link: str) -> str:
    return (
        f"<item><title>{_xml(title)}</title><link>{_xml(link)}</link><description>{_xml(description)}</description>"
        f'<guid isPermaLink="false">{guid}</guid>'
        f"<pubDate>{format_datetime(datetime.fromtimestamp(at, UTC))}</pubDate></item>"
    )


def _xml(text: str) -> str:
    """Return text for XML, which has no control characters in any form."""
    return escape(printable(text))
