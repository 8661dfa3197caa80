"""How soon a monitor is checked again: sooner while its newest result disagrees with how it is. Pure."""

from monitor.config.model import Monitor
from monitor.incidents.location import LocationState, next_state
from monitor.incidents.rules import rules_of
from monitor.result import CheckResult


class Retries:
    """Follows the results of a monitor at this location, by the rules that its incidents follow."""

    def __init__(self, monitor: Monitor, retry_interval_s: float) -> None:
        self.interval_s = self._regular_s = monitor.interval_s
        """Seconds between the newest check and the next one."""
        self._retry_s = retry_interval_s
        self._rules = rules_of(monitor)
        self._state: LocationState | None = None

    def forget(self) -> None:
        """Forget all results: another process has made the newest ones."""
        self._state, self.interval_s = None, self._regular_s

    def note(self, result: CheckResult) -> None:
        """Follow a result: a failed one of a monitor that is not down, or a passed one of one that is down.

        One that shows nothing of the site is neither.
        """
        self._state = next_state(self._state, result, self._rules)
        self.interval_s = self._retry_s if result.up is self._state.down else self._regular_s
