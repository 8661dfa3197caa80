"""`/status`: the monitors of `status_page`, for everybody: without URLs, reasons and settings."""

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from itertools import groupby
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

from aiohttp import web

from monitor.alerts.store import IncidentUpdate
from monitor.config.model import Monitor, StatusPage
from monitor.runtime.text import DAY_S, cut, moment, printable
from monitor.web.orders import Orders
from monitor.web.pages.base import Pages, whole_number
from monitor.web.pages.content.states import PAGE_ROWS, ShownState, banner_of
from monitor.web.pages.content.timeline import PUBLIC_WORDS, roughly
from monitor.web.pages.overview import ordered_states, rows_of
from monitor.web.queries import Incident, PageReader

_PAST_D = 90
_RECENT_D = 14
_INCIDENTS = 50
_COMING = 20
_TITLE = 100  # characters


class _Coming(NamedTuple):
    """Maintenance to come."""

    begins_at: float
    ends_at: float
    names: list[str]


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
        known_incidents = None if reader is None else await self._incidents(reader)
        incidents = known_incidents and _recent(known_incidents)
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
                "recent_d": _RECENT_D,
                "quiet_d": _RECENT_D if known_incidents else _PAST_D,
                "updates": updates,
                "pages": pages,
                "page": number,
                "page_url": "/status?page={}".format,
            }

        return await self._pages.render_beside("status.html", "/status", context)

    async def _coming(self) -> list[_Coming]:
        """Return the maintenance that begins within a week, with its monitors."""
        orders, names, now = self._pages.orders, list(self.monitors), time.time()
        found = await self._pages.beside(lambda: orders.coming(names, now)[:_COMING])
        return [_Coming(*interval, concerned) for interval, concerned in found]

    async def _incidents(self, reader: PageReader) -> list[Incident]:
        now = time.time()
        found = await reader.incidents(list(self.monitors), now - _PAST_D * DAY_S, now, limit=_INCIDENTS)
        return [each for each in found if each.kind in PUBLIC_WORDS]

    async def _updates(self, incidents: list[Incident]) -> Mapping[int, list[IncidentUpdate]]:
        return await self._pages.running.alerts.updates([each.id for each in incidents])

    async def _make_rss(self, reader: PageReader) -> str:
        incidents, link = _recent(await self._incidents(reader)), f"{self.page_url.rstrip('/')}/status"
        updates = await self._updates(incidents)
        items = [item for each in incidents for item in _items(each, updates[each.id])]
        items.sort(key=lambda each: each.at, reverse=True)
        title = _xml(self.settings.title)
        return (
            '<?xml version="1.0" encoding="utf-8"?>\n'
            '<rss version="2.0" xmlns:atom="http://www.w3.org/2005/Atom"><channel>'
            f'<atom:link href="{_xml(link)}/rss" rel="self" type="application/rss+xml"/>'
            f"<title>{title}</title><link>{_xml(link)}</link>"
            f"<description>{title}: incidents, and what is known of them</description>"
            f"{''.join(each.xml(link) for each in items)}</channel></rss>\n"
        )


def _recent(incidents: list[Incident]) -> list[Incident]:
    """Return those that go on, or ended a short time ago."""
    since = time.time() - _RECENT_D * DAY_S
    return [each for each in incidents if each.ended_at is None or each.ended_at >= since]


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


class _Item(NamedTuple):
    """One entry of the feed; it has another `guid` as soon as it says something new."""

    at: float
    incident: int
    guid: str
    title: str
    description: str

    def xml(self, link: str) -> str:
        at = format_datetime(datetime.fromtimestamp(self.at, UTC))
        return (
            f"<item><title>{_xml(self.title)}</title><link>{_xml(link)}#incident-{self.incident}</link>"
            f"<description>{_xml(self.description)}</description>"
            f'<guid isPermaLink="false">{_xml(link)}#{self.guid}</guid><pubDate>{at}</pubDate></item>'
        )


def _items(incident: Incident, updates: list[IncidentUpdate]) -> Iterator[_Item]:
    """Yield the items of an incident: what it is or was, and each update."""
    name, number, word = incident.monitor, incident.id, PUBLIC_WORDS[incident.kind]
    began_at, ended_at = incident.started_at, incident.ended_at
    if ended_at is None:
        about = f"{name} has been {word} since {moment(began_at)} UTC."
        yield _Item(began_at, number, f"{number}-open", f"{name} is {word}", about)
    else:
        what = f"{name} was {word} for {roughly(ended_at - began_at)}"
        about = f"{what}, from {moment(began_at)} to {moment(ended_at)} UTC."
        yield _Item(ended_at, number, f"{number}-{ended_at}", what, about)
    for each in updates:
        yield _Item(
            each.at, number, f"update-{each.id}", cut(printable(f"{name}: {each.text}"), _TITLE), each.text
        )


def _xml(text: str) -> str:
    """Return text for XML, which has no control characters in any form."""
    return escape(printable(text))
