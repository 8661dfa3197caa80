"""What is known when it is decided whom to tell: incidents, what was told of them, and who wants to know."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple, Self

from monitor.config import Config, Monitor
from monitor.config_alerts import Notify
from monitor.maintenance import Windows
from monitor.maintenance_made import MadeWindows

_OUTAGES = {"down", "partial"}


class Incident(NamedTuple):
    """A row of `health_incidents`."""

    id: int
    monitor: str
    kind: Literal["down", "partial", "no_data", "flapping"]
    started_at: float
    noticed_at: float
    ended_at: float | None
    reason: str | None
    detail: str | None
    locations: Sequence[str]


class Change(NamedTuple):
    """A row of `health_changes` of which nobody has decided yet whom to tell."""

    id: int
    incident: Incident
    change: Literal["opened", "resolved", "past"]
    at: float
    noticed_at: float
    reason: str | None
    detail: str | None
    quiet: bool


class Told(NamedTuple):
    """That a channel knows of an incident; `together` is the same for incidents that were told as one."""

    channel: str
    told_at: float
    reminded_at: float
    together: int | None


class Newest(NamedTuple):
    """A monitor's newest result."""

    at: float
    failed: bool


@dataclass(frozen=True)
class Situation:
    """All that a decision needs from the database; `now` and all instants are Unix seconds."""

    now: float
    changes: Sequence[Change] = ()
    incidents: Sequence[Incident] = ()
    """All that are open, and those of the last hours that are over."""
    told: Mapping[int, Sequence[Told]] = field(default_factory=dict)
    """By incident."""
    acknowledged: frozenset[int] = frozenset()
    silent_until: Mapping[str, float] = field(default_factory=dict)
    """By monitor."""
    newest: Mapping[str, Newest] = field(default_factory=dict)
    """By monitor."""
    troubled: frozenset[str] = frozenset()
    """Monitors that are down or partial, whether or not there is an incident of it yet."""
    made: MadeWindows = field(default_factory=MadeWindows)
    """Maintenance that is not of the configuration."""

    @cached_property
    def by_monitor(self) -> Mapping[str, Sequence[Incident]]:
        """Give the incidents of each monitor that has any."""
        found = defaultdict(list)
        for incident in self.incidents:
            found[incident.monitor].append(incident)
        return found

    @cached_property
    def _over(self) -> Mapping[str, Sequence[Incident]]:
        """Give the incidents of each monitor whose end is to be decided on."""
        found = defaultdict(list)
        for change in self.changes:
            if change.change == "resolved":
                found[change.incident.monitor].append(change.incident)
        return found

    def heir(self, change: Change) -> Incident | None:
        """Find what an outage that is over goes on as: partial where it was down, or the other way round."""
        was = change.incident
        still = (each for each in self.by_monitor.get(was.monitor, ()) if each.ended_at is None)
        over = (each for each in self._over.get(was.monitor, ()) if each.started_at == change.at)
        return next((each for each in (*still, *over) if {each.kind, was.kind} == _OUTAGES), None)

    def may_go_on(self, change: Change) -> bool:
        """Tell whether an outage that is over may go on as another, of which there is no incident yet."""
        was = change.incident
        is_outage = was.kind in _OUTAGES and was.monitor in self.troubled
        return is_outage and not any(
            each.kind in _OUTAGES and each.ended_at is None for each in self.by_monitor.get(was.monitor, ())
        )

    def flapping(self, monitor: str) -> Incident | None:
        """Find the incident that tells of its flapping, which goes on."""
        its = self.by_monitor.get(monitor, ())
        return next((each for each in its if each.kind == "flapping" and each.ended_at is None), None)

    @property
    def open(self) -> Iterator[Incident]:
        """Those that are not over."""
        return (incident for incident in self.incidents if incident.ended_at is None)


class Plan:
    """Who wants to be told of what, by the configuration."""

    def __init__(
        self, monitors: Mapping[str, Monitor], channels: Sequence[str], page_url: str | None
    ) -> None:
        self.monitors = monitors
        self.channels = channels
        self.page_url = page_url
        self._above: dict[str, frozenset[str]] = {}
        self._windows = {name: Windows(monitor.maintenance) for name, monitor in monitors.items()}

    @classmethod
    def of(cls, config: Config) -> Self:
        """Take the plan out of the configuration; paused monitors are not in it."""
        monitors = {monitor.name: monitor for monitor in config.monitors if not monitor.paused}
        page_url = config.alerts.page_url
        if page_url is None and config.web_port:
            host = f"[{config.web_host}]" if ":" in config.web_host else config.web_host
            page_url = f"http://{host}:{config.web_port}"
        return cls(monitors, tuple(config.alerts.channels), page_url)

    def notify(self, monitor: str) -> Notify:
        """Give what a monitor's alerts should do."""
        return self.monitors[monitor].notify if monitor in self.monitors else Notify()

    def channels_of(self, monitor: str) -> Sequence[str]:
        """Give who is told of a monitor at first."""
        chosen = self.notify(monitor).channels
        return self.channels if chosen is None else chosen

    def in_maintenance(self, monitor: str, at: float, made: MadeWindows) -> bool:
        """Tell whether one of its windows is open, of the configuration or of those that people made."""
        return monitor in self.monitors and (
            self._windows[monitor].open_at(at) or made.open_at(self.monitors[monitor], at)
        )

    def above(self, monitor: str) -> frozenset[str]:
        """Give all that the monitor depends on, directly or not."""
        if monitor not in self._above:
            parents = self.monitors[monitor].depends_on if monitor in self.monitors else ()
            self._above[monitor] = frozenset(parents).union(*map(self.above, parents))
        return self._above[monitor]
