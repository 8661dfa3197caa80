"""The SQL of states, incidents and changes; whoever writes has locked the monitors concerned."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import msgspec

from monitor.incidents.model import Change, Health

# In one order, so that two processes that save results of the same monitors cannot wait for each other.
_LOCK = "SELECT monitor, health FROM health_states WHERE monitor = ANY($1) ORDER BY monitor FOR UPDATE"

_ADD = """
INSERT INTO health_states (monitor, status, last_at, health)
SELECT monitor, 'unknown', '-infinity', '{}' FROM unnest($1::text[]) AS monitor ORDER BY monitor
ON CONFLICT DO NOTHING
"""

_UPDATE = """
UPDATE health_states SET status = now.status, last_at = now.last_at, health = now.health
FROM unnest($1::text[], $2::text[], $3::float8[], $4::text[]) AS now (monitor, status, last_at, health)
WHERE health_states.monitor = now.monitor
"""

# Each of the four statements takes changes of one sort, as a JSON array of objects. It returns the rows that
# it adds to health_changes.

# There is nothing to decide about it.
_CHANGE = """
WITH change AS (
    SELECT * FROM jsonb_to_recordset($1::jsonb) AS change (
        monitor text, kind text, change text, at float8, started_at float8, noticed_at float8,
        reason text, detail text, locations text[], quiet boolean)
), latest AS (
    SELECT DISTINCT ON (monitor, kind) * FROM change ORDER BY monitor, kind, at DESC
), incident AS (
    UPDATE health_incidents AS known SET reason = latest.reason, detail = latest.detail FROM latest
    WHERE known.monitor = latest.monitor AND known.kind = latest.kind AND ended_at IS NULL
    RETURNING id, known.monitor, known.kind
)
INSERT INTO health_changes (
    incident_id, monitor, kind, change, at, noticed_at, reason, detail, locations, decided_at)
SELECT id, monitor, kind, change, at, noticed_at, reason, detail, locations, noticed_at
FROM change JOIN incident USING (monitor, kind) ORDER BY at
RETURNING id
"""

_RESOLVE = """
WITH change AS (
    SELECT * FROM jsonb_to_recordset($1::jsonb) AS change (
        monitor text, kind text, change text, at float8, started_at float8, noticed_at float8,
        reason text, detail text, locations text[], quiet boolean)
), incident AS (
    UPDATE health_incidents AS known SET ended_at = greatest(change.at, known.started_at) FROM change
    WHERE known.monitor = change.monitor AND known.kind = change.kind AND ended_at IS NULL
    RETURNING id, known.monitor, known.kind, known.started_at AS began_at
)
INSERT INTO health_changes (
    incident_id, monitor, kind, change, at, noticed_at, reason, detail, locations, quiet)
SELECT id, monitor, kind, change, greatest(at, began_at), noticed_at, reason, detail, locations, quiet
FROM change JOIN incident USING (monitor, kind)
RETURNING id
"""

# If people were alerted of the end of an outage of the monitor, what goes on begins there.
_OPEN = """
WITH change AS (
    SELECT * FROM jsonb_to_recordset($1::jsonb) AS change (
        monitor text, kind text, change text, at float8, started_at float8, noticed_at float8,
        reason text, detail text, locations text[], quiet boolean)
), incident AS (
    INSERT INTO health_incidents (monitor, kind, started_at, noticed_at, reason, detail, locations)
    SELECT monitor, kind, greatest(change.started_at, (
            SELECT max(ended_at) FROM health_incidents AS seen
            WHERE seen.monitor = change.monitor AND (
                seen.kind = change.kind
                OR seen.kind IN ('down', 'partial', 'degraded')
                AND change.kind IN ('down', 'partial', 'degraded'))
            AND seen.ended_at <= change.noticed_at)),
        noticed_at, reason, detail, locations FROM change
    ON CONFLICT DO NOTHING
    RETURNING id, monitor, kind, started_at AS began_at
)
INSERT INTO health_changes (
    incident_id, monitor, kind, change, at, noticed_at, reason, detail, locations, quiet)
SELECT id, monitor, kind, change, greatest(at, began_at), noticed_at, reason, detail, locations, quiet
FROM change JOIN incident USING (monitor, kind)
RETURNING id
"""

# What overlaps an incident that is known was seen when it happened, from another location. Takes one change.
_PAST = """
WITH change AS (
    SELECT * FROM jsonb_to_recordset($1::jsonb) AS change (
        monitor text, kind text, change text, at float8, started_at float8, noticed_at float8,
        reason text, detail text, locations text[], quiet boolean)
), incident AS (
    INSERT INTO health_incidents (
        monitor, kind, started_at, noticed_at, ended_at, past, reason, detail, locations)
    SELECT monitor, kind, started_at, noticed_at, at, true, reason, detail, locations FROM change
    WHERE NOT EXISTS (
        SELECT FROM health_incidents AS seen
        WHERE seen.monitor = change.monitor AND (
            seen.kind = change.kind
            OR seen.kind IN ('down', 'partial', 'degraded')
            AND change.kind IN ('down', 'partial', 'degraded'))
        AND seen.started_at < change.at AND (seen.ended_at IS NULL OR seen.ended_at > change.started_at))
    RETURNING id
)
INSERT INTO health_changes (
    incident_id, monitor, kind, change, at, noticed_at, reason, detail, locations, quiet)
SELECT id, monitor, kind, change, at, noticed_at, reason, detail, locations, quiet
FROM change CROSS JOIN incident
RETURNING id
"""

_STORED = """
SELECT incident_id, change.monitor, change.kind, change, started_at, at, change.reason, change.detail
FROM health_changes AS change JOIN health_incidents AS incident ON incident.id = incident_id
WHERE change.id = ANY($1) ORDER BY change.id
"""

# In this order: what one batch ended comes after what it changed, and before what it began.
_STATEMENTS = (
    ("changed", _CHANGE),
    ("resolved", _RESOLVE),
    ("opened", _OPEN),
    ("past", _PAST),
)

_decoder = msgspec.json.Decoder(Health)
_encoder = msgspec.json.Encoder()


class StoredChange(NamedTuple):
    """A change of an incident, as it is stored; instants are Unix seconds."""

    incident: int
    monitor: str
    kind: str
    change: str
    started_at: float
    """When the incident began."""
    at: float
    reason: str | None
    detail: str | None


class State(NamedTuple):
    """What is stored of how one monitor is."""

    monitor: str
    status: str
    health: Health


async def locked(connection: Any, monitors: Collection[str]) -> dict[str, Health]:
    """Lock these monitors until the transaction ends; return the health of each."""
    rows = await connection.fetch(_LOCK, monitors)
    if len(rows) < len(monitors):
        await connection.execute(_ADD, monitors)
        rows = await connection.fetch(_LOCK, monitors)
    return {row["monitor"]: _decoder.decode(row["health"]) for row in rows}


async def store_states(connection: Any, states: Sequence[State]) -> None:
    await connection.execute(
        _UPDATE,
        [state.monitor for state in states],
        [state.status for state in states],
        [state.health.last_at for state in states],
        [_encoder.encode(state.health).decode() for state in states],
    )


async def store_changes(
    connection: Any, changes: Iterable[tuple[str, Change]], now: float
) -> list[StoredChange]:
    """Store changes, and what they change of incidents; return those that have a row, in their order."""
    sorts = defaultdict[str, list[dict[str, Any]]](list)
    for monitor, change in changes:
        sorts[change.change].append({**asdict(change), "monitor": monitor, "noticed_at": now})
    ids: list[int] = []
    for sort, statement in _STATEMENTS:
        some = sorts[sort]
        for together in [[each] for each in some] if sort == "past" else filter(None, [some]):
            rows = await connection.fetch(statement, _encoder.encode(together).decode())
            ids += [row["id"] for row in rows]
    return [StoredChange(*row) for row in await connection.fetch(_STORED, ids)] if ids else []
