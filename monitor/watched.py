"""Which monitors are to be checked, by which rules, and since when: what storing has to know of them."""

import time
from collections.abc import Callable, Iterable, Mapping

from monitor.config import Monitor
from monitor.config_alerts import Maintenance
from monitor.maintenance import Windows
from monitor.standing import Rules, Window

_DEFAULT = Rules()


class Watched:
    """Follows the configuration; monitors that it does not know have the default rules."""

    def __init__(self, monitors: Iterable[Monitor] = (), clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._rules: dict[str, Rules] = {}
        self._since: dict[str, float] = {}
        self.take(monitors)

    def take(self, monitors: Iterable[Monitor]) -> None:
        """Follow a new configuration; what is checked on is watched since it was."""
        monitors = list(monitors)
        windows = {each: Windows(each) for each in {monitor.maintenance for monitor in monitors} if each}
        self._rules = {monitor.name: rules(monitor, windows) for monitor in monitors}
        self._timeouts = {monitor.name: monitor.timeout_s for monitor in monitors}
        now = self._clock()
        self._since = {
            monitor.name: self._since.get(monitor.name, now) for monitor in monitors if not monitor.paused
        }

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


def rules(monitor: Monitor, windows: Mapping[tuple[Maintenance, ...], Windows]) -> Rules:
    """Say what the configuration says of incidents and maintenance; monitors share what was worked out."""
    return Rules(
        interval_s=monitor.interval_s,
        failures=monitor.failures_to_open,
        successes=monitor.successes_to_resolve,
        window=Window(monitor.window.of, monitor.window.bad) if monitor.window else None,
        quorum=monitor.quorum,
        windows=windows.get(monitor.maintenance),
    )
