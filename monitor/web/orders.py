"""Maintenance, silences and acknowledgements: what was ordered about a monitor, wherever it is shown.

What was read last is kept, for `/metrics` and for pages that are made while PostgreSQL is unavailable.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Literal, NamedTuple

from monitor.alerts.store import Acknowledged, AlertStore, Silence
from monitor.config.model import Monitor
from monitor.runtime.text import DAY_S
from monitor.uptime.maintenance import (
    LONGEST_S,
    Interval,
    MadeWindow,
    MadeWindows,
    Windows,
    intervals,
    open_until,
)
from monitor.web.queries import Incident, PageReader

COMING_S = 7 * DAY_S

OrderName = Literal["maintenance", "silenced", "acknowledged"]
ORDER_NAMES: tuple[OrderName, ...] = ("maintenance", "silenced", "acknowledged")


class Orders(NamedTuple):
    """What is in effect for one monitor; instants are Unix seconds."""

    maintenance_until_at: float | None = None
    windows: tuple[MadeWindow, ...] = ()
    """The open windows that people made."""
    silence: Silence | None = None
    acknowledged: Acknowledged | None = None
    """Of its open incident; while it has several ones, only if all are acknowledged."""

    @property
    def names(self) -> tuple[OrderName, ...]:
        present = (self.maintenance_until_at, self.silence, self.acknowledged)
        return tuple(name for name, each in zip(ORDER_NAMES, present, strict=True) if each is not None)


NO_ORDERS = Orders()


class StandingOrders:
    """The orders about all monitors, as they were when they were last read."""

    def __init__(self) -> None:
        self._monitors: Mapping[str, Monitor] = {}
        self._windows: Mapping[str, Windows] = {}
        self._made = MadeWindows()
        self._silences: Mapping[str, Silence] = {}
        self._by_monitor: Mapping[str, Acknowledged] = {}
        self._by_incident: Mapping[int, Acknowledged] = {}

    def follow(self, monitors: Mapping[str, Monitor]) -> None:
        self._monitors = monitors
        self._windows = {name: Windows(each.maintenance) for name, each in monitors.items()}

    async def read(self, reader: PageReader, alerts: AlertStore, now: float) -> None:
        """Read what people ordered and what has not ended.

        Raises:
            StoreUnavailableError: the database does not answer; what was read before stays.

        """
        made = await reader.maintenance(now, math.inf)
        silences = {each.monitor: each for each in await alerts.silences(now)}
        acknowledged = await alerts.acknowledged()
        self._made, self._silences = made, silences
        self._by_monitor = {each.monitor: each.acknowledged for each in acknowledged if each.is_of_all}
        self._by_incident = {each.acknowledged.incident: each.acknowledged for each in acknowledged}

    def of(self, name: str, now: float) -> Orders:
        """Return the orders about a monitor; there are none about one that is not in the configuration."""
        if name not in self._monitors:
            return NO_ORDERS
        made = self._made.of(self._monitors[name])
        spans = [(each.since_at, each.until_at) for each in made]
        return Orders(
            maintenance_until_at=open_until(self._windows[name], spans, now),
            windows=tuple(each for each in made if each.since_at <= now < each.until_at),
            silence=self.silence_of(name, now),
            acknowledged=self._by_monitor.get(name),
        )

    def silence_of(self, name: str, now: float) -> Silence | None:
        """Return the silence of a monitor, also of one that is not in the configuration."""
        silence = self._silences.get(name)
        return silence if silence and now < silence.until_at else None

    def of_incident(self, incident: Incident, now: float) -> Orders:
        """Return the orders about an open incident and its monitor."""
        return self.of(incident.monitor, now)._replace(acknowledged=self._by_incident.get(incident.id))

    def coming(self, names: Iterable[str], now: float) -> list[tuple[Interval, list[str]]]:
        """Return the maintenance that begins within a week, each with its monitors, in the order of time.

        Of a window that recurs, it is the next time.
        """
        found: dict[Interval, list[str]] = {}
        for name in sorted(names):
            for window in dict.fromkeys(self._coming_of(self._monitors[name], now)):
                found.setdefault(window, []).append(name)
        return sorted(found.items())

    def _coming_of(self, monitor: Monitor, now: float) -> Iterator[Interval]:
        until = now + COMING_S
        for window in monitor.maintenance:
            later = (each for each in intervals([window], now, until + LONGEST_S) if now < each[0] < until)
            yield from islice(later, 1)
        for made in self._made.of(monitor):
            if now < made.since_at < until:
                yield made.since_at, made.until_at
