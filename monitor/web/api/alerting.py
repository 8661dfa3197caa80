"""Acknowledgements, silences and what customers are told, through the API."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from aiohttp import web

from monitor.alerts.store import Acknowledged, IncidentUpdate, Silence
from monitor.web import acts
from monitor.web.acts import Line
from monitor.web.api.operations.operation import Operation, answer, csv_answer
from monitor.web.api.operations.parameters import Instant, body_instant
from monitor.web.api.operations.problems import ProblemError
from monitor.web.api.operations.tables import columns
from monitor.web.pages.base import Pages


class Acknowledge(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who knows of an incident, and what is being done about it."""

    who: Line
    why: Line


class UpdateRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What customers are told of an incident, and by whom."""

    text: Line
    who: Line


class SilenceRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No alerts about a monitor until then; an instant that has passed ends the silence in effect."""

    until: Instant
    who: Line
    why: Line


class SilenceList(msgspec.Struct, frozen=True):
    """The silences in effect, in the order of the monitors' names."""

    silences: Sequence[Silence]


_SILENCE_COLUMNS = columns(Silence)


class ApiAlerting:
    """Acknowledges incidents, tells customers of them, and silences monitors."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def operations(self) -> list[Operation]:
        return [
            Operation(
                "POST",
                "/incidents/{id}/acknowledge",
                "Stop an open incident's reminders and escalation",
                "Everybody sees who knows of it, and why nobody else has to act. The incident stays open "
                "until its monitor is up. 409: it is over, or somebody has acknowledged it.",
                self._acknowledge,
                Acknowledged,
                takes=Acknowledge,
            ),
            Operation(
                "POST",
                "/incidents/{id}/acknowledge/end",
                "Take an acknowledgement back: reminders and escalation continue",
                "Answers with the acknowledgement that is taken back. 404: there is none, or the incident "
                "is over.",
                self._end_acknowledgement,
                Acknowledged,
            ),
            Operation(
                "POST",
                "/incidents/{id}/updates",
                "Tell customers something about an incident, on the status page and in its feed",
                "An update is one line; it can be written while the incident is open and afterwards. "
                "Customers do not see who wrote it. It cannot be changed: write another one.",
                self._update,
                IncidentUpdate,
                takes=UpdateRequest,
            ),
            Operation(
                "POST",
                "/monitors/{name}/silence",
                "Hold back the alerts about a monitor until a time; this replaces its earlier silence",
                "Checks and incidents continue. An instant that is over ends the silence.",
                self._silence,
                Silence,
                takes=SilenceRequest,
            ),
            Operation(
                "GET",
                "/silences",
                "The silences in effect",
                "Also those of monitors that are no longer in the configuration, in the order of their "
                "names.",
                self._silences,
                SilenceList,
                columns=_SILENCE_COLUMNS,
            ),
        ]

    async def _acknowledge(self, request: web.Request, asked: Mapping[str, Any]) -> web.Response:
        number, body = int(request.match_info["id"]), asked["body"]
        made = await acts.acknowledge(self._pages.running, number, body.who, body.why)
        if made is None:
            raise ProblemError(409, "the incident is over, or was acknowledged before")
        self._pages.forget()
        return answer(Acknowledged(made.at, made.who, made.why, incident=number), request)

    async def _end_acknowledgement(self, request: web.Request, _: Mapping[str, Any]) -> web.Response:
        number = int(request.match_info["id"])
        ended = await acts.end_acknowledgement(self._pages.running, number)
        if ended is None:
            raise ProblemError(404, "no open incident of this number is acknowledged")
        self._pages.forget()
        return answer(Acknowledged(ended.at, ended.who, ended.why, incident=number), request)

    async def _update(self, request: web.Request, asked: Mapping[str, Any]) -> web.Response:
        number, body = int(request.match_info["id"]), asked["body"]
        update = await acts.post_update(self._pages.running, number, body.who, body.text)
        self._pages.forget()
        return answer(update, request)

    async def _silence(self, request: web.Request, asked: Mapping[str, Any]) -> web.Response:
        name, body = self._pages.asked(request).name, asked["body"]
        until = body_instant("until", body.until)
        silence = await acts.silence(self._pages.running, name, until, body.who, body.why)
        self._pages.forget()
        return answer(silence, request)

    async def _silences(self, request: web.Request, asked: Mapping[str, Any]) -> web.Response:
        silences = await self._pages.running.alerts.silences(time.time())
        silences.sort(key=lambda each: each.monitor.encode())
        if asked["format"] == "csv":
            return csv_answer(silences, _SILENCE_COLUMNS, request)
        return answer(SilenceList(silences), request)
