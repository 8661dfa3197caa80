"""The rules by which results of each monitor make incidents, and since when each is to be checked."""

import math
import time
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from monitor.config.model import Monitor
from monitor.runtime.text import DAY_S
from monitor.uptime import maintenance_store
from monitor.uptime.maintenance import MadeWindows, Windows
from monitor.uptime.sums import REACH

READ_EVERY_S = 3.0
_COUNTED_S = 400 * DAY_S  # older results are not counted


@dataclass(frozen=True, slots=True)
class Sample:
    """The last `of` results; the location is down when `bad` of them failed."""

    of: int
    bad: int


@dataclass(frozen=True, slots=True)
class Rules:
    """When results of a monitor make an incident, and when they are left out of its uptime."""

    interval_s: float = 60.0
    failures: int = 3  # failed checks in a row that open an incident
    successes: int = 2  # passed checks in a row that resolve it
    sample: Sample | None = None  # opens an incident instead of `failures`
    quorum: int | None = None  # locations that must agree; without it half of them, rounded up
    windows: Windows | None = None  # of maintenance
    degraded: bool = False  # whether slow checks in a row open an incident, too

    @property
    def reach_s(self) -> float:
        """Return how long a result counts for its location if no other one comes."""
        return REACH * self.interval_s


_DEFAULT = Rules()


class MonitorRules:
    """Follows the configuration and the maintenance windows that people make.

    A monitor that it does not know has the default rules.
    """

    def __init__(
        self,
        monitors: Iterable[Monitor] = (),
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._made = MadeWindows()
        self._made_edition: object = None
        self._read_at = -math.inf
        self.no_data_after_s: dict[str, float] = {}
        """How old a newest slot may be: three intervals, and the time that a check may take."""
        self.checked_since: dict[str, float] = {}
        """Since when each monitor that is not paused is to be checked, by this process's clock."""
        self.judged_since: dict[str, float] = {}
        """Since when a result of each of these is due within that time: it may have been longer before."""
        self.follow(monitors)

    def follow(self, monitors: Iterable[Monitor]) -> None:
        """Use a new configuration.

        A monitor that was checked before keeps its `checked_since`, and also its `judged_since`, unless its
        results are due sooner now.
        """
        self._monitors = list(monitors)
        self._rules = self._rules_by_monitor()
        before_s = self.no_data_after_s
        self.no_data_after_s = {
            monitor.name: REACH * monitor.interval_s + monitor.timeout_s for monitor in self._monitors
        }
        now = self._clock()
        self.checked_since = {
            monitor.name: self.checked_since.get(monitor.name, now)
            for monitor in self._monitors
            if not monitor.paused
        }
        self.judged_since = {
            name: now
            if self.no_data_after_s[name] < before_s.get(name, 0.0)
            else self.judged_since.get(name, since_at)
            for name, since_at in self.checked_since.items()
        }

    async def read_windows(self, connection: Any) -> None:
        """Read the windows that people made, unless that was just done; an error leaves those read before."""
        now = self._monotonic()
        if now < self._read_at:
            return
        edition = await maintenance_store.edition(connection)
        if edition != self._made_edition:
            since = self._clock() - _COUNTED_S
            self._made = MadeWindows(await maintenance_store.made(connection, since))
            self._made_edition = edition
            self._rules = self._rules_by_monitor()
        self._read_at = now + READ_EVERY_S

    def _rules_by_monitor(self) -> dict[str, Rules]:
        """Make the rules of all monitors; monitors with equal windows share one object for them."""
        shared: dict[Hashable, Windows] = {}
        found = {}
        for monitor in self._monitors:
            scopes = self._made.scopes(monitor)
            windows = None
            if monitor.maintenance or scopes:
                own = Windows(monitor.maintenance, partial(self._made.within, monitor))
                windows = shared.setdefault((monitor.maintenance, scopes), own)
            found[monitor.name] = rules_of(monitor, windows)
        return found

    def rules(self, name: str) -> Rules:
        return self._rules.get(name, _DEFAULT)


def rules_of(monitor: Monitor, windows: Windows | None = None) -> Rules:
    return Rules(
        interval_s=monitor.interval_s,
        failures=monitor.failures_to_open,
        successes=monitor.successes_to_resolve,
        sample=Sample(monitor.window.of, monitor.window.bad) if monitor.window else None,
        quorum=monitor.quorum,
        windows=windows,
        degraded=monitor.notify.degraded,
    )
