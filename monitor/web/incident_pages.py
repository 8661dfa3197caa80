"""All incidents, and one of them: its course, who was told, and what people say of it."""

import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import urlencode

from aiohttp import web

from monitor.alert_store import Acknowledgement, Silence
from monitor.storage_database import StoreUnavailableError
from monitor.store_pages import Incident, IncidentChange, PageReader, Place
from monitor.web.pages import Pages, line, whole_number

_ROWS = 100
_HOUR_S = 3_600
_DAY_S = 86_400
_SILENCES_H = (1, 4, 24, 168)


class IncidentPages:
    """The history, with a filter, and one incident."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def routes(self) -> list[web.RouteDef]:
        """Give the pages."""
        return [
            web.get("/incidents", self._history),
            web.get(r"/incidents/{id:\d{1,18}}", self._one),
            web.post(r"/incidents/{id:\d{1,18}}/{what:acknowledge|silence}", self._say),
        ]

    async def _history(self, request: web.Request) -> web.Response:
        asked = {
            name: request.query.get(name, "")[:200]
            for name in ("monitor", "state", "since", "until", "at", "id")
        }

        async def make(reader: PageReader) -> str:
            return await self._make_history(reader, asked)

        return await self._pages.send(request, ("incidents", *asked.values()), make)

    async def _make_history(self, reader: PageReader, asked: Mapping[str, str]) -> str:
        until = _instant(asked["until"])
        found = await reader.incidents(
            [asked["monitor"]] if asked["monitor"] else None,
            _instant(asked["since"]) or 0.0,
            until + _DAY_S if until is not None else math.inf,
            is_open={"open": True, "resolved": False}.get(asked["state"]),
            after=_place(asked),
            limit=_ROWS,
        )
        older = ""
        if len(found) == _ROWS:
            onward = {**asked, "at": repr(found[-1].started_at), "id": str(found[-1].id)}
            older = "/incidents?" + urlencode(onward)
        monitors = self._pages.monitors
        return await self._pages.render_beside(
            "incidents.html",
            "/incidents",
            lambda: {
                "incidents": found,
                "several": True,
                "filter": asked,
                "older": older,
                "names": sorted(monitors),
            },
        )

    async def _one(self, request: web.Request) -> web.Response:
        number = int(request.match_info["id"])

        async def make(reader: PageReader) -> str:
            incident, changes = await _found(reader, number)
            return self._pages.render(
                "incident.html",
                "/incidents",
                incident=incident,
                changes=changes,
                deliveries=await reader.deliveries(incident),
                silences=_SILENCES_H,
                **await self._said(incident),
            )

        return await self._pages.send(request, ("incident", number), make)

    async def _said(self, incident: Incident) -> dict[str, Acknowledgement | Silence | None]:
        alerts = self._pages.running.alerts
        silences = {each.monitor: each for each in await alerts.silences(time.time())}
        acknowledged = await alerts.acknowledgement(incident.id)
        return {"acknowledged": acknowledged, "silence": silences.get(incident.monitor)}

    async def _say(self, request: web.Request) -> web.Response:
        """Acknowledge the incident, or tell nobody of its monitor for some hours."""
        running, now = self._pages.running, time.time()
        form = await request.post()
        who, why = line(form.get("who")), line(form.get("why"))
        if not (who and why):
            return self._pages.problem(400, "Who, and why?", "Others want to know.")
        number = int(request.match_info["id"])
        try:
            incident, _ = await _found(running.reader, number)
            if request.match_info["what"] == "acknowledge":
                await running.alerts.acknowledge(number, who, why, now)
            else:
                hours = min(max(_SILENCES_H), whole_number(str(form.get("hours", ""))))
                await running.alerts.silence(Silence(incident.monitor, now + hours * _HOUR_S, now, who, why))
        except StoreUnavailableError:
            return self._pages.away()
        self._pages.forget()
        raise web.HTTPSeeOther(f"/incidents/{number}")


async def _found(reader: PageReader, number: int) -> tuple[Incident, list[IncidentChange]]:
    found = await reader.incident(number)
    if found is None:
        raise web.HTTPNotFound(text="there is no incident of this number\n")
    return found


def _instant(day: str) -> float | None:
    """Read a day as its first instant; `None` for what is none."""
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
