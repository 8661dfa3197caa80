"""What sums of hours and days say of a monitor's past: shares of windows, bars, courses. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from monitor.duration import spoken
from monitor.uptime import HOUR_S, Sums, percentile, shares
from monitor.web.charts import Bar, State
from monitor.web.rendering import percent

DAY_H = 24
HOURS_D = 8  # days that are read by the hour: a day's sum may be made a while after its end
DAYS = 90
WINDOWS = (("24 h", 1), ("7 d", 7), ("30 d", 30), ("90 d", 90))
_DOWN_SHARE = 0.05  # of a bar's time known: less is shown as degraded

ByPeriod = Mapping[int, Sequence[Sums]]


class Span(NamedTuple):
    """Where hours and days are read from, for the windows that end now."""

    first_day: int
    first_hour: int
    end_hour: int


def spans(now: float) -> Span:
    """Say which days (until before the day of the first hour) and hours the windows need."""
    hour = int(now // HOUR_S)
    day = hour // DAY_H
    return Span(day - DAYS + 1, (day - HOURS_D + 1) * DAY_H, hour + 1)


@dataclass(frozen=True, slots=True)
class History:
    """Sums of a monitor's hours and days, as `spans(now)` says."""

    now: float
    days: ByPeriod
    hours: ByPeriod

    def uptime(self) -> list[tuple[float | None, str]]:
        """Say the share of each window in which it was up, of the time that is known."""
        return [(self.uptime_of(days), label) for label, days in WINDOWS]

    def uptime_of(self, days: int) -> float | None:
        """Say the share of the last days in which it was up; `None` when nothing is known."""
        return shares(self._since(days), 0).uptime

    def day_bars(self) -> Iterator[Bar]:
        """Make a bar for each of the last days."""
        span = spans(self.now)
        for day in range(span.first_day, span.first_day + DAYS):
            if day * DAY_H < span.first_hour:
                sums: Sequence[Sums] = self.days.get(day, ())
            else:
                sums = self._hours(day * DAY_H, (day + 1) * DAY_H)
            yield bar(sums, DAY_H * HOUR_S, f"{datetime.fromtimestamp(day * DAY_H * HOUR_S, UTC):%d %b}")

    def hour_bars(self) -> Iterator[Bar]:
        """Make a bar for each of the last 24 hours."""
        end = spans(self.now).end_hour
        for hour in range(end - DAY_H, end):
            label = f"{datetime.fromtimestamp(hour * HOUR_S, UTC):%d %b %H}:00"
            yield bar(self.hours.get(hour, ()), HOUR_S, label)

    def medians(self) -> list[float | None]:
        """Tell the median response time of each of the last 24 hours."""
        end = spans(self.now).end_hour
        return [percentile(times(self.hours.get(hour, ())), 0.5) for hour in range(end - DAY_H, end)]

    def _since(self, days: int) -> list[Sums]:
        span = spans(self.now)
        first_hour = span.end_hour - days * DAY_H
        found = self._hours(max(first_hour, span.first_hour), span.end_hour)
        first_day = -(-first_hour // DAY_H)
        for day in range(first_day, span.first_hour // DAY_H):
            found += self.days.get(day, ())
        return found

    def _hours(self, first: int, end: int) -> list[Sums]:
        return [sums for hour in range(first, end) for sums in self.hours.get(hour, ())]


def bar(sums: Sequence[Sums], length_s: float, label: str) -> Bar:
    """Say in one colour and one line what a stretch of time was like."""
    part = shares(sums, length_s)
    known = part.up + part.degraded + part.down
    state: State = "up"
    if part.maintenance > known:
        state = "maintenance"
    elif not known:
        return Bar("unknown", f"{label}: no data")
    elif part.down > _DOWN_SHARE * known:
        state = "down"
    elif part.down or part.degraded > _DOWN_SHARE * known:
        state = "degraded"
    down_s = sum(each.down_s for each in sums) / max(1, len(sums))
    return Bar(state, f"{label}: {percent(part.uptime)} up" + (f", {spoken(down_s)} down" if down_s else ""))


def times(sums: Iterable[Sums]) -> list[int]:
    """Add up the response times of some sums, bucket by bucket."""
    return [sum(counts) for counts in zip(*(each.response_times for each in sums), strict=True)]
