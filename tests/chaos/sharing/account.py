"""Holds what was asked for against the slots of all monitors. Pure."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from monitor.schedule import offset_s

_EARLY_S = 0.002  # the loop's timers count milliseconds
_LATE_S = 1.0  # after its slot: a check that somebody had to take over
# A check that was made as long before a death may be lost with it, and is made again.
LOOKING_BACK_S = 15.0


class Asked(NamedTuple):
    """A request of a monitor, and the slot that it was for (Unix seconds)."""

    monitor: str
    slot: float
    at: float


class Change(NamedTuple):
    """What was done to the processes, and when it began; `planned`: by somebody who wanted no gap."""

    title: str
    began_at: float
    planned: bool

    @property
    def first_slot(self) -> float:
        """The first instant whose slots it can touch."""
        return self.began_at if self.planned else self.began_at - LOOKING_BACK_S


@dataclass
class Counts:
    """What became of the slots of one change, until the next.

    `latest_s` is how long after its slot a check started, and `taken_over_s` how long after a death the last
    late one did.
    """

    change: Change
    slots: int = 0
    missing: list[tuple[str, float]] = field(default_factory=list)
    without_row: list[tuple[str, float]] = field(default_factory=list)
    twice: list[tuple[str, float]] = field(default_factory=list)
    more: list[tuple[str, float]] = field(default_factory=list)
    latest_s: float = 0.0
    taken_over_s: float = 0.0


def account(
    monitors: Iterable[str],
    interval_s: float,
    asked: Iterable[Asked],
    stored: Iterable[tuple[str, float]],
    changes: Sequence[Change],
    ends_at: float,
) -> list[Counts]:
    """Count the slots from the first change to `ends_at`, those of each change by themselves.

    `stored` are monitor and slot of all rows.
    """
    rows = {(monitor, index(monitor, interval_s, slot)) for monitor, slot in stored}
    counts = [Counts(change) for change in changes]
    bounds = [*(change.first_slot for change in changes), ends_at]
    spans = list(pairwise(bounds))
    requests: defaultdict[tuple[str, int], list[Asked]] = defaultdict(list)
    for each in asked:
        requests[each.monitor, index(each.monitor, interval_s, each.slot)].append(each)
    for monitor in monitors:
        for (begins_at, until), count in zip(spans, counts, strict=True):
            first, last = (index(monitor, interval_s, at - 1e-6) + 1 for at in (begins_at, until))
            for number in range(first, last):
                _take(count, monitor, _slot(monitor, interval_s, number), requests[monitor, number])
                if (monitor, number) not in rows:
                    count.without_row.append((monitor, _slot(monitor, interval_s, number)))
    return counts


def _take(count: Counts, monitor: str, slot: float, requests: Sequence[Asked]) -> None:
    count.slots += 1
    listed = {0: count.missing, 1: None, 2: count.twice}.get(len(requests), count.more)
    if listed is not None:
        listed.append((monitor, slot))
    if requests:
        first_at = min(each.at for each in requests)
        count.latest_s = max(count.latest_s, first_at - slot)
        if first_at - slot > _LATE_S and not count.change.planned:
            count.taken_over_s = max(count.taken_over_s, first_at - count.change.began_at)


def index(monitor: str, interval_s: float, at: float) -> int:
    """Return the number of the last slot that is not after this instant, but for the loop's rounding."""
    return math.floor((at + _EARLY_S - offset_s(monitor, interval_s)) / interval_s)


def _slot(monitor: str, interval_s: float, number: int) -> float:
    return round(offset_s(monitor, interval_s) + number * interval_s, 6)


def between(monitor: str, interval_s: float, asked: Asked) -> bool:
    """Return whether the check was for an instant of its own, which is no slot."""
    number = index(monitor, interval_s, asked.slot)
    return abs(_slot(monitor, interval_s, number) - asked.slot) > _EARLY_S


def attributed(
    answered: Mapping[str, Sequence[float]], slots: Mapping[tuple[str, int], float], interval_s: float
) -> list[Asked]:
    """Return all requests that the site answered, with their slots.

    `slots` are those that results name, by monitor and number of the answer. A request whose result was
    lost with a process has the slot before it.
    """
    return [
        Asked(monitor, _of(monitor, at, slots.get((monitor, number)), interval_s), at)
        for monitor, times in answered.items()
        for number, at in enumerate(times, 1)
    ]


def _of(monitor: str, at: float, named: float | None, interval_s: float) -> float:
    return _slot(monitor, interval_s, index(monitor, interval_s, at)) if named is None else named


def doubled(rows: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    """Return the slots that have more than one row."""
    return [slot for slot, times in Counter(rows).items() if times > 1]
