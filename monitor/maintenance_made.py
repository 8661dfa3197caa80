"""Windows that people make while the program runs: once, of one monitor, of a group, or of all.

Pure. They count as windows of the configuration do, from what is stored next on: nothing that was told or
accounted for is told anew.
"""

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from monitor.config import Monitor
from monitor.maintenance import Interval

LONGEST_S = 31 * 86_400.0
_AHEAD_S = 366 * 86_400.0
_LATE_S = 60.0  # clocks differ, and requests take their time

Scope = tuple[str | None, str | None]
"""The monitor, or else the group; neither: all monitors."""


class MadeWindow(NamedTuple):
    """One window; when somebody ended it, `ends_at` is when they did. `id` is 0 until it is stored."""

    id: int
    monitor: str | None
    group: str | None
    starts_at: float
    ends_at: float
    at: float
    who: str
    why: str


class MadeWindows:
    """Some of them, by what they are of."""

    def __init__(self, made: Iterable[MadeWindow] = ()) -> None:
        self._by_scope: dict[Scope, list[MadeWindow]] = defaultdict(list)
        for each in sorted(made, key=_starts_at):
            self._by_scope[each.monitor, each.group].append(each)

    def scopes(self, monitor: Monitor) -> tuple[Scope, ...]:
        """Tell where the windows of a monitor come from: monitors with the same share them all."""
        mine = dict.fromkeys([(monitor.name, None), (None, monitor.group), (None, None)])
        return tuple(scope for scope in mine if scope in self._by_scope)

    def of(self, monitor: Monitor) -> list[MadeWindow]:
        """Give the windows of a monitor, by their starts."""
        found = (each for scope in self.scopes(monitor) for each in self._by_scope[scope])
        return sorted(found, key=_starts_at)

    def within(self, monitor: Monitor, since: float, until: float) -> list[Interval]:
        """Say when windows of a monitor are open that may be so within the stretch; they may overlap."""
        found: list[Interval] = []
        for scope in self.scopes(monitor):
            windows = self._by_scope[scope]
            first = bisect_left(windows, since - LONGEST_S, key=_starts_at)
            end = bisect_left(windows, until, key=_starts_at)
            found += [(each.starts_at, each.ends_at) for each in windows[first:end]]
        return found

    def open_at(self, monitor: Monitor, at: float) -> bool:
        """Tell whether any of a monitor is open."""
        return any(start <= at < end for start, end in self.within(monitor, at, math.nextafter(at, math.inf)))


def _starts_at(window: MadeWindow) -> float:
    return window.starts_at


def mistakes(since: float, until: float, now: float) -> Iterator[tuple[str, str]]:
    """Say what is wrong with a window that somebody asks for: the name of the field, and what is allowed."""
    if since < now - _LATE_S:
        yield "since", "must not be in the past"
    if since > now + _AHEAD_S:
        yield "since", f"must be within {_AHEAD_S / 86_400:g} days"
    if until <= max(since, now):
        yield "until", "must be later than now, and than since"
    if until - since > LONGEST_S:
        yield "until", f"must be at most {LONGEST_S / 86_400:g} days after since"
