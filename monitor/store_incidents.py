"""The SQL of states, incidents and changes; who writes holds the locks of the monitors concerned."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from monitor.health import Change, Health
from monitor.result import CheckResult

_NOBODY = UUID(int=0)

# In one order, so that two processes that save results of the same monitors wait for each other, not both.
_LOCK = "SELECT monitor, health FROM health_states WHERE monitor = ANY($1) ORDER BY monitor FOR UPDATE"

_ADD = """
INSERT INTO health_states (monitor, status, last_at, health)
SELECT monitor, 'unknown', '-infinity', '{}' FROM unnest($1::text[]) AS monitor ORDER BY monitor
ON CONFLICT DO NOTHING
"""

_KEEP = """
UPDATE health_states SET status = now.status, last_at = now.last_at, health = now.health
FROM unnest($1::text[], $2::text[], $3::float8[], $4::text[]) AS now (monitor, status, last_at, health)
WHERE health_states.monitor = now.monitor
"""

_GIVEN = """
WITH change AS (
    SELECT * FROM jsonb_to_recordset($1::jsonb) AS change (
        monitor text, kind text, change text, at float8, started_at float8, noticed_at float8,
        reason text, detail text, locations text[], quiet boolean, seen_from float8)
){statement}
"""

_TOLD = """, incident AS ({incident})
INSERT INTO health_changes (
    incident_id, monitor, kind, change, at, noticed_at, reason, detail, locations, quiet)
SELECT id, monitor, kind, change, greatest(at, began_at), noticed_at, reason, detail, locations, quiet
FROM change JOIN incident USING (monitor, kind{started_at})
"""

_ALIKE = """seen.monitor = change.monitor AND (
    seen.kind = change.kind OR seen.kind IN ('down', 'partial') AND change.kind IN ('down', 'partial'))"""

_RESOLVED = """
UPDATE health_incidents AS known SET ended_at = greatest(change.at, known.started_at) FROM change
WHERE known.monitor = change.monitor AND known.kind = change.kind AND ended_at IS NULL
RETURNING id, known.monitor, known.kind, known.started_at AS began_at
"""

_OPENED = """
INSERT INTO health_incidents (monitor, kind, started_at, noticed_at, reason, detail, locations)
SELECT monitor, kind, {started_at}, noticed_at, reason, detail, locations FROM change
ON CONFLICT DO NOTHING
RETURNING id, monitor, kind, started_at AS began_at
"""

_MOVED = """
UPDATE health_incidents AS known SET started_at = {started_at}
FROM change WHERE known.monitor = change.monitor AND known.kind = change.kind AND ended_at IS NULL
"""

# What goes on after people were told that it is over begins there.
_STARTED_AT = """greatest(change.started_at, (
    SELECT max(ended_at) FROM health_incidents AS seen WHERE {alike} AND seen.ended_at <= {latest}))"""

# Late results tell when an outage really began and ended, unless they make one of several.
_CORRECTED = """
UPDATE health_incidents AS known SET ended_at = change.at, started_at = CASE
    WHEN known.started_at < change.seen_from THEN known.started_at ELSE change.started_at END
FROM change
WHERE known.monitor = change.monitor AND known.kind = change.kind
    AND known.started_at < change.at AND known.ended_at > change.started_at
    AND (SELECT count(*) FROM ({seen}) AS seen) = 1
"""

_PAST = """
INSERT INTO health_incidents (
    monitor, kind, started_at, noticed_at, ended_at, past, reason, detail, locations)
SELECT monitor, kind, started_at, noticed_at, at, true, reason, detail, locations FROM change
WHERE NOT EXISTS ({seen})
RETURNING id, monitor, kind, started_at, started_at AS began_at
"""

# Late results may tell of an outage that was seen, in part or from elsewhere, when it happened.
_SEEN = """
SELECT FROM health_incidents AS seen
WHERE {alike}
    AND seen.started_at < change.at AND (seen.ended_at IS NULL OR seen.ended_at > change.started_at)
"""

_STEPS = [
    (change, _GIVEN.format(statement=statement))
    for change, statement in (
        ("resolved", _TOLD.format(incident=_RESOLVED, started_at="")),
        (
            "opened",
            _TOLD.format(
                incident=_OPENED.format(
                    started_at=_STARTED_AT.format(alike=_ALIKE, latest="change.noticed_at")
                ),
                started_at="",
            ),
        ),
        ("past", _CORRECTED.format(seen=_SEEN.format(alike=_ALIKE))),
        ("moved", _MOVED.format(started_at=_STARTED_AT.format(alike=_ALIKE, latest="known.started_at"))),
        (
            "past",
            _TOLD.format(incident=_PAST.format(seen=_SEEN.format(alike=_ALIKE)), started_at=", started_at"),
        ),
    )
]

_ANY_OUTAGE = """
SELECT EXISTS (
    SELECT FROM health_incidents
    WHERE monitor = $1 AND kind IN ('down', 'partial') AND started_at <= $3
        AND (ended_at IS NULL OR ended_at >= $2))
"""

_HISTORY = """
SELECT scheduled_at, location, up, reason, detail FROM health_data
WHERE monitor = $1 AND scheduled_at > $2 AND scheduled_at <= $3 ORDER BY scheduled_at
"""

_decoder = msgspec.json.Decoder(Health)
_encoder = msgspec.json.Encoder()


class State(NamedTuple):
    """What is kept of one monitor."""

    monitor: str
    status: str
    health: Health


async def locked(connection: Any, monitors: Collection[str]) -> dict[str, Health]:
    """Lock these monitors until the transaction ends; give what is known of each."""
    rows = await connection.fetch(_LOCK, monitors)
    if len(rows) < len(monitors):
        await connection.execute(_ADD, monitors)
        rows = await connection.fetch(_LOCK, monitors)
    return {row["monitor"]: _decoder.decode(row["health"]) for row in rows}


async def keep(connection: Any, states: Sequence[State]) -> None:
    """Store what the next results need to know."""
    await connection.execute(
        _KEEP,
        [state.monitor for state in states],
        [state.status for state in states],
        [state.health.last_at for state in states],
        [_encoder.encode(state.health).decode() for state in states],
    )


async def record(connection: Any, changes: Iterable[tuple[str, Change]], now: float) -> None:
    """Store incidents and changes; what one batch ended comes before what it began."""
    sorts = defaultdict[str, list[dict[str, Any]]](list)
    for monitor, change in changes:
        sorts[change.change].append({**asdict(change), "monitor": monitor, "noticed_at": now})
    for sort, statement in _STEPS:
        if sorts[sort]:
            await connection.execute(statement, _encoder.encode(sorts[sort]).decode())


async def any_outage(connection: Any, monitor: str, start: float, end: float) -> bool:
    """Look whether an outage of then is recorded."""
    found: bool = await connection.fetchval(_ANY_OUTAGE, monitor, start, end)
    return found


async def history(connection: Any, monitor: str, start: float, end: float) -> list[CheckResult]:
    """Read what is stored of a monitor's results after `start`, as far as incidents go."""
    rows = await connection.fetch(_HISTORY, monitor, start, end)
    return [
        CheckResult(
            timestamp=row["scheduled_at"],
            response_data="",
            response_status=None,
            response_time=0,
            id=_NOBODY,
            monitor=monitor,
            url="",
            location=row["location"] or "",
            scheduled_at=row["scheduled_at"],
            up=row["up"],
            reason=row["reason"],
            detail=row["detail"],
        )
        for row in rows
    ]
