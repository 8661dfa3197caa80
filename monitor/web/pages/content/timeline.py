"""What happened, in the order in which people read it: by day, the newest first. Pure."""

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import TypeVar

from monitor.runtime.text import DAY_S, MINUTE_S, duration
from monitor.web.queries import Incident

T = TypeVar("T")

WORDS = {
    "down": "down",
    "partial": "down from some locations",
    "degraded": "degraded",
    "no_data": "no data",
    "flapping": "flapping",
}
"""How a monitor is, or was, during an incident."""

PUBLIC_WORDS = {"down": "down", "partial": "down from some locations", "flapping": "unstable"}
"""The same for customers; all other kinds of incidents are ours."""


def sentence(incident: Incident, words: Mapping[str, str] = WORDS) -> str:
    """Return what an incident is, or was when it is over: `shop was down`."""
    is_open = incident.ended_at is None
    if incident.kind == "no_data":
        return f"{'No' if is_open else 'There was no'} data from {incident.monitor}"
    return f"{incident.monitor} {'is' if is_open else 'was'} {words[incident.kind]}"


def public_sentence(incident: Incident) -> str:
    """Return the same for customers."""
    return sentence(incident, PUBLIC_WORDS)


def roughly(seconds: float) -> str:
    """Return for how long something has lasted: with seconds only within the first minute."""
    return duration(seconds // MINUTE_S * MINUTE_S if seconds >= MINUTE_S else seconds, whole=True)


def by_day(entries: Iterable[T], attribute: str) -> list[tuple[float, list[T]]]:
    """Return entries by their days in UTC, each with the instant of its first entry; the newest come first.

    The attribute is the instant of an entry.
    """

    def at(entry: T) -> float:
        return float(getattr(entry, attribute))

    ordered = sorted(entries, key=at, reverse=True)
    days = (list(day) for _, day in groupby(ordered, key=lambda each: at(each) // DAY_S))
    return [(at(day[0]), day) for day in days]
