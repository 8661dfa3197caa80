"""*Check now*, and what became of it: an answer on the page of the monitor, whatever the outcome."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from aiohttp import web

from monitor.config.model import Monitor
from monitor.result import CheckResult, OwnTroubleError, Reason, why
from monitor.runtime.text import duration
from monitor.storage.database import StoreUnavailableError
from monitor.uptime.sums import Status, status_of
from monitor.web.pages.base import Pages
from monitor.web.pages.content.response_times import range_of
from monitor.web.pages.rendering import monitor_path

_WAIT_S = 5.0
_LOOK_S = 0.1  # between two looks whether a result is stored
_SHOWN_S = 600.0


class Answer(NamedTuple):
    """What became of a check that somebody asked for."""

    at: float
    status: Status | None
    """`None`: there is no result."""
    text: str


class AskedChecks:
    """Checks when somebody asks; the last answer of each monitor is shown for ten minutes."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._answers: dict[str, Answer] = {}

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/monitors/{name:.+}/check", self._check)]

    def shown(self, monitor: Monitor) -> Mapping[str, Any]:
        """Return what the page of a monitor shows of this: the last answer, and how long one may take."""
        latest = self._answers.get(monitor.name)
        is_recent = latest is not None and latest.at > time.time() - _SHOWN_S
        return {"answer": latest if is_recent else None, "limit_s": monitor.timeout_s + _WAIT_S}

    async def _check(self, request: web.Request) -> web.Response:
        """Check now, and show the page again when the result is stored like all others."""
        monitor = self._pages.asked(request)
        self._answers[monitor.name] = await self._answer(monitor)
        self._pages.forget()
        raise web.HTTPSeeOther(f"{monitor_path(monitor.name)}?range={range_of(request.query.get('range'))}")

    async def _answer(self, monitor: Monitor) -> Answer:
        within_s = monitor.timeout_s + _WAIT_S
        try:
            result = await self._pages.running.check_now(monitor.name, within_s)
        except KeyError:
            known = "it is paused" if monitor.paused else "this process does not check it"
            return Answer(time.time(), None, f"Not checked: {known}.")
        except TimeoutError:
            later = f"No result within {duration(within_s)}. It comes later, among the latest results."
            return Answer(time.time(), None, later)
        except OwnTroubleError as error:
            return Answer(time.time(), None, f"Not checked: {str(error) or 'this machine cannot'}.")
        status = status_of(up=result.up, degraded=result.degraded)
        waits = "" if await self._is_stored(result) else " It is not stored yet."
        return Answer(time.time(), status, _text(result) + waits)

    async def _is_stored(self, result: CheckResult) -> bool:
        """Wait until the result is stored, but not for long: Kafka or PostgreSQL may be unavailable."""
        try:
            async with asyncio.timeout(_WAIT_S):
                while True:
                    if await self._pages.running.reader.is_stored(result):
                        return True
                    await asyncio.sleep(_LOOK_S)
        except (TimeoutError, StoreUnavailableError):
            return False


def _text(result: CheckResult) -> str:
    """Return status code, reason and time, in one sentence."""
    code = "" if result.response_status is None else f"status {result.response_status}"
    if result.reason == Reason.STATUS:
        code = ""  # the reason says it
    parts = [code, why(result.reason, result.detail), duration(result.response_time)]
    return f"{', '.join(filter(None, parts))}."
