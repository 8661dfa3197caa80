"""The list of incidents, and the page of one: its changes, its alerts, and how people react to it."""

import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlencode

from aiohttp import web

from monitor.incidents.model import NO_LONGER_CHECKED
from monitor.result import why
from monitor.runtime.text import DAY_S, HOUR_S
from monitor.web import acts
from monitor.web.clients.requests import form
from monitor.web.pages.base import Pages, whole_number
from monitor.web.pages.rendering import monitor_path
from monitor.web.pages.status import PUBLIC_KINDS
from monitor.web.queries import Incident, IncidentChange, PageReader, Place

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
        until = _instant(asked["until"])
        found = await reader.incidents(
            [asked["monitor"]] if asked["monitor"] else None,
            _instant(asked["since"]) or 0.0,
            until + DAY_S if until is not None else math.inf,
            is_open={"open": True, "resolved": False}.get(asked["state"]),
            after=_place(asked),
            limit=_ROWS,
        )
        older = ""
        if len(found) == _ROWS:
            older = _address({**asked, "at": repr(found[-1].started_at), "id": str(found[-1].id)})
        await self._pages.read_orders()
        now = time.time()
        orders = {
            each.id: self._pages.orders.of_incident(each, now) for each in found if each.ended_at is None
        }
        monitors = self._pages.monitors
        return await self._pages.render_beside(
            "incidents.html",
            "/incidents",
            lambda: {
                "incidents": found,
                "orders": orders,
                "several": True,
                "filter": asked,
                "is_filtered": any(asked.values()),
                "address": lambda **changes: _address({**asked, "at": "", "id": "", **changes}),
                "older": older,
                "names": sorted(monitors),
            },
        )

    async def _one(self, request: web.Request) -> web.Response:
        number = int(request.match_info["id"])

        async def make(reader: PageReader) -> str:
            incident, changes = await acts.incident_of(reader, number)
            return self._pages.render(
                "incident.html",
                "/incidents",
                incident=incident,
                changes=[(change, _words(change, incident), _why(change)) for change in changes],
                deliveries=await reader.deliveries(incident),
                silences=_SILENCES_H,
                updates=(await self._pages.running.alerts.updates([number]))[number],
                is_public=incident.kind in PUBLIC_KINDS,
                **await self._orders(incident),
            )

        return await self._pages.send(request, ("incident", number), make)

    async def _orders(self, incident: Incident) -> Mapping[str, Any]:
        await self._pages.read_orders()
        orders = self._pages.orders.of_incident(incident, time.time())
        return {
            "acknowledged": await self._pages.running.alerts.acknowledgement(incident.id),
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


def _words(change: IncidentChange, incident: Incident) -> str:
    """Return what a change is; those of outages, in the changes of flapping, say how the monitor was."""
    if change.kind == "flapping":
        return {"opened": "flapping", "resolved": "settled"}.get(change.change, change.change)
    if change.incident_id == incident.id:
        return f"{change.change} (no alert: flapping)" if change.quiet else change.change
    down = "down" if change.kind == "down" else "down from some locations"
    return {"opened": down, "changed": f"still {down}", "resolved": "up", "past": f"was {down}"}[
        change.change
    ]


def _why(change: IncidentChange) -> str:
    """Return the reason of a change; an end has that of the incident, unless nobody checks it any more."""
    is_plain_end = change.change == "resolved" and change.detail != NO_LONGER_CHECKED
    return "" if is_plain_end else why(change.reason, change.detail)


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
