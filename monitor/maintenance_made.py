"""Windows that people make while the program runs: once, for one monitor, for a group, or for all monitors.

Pure. They work like windows of the configuration, for all results that are stored from then on. Alerts that
were sent and results that were counted before stay as they are.
"""

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from monitor.config.model import Monitor
from monitor.maintenance import Interval
from monitor.runtime.text import DAY_S

LONGEST_S = 31.0 * DAY_S
_AHEAD_S = 366.0 * DAY_S
_LATE_S = 60.0  # clocks differ, and requests take their time

Scope = tuple[str | None, str | None]
"""A monitor, or a group; without either, all monitors."""


class MadeWindow(NamedTuple):
    """One window; after somebody ended it, `ends_at` is when they did. `id` is 0 until it is stored."""

    id: int
    monitor: str | None
    group: str | None
    starts_at: float
    ends_at: float
    at: float
    who: str
    why: str


class MadeWindows:
    """A set of windows that people made, by what they are for."""

    def __init__(self, made: Iterable[MadeWindow] = ()) -> None:
        self._by_scope: dict[Scope, list[MadeWindow]] = defaultdict(list)
        for each in sorted(made, key=_starts_at):
            self._by_scope[each.monitor, each.group].append(each)

    def scopes(self, monitor: Monitor) -> tuple[Scope, ...]:
        """Return the scopes that a monitor has windows of: monitors with equal scopes have equal windows."""
        mine = dict.fromkeys([(monitor.name, None), (None, monitor.group), (None, None)])
        return tuple(scope for scope in mine if scope in self._by_scope)

    def of(self, monitor: Monitor) -> list[MadeWindow]:
        """Return the windows of a monitor, in the order of their starts."""
        found = (each for scope in self.scopes(monitor) for each in self._by_scope[scope])
        return sorted(found, key=_starts_at)

    def within(self, monitor: Monitor, since: float, until: float) -> list[Interval]:
        """Return the windows of a monitor that may be open in this time range; they may overlap."""
        found: list[Interval] = []
        for scope in self.scopes(monitor):
            windows = self._by_scope[scope]
            first = bisect_left(windows, since - LONGEST_S, key=_starts_at)
            end = bisect_left(windows, until, key=_starts_at)
            found += [(each.starts_at, each.ends_at) for each in windows[first:end]]
        return found

    def open_at(self, monitor: Monitor, at: float) -> bool:
        return any(start <= at < end for start, end in self.within(monitor, at, math.nextafter(at, math.inf)))


def _starts_at(window: MadeWindow) -> float:
    return window.starts_at


def mistakes(since: float, until: float, now: float) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a window that somebody asks for: the field, and what is allowed."""
    if since < now - _LATE_S:
        yield "since", "must not be in the past"
    if since > now + _AHEAD_S:
        yield "since", f"must be within {_AHEAD_S / DAY_S:g} days"
    if until <= max(since, now):
        yield "until", "must be later than now, and than since"
    if until - since > LONGEST_S:
        yield "until", f"must be at most {LONGEST_S / DAY_S:g} days after since"
