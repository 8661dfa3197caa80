"""A monitor's last 90 days, from sums of hours and days: uptime, bars, medians. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from monitor.runtime.text import DAY_S, HOUR_S, MINUTE_S, duration, percent
from monitor.uptime.sums import Sums, percentile
from monitor.web.pages.content.charts import Bar, ChartState
from monitor.web.queries import Seconds

DAY_H = 24
DAYS = 90
_WEEK_D = 7
_HOURS_D = 2  # days that are read as hours: the sum of a day is made an hour or two after its end
_SHORT_D = 2
_DOWN_SHARE = 0.05  # of the known time of a bar: what is down for less is shown as degraded
_WHOLE = 0.9  # of a period: with less data, its uptime says of how much it is
_NOTHING = Seconds()

ByPeriod = Mapping[int, Sequence[Sums]]


class Uptime(NamedTuple):
    """The uptime of a period that ends now; `None`: nothing is known of it."""

    share: float | None
    label: str
    """The length of the period."""
    known_s: float | None = None
    """Of how much time there is data, roughly, where that is clearly less than the period."""


class HistoryBounds(NamedTuple):
    """Which days and hours, counted since 1970, are read for the periods that end now."""

    first_day: int
    first_hour: int
    """The first hour of a day; from here on, days are added up from hours."""
    end_hour: int
    """The hour after the current one."""
    week_hours: tuple[int, int]
    """The hours of the last 7 * 24 that belong to the day in which these begin: the first, and the end."""


def bounds(now: float) -> HistoryBounds:
    end = int(now // HOUR_S) + 1
    today = (end - 1) // DAY_H
    week = end - _WEEK_D * DAY_H
    return HistoryBounds(
        today - DAYS + 1, (today - _HOURS_D + 1) * DAY_H, end, (week, (today - _WEEK_D + 1) * DAY_H)
    )


@dataclass(frozen=True, slots=True)
class History:
    """A monitor's last 90 days and its last 24 hours."""

    now: float
    days: Mapping[int, Seconds]
    week_begin: Seconds
    """The sum of the `week_hours`."""
    hours: ByPeriod

    @property
    def is_short(self) -> bool:
        """Whether there are so few days that bars of days would show next to nothing."""
        return all(day > self._today - _SHORT_D for day in self.days)

    def uptime(self) -> list[Uptime]:
        """Return the uptime of four periods that end now."""
        return [
            _uptime([seconds_of(sums) for sums in self.hours.values()], 24 * HOUR_S, "24 h"),
            _uptime([self.week_begin, *self._since(_WEEK_D)], _WEEK_D * DAY_S, "7 d"),
            _uptime(self._since(30), 30 * DAY_S, "30 d"),
            _uptime(self._since(DAYS), DAYS * DAY_S, "90 d"),
        ]

    def uptime_of(self, days: int) -> float | None:
        """Return the uptime of the last days, today included; `None` where nothing is known."""
        return added(self._since(days)).uptime

    def day_bars(self) -> Iterator[Bar]:
        today = self._today
        for day in range(today - DAYS + 1, today + 1):
            yield bar(self.days.get(day, _NOTHING), _written(day * DAY_H, "%d %b"))

    def hour_bars(self) -> Iterator[Bar]:
        for hour in self._last_hours:
            yield bar(seconds_of(self.hours.get(hour, ())), _written(hour, "%d %b %H:00"))

    def medians(self) -> list[float | None]:
        """Return the median response time of each of the last 24 hours; `None` where no check was made."""
        return [
            percentile(times(self.hours[hour]), 0.5) if hour in self.hours else None
            for hour in self._last_hours
        ]

    @property
    def first_day(self) -> str:
        """The date of the first of the bars of days."""
        return _written((self._today - DAYS + 1) * DAY_H, "%d %b")

    @property
    def first_hour(self) -> int:
        """The first of the bars of hours, counted since 1970."""
        return self._last_hours[0]

    def _since(self, days: int) -> list[Seconds]:
        before = self._today - days
        return [seconds for day, seconds in self.days.items() if day > before]

    @property
    def _today(self) -> int:
        return int(self.now // HOUR_S) // DAY_H

    @property
    def _last_hours(self) -> range:
        end = bounds(self.now).end_hour
        return range(end - DAY_H, end)


def _uptime(parts: Sequence[Seconds], length_s: float, label: str) -> Uptime:
    share = added(parts).uptime
    known_s = sum((each.known_s + each.maintenance_s) / each.locations for each in parts if each.locations)
    if share is None or known_s >= _WHOLE * length_s:
        return Uptime(share, label)
    unit = next((unit for unit in (DAY_S, HOUR_S, MINUTE_S) if known_s >= unit), 1)
    return Uptime(share, label, max(1, known_s // unit) * unit)


@lru_cache(maxsize=20_000)
def bar(seconds: Seconds, label: str) -> Bar:
    """Return the bar of a period: the state that it is coloured by, and its uptime in words."""
    if seconds.maintenance_s > seconds.known_s:
        return Bar("maintenance", f"{label}: maintenance")
    if not seconds.known_s:
        return Bar("unknown", f"{label}: no data")
    few = _DOWN_SHARE * seconds.known_s
    state: ChartState = "up"
    if seconds.down_s > few:
        state = "down"
    elif seconds.down_s or seconds.degraded_s > few:
        state = "degraded"
    down = f", {duration(seconds.down_s / seconds.locations)} down" if seconds.down_s else ""
    return Bar(state, f"{label}: {percent(seconds.uptime)} up{down}")


@lru_cache(maxsize=1_000)
def _written(hour: int, form: str) -> str:
    return datetime.fromtimestamp(hour * HOUR_S, UTC).strftime(form)


def seconds_of(sums: Sequence[Sums]) -> Seconds:
    """Return the sum of one hour over all locations."""
    if not sums:
        return _NOTHING
    return added(Seconds(each.up_s, each.degraded_s, each.down_s, each.maintenance_s, 1) for each in sums)


def added(every: Iterable[Seconds]) -> Seconds:
    return Seconds(*map(sum, zip(*every, strict=True)))


def times(sums: Sequence[Sums]) -> Sequence[int]:
    """Return the sum of the response times' histograms, bucket by bucket."""
    if len(sums) == 1:
        return sums[0].response_times
    return [sum(counts) for counts in zip(*(each.response_times for each in sums), strict=True)]
