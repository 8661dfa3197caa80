"""`/`: all monitors, and whether all is well."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from monitor.domains.known import Domain, expiry_of
from monitor.result import CheckResult
from monitor.runtime.process.event_loop import in_pieces
from monitor.runtime.text import DAY_S
from monitor.web.api.operations.parameters import MAX_LIMIT
from monitor.web.orders import ORDER_NAMES
from monitor.web.pages.base import Pages, whole_number
from monitor.web.pages.content.charts import sparkline, uptime_bars
from monitor.web.pages.content.history import DAY_H, History, bounds
from monitor.web.pages.content.states import (
    WORST_FIRST,
    Filter,
    ShownState,
    banner_of,
    known,
    labels_of,
    page_of,
)
from monitor.web.queries import Latest, PageReader, Seconds

_MAX_QUERY = 200
_STATES = (*WORST_FIRST, *ORDER_NAMES)

Rows = dict[str, dict[str, Any]]


class OverviewPage:
    """All monitors, the worst first, page by page."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/", self._overview)]

    async def _overview(self, request: web.Request) -> web.Response:
        asked = {name: request.query.get(name, "")[:_MAX_QUERY] for name in ("q", "state", "label", "bars")}
        number = whole_number(request.query.get("page", ""))
        key = ("/", *asked.values(), number)
        return await self._pages.send_known(request, key, lambda reader: self._make(reader, asked, number))

    async def _make(self, reader: PageReader | None, asked: dict[str, str], number: int) -> str:
        every = await ordered_states(self._pages, reader, self._pages.unknown)
        wanted = Filter(asked["q"], asked["state"], asked["label"])
        page = await self._pages.beside(lambda: page_of(every, wanted, number))
        shown = [state for _, rows in page.groups for state in rows]
        make_rows = await rows_of(self._pages, reader, shown, asked["bars"])

        def context() -> dict[str, Any]:
            rows = make_rows()
            return {
                "banner": banner_of(every),
                "away": self._pages.away(reader),
                "is_idle": all(each.status == "paused" for each in every),
                "filter": asked,
                "states": _counts(every, wanted),
                "address": lambda **changes: _address({**asked, **changes}),
                "labels": sorted({label for state in every for label in labels_of(state)}),
                "count": page.count,
                "total": len(every),
                "groups": [(group, [rows[each.name] for each in members]) for group, members in page.groups],
                "pages": page.pages,
                "page": page.number,
                "table": _table(asked),
                "page_url": lambda page: _address({**asked, "page": str(page)}),
            }

        return await self._pages.render_beside("overview.html", "/", context)


def _counts(every: Iterable[ShownState], wanted: Filter) -> list[tuple[str, int]]:
    """Return how many of those that are wanted, whatever their states, are in each state that there is."""
    admitted = [each for each in every if wanted._replace(state="").admits(each)]
    counts = Counter(name for each in admitted for name in (each.status, *each.orders.names))
    return [("", len(admitted)), *((name, counts[name]) for name in _STATES if counts[name])]


def _address(fields: Mapping[str, str]) -> str:
    """Return the address of the overview with these fields of its filter, but for empty ones."""
    query = urlencode({name: text for name, text in fields.items() if text})
    return f"/?{query}" if query else "/"


def _table(asked: Mapping[str, str]) -> str:
    """Return the address of the same monitors as CSV; of orders, the API has no filter."""
    status = asked["state"] if asked["state"] in WORST_FIRST else ""
    fields = {"q": asked["q"], "status": status, "label": asked["label"]}
    query = urlencode({name: text for name, text in fields.items() if text})
    return f"/api/v1/monitors?format=csv&limit={MAX_LIMIT}{'&' if query else ''}{query}"


async def states(reader: PageReader, unknown: Iterable[ShownState]) -> list[ShownState]:
    """Return the stored states of these monitors; one that has none stays as it is given."""
    every = list(unknown)
    stored = await reader.states([each.name for each in every])
    return [known(each, stored.get(each.name)) async for each in in_pieces(every)]


async def ordered_states(pages: Pages, reader: PageReader | None, names: Iterable[str]) -> list[ShownState]:
    """Do the same, by name, and add what is ordered; without a reader, return what this process has seen."""
    if reader is None:
        return [pages.seen(name) async for name in in_pieces(list(names))]
    every = await states(reader, [pages.unknown[name] for name in names])
    pages.remember(every)
    await pages.read_orders()
    now = time.time()
    return [each._replace(orders=pages.orders.of(each.name, now)) async for each in in_pieces(every)]


async def rows_of(
    pages: Pages, reader: PageReader | None, shown: list[ShownState], bars: str
) -> Callable[[], Rows]:
    """Read the rows of these monitors; `bars` are `24h` or `90d`, else `24h` while the history is short.

    Without a reader there is no history: only the newest results that this process has made.

    Return what makes the rows, by name. That takes a while, so call it in a thread.
    """
    if reader is None:
        return lambda: {
            each.name: _row_seen(each, pages.latest(each.name), pages.domain_of(each.name)) for each in shown
        }
    names = [state.name for state in shown]
    found = await histories(reader, names)
    latest = await reader.latest(names, time.time() - DAY_S)
    hourly = bars == "24h" or (bars != "90d" and all(each.is_short for each in found.values()))
    return lambda: {
        each.name: _row(
            each, found[each.name], latest.get(each.name), pages.domain_of(each.name), hourly=hourly
        )
        for each in shown
    }


async def histories(reader: PageReader, names: list[str]) -> dict[str, History]:
    now = time.time()
    read = bounds(now)
    days = await reader.days(names, read.first_day, read.first_hour, read.end_hour)
    week = await reader.hours(names, *read.week_hours)
    hours = await reader.sums(names, "hour", read.end_hour - DAY_H, read.end_hour)
    return {
        name: History(now, days.get(name, {}), week.get(name, Seconds()), hours.get(name, {}))
        for name in names
    }


def _row(
    state: ShownState, history: History, latest: Latest | None, domain: Domain | None, *, hourly: bool
) -> dict[str, Any]:
    bars = tuple(history.hour_bars() if hourly else history.day_bars())
    return {
        **state._asdict(),
        "uptime": history.uptime(),
        "bars": uptime_bars(
            bars,
            f"uptime of the last {'24 hours' if hourly else '90 days'}",
            history.first_hour if hourly else None,
        ),
        "bars_ends": ("24 h ago", "now") if hourly else (history.first_day, "today"),
        "spark": sparkline(history.medians(), "response time of the last 24 hours", history.first_hour),
        "response_time_s": latest and latest.response_time_s,
        "certificate_days": _days(latest and latest.certificate_expires_at, history.now),
        "domain_days": _days(expiry_of(domain, history.now), history.now),
    }


def _days(expires_at: float | None, now: float) -> float | None:
    return None if expires_at is None else (expires_at - now) / DAY_S


def _row_seen(state: ShownState, result: CheckResult | None, domain: Domain | None) -> dict[str, Any]:
    now = time.time()
    latest = None if result is None else Latest(result.response_time, result.certificate_expires_at)
    row = _row(state, History(now, {}, Seconds(), {}), latest, domain, hourly=True)
    return {**row, "bars": "", "bars_ends": (), "spark": ""}
