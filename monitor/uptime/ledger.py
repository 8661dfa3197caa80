"""What new results add to the sums of their hours. Pure."""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

from monitor.result import CheckResult, Phases
from monitor.runtime.text import HOUR_S
from monitor.uptime.maintenance import Windows
from monitor.uptime.sums import CountedAs, UptimePoint, bucket, time_covered

_COLUMN: dict[CountedAs, int] = {"up": 0, "degraded": 1, "down": 2, "maintenance": 3}
_DOWN, _UNKNOWN = 2, 3
_END = UptimePoint(math.inf, "unknown", math.inf)


class Entry:
    """What is to be added to one hour.

    `seconds` are those up, degraded, down and in maintenance; `counts` the results that are up, degraded,
    down and unknown. The rest is of results that were up: their number by bucket of the response time, the
    slowest response time, and the sums of their phases.
    """

    __slots__ = ("counts", "phases", "response_times", "seconds", "slowest_s")

    def __init__(self) -> None:
        self.seconds = [0.0, 0.0, 0.0, 0.0]
        self.counts = [0, 0, 0, 0]
        self.response_times: dict[int, int] = {}
        self.slowest_s = 0.0
        self.phases = [0.0] * len(Phases.__struct_fields__)


class Ledger:
    """Collects what a batch adds to the hours: by monitor, location and hour since 1970."""

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str, int], Entry] = {}

    def count_checks(self, monitor: str, results: Iterable[CheckResult]) -> None:
        """Count each result in the hour of its slot."""
        for result in results:
            entry = self._entry(monitor, result.location, int(result.scheduled_at // HOUR_S))
            if result.up:
                entry.counts[1 if result.degraded else 0] += 1
                index = bucket(result.response_time)
                entry.response_times[index] = entry.response_times.get(index, 0) + 1
                entry.slowest_s = max(entry.slowest_s, result.response_time)
                sums, phases = entry.phases, result.phases
                sums[0] += phases.resolve or 0.0
                sums[1] += phases.connect or 0.0
                sums[2] += phases.tls or 0.0
                sums[3] += phases.processing or 0.0
                sums[4] += phases.transfer or 0.0
            else:
                entry.counts[_UNKNOWN if result.up is None else _DOWN] += 1

    def count_time(
        self, monitor: str, superseded: Iterable[tuple[str, UptimePoint, float]], windows: Windows | None
    ) -> None:
        """Add the time that results cover; with each are its location and the slot of the next one."""
        for location, point, next_at in superseded:
            for hour, counted_as, length_s in time_covered(point, next_at, windows):
                self._entry(monitor, location, hour).seconds[_COLUMN[counted_as]] += length_s

    def insert_late(
        self,
        monitor: str,
        location: str,
        late: Iterable[UptimePoint],
        others: Sequence[UptimePoint],
        windows: Windows | None,
    ) -> None:
        """Add what late results take from those around them.

        `others` are all results of this location that late ones may take time from, or lose time to.
        """
        for sign, points in ((1, [*others, *late]), (-1, others)):
            for point, after in pairwise([*sorted(points), _END]):
                for hour, counted_as, length_s in time_covered(point, after.at, windows):
                    self._entry(monitor, location, hour).seconds[_COLUMN[counted_as]] += sign * length_s

    def _entry(self, monitor: str, location: str, hour: int) -> Entry:
        key = (monitor, location, hour)
        entry = self.entries.get(key)
        if entry is None:
            entry = self.entries[key] = Entry()
        return entry
