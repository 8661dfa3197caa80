"""Compares the incidents in PostgreSQL with what the site did. Pure.

Each outage of the site is one incident `down` from the slot of its first failed check to that of the first
good one, if it was `FAILURES` checks long. Checks that a SIGKILL or a deleted topic took along, which the
account of results forgives, are not there for incidents either: what counts are those of the outage that have
rows. Nothing else is down, partial or flapping. A monitor without data is one that the site did not hear of
for more than three intervals.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from tests.chaos.account import Row
from tests.chaos.outages import FAILURES
from tests.chaos.site import Outage

INTERVAL_S = 1.0
_EARLY_S = 0.002  # the loop's timers count milliseconds
_LATE_S = 10.0  # after its slot, for a check on a machine that is busy with other things


class Incident(NamedTuple):
    monitor: str
    kind: str
    started_at: float
    ended_at: float | None
    changes: tuple[str, ...]
    """The changes of it that alerts are sent for, in alphabetical order."""


class Comparison(NamedTuple):
    outages: int
    """That were long enough, with what is left of their checks."""
    wrong: list[str]


def compare(
    outages: Mapping[str, Sequence[Outage]],
    answered: Mapping[str, Sequence[float]],
    rows: Iterable[Row],
    incidents: Iterable[Incident],
) -> Comparison:
    """Return which incidents are missing, and which should not be there."""
    wrong: list[str] = []
    slots: defaultdict[str, dict[int, float]] = defaultdict(dict)
    for row in rows:
        if row.number is not None:
            slots[row.monitor].setdefault(row.number, row.slot)
    due: dict[str, list[tuple[float, float | None]]] = {}
    for monitor, ones in outages.items():
        stored = slots[monitor]
        due[monitor] = [span for each in ones if (span := _span(each, stored))]
        wrong += [
            f"{monitor}: the check that was answered at {at} has the slot {stored[number]}"
            for first, checks in ones
            for number in range(first, first + checks)
            if number in stored
            and not -_EARLY_S <= (at := answered[monitor][number - 1]) - stored[number] < _LATE_S
        ]
    found: defaultdict[str, list[tuple[float, float | None]]] = defaultdict(list)
    for incident in sorted(incidents, key=lambda each: each.started_at):
        if incident.changes not in {("opened", "resolved"), ("past",)}:
            wrong.append(f"alerted wrongly: {incident}")
        if incident.kind == "down":
            found[incident.monitor].append((incident.started_at, incident.ended_at))
        elif incident.kind != "no_data" or not _was_silent(incident, answered[incident.monitor]):
            wrong.append(f"false: {incident}")
    wrong += [
        f"{monitor}: down {found[monitor]}, should have been {due.get(monitor, [])}"
        for monitor in {*found, *due}
        if found[monitor] != due.get(monitor, [])
    ]
    return Comparison(sum(map(len, due.values())), wrong)


def _span(outage: Outage, slots: Mapping[int, float]) -> tuple[float, float | None] | None:
    after = outage.first + outage.checks
    failed = [slots[number] for number in range(outage.first, after) if number in slots]
    good = min((number for number in slots if number >= after), default=None)
    if len(failed) < FAILURES:
        return None
    return failed[0], None if good is None else slots[good]


def _was_silent(incident: Incident, answered: Sequence[float]) -> bool:
    ended_at = math.inf if incident.ended_at is None else incident.ended_at
    return any(
        later - earlier > 3 * INTERVAL_S and earlier <= ended_at and incident.started_at <= later
        for earlier, later in pairwise(answered)
    )
