"""All incidents, and one of them."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import urlencode

from aiohttp import web

from monitor.store_pages import PageReader, Place
from monitor.web.pages import Pages, whole_number

_ROWS = 100
_DAY_S = 86_400


class IncidentPages:
    """The history, with a filter, and the course of one incident."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def routes(self) -> list[web.RouteDef]:
        """Give the pages."""
        return [
            web.get("/incidents", self._history),
            web.get(r"/incidents/{id:\d{1,18}}", self._one),
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
        names = sorted(self._pages.monitors)
        return self._pages.render(
            "incidents.html",
            "/incidents",
            incidents=found,
            several=True,
            filter=asked,
            older=older,
            names=names,
        )

    async def _one(self, request: web.Request) -> web.Response:
        number = int(request.match_info["id"])

        async def make(reader: PageReader) -> str:
            found = await reader.incident(number)
            if found is None:
                raise web.HTTPNotFound
            incident, changes = found
            return self._pages.render("incident.html", "/incidents", incident=incident, changes=changes)

        try:
            return await self._pages.send(request, ("incident", number), make)
        except web.HTTPNotFound:
            return self._pages.problem(404, "No such incident", "There is none of this number.")


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
