"""Which monitors are to be checked, by which rules, and since when: what storing has to know of them."""

import math
import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import partial
from typing import Any

from monitor import store_maintenance
from monitor.config import Monitor
from monitor.maintenance import Windows
from monitor.maintenance_made import MadeWindows
from monitor.standing import Rules, Window

LOOK_S = 3.0
_COUNTED_S = 400 * 86_400.0  # older results count for nothing
_DEFAULT = Rules()


class Watched:
    """Follows the configuration and the windows that people make; what it does not know has default rules."""

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
        self._look_at = -math.inf
        self._since: dict[str, float] = {}
        self.take(monitors)

    def take(self, monitors: Iterable[Monitor]) -> None:
        """Follow a new configuration; what is checked on is watched since it was."""
        self._monitors = list(monitors)
        self._rules = self._worked_out()
        self._timeouts = {monitor.name: monitor.timeout_s for monitor in self._monitors}
        now = self._clock()
        self._since = {
            monitor.name: self._since.get(monitor.name, now)
            for monitor in self._monitors
            if not monitor.paused
        }

    async def learn(self, connection: Any) -> None:
        """Follow the windows that people made, unless it just did; what fails leaves what was known."""
        now = self._monotonic()
        if now < self._look_at:
            return
        edition = await store_maintenance.edition(connection)
        if edition != self._made_edition:
            since = self._clock() - _COUNTED_S
            self._made = MadeWindows(await store_maintenance.made(connection, since))
            self._made_edition = edition
            self._rules = self._worked_out()
        self._look_at = now + LOOK_S

    def _worked_out(self) -> dict[str, Rules]:
        """Work out the rules; monitors with the same windows share them."""
        shared: dict[Hashable, Windows] = {}
        found = {}
        for monitor in self._monitors:
            scopes = self._made.scopes(monitor)
            windows = None
            if monitor.maintenance or scopes:
                key = monitor.maintenance, scopes
                if key not in shared:
                    shared[key] = Windows(monitor.maintenance, partial(self._made.within, monitor))
                windows = shared[key]
            found[monitor.name] = rules(monitor, windows)
        return found

    def rules(self, name: str) -> Rules:
        """Give the rules of a monitor."""
        return self._rules.get(name) or _DEFAULT

    def patience_s(self, name: str) -> float:
        """How long after a slot there may be no newer one: three intervals, and as long as a check takes."""
        return self.rules(name).reach_s + self._timeouts[name]

    @property
    def since(self) -> Mapping[str, float]:
        """When each monitor that is not paused began to be watched."""
        return self._since


def rules(monitor: Monitor, windows: Windows | None) -> Rules:
    """Say what the configuration says of incidents, and what is said of maintenance."""
    return Rules(
        interval_s=monitor.interval_s,
        failures=monitor.failures_to_open,
        successes=monitor.successes_to_resolve,
        window=Window(monitor.window.of, monitor.window.bad) if monitor.window else None,
        quorum=monitor.quorum,
        windows=windows,
    )
