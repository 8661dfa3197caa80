"""What is known when alerts are decided on: incidents, who was alerted of them, and who wants to be."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

from monitor.config.alerts import Notify
from monitor.config.model import Config
from monitor.uptime.maintenance import MadeWindows, Windows

_OUTAGES = {"down", "partial", "degraded"}


class IncidentRow(NamedTuple):
    """A row of `health_incidents`."""

    id: int
    monitor: str
    kind: Literal["down", "partial", "degraded", "no_data", "flapping"]
    started_at: float
    noticed_at: float
    ended_at: float | None
    reason: str | None
    detail: str | None
    locations: Sequence[str]


class UndecidedChange(NamedTuple):
    """A row of `health_changes` for which it is not decided yet who is alerted."""

    id: int
    incident: IncidentRow
    change: Literal["opened", "resolved", "past"]
    at: float
    noticed_at: float
    reason: str | None
    detail: str | None
    quiet: bool


class Notified(NamedTuple):
    """A channel that was alerted of an incident; `together` is the same for incidents in one message."""

    channel: str
    alerted_at: float
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
    changes: Sequence[UndecidedChange] = ()
    incidents: Sequence[IncidentRow] = ()
    """All that are open, and those of the last hours that are over."""
    notified: Mapping[int, Sequence[Notified]] = field(default_factory=dict)
    """By incident."""
    acknowledged: frozenset[int] = frozenset()
    silenced_until: Mapping[str, float] = field(default_factory=dict)
    """By monitor."""
    newest: Mapping[str, Newest] = field(default_factory=dict)
    """By monitor."""
    down_or_partial: frozenset[str] = frozenset()
    """Monitors with one of these states, whether or not there is an incident of it yet."""
    made_windows: MadeWindows = field(default_factory=MadeWindows)
    """Maintenance that is not in the configuration."""

    @cached_property
    def by_monitor(self) -> Mapping[str, Sequence[IncidentRow]]:
        found = defaultdict(list)
        for incident in self.incidents:
            found[incident.monitor].append(incident)
        return found

    @cached_property
    def _ending(self) -> Mapping[str, Sequence[IncidentRow]]:
        """Return the incidents whose end is to be decided on, by monitor."""
        found = defaultdict(list)
        for change in self.changes:
            if change.change == "resolved":
                found[change.incident.monitor].append(change.incident)
        return found

    def continuation(self, change: UndecidedChange) -> IncidentRow | None:
        """Return the incident as which an ended outage goes on, such as down where it was degraded."""
        was = change.incident
        over = (each for each in self._ending.get(was.monitor, ()) if each.started_at == change.at)
        candidates = (*self._open_of(was.monitor), *over)
        return next((each for each in candidates if _goes_on(was.kind, each.kind)), None)

    def may_go_on(self, change: UndecidedChange) -> bool:
        """Return whether an ended outage may go on as another one, of which there is no incident yet."""
        was = change.incident
        is_outage = was.kind in _OUTAGES and was.monitor in self.down_or_partial
        return is_outage and not any(each.kind in _OUTAGES for each in self._open_of(was.monitor))

    def flapping(self, monitor: str) -> IncidentRow | None:
        """Return the open incident of kind `flapping`."""
        return next((each for each in self._open_of(monitor) if each.kind == "flapping"), None)

    def _open_of(self, monitor: str) -> Iterator[IncidentRow]:
        return (each for each in self.by_monitor.get(monitor, ()) if each.ended_at is None)

    @property
    def open(self) -> Iterator[IncidentRow]:
        return (incident for incident in self.incidents if incident.ended_at is None)


def _goes_on(one: str, other: str) -> bool:
    return one != other and {one, other} <= _OUTAGES


def page_url_of(config: Config) -> str | None:
    """Return where people reach the pages; `None` where that is not known."""
    if config.alerts.page_url is not None or not config.web_port:
        return config.alerts.page_url
    host = f"[{config.web_host}]" if ":" in config.web_host else config.web_host
    return f"http://{host}:{config.web_port}"


class Plan:
    """Who wants to be alerted of what, by the configuration; paused monitors are not in it."""

    def __init__(self, config: Config) -> None:
        self.monitors = {monitor.name: monitor for monitor in config.monitors if not monitor.paused}
        self.channels = tuple(config.alerts.channels)
        self.page_url = page_url_of(config)
        self.mass_outage = config.alerts.mass_outage
        groups = defaultdict[str, set[str]](set)
        for monitor in self.monitors.values():
            groups[monitor.group or ""].add(monitor.name)
        self.groups: Mapping[str, Collection[str]] = {
            group: names for group, names in groups.items() if group
        }
        self._dependencies: dict[str, frozenset[str]] = {}
        self._windows = {name: Windows(monitor.maintenance) for name, monitor in self.monitors.items()}

    def group_of(self, monitor: str) -> str | None:
        return self.monitors[monitor].group if monitor in self.monitors else None

    def notify(self, monitor: str) -> Notify:
        return self.monitors[monitor].notify if monitor in self.monitors else Notify()

    def channels_of(self, monitor: str) -> Sequence[str]:
        """Return the channels that are alerted of a monitor, escalations left out."""
        chosen = self.notify(monitor).channels
        return self.channels if chosen is None else chosen

    def in_maintenance(self, monitor: str, at: float, made: MadeWindows) -> bool:
        """Return whether one of its windows is open: of the configuration, or one that people made."""
        return monitor in self.monitors and (
            self._windows[monitor].open_at(at) or made.open_at(self.monitors[monitor], at)
        )

    def dependencies_of(self, monitor: str) -> frozenset[str]:
        """Return all monitors that it depends on, directly or not."""
        if monitor not in self._dependencies:
            direct = self.monitors[monitor].depends_on if monitor in self.monitors else ()
            self._dependencies[monitor] = frozenset(direct).union(*map(self.dependencies_of, direct))
        return self._dependencies[monitor]
