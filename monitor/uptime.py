"""How much of the time a monitor was up, and how long its answers took.

A result speaks for the time from its slot to that of the next result of the same monitor and location, for
`REACH` intervals at most; what no result speaks for is unknown, never up or down. So a result that comes late
takes from its predecessor what is its own, and the order in which results come makes no difference. What a
result says of the time in a maintenance window is left out, and told as maintenance. Pure.
"""

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, NamedTuple

from monitor.maintenance import Windows

REACH = 3  # a result speaks for this many intervals; after as many without one there is no data
HOUR_S = 3_600
BUCKETS = 64
_PER_OCTAVE = 4  # buckets while the response time doubles: what they tell is right within 19 %
_FIRST_S = 0.001  # the first bucket ends here, the last one begins at 46 s

Status = Literal["up", "degraded", "down", "unknown"]
CountedAs = Literal[Status, "maintenance"]
Part = tuple[CountedAs, float, float]
"""What to count a stretch of time as, where it starts and where it ends."""
SecondsByHour = dict[tuple[int, CountedAs], float]
"""Seconds by hour since 1970 and what they count as."""


class UptimePoint(NamedTuple):
    """One result, as far as time is concerned."""

    at: float
    status: Status
    until: float
    """It speaks no longer than that."""


@dataclass(frozen=True, slots=True)
class Sums:
    """What results of some hours come to: seconds, and how many there were."""

    up_s: float = 0
    degraded_s: float = 0
    down_s: float = 0
    maintenance_s: float = 0
    up: int = 0
    degraded: int = 0
    down: int = 0
    unknown: int = 0
    response_times: Sequence[int] = (0,) * BUCKETS
    """Of what was up, by bucket; so are the following."""
    slowest_s: float = 0
    resolve_s: float = 0
    connect_s: float = 0
    tls_s: float = 0
    processing_s: float = 0
    transfer_s: float = 0

    @property
    def checks(self) -> int:
        """How many results there were."""
        return self.up + self.degraded + self.down + self.unknown


@dataclass(frozen=True, slots=True)
class Shares:
    """Parts of a window; they add to 1."""

    up: float
    degraded: float
    down: float
    maintenance: float
    unknown: float

    @property
    def uptime(self) -> float | None:
        """The share that was up, of the time known and outside of maintenance; degraded is up."""
        known = self.up + self.degraded + self.down
        return (self.up + self.degraded) / known if known else None


def status_of(up: bool | None, degraded: bool) -> Status:
    """Say in a word what a result says."""
    if up is None:
        return "unknown"
    if not up:
        return "down"
    return "degraded" if degraded else "up"


def seconds_by_hour(points: Iterable[UptimePoint], windows: Windows | None = None) -> SecondsByHour:
    """Add up what each point but the last says of the time until the next; in the order of `at`."""
    seconds: SecondsByHour = defaultdict(float)
    before: UptimePoint | None = None
    for point in points:
        if before is not None and before.status != "unknown":
            for spent, start, end in split_at_windows(
                before.status, before.at, min(point.at, before.until), windows
            ):
                for hour, length_s in split_at_hours(start, end):
                    seconds[hour, spent] += length_s
        before = point
    return seconds


def split_at_windows(status: Status, start: float, end: float, windows: Windows | None) -> Sequence[Part]:
    """Tell maintenance from what a result says of a stretch of time; parts may be empty."""
    if windows is None:
        return ((status, start, end),)
    found: list[Part] = []
    for opens, closes in windows.within(start, end):
        found += [(status, start, opens), ("maintenance", opens, closes)]
        start = closes
    return [*found, (status, start, end)]


def split_at_hours(start: float, end: float) -> list[tuple[int, float]]:
    """Cut a stretch of time at the full hours."""
    hour = int(start // HOUR_S)
    if start < end <= (hour + 1) * HOUR_S:
        return [(hour, end - start)]
    found = []
    while start < end:
        hour = int(start // HOUR_S)
        stop = min(end, (hour + 1) * HOUR_S)
        found.append((hour, stop - start))
        start = stop
    return found


def shares(sums: Iterable[Sums], window_s: float) -> Shares:
    """Say what sums of one or more locations mean for a window of the given length."""
    each = list(sums)
    up, degraded, down, maintenance = (
        sum(one.up_s for one in each),
        sum(one.degraded_s for one in each),
        sum(one.down_s for one in each),
        sum(one.maintenance_s for one in each),
    )
    known = up + degraded + down + maintenance
    whole = max(window_s * len(each), known)
    if not whole:
        return Shares(0, 0, 0, 0, 1)
    return Shares(up / whole, degraded / whole, down / whole, maintenance / whole, (whole - known) / whole)


def bucket(seconds: float) -> int:
    """Find the bucket of a response time."""
    if seconds <= _FIRST_S:
        return 0
    return min(BUCKETS - 1, 1 + int(_PER_OCTAVE * math.log2(seconds / _FIRST_S)))


def percentile(response_times: Sequence[int], share: float) -> float | None:
    """Tell the response time that this share of the checks did not exceed; `None` where there were none."""
    passed = list(accumulate(response_times))
    if not passed or not passed[-1]:
        return None
    rank = share * passed[-1]
    index = bisect_left(passed, max(rank, 1))
    above = (passed[index] - rank) / response_times[index]
    return float(_FIRST_S * 2 ** ((index - above) / _PER_OCTAVE))
