"""What pages read from the database: where monitors stand, sums of hours and days, incidents, results.

Rows of results are read by index, and only as many as a page shows.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from monitor.store import Store
from monitor.uptime import Sums

_STANDINGS = """
SELECT state.monitor, state.status, state.last_at, incident.started_at, incident.reason, incident.detail
FROM health_states AS state
LEFT JOIN LATERAL (
    SELECT started_at, reason, detail FROM health_incidents
    WHERE monitor = state.monitor AND ended_at IS NULL AND kind <> 'flapping' ORDER BY started_at LIMIT 1
) AS incident ON true
WHERE state.monitor = ANY($1)
"""

_LATEST = """
SELECT wanted.monitor, latest.*
FROM unnest($1::text[]) AS wanted (monitor)
CROSS JOIN LATERAL (
    SELECT time, extract(epoch FROM certificate_expires_at)::float8
    FROM health_data WHERE monitor = wanted.monitor AND scheduled_at > $2
    ORDER BY scheduled_at DESC LIMIT 1
) AS latest
"""

_SUMS = """
SELECT monitor, {period} AS period, up_s, degraded_s, down_s, maintenance_s, up, degraded, down, unknown,
       {times}, slowest_s, resolve_s, connect_s, tls_s, processing_s, transfer_s
FROM {table} WHERE monitor = ANY($1) AND {period} >= $2 AND {period} < $3
"""

_INCIDENT_COLUMNS = "id, monitor, kind, started_at, noticed_at, ended_at, past, reason, detail, locations"

_INCIDENTS = f"""
SELECT {_INCIDENT_COLUMNS} FROM health_incidents
WHERE ($1::text[] IS NULL OR monitor = ANY($1)) AND started_at < $3 AND (ended_at IS NULL OR ended_at >= $2)
  AND ($4::boolean IS NULL OR (ended_at IS NULL) = $4) AND (started_at, id) < ($5, $6)
ORDER BY started_at DESC, id DESC LIMIT $7
"""  # noqa: S608 - put together from this file

_INCIDENT = f"SELECT {_INCIDENT_COLUMNS} FROM health_incidents WHERE id = $1"  # noqa: S608

_CHANGES = """
SELECT id, change, at, noticed_at, reason, detail, locations, quiet FROM health_changes
WHERE incident_id = $1 ORDER BY id
"""

_CHANGES_AFTER = """
SELECT id, incident_id, monitor, kind, change, at, reason, detail FROM health_changes
WHERE id > $1 ORDER BY id
"""

_RESULTS = """
SELECT id, timestamp, scheduled_at, location, up, coalesce(degraded, false) AS degraded, status, time, reason,
       detail, host(ip) AS ip, http_version, evidence, tls,
       extract(epoch FROM certificate_expires_at)::float8 AS certificate_expires_at
FROM health_data WHERE monitor = $1 AND scheduled_at >= $2 AND (scheduled_at, id) < ($3, $4)
ORDER BY scheduled_at DESC, id DESC LIMIT $5
"""

_COURSE = """
SELECT floor(scheduled_at / $4) * $4 AS at,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY time), percentile_cont(0.95) WITHIN GROUP (ORDER BY time),
       percentile_cont(0.99) WITHIN GROUP (ORDER BY time), max(time), avg(coalesce(resolve_s, 0)),
       avg(coalesce(connect_s, 0)), avg(coalesce(tls_s, 0)), avg(coalesce(processing_s, 0)),
       avg(coalesce(transfer_s, 0))
FROM health_data WHERE monitor = $1 AND scheduled_at >= $2 AND scheduled_at < $3 AND up
GROUP BY GROUPING SETS ((1), ()) ORDER BY 1 NULLS LAST
"""

Period = Literal["hour", "day"]


class StoredStanding(NamedTuple):
    """How a monitor is; the rest is about the incident that is open, if one is. Instants are Unix seconds."""

    status: Literal["up", "degraded", "partial", "down", "unknown"]
    last_at: float
    since_at: float | None
    reason: str | None
    detail: str | None


class Latest(NamedTuple):
    """The newest result of a monitor."""

    response_time_s: float | None
    certificate_expires_at: float | None


class Incident(NamedTuple):
    """One incident; null `ended_at`: open."""

    id: int
    monitor: str
    kind: str
    started_at: float
    noticed_at: float
    ended_at: float | None
    past: bool
    reason: str | None
    detail: str | None
    locations: Sequence[str]


class ChangeRow(NamedTuple):
    """One change of an incident."""

    id: int
    change: str
    at: float
    noticed_at: float
    reason: str | None
    detail: str | None
    locations: Sequence[str]
    quiet: bool


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
    ip: str | None
    http_version: str | None
    evidence: Mapping[str, Any] | None
    tls: Mapping[str, Any] | None
    certificate_expires_at: float | None


class Step(NamedTuple):
    """What one step of time came to: seconds of what was up, phases on average; null: nothing was."""

    at: float | None
    """Where it begins; null: all steps together."""
    p50: float | None
    p95: float | None
    p99: float | None
    slowest: float | None
    phases: Sequence[float | None]


class Place(NamedTuple):
    """Where a list goes on: after the entry with this instant and number."""

    at: float = math.inf
    id: int = 2**63 - 1


class PageReader:
    """Reads; every method raises `StoreUnavailableError` when the database does not answer in time."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def statuses(self) -> dict[str, str]:
        """Read how every monitor is."""
        rows = await self._rows("SELECT monitor, status FROM health_states")
        return {row["monitor"]: row["status"] for row in rows}

    async def standings(self, monitors: Iterable[str]) -> dict[str, StoredStanding]:
        """Read where these monitors stand; those without a result are left out."""
        rows = await self._rows(_STANDINGS, list(monitors))
        return {name: StoredStanding(*rest) for name, *rest in map(tuple, rows)}

    async def latest(self, monitors: Iterable[str], since: float) -> dict[str, Latest]:
        """Read their newest results that are not older than `since`."""
        rows = await self._rows(_LATEST, list(monitors), since)
        return {name: Latest(*rest) for name, *rest in map(tuple, rows)}

    async def sums(
        self, monitors: Iterable[str], period: Period, first: int, end: int, *, with_times: bool = False
    ) -> dict[str, dict[int, list[Sums]]]:
        """Read sums from the hour or day `first` (since 1970) until before `end`: by monitor and period.

        There is one for each location. Response times are left out unless they are asked for: they are many.
        """
        times = "response_times" if with_times else "'{}'::int[] AS response_times"
        sql = _SUMS.format(period=period, table=f"health_{period}s", times=times)
        found: defaultdict[str, dict[int, list[Sums]]] = defaultdict(dict)
        for name, at, *rest in map(tuple, await self._rows(sql, list(monitors), first, end)):
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
        limit: int = 100,
    ) -> list[Incident]:
        """Read incidents that went on within the stretch, the newest first."""
        rows = await self._rows(
            _INCIDENTS, None if monitors is None else list(monitors), since, until, is_open, *after, limit
        )
        return [Incident(*row) for row in rows]

    async def incident(self, number: int) -> tuple[Incident, list[ChangeRow]] | None:
        """Read one incident and its changes; `None` when there is none of this number."""
        found = await self._rows(_INCIDENT, number)
        if not found:
            return None
        return Incident(*found[0]), [ChangeRow(*row) for row in await self._rows(_CHANGES, number)]

    async def last_change(self) -> int:
        """Read the highest number of a change; 0 when there is none."""
        (row,) = await self._rows("SELECT coalesce(max(id), 0) AS id FROM health_changes")
        return int(row["id"])

    async def changes_after(self, number: int) -> list[tuple[int, dict[str, Any]]]:
        """Read the changes with higher numbers."""
        return [(row["id"], dict(row)) for row in await self._rows(_CHANGES_AFTER, number)]

    async def results(self, monitor: str, since: float, after: Place, limit: int) -> list[ResultRow]:
        """Read results of slots from `since` on, the newest first."""
        rows = await self._rows(_RESULTS, monitor, since, *after, limit)
        return [
            ResultRow(**dict(row) | {name: _json(row[name]) for name in ("evidence", "tls")}) for row in rows
        ]

    async def course(self, monitor: str, since: float, until: float, step_s: float) -> list[Step]:
        """Read how its response times went, step by step, and at last of all of them."""
        rows = await self._rows(_COURSE, monitor, since, until, step_s)
        return [
            Step(at, p50, p95, p99, slowest, phases)
            for at, p50, p95, p99, slowest, *phases in map(tuple, rows)
        ]

    async def _rows(self, sql: str, *arguments: Any) -> Sequence[Any]:
        async with self._store.transaction() as connection:
            rows: Sequence[Any] = await connection.fetch(sql, *arguments)
        return rows


def _json(text: str | None) -> Any:
    return None if text is None else msgspec.json.decode(text)
