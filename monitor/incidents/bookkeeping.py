"""What new results change, in the transaction that stores them: incidents, changes, sums of hours.

Each result counts once, when it is really new. One whose day may have been dropped already is stored but not
counted, since nobody knows whether it was counted before.
"""

import logging
import math
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from operator import attrgetter
from typing import Any

from monitor.incidents import store
from monitor.incidents.course import observe, status
from monitor.incidents.incident_log import log_changes
from monitor.incidents.location import point_of
from monitor.incidents.model import Change, Health
from monitor.incidents.rules import MonitorRules, Rules
from monitor.incidents.store import State, StoredChange
from monitor.result import CheckResult
from monitor.runtime.text import DAY_S, HOUR_S
from monitor.storage.database import OWN_PLANS
from monitor.storage.results import Enter
from monitor.uptime import store as uptime_store
from monitor.uptime.ledger import Ledger

_SLOT = attrgetter("scheduled_at")

_log = logging.getLogger(__name__)


class Bookkeeping:
    """Counts new results in one database."""

    def __init__(
        self,
        rules: MonitorRules,
        retention_days: float,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rules = rules
        self._retention_days = min(retention_days, uptime_store.HOURS_KEPT_D - 1)
        self._clock = clock
        self._monotonic = monotonic
        self._ahead_logged_at: dict[str, float] = {}

    async def open_books(self, connection: Any, results: Iterable[CheckResult]) -> Enter:
        """Lock the monitors of these results until the transaction ends; return what enters the new ones."""
        healths = await store.locked(connection, {result.monitor for result in results} - {""})
        return partial(self._enter, connection, healths)

    async def _enter(
        self, connection: Any, healths: Mapping[str, Health], results: Iterable[CheckResult]
    ) -> Callable[[], None]:
        """Count results that are new, of monitors that are locked; return what logs the changes."""
        await self._rules.read_windows(connection)
        now = self._clock()
        batch = _Batch(connection, now)
        for monitor, group in self._by_monitor(results, now).items():
            await batch.enter(monitor, group, healths[monitor], self._rules.rules(monitor))
        return partial(self._log, await batch.store(), batch.ahead)

    def _log(self, changes: Sequence[StoredChange], ahead: Collection[str]) -> None:
        log_changes(changes)
        now = self._monotonic()
        for location in ahead:
            if now >= self._ahead_logged_at.get(location, -math.inf) + HOUR_S:
                self._ahead_logged_at[location] = now
                _log.warning(
                    "results of the location %s are of the future and change no incident: "
                    "its clock is ahead, or the clock here is behind",
                    location or "without a name",
                )

    def _by_monitor(self, results: Iterable[CheckResult], now: float) -> dict[str, list[CheckResult]]:
        counted_from = (int(now / DAY_S - self._retention_days) + 1) * DAY_S
        groups: dict[str, list[CheckResult]] = defaultdict(list)
        for result in results:
            if result.monitor and result.scheduled_at >= counted_from:
                groups[result.monitor].append(result)
        return groups


class _Batch:
    """What the results of one transaction change."""

    def __init__(self, connection: Any, now: float) -> None:
        self._connection = connection
        self._now = now
        self._ledger = Ledger()
        self._states: list[State] = []
        self._changes: list[tuple[str, Change]] = []
        self.ahead: set[str] = set()
        """Locations with results whose slots are still to come."""

    async def enter(self, monitor: str, results: list[CheckResult], before: Health, rules: Rules) -> None:
        results.sort(key=_SLOT)
        self._ledger.count_checks(monitor, results)
        observed = observe(before, results, rules, self._now)
        self._ledger.count_time(monitor, observed.superseded, rules.windows)
        if observed.late:
            await self._connection.execute(OWN_PLANS)  # for what reads days
            await self._insert_late(monitor, observed.late, rules)
        self.ahead |= {result.location for result in observed.ahead}
        self._changes += [(monitor, change) for change in observed.changes]
        self._states.append(State(monitor, status(observed.health, rules), observed.health))

    async def _insert_late(self, monitor: str, late: Iterable[CheckResult], rules: Rules) -> None:
        """Count the time of late results for them, and no longer for the results before them."""
        by_location: dict[str, list[CheckResult]] = defaultdict(list)
        for result in late:
            by_location[result.location].append(result)
        for location, its in by_location.items():
            others = await uptime_store.around(self._connection, its, rules.reach_s)
            points = [point_of(result, rules) for result in its]
            self._ledger.insert_late(monitor, location, points, others, rules.windows)

    async def store(self) -> list[StoredChange]:
        """Store the states, sums and changes of all monitors of the batch; return the changes."""
        if not self._states:
            return []
        await store.store_states(self._connection, self._states)
        await uptime_store.add(self._connection, self._ledger.entries)
        return await store.store_changes(self._connection, self._changes, self._now)
