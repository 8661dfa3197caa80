"""How much of the time a monitor was up, and how long its answers took.

A result covers the time from its slot to the slot of the next result of the same monitor and location, for
`REACH` intervals at most. Time that no result covers is unknown, never up or down. A result that comes late
takes its share from the result before it, so the order in which results come makes no difference. Time in a
maintenance window counts as maintenance, whatever the result was. Pure.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, NamedTuple

from monitor.runtime.text import HOUR_S
from monitor.uptime.maintenance import Windows

REACH = 3  # intervals that a result covers at most; after as many without a result there is no data
BUCKETS = 64
_PER_OCTAVE = 4  # buckets while the response time doubles: percentiles are right within 19 %
_FIRST_S = 0.001  # the first bucket ends here, the last one begins at 46 s

Status = Literal["up", "degraded", "down", "unknown"]
CountedAs = Literal[Status, "maintenance"]
TimePart = tuple[CountedAs, float, float]
"""A part of a time range: what it counts as, its start and its end."""


class UptimePoint(NamedTuple):
    """One result, as far as time is concerned."""

    at: float
    status: Status
    until: float
    """The end of the time that it covers at most."""


@dataclass(frozen=True, slots=True)
class Sums:
    """The sums of some hours: seconds, and numbers of results."""

    up_s: float = 0
    degraded_s: float = 0
    down_s: float = 0
    maintenance_s: float = 0
    up: int = 0
    degraded: int = 0
    down: int = 0
    unknown: int = 0
    response_times: Sequence[int] = (0,) * BUCKETS
    """By bucket; this and the following are of the results that were up."""
    slowest_s: float = 0
    resolve_s: float = 0
    connect_s: float = 0
    tls_s: float = 0
    processing_s: float = 0
    transfer_s: float = 0

    @property
    def checks(self) -> int:
        return self.up + self.degraded + self.down + self.unknown


@dataclass(frozen=True, slots=True)
class Shares:
    """Shares of a time range; they add up to 1."""

    up: float
    degraded: float
    down: float
    maintenance: float
    unknown: float

    @property
    def uptime(self) -> float | None:
        """The share that was up, of the known time outside of maintenance; degraded counts as up."""
        known = self.up + self.degraded + self.down
        return (self.up + self.degraded) / known if known else None


def status_of(up: bool | None, degraded: bool) -> Status:
    if up is None:
        return "unknown"
    if not up:
        return "down"
    return "degraded" if degraded else "up"


def time_covered(
    point: UptimePoint, next_at: float, windows: Windows | None
) -> Iterator[tuple[int, CountedAs, float]]:
    """Yield hour (since 1970), what it counts as, and seconds, of the time that a point covers.

    `next_at` is the slot of the next result: nothing is counted before it is there.
    """
    if point.status != "unknown":
        for counted_as, start, end in split_at_windows(
            point.status, point.at, min(next_at, point.until), windows
        ):
            for hour, length_s in split_at_hours(start, end):
                yield hour, counted_as, length_s


def split_at_windows(status: Status, start: float, end: float, windows: Windows | None) -> Sequence[TimePart]:
    """Split the time that a result covers into maintenance and the rest; parts may be empty."""
    if windows is None:
        return ((status, start, end),)
    found: list[TimePart] = []
    for opens, closes in windows.within(start, end):
        found += [(status, start, opens), ("maintenance", opens, closes)]
        start = closes
    return [*found, (status, start, end)]


def split_at_hours(start: float, end: float) -> list[tuple[int, float]]:
    """Split a time range at the full hours; return the seconds of each hour since 1970."""
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


def shares(sums: Iterable[Sums], range_s: float) -> Shares:
    """Return the shares of a time range of the given length; the sums are one for each location."""
    each = list(sums)
    up, degraded, down, maintenance = (
        sum(one.up_s for one in each),
        sum(one.degraded_s for one in each),
        sum(one.down_s for one in each),
        sum(one.maintenance_s for one in each),
    )
    known = up + degraded + down + maintenance
    whole = max(range_s * len(each), known)
    if not whole:
        return Shares(0, 0, 0, 0, 1)
    return Shares(up / whole, degraded / whole, down / whole, maintenance / whole, (whole - known) / whole)


def bucket(seconds: float) -> int:
    """Return the bucket of a response time."""
    if seconds <= _FIRST_S:
        return 0
    return min(BUCKETS - 1, 1 + int(_PER_OCTAVE * math.log2(seconds / _FIRST_S)))


def percentile(response_times: Sequence[int], share: float) -> float | None:
    """Return the response time that this share of the checks did not exceed; `None` without checks."""
    passed = list(accumulate(response_times))
    if not passed or not passed[-1]:
        return None
    rank = share * passed[-1]
    index = bisect_left(passed, max(rank, 1))
    above = (passed[index] - rank) / response_times[index]
    return float(_FIRST_S * 2 ** ((index - above) / _PER_OCTAVE))
