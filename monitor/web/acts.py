"""What people order on the pages and through the API: each act is checked here, once for both."""

import logging
import time
from collections.abc import Iterator, Mapping
from typing import Annotated

import msgspec

from monitor.alerts.store import Acknowledgement, IncidentUpdate, Silence
from monitor.config.model import Monitor
from monitor.uptime import maintenance
from monitor.uptime.maintenance import MadeWindow
from monitor.web.api.operations.parameters import Instant, body_instant
from monitor.web.api.operations.problems import Mistake, ProblemError
from monitor.web.queries import Incident, IncidentChange, PageReader
from monitor.web.running import Running

_MAX_LINE = 1_000

_log = logging.getLogger(__name__)

Line = Annotated[str, msgspec.Meta(min_length=1, max_length=_MAX_LINE, pattern=r"^[^\x00]*$")]
"""Who orders something, or why, in a request's body."""


class MaintenanceRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Maintenance of a monitor, of a group or of all, from `since` (by default now) until `until`."""

    until: Instant
    who: Line
    why: Line
    since: Instant | None = None
    monitor: str | None = None
    group: str | None = None
    all: bool = False


def signature(form: Mapping[str, object], what: str = "why") -> tuple[str, str]:
    """Return who sends a form, and why, or `what` else: one line each, which the database can store.

    Raises:
        ProblemError: one of the two is missing.

    """
    who, line = _line(form.get("who")), _line(form.get(what))
    if not (who and line):
        raise ProblemError(400, "Both are needed, because others read them", title=f"Who, and {what}?")
    return who, line


def _line(typed: object) -> str:
    text = str(typed or "").replace("\0", "").encode("utf-8", "replace").decode()
    return " ".join(text.split())[:_MAX_LINE]


async def incident_of(reader: PageReader, number: int) -> tuple[Incident, list[IncidentChange]]:
    """Return the incident of this number with its changes.

    Raises:
        ProblemError: there is none.

    """
    found = await reader.incident(number)
    if found is None:
        raise ProblemError(404, "there is no incident of this number")
    return found


async def acknowledge(running: Running, number: int, who: str, why: str) -> Acknowledgement | None:
    """Stop the reminders and the escalation of an incident; `None` if it is over, or was acknowledged before.

    Raises:
        ProblemError: there is no incident of this number.

    """
    acknowledgement = Acknowledgement(time.time(), who, why)
    await incident_of(running.reader, number)
    if await running.alerts.acknowledge(number, who, why, acknowledgement.at):
        _log.info("incident %d acknowledged by %s: %s", number, who, why)
        return acknowledgement
    return None


async def end_acknowledgement(running: Running, number: int) -> Acknowledgement | None:
    """End an acknowledgement: reminders and escalation continue. Return it, if there was one."""
    ended = await running.alerts.end_acknowledgement(number)
    if ended is not None:
        _log.info("incident %d no longer acknowledged by %s", number, ended.who)
    return ended


async def post_update(running: Running, number: int, who: str, text: str) -> IncidentUpdate:
    """Store what customers are told of an incident, open or over.

    Raises:
        ProblemError: there is no incident of this number.

    """
    update = await running.alerts.post_update(number, who, text, time.time())
    if update is None:
        raise ProblemError(404, "there is no incident of this number")
    _log.info("incident %d: customers are told by %s: %s", number, who, text)
    return update


async def silence(running: Running, monitor: str, until: float, who: str, why: str) -> Silence:
    """Hold back the alerts about a monitor until an instant; one that has passed ends its silence."""
    ordered = Silence(monitor, until, time.time(), who, why)
    await running.alerts.silence(ordered)
    return ordered


async def make_window(
    running: Running, monitors: Mapping[str, Monitor], asked: MaintenanceRequest
) -> MadeWindow:
    """Store a maintenance window; a `since` that has just passed means now. Return it with its number.

    Raises:
        ProblemError: this cannot be a window of these monitors; it names all that is wrong.

    """
    now = time.time()
    until = body_instant("until", asked.until)
    since = now if asked.since is None else body_instant("since", asked.since)
    wrong = [*_scope_mistakes(asked, monitors), *maintenance.mistakes(since, until, now)]
    if wrong:
        raise ProblemError.about([Mistake(*each) for each in wrong], 422)
    window = MadeWindow(0, asked.monitor, asked.group, max(since, now), until, now, asked.who, asked.why)
    return await running.alerts.make_maintenance(window)


def _scope_mistakes(asked: MaintenanceRequest, monitors: Mapping[str, Monitor]) -> Iterator[tuple[str, str]]:
    if sum([asked.monitor is not None, asked.group is not None, asked.all]) != 1:
        yield "monitor", "or else group must be given, or all be true: one of the three"
    if asked.monitor is not None and asked.monitor not in monitors:
        yield "monitor", "must be the name of a monitor of the configuration"
    if asked.group is not None and asked.group not in {monitor.group for monitor in monitors.values()}:
        yield "group", "must be the group of a monitor of the configuration"
