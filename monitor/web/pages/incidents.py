"""The list of incidents, and the page of one: its changes, its alerts, and how people react to it."""

import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlencode

from aiohttp import web

from monitor.runtime.text import DAY_S, HOUR_S, iso
from monitor.web import acts
from monitor.web.api.operations.parameters import MAX_LIMIT
from monitor.web.clients.requests import form
from monitor.web.pages.base import Pages, whole_number
from monitor.web.pages.content.course import course_of
from monitor.web.pages.content.results import shown_result
from monitor.web.pages.content.timeline import PUBLIC_WORDS
from monitor.web.pages.rendering import monitor_path
from monitor.web.queries import Incident, PageReader, Place

_ROWS = 100
_SILENCES_H = (1, 4, 24, 168)


class IncidentPages:
    """The history, with a filter, and one incident."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/incidents", self._history),
            web.get(r"/incidents/{id:\d{1,18}}", self._one),
            web.post(r"/incidents/{id:\d{1,18}}/{what:acknowledge|silence|updates}", self._act),
            web.post(r"/incidents/{id:\d{1,18}}/acknowledge/end", self._end_acknowledgement),
            web.post("/monitors/{name:.+}/silence/end", self._end_silence),
        ]

    async def _history(self, request: web.Request) -> web.Response:
        asked = {
            name: request.query.get(name, "")[:200]
            for name in ("monitor", "state", "since", "until", "at", "id")
        }
        key = ("incidents", *asked.values())
        return await self._pages.send(request, key, lambda reader: self._make_history(reader, asked))

    async def _make_history(self, reader: PageReader, asked: Mapping[str, str]) -> str:
        """Show what goes on, and then what is over; pages after the first have more of the latter."""
        state, ongoing, over = asked["state"], [], []
        if state == "open" or (not state and _place(asked) == Place()):
            ongoing = await self._read(reader, asked, is_open=True)
        if state != "open":
            over = await self._read(reader, asked, is_open=False)
        older = ""
        if len(listed := ongoing if state == "open" else over) == _ROWS:
            older = _address({**asked, "at": repr(listed[-1].started_at), "id": str(listed[-1].id)})
        await self._pages.read_orders()
        now = time.time()
        orders = {each.id: self._pages.orders.of_incident(each, now) for each in ongoing}
        monitors = self._pages.monitors
        return await self._pages.render_beside(
            "incidents.html",
            "/incidents",
            lambda: {
                "incidents": [*ongoing, *over],
                "orders": orders,
                "several": True,
                "filter": asked,
                "is_filtered": any(asked.values()),
                "address": lambda **changes: _address({**asked, "at": "", "id": "", **changes}),
                "older": older,
                "table": _table(asked),
                "has_more_ongoing": not state and len(ongoing) == _ROWS,
                "names": sorted(monitors),
            },
        )

    async def _read(self, reader: PageReader, asked: Mapping[str, str], *, is_open: bool) -> list[Incident]:
        until = _instant(asked["until"])
        return await reader.incidents(
            [asked["monitor"]] if asked["monitor"] else None,
            _instant(asked["since"]) or 0.0,
            until + DAY_S if until is not None else math.inf,
            is_open=is_open,
            after=_place(asked),
            limit=_ROWS,
        )

    async def _one(self, request: web.Request) -> web.Response:
        number = int(request.match_info["id"])

        async def make(reader: PageReader) -> str:
            incident, changes = await acts.incident_of(reader, number)
            acknowledged = await self._pages.running.alerts.acknowledgement(number)
            updates = (await self._pages.running.alerts.updates([number]))[number]
            failed = await reader.last_failed(incident)
            return self._pages.render(
                "incident.html",
                "/incidents",
                incident=incident,
                course=course_of(incident, changes, acknowledged, updates),
                deliveries=await reader.deliveries(incident),
                failed=failed and shown_result(failed),
                silences=_SILENCES_H,
                is_public=incident.kind in PUBLIC_WORDS,
                acknowledged=acknowledged,
                **await self._orders(incident),
            )

        return await self._pages.send(request, ("incident", number), make)

    async def _orders(self, incident: Incident) -> Mapping[str, Any]:
        await self._pages.read_orders()
        orders = self._pages.orders.of_incident(incident, time.time())
        return {
            "silence": self._pages.orders.silence_of(incident.monitor, time.time()),
            "maintenance_until_at": orders.maintenance_until_at,
        }

    async def _act(self, request: web.Request) -> web.Response:
        running, number = self._pages.running, int(request.match_info["id"])
        fields, what = form(request), request.match_info["what"]
        who, why = acts.signature(fields, "text" if what == "updates" else "why")
        if what == "acknowledge":
            await acts.acknowledge(running, number, who, why)
        elif what == "updates":
            await acts.post_update(running, number, who, why)
        else:
            incident, _ = await acts.incident_of(running.reader, number)
            hours = min(max(_SILENCES_H), whole_number(fields.get("hours", "")))
            await acts.silence(running, incident.monitor, time.time() + hours * HOUR_S, who, why)
        self._pages.forget()
        raise web.HTTPSeeOther(f"/incidents/{number}")

    async def _end_acknowledgement(self, request: web.Request) -> web.Response:
        number = request.match_info["id"]
        await acts.end_acknowledgement(self._pages.running, int(number))
        raise web.HTTPSeeOther(self._pages.back(form(request), f"/incidents/{number}"))

    async def _end_silence(self, request: web.Request) -> web.Response:
        """End the silence of a monitor, also of one that is no longer in the configuration."""
        asked = request.match_info["name"]
        name = asked if asked in self._pages.monitors else unquote(asked)
        await self._pages.running.alerts.end_silence(name, time.time())
        raise web.HTTPSeeOther(self._pages.back(form(request), monitor_path(name)))


def _address(fields: Mapping[str, str]) -> str:
    """Return the address of the list with these fields of its filter, but for empty ones."""
    query = urlencode({name: text for name, text in fields.items() if text})
    return f"/incidents?{query}" if query else "/incidents"


def _table(asked: Mapping[str, str]) -> str:
    """Return the address of the same list as CSV; the API's `until` is not included, that of the page is."""
    until = _instant(asked["until"])
    fields = {
        "format": "csv",
        "limit": str(MAX_LIMIT),
        "monitor": asked["monitor"],
        "state": asked["state"],
        "since": asked["since"] if _instant(asked["since"]) is not None else "",
        "until": "" if until is None else iso(until + DAY_S),
    }
    return "/api/v1/incidents?" + urlencode({name: text for name, text in fields.items() if text})


def _instant(day: str) -> float | None:
    """Return the first instant of a day, in UTC; `None` where the text is no day."""
    try:
        return datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _place(asked: Mapping[str, str]) -> Place:
    try:
        at = float(asked["at"])
    except ValueError:
        return Place()
    return Place(at, whole_number(asked["id"]))
