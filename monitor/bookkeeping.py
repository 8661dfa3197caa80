"""What new results come to, in the transaction that stores them: incidents, changes, sums of hours.

Each result counts once, when it is really new. One whose day may have been dropped already is stored, but
counts for nothing, since nobody can tell whether it did before.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from monitor import store_incidents, store_sums
from monitor.health import Change, Health
from monitor.hindsight import look_back, stretch
from monitor.incident import Doubt, Observed, observe, status
from monitor.result import CheckResult
from monitor.standing import Rules, in_order, point
from monitor.store_incidents import State
from monitor.uptime import Point
from monitor.uptime_ledger import Ledger

_DAY_S = 86_400
_LATE_S = 86_400.0  # what comes later than that changes nothing that goes on
_MARGIN_S = 3_600.0  # around late results, for the outages that they may be of


async def _nothing(_: Any) -> None:
    pass


class Bookkeeping:
    """Keeps the accounts of one database; before it uses `rules`, it has `learn` read what they depend on."""

    def __init__(
        self,
        rules: Callable[[str], Rules] = lambda _: Rules(),
        retention_days: float = 90.0,
        clock: Callable[[], float] = time.time,
        learn: Callable[[Any], Awaitable[None]] = _nothing,
    ) -> None:
        self.rules = rules
        self.learn = learn
        self._retention_days = min(retention_days, store_sums.HOURS_DAYS - 1)
        self._clock = clock

    async def lock(self, connection: Any, results: Iterable[CheckResult]) -> dict[str, Health]:
        """Let nobody else write about the monitors of these results, until the transaction ends."""
        monitors = sorted({result.monitor for result in results} - {""})
        return await store_incidents.locked(connection, monitors) if monitors else {}

    async def enter(
        self, connection: Any, healths: Mapping[str, Health], results: Iterable[CheckResult]
    ) -> None:
        """Take results into account that are new, of monitors that are locked."""
        await self.learn(connection)
        now = self._clock()
        batch = _Batch(connection, now)
        for monitor, group in self._by_monitor(results, now).items():
            await batch.enter(monitor, group, healths[monitor], self.rules(monitor))
        await batch.store()

    def _by_monitor(self, results: Iterable[CheckResult], now: float) -> dict[str, list[CheckResult]]:
        counted_from = (int(now / _DAY_S - self._retention_days) + 1) * _DAY_S
        groups: dict[str, list[CheckResult]] = defaultdict(list)
        for result in results:
            if result.monitor and result.scheduled_at >= counted_from:
                groups[result.monitor].append(result)
        return groups


class _Batch:
    """What the results of one transaction come to."""

    def __init__(self, connection: Any, now: float) -> None:
        self._connection = connection
        self._now = now
        self._ledger = Ledger()
        self._states: list[State] = []
        self._changes: list[tuple[str, Change]] = []

    async def enter(self, monitor: str, results: list[CheckResult], before: Health, rules: Rules) -> None:
        results = in_order(results)
        self._ledger.count(monitor, results)
        observed = observe(before, results, rules, self._now)
        self._ledger.speak(monitor, observed.spoken, rules.windows)
        if observed.overtaken:
            await self._squeeze_in(monitor, observed.overtaken, rules)
        health, changes = observed.health, observed.changes
        if observed.doubts and await self._may_matter(monitor, observed.doubts, rules):
            health, changes = await self._look_again(monitor, before, observed, rules)
        self._changes += [(monitor, change) for change in changes]
        self._states.append(State(monitor, status(health, rules), health))

    async def _squeeze_in(self, monitor: str, overtaken: Iterable[CheckResult], rules: Rules) -> None:
        """Give late results the time that is theirs."""
        by_location: dict[str, list[CheckResult]] = defaultdict(list)
        for result in overtaken:
            by_location[result.location].append(result)
        for location, late in by_location.items():
            slots = [result.scheduled_at for result in late]
            between = (min(slots) - rules.reach_s, max(slots) + rules.reach_s)
            ids = [result.id for result in late]
            others = await store_sums.around(self._connection, monitor, location, ids, between)
            self._ledger.squeeze_in(
                monitor,
                location,
                [point(result, rules) for result in late],
                [Point(at, said, at + rules.reach_s) for at, said in others],
                rules.windows,
            )

    async def _may_matter(self, monitor: str, doubts: Sequence[Doubt], rules: Rules) -> bool:
        """Look whether results that came late may say otherwise than what was said."""
        if not all(doubt.passed for doubt in doubts):
            return True
        start = min(doubt.first for doubt in doubts) - rules.reach_s
        end = max(doubt.last for doubt in doubts) + rules.reach_s
        return await store_incidents.any_outage(self._connection, monitor, start, end)

    async def _look_again(
        self, monitor: str, before: Health, observed: Observed, rules: Rules
    ) -> tuple[Health, list[Change]]:
        """Go through what is stored around late results, until now."""
        margin_s = max(_MARGIN_S, rules.memory * rules.reach_s)
        first = min(doubt.first for doubt in observed.doubts)
        last, newest = max(doubt.last for doubt in observed.doubts), observed.health.last_at
        start, end = first - margin_s, max(last + margin_s, newest if newest <= last + _LATE_S else last)
        if last > before.rested_at:
            start = max(start, before.rested_at)
        else:
            end = before.rested_at
        stored = await store_incidents.history(self._connection, monitor, start, end)
        seen = await asyncio.to_thread(stretch, start, stored, before, rules)
        return look_back(before, observed, seen, rules, self._now)

    async def store(self) -> None:
        """Write it all, one statement for each table."""
        if self._states:
            await store_incidents.keep(self._connection, self._states)
            await store_sums.add(self._connection, self._ledger.entries)
            await store_incidents.record(self._connection, self._changes, self._now)
