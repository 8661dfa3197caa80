"""When a monitor's maintenance windows are open.

Pure: instants are Unix seconds. A window includes its start, and not its end. Recurring windows start by the
local time of their time zone, also on days when its clocks change, and last exactly as long as configured.
"""

from bisect import bisect
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import takewhile
from zoneinfo import ZoneInfo

from cronsim import CronSim

from monitor.config.alerts import Maintenance
from monitor.runtime.text import DAY_S

Interval = tuple[float, float]

_MAX_DAYS = 8  # that are kept


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
        some = self._maintenance or self._made
        return bool(some) and any(start <= at < end for start, end in self._day(_day(at)))

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
    configured = (each for window in maintenance for each in _each(window, since, until))
    for start, end in sorted([*made, *configured]):
        start, end = max(start, since), min(end, until)  # noqa: PLW2901 - what is outside is cut off
        if united and start <= united[-1][1]:
            united[-1] = (united[-1][0], max(united[-1][1], end))
        elif start < end:
            united.append((start, end))
    return united


def _each(window: Maintenance, since: float, until: float) -> Iterator[Interval]:
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
