"""What new results change, in the transaction that stores them: incidents, changes, sums of hours.

Each result counts once, when it is really new. One whose day may have been dropped already is stored but not
counted, since nobody knows whether it was counted before.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from monitor.incidents import store
from monitor.incidents.course import Observed, Recheck, observe, status
from monitor.incidents.incident_log import log_changes
from monitor.incidents.late_results import correct, retrace_stored
from monitor.incidents.location import in_order, point_of
from monitor.incidents.model import Change, Health
from monitor.incidents.rules import MonitorRules, Rules
from monitor.incidents.store import State, StoredChange
from monitor.result import CheckResult
from monitor.runtime.text import DAY_S, HOUR_S
from monitor.storage.database import OWN_PLANS
from monitor.storage.results import Enter
from monitor.uptime import store as uptime_store
from monitor.uptime.ledger import Ledger

_LATE_S = DAY_S  # a result that comes later changes no open incident
_MARGIN_S = HOUR_S  # around late results, for the outages that they may belong to


class Bookkeeping:
    """Counts new results in one database."""

    def __init__(
        self, rules: MonitorRules, retention_days: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._rules = rules
        self._retention_days = min(retention_days, uptime_store.HOURS_KEPT_D - 1)
        self._clock = clock

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
        return partial(log_changes, await batch.store())

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

    async def enter(self, monitor: str, results: list[CheckResult], before: Health, rules: Rules) -> None:
        if len(results) > 1:
            results = in_order(results)
        self._ledger.count_checks(monitor, results)
        observed = observe(before, results, rules, self._now)
        self._ledger.count_time(monitor, observed.superseded, rules.windows)
        if observed.late or observed.rechecks:
            await self._connection.execute(OWN_PLANS)  # for what reads days
        if observed.late:
            await self._insert_late(monitor, observed.late, rules)
        health, changes = observed.health, observed.changes
        if observed.rechecks and await self._is_recheck_needed(monitor, observed.rechecks, rules):
            health, changes = await self._recheck(monitor, before, observed, rules)
        self._changes += [(monitor, change) for change in changes]
        self._states.append(State(monitor, status(health, rules), health))

    async def _insert_late(self, monitor: str, late: Iterable[CheckResult], rules: Rules) -> None:
        """Count the time of late results for them, and no longer for the results before them."""
        by_location: dict[str, list[CheckResult]] = defaultdict(list)
        for result in late:
            by_location[result.location].append(result)
        for location, its in by_location.items():
            others = await uptime_store.around(self._connection, its, rules.reach_s)
            points = [point_of(result, rules) for result in its]
            self._ledger.insert_late(monitor, location, points, others, rules.windows)

    async def _is_recheck_needed(self, monitor: str, rechecks: Sequence[Recheck], rules: Rules) -> bool:
        """Return whether late results may change incidents; passed ones only if there was an outage."""
        if not all(recheck.passed for recheck in rechecks):
            return True
        start = min(recheck.first for recheck in rechecks) - rules.reach_s
        end = max(recheck.last for recheck in rechecks) + rules.reach_s
        return await store.any_outage(self._connection, monitor, start, end)

    async def _recheck(
        self, monitor: str, before: Health, observed: Observed, rules: Rules
    ) -> tuple[Health, list[Change]]:
        """Go through the stored results around late ones, if possible until the newest."""
        margin_s = max(_MARGIN_S, rules.memory * rules.reach_s)
        first = min(recheck.first for recheck in observed.rechecks)
        last, newest = max(recheck.last for recheck in observed.rechecks), observed.health.last_at
        start, end = first - margin_s, max(last + margin_s, newest if newest <= last + _LATE_S else last)
        if last > before.unchecked_after:
            start = max(start, before.unchecked_after)
        else:
            end = before.unchecked_after
        stored = await store.history(self._connection, monitor, start, end)
        retraced = await asyncio.to_thread(retrace_stored, start, stored, before, rules)
        return correct(before, observed, retraced, rules, self._now)

    async def store(self) -> list[StoredChange]:
        """Store the states, sums and changes of all monitors of the batch; return the changes."""
        if not self._states:
            return []
        await store.store_states(self._connection, self._states)
        await uptime_store.add(self._connection, self._ledger.entries)
        return await store.store_changes(self._connection, self._changes, self._now)
