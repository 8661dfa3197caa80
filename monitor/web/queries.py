"""What pages and the API read from the database: states, sums of hours and days, incidents, results.

Results are read by an index, and only as many rows as a page shows.
"""

import math
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from monitor.result import CheckResult
from monitor.runtime.process.event_loop import in_pieces
from monitor.runtime.text import DAY_S
from monitor.storage import partitions
from monitor.storage.database import Database
from monitor.storage.results import stored
from monitor.uptime import maintenance_store, store
from monitor.uptime.maintenance import MadeWindows
from monitor.uptime.sums import Sums
from monitor.web import queries_sql as sql

Period = Literal["hour", "day"]
_OUTAGES = 250  # of one that is flapping: more changes nobody reads

IncidentKind = Literal["down", "partial", "degraded", "no_data", "flapping"]


class StoredState(NamedTuple):
    """How a monitor is. What follows `last_at` is about its open incident, if there is one.

    Instants are Unix seconds.
    """

    status: Literal["up", "degraded", "partial", "down", "unknown"]
    last_at: float
    since_at: float | None
    reason: str | None
    detail: str | None


class Latest(NamedTuple):
    """The newest result of a monitor."""

    response_time_s: float | None
    certificate_expires_at: float | None


class Seconds(NamedTuple):
    """The sums of a range of time over so many locations; the rest of the time is unknown."""

    up_s: float = 0
    degraded_s: float = 0
    down_s: float = 0
    maintenance_s: float = 0
    locations: int = 0

    @property
    def known_s(self) -> float:
        return self.up_s + self.degraded_s + self.down_s

    @property
    def uptime(self) -> float | None:
        """The share of the known time, without maintenance, that was up; degraded counts as up."""
        return (self.up_s + self.degraded_s) / self.known_s if self.known_s else None


class Incident(msgspec.Struct, frozen=True):
    """One incident; `ended_at` is null while it is open. Reason and detail are the latest."""

    id: int
    monitor: str
    kind: IncidentKind
    started_at: float
    noticed_at: float
    ended_at: float | None
    past: bool
    """Whether it was over before this program could know of it."""
    reason: str | None
    detail: str | None
    locations: Sequence[str]
    acknowledged_at: float | None = None
    """When somebody acknowledged it; null while nobody has."""


class IncidentChange(msgspec.Struct, frozen=True):
    """One change of an incident: it was opened or resolved, or it was over when it became known.

    `changed` means that it has another reason since.
    """

    id: int
    incident_id: int
    kind: IncidentKind
    """That of this incident: flapping has the changes of its outages, too."""
    change: Literal["opened", "changed", "resolved", "past"]
    at: float
    noticed_at: float
    reason: str | None
    detail: str | None
    locations: Sequence[str]
    quiet: bool
    """Whether no alert was sent, because the monitor was flapping."""


class DeliveryRow(NamedTuple):
    """One alert for one channel. It waits as long as it is neither sent nor failed."""

    channel: str
    about: str
    """The event and the number of the first incident that the alert is about, as in `opened 7`."""
    created_at: float
    attempts: int
    sent_at: float | None
    failed_at: float | None
    error: str | None


class ResultRow(NamedTuple):
    """One stored result."""

    id: int
    timestamp: float
    scheduled_at: float
    location: str | None
    up: bool | None
    degraded: bool
    status: int | None
    time: float | None
    reason: str | None
    detail: str | None
    resolve_s: float | None
    connect_s: float | None
    tls_s: float | None
    processing_s: float | None
    transfer_s: float | None
    redirects: int | None
    http_version: str | None
    ip: str | None
    evidence: Mapping[str, Any] | None
    tls: Mapping[str, Any] | None
    certificate_expires_at: float | None
    steps: Sequence[Mapping[str, Any]] | None


class Step(NamedTuple):
    """Response times of the good checks within one step of time, and the average of each phase, in seconds.

    They are null where there were no such checks.
    """

    at: float | None
    """When it begins; null for the row of all steps together."""
    p50: float | None
    p95: float | None
    p99: float | None
    slowest: float | None
    phases: Sequence[float | None]


class Place(NamedTuple):
    """Where a list continues: after the entry with this instant and number."""

    at: float = math.inf
    id: int = 2**63 - 1


class PageReader:
    """Every method raises `StoreUnavailableError` when the database does not answer in time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def statuses(self) -> dict[str, str]:
        rows = await self._rows(sql.STATUSES)
        return {row["monitor"]: row["status"] for row in rows}

    async def states(self, monitors: Iterable[str]) -> dict[str, StoredState]:
        """Read the states of these monitors, without those that have no result."""
        rows = await self._rows(sql.STATES, list(monitors))
        return {name: StoredState(*rest) async for name, *rest in in_pieces(map(tuple, rows))}

    async def latest(self, monitors: Iterable[str], since: float) -> dict[str, Latest]:
        """Read the newest result of each of these monitors that is not older than `since`."""
        rows = await self._rows(sql.LATEST, list(monitors), since)
        return {name: Latest(*rest) for name, *rest in map(tuple, rows)}

    async def days(
        self, monitors: Iterable[str], first_day: int, first_hour: int, end_hour: int
    ) -> dict[str, dict[int, Seconds]]:
        """Read the sums of each day, by monitor and day (since 1970), from `first_day` to before `end_hour`.

        From `first_hour` on, which begins a day, they are added up from hours.
        """
        bounds = first_day, first_hour // 24, first_hour, end_hour
        found: defaultdict[str, dict[int, Seconds]] = defaultdict(dict)
        rows = await self._rows(sql.DAYS, list(monitors), *bounds)
        async for name, day, *seconds in in_pieces(map(tuple, rows)):
            found[name][day] = Seconds(*seconds)
        return found

    async def hours(self, monitors: Iterable[str], first: int, end: int) -> dict[str, Seconds]:
        """Read the sum of the hours (since 1970) from `first` to before `end`, by monitor."""
        rows = await self._rows(sql.HOURS, list(monitors), first, end)
        return {name: Seconds(*seconds) for name, *seconds in map(tuple, rows)}

    async def sums(
        self, monitors: Iterable[str], period: Period, first: int, end: int
    ) -> dict[str, dict[int, list[Sums]]]:
        """Read the hours or days (since 1970) from `first` to before `end`, by monitor and period.

        There is one for each location. They are large: for many monitors, read no more than a day.
        """
        query = sql.HOUR_SUMS if period == "hour" else sql.DAY_SUMS
        found: defaultdict[str, dict[int, list[Sums]]] = defaultdict(dict)
        rows = await self._rows(query, list(monitors), first, end)
        async for name, at, *rest in in_pieces(map(tuple, rows)):
            found[name].setdefault(at, []).append(Sums(*rest))
        return found

    async def incidents(
        self,
        monitors: Sequence[str] | None,
        since: float,
        until: float,
        *,
        is_open: bool | None = None,
        after: Place = Place(),  # noqa: B008 - immutable
        kind: str | None = None,
        limit: int = 100,
        while_flapping: bool = False,
    ) -> list[Incident]:
        """Read the incidents that were open at some time from `since` to before `until`, the newest first.

        Outages of a monitor that was flapping are left out, unless they are asked for by `while_flapping`.
        """
        rows = await self._rows(
            sql.INCIDENTS,
            None if monitors is None else list(monitors),
            since,
            until,
            is_open,
            *after,
            kind,
            limit,
            while_flapping,
        )
        return [Incident(*row) for row in rows]

    async def stretch(
        self, monitors: Sequence[str], hours: tuple[int, int], days: tuple[int, int]
    ) -> dict[str, list[Sums]]:
        """Return the sums of a range of time by monitor, one for each location.

        Of the hours from the first to before the second, those of `days` are read as whole days.
        """
        found: defaultdict[str, list[Sums]] = defaultdict(list)
        async with self._database.transaction() as connection:
            for name, _, sums in await store.sums_of(connection, monitors, hours, days):
                found[name].append(sums)
        return found

    async def incident_counts(
        self, monitors: Sequence[str], since: float, until: float
    ) -> dict[str, dict[str, int]]:
        """Return the number of incidents in a range of time, by monitor and kind."""
        found: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for name, kind, count in map(tuple, await self._rows(sql.INCIDENT_COUNTS, monitors, since, until)):
            found[name][kind] = count
        return found

    async def incident(self, number: int) -> tuple[Incident, list[IncidentChange]] | None:
        """Read one incident and its changes; `None` if no incident has this number.

        The changes of flapping are also those of the last `_OUTAGES` outages in its time.
        """
        found = await self._rows(sql.INCIDENT, number)
        if not found:
            return None
        changes = await self._rows(sql.CHANGES, number, _OUTAGES)
        return Incident(*found[0]), [IncidentChange(*row) for row in changes]

    async def deliveries(self, incident: Incident) -> list[DeliveryRow]:
        """Read the alerts about an incident, sent and waiting; some are about other incidents, too."""
        rows = await self._rows(sql.DELIVERIES, incident.id, incident.noticed_at)
        return [DeliveryRow(*row) for row in rows]

    async def maintenance(self, since: float, until: float) -> MadeWindows:
        """Read the windows that people made and that are open between `since` and `until`."""
        async with self._database.transaction() as connection:
            return MadeWindows(await maintenance_store.made(connection, since, until))

    async def last_change(self) -> int:
        """Read the highest number of a change; 0 if there is none."""
        ((number,),) = await self._rows(sql.LAST_CHANGE)
        return int(number)

    async def changes_after(self, number: int, most: int | None = None) -> list[tuple[int, dict[str, Any]]]:
        """Read the changes with higher numbers, in their order; at most so many, if `most` is given."""
        return [(row["id"], dict(row)) for row in await self._rows(sql.CHANGES_AFTER, number, most)]

    async def results(self, monitor: str, since: float, after: Place, limit: int) -> list[ResultRow]:
        """Read the results of slots from `since` on, the newest first; those of long ago are failed ones."""
        rows: list[Any] = []
        for start in await self._starts(since, after.at):
            rows += await self._rows(sql.RESULTS, monitor, start, *after, limit - len(rows))
            if len(rows) == limit:
                break
            after = min(after, Place(start, 0))
        return list(map(_result_row, rows))

    async def last_failed(self, incident: Incident) -> ResultRow | None:
        """Read the newest result in the time of an incident that was not up; `None` if it has none lately."""
        until = time.time() if incident.ended_at is None else incident.ended_at
        since = max(incident.started_at, until - partitions.MOST_DAYS * DAY_S)
        found = await self._rows(sql.LAST_FAILED, incident.monitor, since, until)
        return _result_row(found[0]) if found else None

    async def _starts(self, since: float, until: float) -> list[float]:
        if since > time.time() - partitions.MOST_DAYS * DAY_S:
            return [since]
        async with self._database.transaction() as connection:
            return await partitions.starts(connection, since, until)

    async def is_stored(self, result: CheckResult) -> bool:
        return bool(await stored(self._database, [result]))

    async def course(self, monitor: str, since: float, until: float, step_s: float) -> list[Step]:
        """Read the response times of a monitor, step by step; the last row is for all steps together."""
        rows = await self._rows(sql.COURSE, monitor, since, until, step_s)
        return [
            Step(at, p50, p95, p99, slowest, phases)
            for at, p50, p95, p99, slowest, *phases in map(tuple, rows)
        ]

    async def step_times(
        self, monitor: str, since: float, until: float, step_s: float
    ) -> dict[float, dict[str, float]]:
        """Read how long each step of good checks took on average, by step of time and name."""
        found: defaultdict[float, dict[str, float]] = defaultdict(dict)
        for at, name, seconds in map(tuple, await self._rows(sql.STEPS, monitor, since, until, step_s)):
            found[at][name] = seconds
        return dict(sorted(found.items()))

    async def _rows(self, query: str, *arguments: Any) -> Sequence[Any]:
        return await self._database.fetch(query, *arguments)


def _result_row(row: Mapping[str, Any]) -> ResultRow:
    return ResultRow(**dict(row) | {name: _json(row[name]) for name in ("evidence", "tls", "steps")})


def _json(text: str | None) -> Any:
    return None if text is None else msgspec.json.decode(text)
