"""When a monitor's maintenance windows are open: those of the configuration, and those that people make.

Pure: instants are Unix seconds. A window includes its start, and not its end. Recurring windows start by the
local time of their time zone, also on days when its clocks change, and last exactly as long as configured.
A window that people make counts for all results that are stored from then on: alerts that were sent and
results that were counted before stay as they are.
"""

import math
from bisect import bisect, bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import takewhile
from zoneinfo import ZoneInfo

import msgspec
from cronsim import CronSim

from monitor.config.alerts import Maintenance
from monitor.config.model import Monitor
from monitor.runtime.text import DAY_S

LONGEST_S = 31.0 * DAY_S

_AHEAD_S = 366.0 * DAY_S
_LATE_S = 60.0  # clocks differ, and requests take their time
_MAX_DAYS = 8  # that are kept

Interval = tuple[float, float]
Scope = tuple[str | None, str | None]
"""A monitor, or a group; without either, all monitors."""


class Windows:
    """The windows of one monitor, with those of a few days kept, so that asking again is cheap.

    `made` returns further windows, which people made and which may be open between two instants.
    """

    def __init__(
        self,
        maintenance: Sequence[Maintenance],
        made: Callable[[float, float], Iterable[Interval]] | None = None,
    ) -> None:
        self._maintenance = maintenance
        self._made = made
        self._days: dict[int, list[Interval]] = {}

    def open_at(self, at: float) -> bool:
        return self.closes_at(at) is not None

    def closes_at(self, at: float) -> float | None:
        """Return when the window that is open at `at` ends, or the day (UTC), if that is earlier."""
        return next((end for start, end in self._day(_day(at)) if start <= at < end), None)

    def within(self, start: float, end: float) -> Iterator[Interval]:
        """Yield the parts of a time range in which any window is open: in order, without overlaps."""
        for day in range(_day(start), _day(end) + 1):
            found = self._day(day)
            near = slice(max(0, bisect(found, (start,)) - 1), bisect(found, (end,)))
            for opens, closes in found[near]:
                first, last = max(opens, start), min(closes, end)
                if first < last:
                    yield first, last

    def _day(self, day: int) -> list[Interval]:
        if day not in self._days:
            if len(self._days) >= _MAX_DAYS:
                self._days.clear()
            start, end = day * DAY_S, (day + 1) * DAY_S
            made = self._made(start, end) if self._made else ()
            self._days[day] = intervals(self._maintenance, start, end, made)
        return self._days[day]


def _day(at: float) -> int:
    return int(at // DAY_S)


def intervals(
    maintenance: Sequence[Maintenance], since: float, until: float, made: Iterable[Interval] = ()
) -> list[Interval]:
    """Return the parts of `since` to `until` in which any window is open: in order, with gaps between them.

    `made` are the windows that people made, beside those of the configuration.
    """
    united: list[Interval] = []
    configured = (each for window in maintenance for each in _occurrences(window, since, until))
    for start, end in sorted([*made, *configured]):
        start, end = max(start, since), min(end, until)  # noqa: PLW2901 - what is outside is cut off
        if united and start <= united[-1][1]:
            united[-1] = (united[-1][0], max(united[-1][1], end))
        elif start < end:
            united.append((start, end))
    return united


def open_until(configured: Windows, made: Sequence[Interval], at: float) -> float | None:
    """Return until when windows are open without a gap, at most `LONGEST_S` ahead; `None` if none is open."""
    until = at
    while until < at + LONGEST_S:
        closes = configured.closes_at(until)
        ends = [end for start, end in made if start <= until < end]
        later = max([*ends, *([] if closes is None else [closes])], default=None)
        if later is None:
            break
        until = later
    return until if until > at else None


def _occurrences(window: Maintenance, since: float, until: float) -> Iterator[Interval]:
    if window.starts_at is not None and window.ends_at is not None:
        yield window.starts_at.timestamp(), window.ends_at.timestamp()
    if window.duration_s is not None:
        for start in _starts(_cron(window), window.time_zone, since - window.duration_s, until):
            yield start, start + window.duration_s


def _cron(window: Maintenance) -> str:
    if window.cron is not None:
        return window.cron
    hour, minute = str(window.at).split(":")
    return f"{int(minute)} {int(hour)} * * {','.join(window.weekly or ())}"


def _starts(cron: str, time_zone: str, after: float, before: float) -> Iterator[float]:
    starts = CronSim(cron, datetime.fromtimestamp(after, UTC).astimezone(ZoneInfo(time_zone)))
    return takewhile(lambda start: start < before, (start.timestamp() for start in starts))


class MadeWindow(msgspec.Struct, frozen=True):
    """A window that somebody made; without `monitor` and `group`, it is of all monitors.

    After somebody ended it, `until_at` is when they did. `id` is 0 until it is stored.
    """

    id: int
    monitor: str | None
    group: str | None
    since_at: float
    until_at: float
    at: float
    who: str
    why: str


class MadeWindows:
    """A set of windows that people made, by what they are for."""

    def __init__(self, made: Iterable[MadeWindow] = ()) -> None:
        self._by_scope: dict[Scope, list[MadeWindow]] = defaultdict(list)
        for each in sorted(made, key=_since_at):
            self._by_scope[each.monitor, each.group].append(each)

    def scopes(self, monitor: Monitor) -> tuple[Scope, ...]:
        """Return the scopes that a monitor has windows of: monitors with equal scopes have equal windows."""
        mine = dict.fromkeys([(monitor.name, None), (None, monitor.group), (None, None)])
        return tuple(scope for scope in mine if scope in self._by_scope)

    def of(self, monitor: Monitor) -> list[MadeWindow]:
        """Return the windows of a monitor, in the order of their starts."""
        found = (each for scope in self.scopes(monitor) for each in self._by_scope[scope])
        return sorted(found, key=_since_at)

    def within(self, monitor: Monitor, since: float, until: float) -> list[Interval]:
        """Return the windows of a monitor that may be open in this time range; they may overlap."""
        found: list[Interval] = []
        for scope in self.scopes(monitor):
            windows = self._by_scope[scope]
            first = bisect_left(windows, since - LONGEST_S, key=_since_at)
            end = bisect_left(windows, until, key=_since_at)
            found += [(each.since_at, each.until_at) for each in windows[first:end]]
        return found

    def open_at(self, monitor: Monitor, at: float) -> bool:
        return any(start <= at < end for start, end in self.within(monitor, at, math.nextafter(at, math.inf)))


def _since_at(window: MadeWindow) -> float:
    return window.since_at


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
