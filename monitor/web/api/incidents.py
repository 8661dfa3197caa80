"""The API's incidents: all of them, page by page, and one with its changes."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import msgspec
from aiohttp import web

from monitor.alerts.store import Acknowledgement, IncidentUpdate
from monitor.web import acts
from monitor.web.api.operations.operation import Operation, answer, csv_answer
from monitor.web.api.operations.parameters import (
    LIMIT,
    PLACE_CURSOR,
    choice,
    instant,
    place_cursor,
    text,
    time_range,
)
from monitor.web.api.operations.tables import columns
from monitor.web.pages.base import Pages
from monitor.web.queries import Incident, IncidentChange, IncidentKind


class IncidentList(msgspec.Struct, frozen=True):
    """Incidents, the newest first; `next` is the cursor of the next page, null on the last."""

    incidents: Sequence[Incident]
    next: str | None


class IncidentDetail(Incident, frozen=True, kw_only=True):
    """One incident with its changes, in their order; `acknowledged` is null while nobody has done so."""

    acknowledged: Acknowledgement | None
    changes: Sequence[IncidentChange]
    updates: Sequence[IncidentUpdate]
    """What customers are told."""


class IncidentAlert(msgspec.Struct, frozen=True):
    """One alert about an incident, for one channel; it waits while it is neither sent nor failed."""

    event: str
    channel: str
    created_at: float
    attempts: int
    sent_at: float | None
    failed_at: float | None
    """When it was given up."""
    error: str | None
    """Of the last attempt that failed."""


class AlertList(msgspec.Struct, frozen=True):
    """The alerts about an incident, in the order in which they were made."""

    alerts: Sequence[IncidentAlert]


_COLUMNS = columns(Incident)
_CHANGE_COLUMNS = columns(IncidentChange)
_ALERT_COLUMNS = columns(IncidentAlert)


class ApiIncidents:
    """The stored incidents, also those of monitors that are no longer in the configuration."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def operations(self) -> list[Operation]:
        parameters = (
            text("monitor", "only those of the monitors of these names", repeats=True),
            choice("state", "only those in this state", ("open", "resolved")),
            choice(
                "kind",
                "only those of this kind, also outages of a monitor that was flapping",
                get_args(IncidentKind),
            ),
            instant("since", "only those that ended later, or are open", -math.inf),
            instant("until", "only those that started earlier", math.inf),
            LIMIT,
            PLACE_CURSOR,
        )
        return [
            Operation(
                "GET",
                "/incidents",
                "Incidents, the newest first",
                "Those that were open at some time from `since` until `until`. Outages of a monitor that "
                "was flapping are listed only when `kind` is given: else they are in the changes of the "
                "flapping.",
                self._list,
                IncidentList,
                parameters,
                _COLUMNS,
            ),
            Operation(
                "GET",
                "/incidents/{id}",
                "One incident with its changes",
                "Its changes are in their order, with those of its last outages if the monitor was "
                "flapping; as CSV, they are the table.",
                self._one,
                IncidentDetail,
                columns=_CHANGE_COLUMNS,
            ),
            Operation(
                "GET",
                "/incidents/{id}/alerts",
                "The alerts about an incident",
                "One entry for each alert and channel, in the order in which they were made. One that is "
                "neither sent nor failed waits for its next attempt.",
                self._alerts,
                AlertList,
                columns=_ALERT_COLUMNS,
            ),
        ]

    async def _list(self, request: web.Request, asked: Mapping[str, Any]) -> web.Response:
        since, until = time_range(asked, math.inf, 0)
        limit = asked["limit"]
        found = await self._pages.running.reader.incidents(
            asked["monitor"] or None,
            since,
            until,
            is_open={"open": True, "resolved": False, None: None}[asked["state"]],
            after=asked["cursor"],
            kind=asked["kind"],
            limit=limit + 1,
            while_flapping=asked["kind"] is not None,
        )
        incidents = found[:limit]
        onward = None
        if len(found) > limit:
            onward = place_cursor(incidents[-1].started_at, incidents[-1].id)
        if asked["format"] == "csv":
            return csv_answer(incidents, _COLUMNS, request, onward)
        return answer(IncidentList(incidents, onward), request, onward)

    async def _one(self, request: web.Request, asked: Mapping[str, Any]) -> web.Response:
        number = int(request.match_info["id"])
        alerts = self._pages.running.alerts
        incident, changes = await acts.incident_of(self._pages.running.reader, number)
        if asked["format"] == "csv":
            return csv_answer(changes, _CHANGE_COLUMNS, request)
        detail = IncidentDetail(
            **msgspec.structs.asdict(incident),
            acknowledged=await alerts.acknowledgement(number),
            changes=changes,
            updates=(await alerts.updates([number]))[number],
        )
        return answer(detail, request)

    async def _alerts(self, request: web.Request, asked: Mapping[str, Any]) -> web.Response:
        reader = self._pages.running.reader
        incident, _ = await acts.incident_of(reader, int(request.match_info["id"]))
        alerts = [
            IncidentAlert(
                each.about.split()[0],
                each.channel,
                each.created_at,
                each.attempts,
                each.sent_at,
                each.failed_at,
                each.error,
            )
            for each in await reader.deliveries(incident)
        ]
        if asked["format"] == "csv":
            return csv_answer(alerts, _ALERT_COLUMNS, request)
        return answer(AlertList(alerts), request)
