"""The course of one incident: its changes, and what people did about it. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from monitor.alerts.store import Acknowledgement, IncidentUpdate
from monitor.incidents.model import NO_LONGER_CHECKED
from monitor.result import why
from monitor.web.pages.content.timeline import roughly
from monitor.web.queries import Incident, IncidentChange

_NOTICED_S = 10.0  # what is noticed sooner needs no word

_WORDS = {
    "down": ("Down", "Still down", "Up again", "Was down"),
    "partial": (
        "Down from some locations",
        "Still down from some locations",
        "Up everywhere again",
        "Was down from some locations",
    ),
    "degraded": ("Degraded", "Still degraded", "No longer degraded", "Was degraded"),
    "no_data": ("No data", "Still no data", "Data again", "There was no data"),
    "flapping": ("Flapping", "Still flapping", "Settled", "Was flapping"),
}
_CHANGES = ("opened", "changed", "resolved", "past")
_FIRST = {"no_data": "Last result", "flapping": "First change", "degraded": "First slow check"}


class Event(NamedTuple):
    """One thing that happened; `mark` is the state, or the order, that gives it its colour."""

    at: float
    mark: str
    what: str
    why: str = ""
    note: str = ""
    is_current: bool = False
    """Whether this is how things are."""


def course_of(
    incident: Incident,
    changes: Sequence[IncidentChange],
    acknowledged: Acknowledgement | None,
    updates: Iterable[IncidentUpdate],
) -> list[Event]:
    """Return what happened, the newest first."""
    events = [*_beginning(incident, changes), *map(_of_change, changes)]
    if incident.ended_at is None:
        events[-1:] = [each._replace(is_current=True) for each in events[-1:]]
    if acknowledged:
        what = f"Acknowledged by {acknowledged.who}"
        events.append(Event(acknowledged.at, "acknowledged", what, acknowledged.why))
    events += [Event(each.at, "update", f"{each.who} told customers", each.text) for each in updates]
    return sorted(events, key=lambda each: each.at)[::-1]


def _beginning(incident: Incident, changes: Sequence[IncidentChange]) -> Iterator[Event]:
    """Yield when it began, if that is not when it became certain."""
    if changes and incident.started_at < changes[0].at:
        yield Event(incident.started_at, incident.kind, _FIRST.get(incident.kind, "First failed check"))


def _of_change(change: IncidentChange) -> Event:
    is_over = change.change == "resolved"
    if is_over and (change.detail == NO_LONGER_CHECKED or _is_worse_now(change)):
        reason = NO_LONGER_CHECKED if change.detail == NO_LONGER_CHECKED else ""
        return Event(change.at, "unknown", "Over", reason, _note(change))
    what = _WORDS[change.kind][_CHANGES.index(change.change)]
    mark, reason = ("up", "") if is_over else (change.kind, why(change.reason, change.detail))
    return Event(change.at, mark, what, reason, _note(change))


def _is_worse_now(change: IncidentChange) -> bool:
    """Return whether this may have ended because something worse began: then there is no alert of its end."""
    return change.quiet and change.kind in ("partial", "degraded")


def _note(change: IncidentChange) -> str:
    parts = []
    if change.locations and change.change != "resolved":
        parts.append(f"seen from {', '.join(change.locations)}")
    if change.noticed_at - change.at > _NOTICED_S:
        parts.append(f"noticed {roughly(change.noticed_at - change.at)} later")
    if change.quiet:
        parts.append("no alert")
    return ", ".join(parts)
