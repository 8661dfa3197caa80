"""What PostgreSQL and the outbox hold, seen from outside."""

import asyncio
import json
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import asyncpg

from tests.chaos.account import Row
from tests.chaos.incidents import Incident
from tests.program import Program

# A slot in which the clock was set is no measure of lateness.
_CLOCK_SET_S = 3_000

_LAST_NUMBERS = """
SELECT monitor, max(substring(data FROM ' ([0-9]+)$')::bigint) AS last FROM health_data
WHERE location = 'chaos' GROUP BY monitor
"""

_INCIDENTS = """
SELECT monitor, kind, started_at, ended_at, ARRAY(
    SELECT change FROM health_changes WHERE incident_id = incident.id AND change <> 'changed'
    ORDER BY change) AS changes
FROM health_incidents AS incident WHERE monitor ~ '^m[0-9]'
"""

_MONITORS_SINCE = """
SELECT count(DISTINCT monitor) FROM health_data
WHERE id > $1 AND substring(data FROM ' ([0-9]+)$')::bigint > ($2::jsonb ->> monitor)::bigint
"""


async def rows(uri: str) -> list[Row]:
    connection = await asyncpg.connect(uri)
    try:
        stored = await connection.fetch(
            "SELECT monitor, data, up, reason, scheduled_at FROM health_data"
            " WHERE location = 'chaos' ORDER BY id"
        )
    finally:
        await connection.close()
    return [
        Row(row["monitor"], number_of(row["data"]), row["up"], row["reason"], row["scheduled_at"])
        for row in stored
    ]


async def incidents(uri: str) -> list[Incident]:
    """Read those of the monitors that the site knows."""
    connection = await asyncpg.connect(uri)
    try:
        found = await connection.fetch(_INCIDENTS)
    finally:
        await connection.close()
    return [
        Incident(*row.values()) for row in ({**each, "changes": tuple(each["changes"])} for each in found)
    ]


def number_of(body: str) -> int | None:
    _, _, number = body.partition(" ")
    return int(number) if number.isdigit() else None


async def caught_up(
    uri: str, answered: Mapping[str, Sequence[float]], program: Program, limit_s: float
) -> float:
    """Wait until a request of each monitor that is answered from now on is stored; give the seconds."""
    began = time.monotonic()
    numbers = {monitor: len(times) for monitor, times in answered.items()}
    last = await _ask(uri, "SELECT coalesce(max(id), 0) FROM health_data")
    while await _ask(uri, _MONITORS_SINCE, last, json.dumps(numbers)) < len(numbers):
        assert program.runs, "the program has ended"
        if time.monotonic() - began > limit_s:
            raise TimeoutError(f"the results of some monitors are not stored after {limit_s} s")
        await asyncio.sleep(0.2)
    return time.monotonic() - began


async def _ask(uri: str, query: str, *arguments: object) -> int:
    """Ask for a number; 0 while PostgreSQL is unavailable."""
    try:
        connection = await asyncpg.connect(uri, timeout=5)
        try:
            return int(await connection.fetchval(query, *arguments, timeout=10))
        finally:
            await connection.close()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
        return 0


async def unstored_since(uri: str, answered: Mapping[str, Sequence[float]]) -> float:
    """Return when the first of the answers that are not stored yet was given."""
    connection = await asyncpg.connect(uri)
    try:
        last = {row["monitor"]: row["last"] for row in await connection.fetch(_LAST_NUMBERS)}
    finally:
        await connection.close()
    waiting = [times[last.get(monitor, 0) :][:1] for monitor, times in answered.items()]
    return min((first for firsts in waiting for first in firsts), default=time.time())


def accepted(outbox: Path) -> int:
    """How many results the outbox ever took: it numbers them, without gaps, over all restarts."""
    with closing(sqlite3.connect(outbox)) as database:
        (last,) = database.execute("SELECT max(seq) FROM sqlite_sequence").fetchone()
    return int(last)


async def lateness(uri: str) -> dict[str, float]:
    """How long after its slot a check started."""
    connection = await asyncpg.connect(uri)
    try:
        late = await connection.fetchrow(
            "SELECT percentile_disc(0.999) WITHIN GROUP (ORDER BY timestamp - scheduled_at) AS most,"
            " max(timestamp - scheduled_at) AS worst FROM health_data"
            " WHERE location = 'chaos' AND abs(timestamp - scheduled_at) < $1",
            _CLOCK_SET_S,
        )
    finally:
        await connection.close()
    return {
        "99.9 % of the checks started after their slot within, s": round(late["most"], 3),
        "the latest, s": round(late["worst"], 3),
    }
