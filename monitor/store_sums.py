"""The SQL of the sums of hours and days; who writes holds the locks of the monitors concerned."""
# ruff: noqa: S608 - what is put together are names of columns

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from monitor.storage_database import Database
from monitor.store_days import DAY_S
from monitor.uptime import BUCKETS, Status, Sums, status_of
from monitor.uptime_ledger import Entry

Lock = Callable[[Any, Sequence[str]], Awaitable[object]]

HOURS_DAYS = 400  # for which sums of hours are kept; those of days are kept for good

_MONITORS = 200  # whose days are summed up at once

_SECONDS = ("up_s", "degraded_s", "down_s", "maintenance_s")
_COUNTS = ("up", "degraded", "down", "unknown")
_PHASES = ("resolve_s", "connect_s", "tls_s", "processing_s", "transfer_s")
_BUCKETS = range(1, BUCKETS + 1)

_ADD = f"""
INSERT INTO health_hours AS known (
    monitor, location, hour, up_s, degraded_s, down_s, maintenance_s, up, degraded, down, unknown,
    response_times, slowest_s, {", ".join(_PHASES)})
SELECT
    monitor, location, hour, up_s, degraded_s, down_s, maintenance_s, up, degraded, down, unknown,
    response_times::int[], slowest_s, {", ".join(_PHASES)}
FROM unnest(
    $1::text[], $2::text[], $3::int[], $4::float8[], $5::float8[], $6::float8[], $7::float8[], $8::int[],
    $9::int[], $10::int[], $11::int[], $12::text[], $13::float8[], $14::float8[], $15::float8[],
    $16::float8[], $17::float8[], $18::float8[]
) AS added (
    monitor, location, hour, up_s, degraded_s, down_s, maintenance_s, up, degraded, down, unknown,
    response_times, slowest_s, {", ".join(_PHASES)})
ON CONFLICT (monitor, location, hour) DO UPDATE SET
    up_s = known.up_s + excluded.up_s,
    degraded_s = known.degraded_s + excluded.degraded_s,
    down_s = known.down_s + excluded.down_s,
    maintenance_s = known.maintenance_s + excluded.maintenance_s,
    up = known.up + excluded.up,
    degraded = known.degraded + excluded.degraded,
    down = known.down + excluded.down,
    unknown = known.unknown + excluded.unknown,
    response_times = ARRAY[{
    ", ".join(f"known.response_times[{n}] + excluded.response_times[{n}]" for n in _BUCKETS)
}],
    slowest_s = greatest(known.slowest_s, excluded.slowest_s),
    {", ".join(f"{phase} = known.{phase} + excluded.{phase}" for phase in _PHASES)},
    in_day = false
"""

_AROUND = """
SELECT scheduled_at, up, degraded FROM health_data
WHERE monitor = $1 AND location IS NOT DISTINCT FROM nullif($2, '') AND scheduled_at BETWEEN $3 AND $4
    AND result_id <> ALL ($5::uuid[])
"""

_ALL = (*_SECONDS, *_COUNTS, "response_times", "slowest_s", *_PHASES)
_COLUMNS = ", ".join(_ALL)
_SUMS = ", ".join(
    [
        *(f"sum({column}) AS {column}" for column in (*_SECONDS, *_COUNTS)),
        f"ARRAY[{', '.join(f'sum(response_times[{n}])::bigint' for n in _BUCKETS)}] AS response_times",
        "max(slowest_s) AS slowest_s",
        *(f"sum({phase}) AS {phase}" for phase in _PHASES),
    ]
)

_NOT_IN_DAYS = "SELECT DISTINCT monitor FROM health_hours WHERE NOT in_day AND hour < $1 ORDER BY 1"

_INTO_DAYS = f"""
WITH put AS (
    UPDATE health_hours SET in_day = true WHERE monitor = ANY($1) AND hour < $2 AND NOT in_day
    RETURNING monitor, location, hour / 24 AS day
)
INSERT INTO health_days (monitor, location, day, {_COLUMNS})
SELECT monitor, location, day, {_SUMS} FROM (SELECT DISTINCT monitor, location, day FROM put) AS touched
JOIN health_hours USING (monitor, location)
WHERE hour >= day * 24 AND hour < (day + 1) * 24
GROUP BY monitor, location, day
ON CONFLICT (monitor, location, day) DO UPDATE SET ({_COLUMNS}) = ROW(
    {", ".join(f"excluded.{column}" for column in _ALL)})
"""

_EXPIRE = "DELETE FROM health_hours WHERE hour < $1 AND in_day"

_WINDOW = f"""
SELECT monitor, location, {_SUMS} FROM (
    SELECT monitor, location, {_COLUMNS} FROM health_hours WHERE hour >= $1 AND hour < $2
    UNION ALL SELECT monitor, location, {_COLUMNS} FROM health_days WHERE day >= $3 AND day < $4
) AS known (monitor, location, {_COLUMNS})
GROUP BY monitor, location
"""


_STRETCH = f"""
SELECT monitor, location, {_SUMS} FROM (
    SELECT monitor, location, {_COLUMNS} FROM health_hours
    WHERE monitor = ANY($1) AND hour >= $2 AND hour < least($3, $4 * 24)
    UNION ALL SELECT monitor, location, {_COLUMNS} FROM health_days
    WHERE monitor = ANY($1) AND day >= $4 AND day < $5
    UNION ALL SELECT monitor, location, {_COLUMNS} FROM health_hours
    WHERE monitor = ANY($1) AND hour >= greatest($2, $5 * 24) AND hour < $3
) AS known (monitor, location, {_COLUMNS})
GROUP BY monitor, location
"""


async def add(connection: Any, entries: Mapping[tuple[str, str, int], Entry]) -> None:
    """Add to the sums of hours."""
    rows = [
        (
            *key,
            *entry.seconds,
            *entry.counts,
            f"{{{str(entry.response_times)[1:-1]}}}",
            entry.slowest_s,
            *entry.phases,
        )
        for key, entry in entries.items()
    ]
    await connection.execute(_ADD, *(list(column) for column in zip(*rows, strict=True)))


async def around(
    connection: Any, monitor: str, location: str, late: Sequence[UUID], between: tuple[float, float]
) -> list[tuple[float, Status]]:
    """Read what the results of a stretch said, but for the late ones."""
    rows = await connection.fetch(_AROUND, monitor, location, *between, late)
    return [(row["scheduled_at"], status_of(row["up"], bool(row["degraded"]))) for row in rows]


async def sum_up_days(database: Database, lock: Lock) -> None:
    """Add hours of days that are over to the sums of days; delete hours that are too old.

    `lock` holds up whoever writes about these monitors, until the transaction ends.
    """
    today = int(time.time() // DAY_S)
    async with database.transaction() as connection:
        monitors = await _not_in_days(connection, today)
    for start in range(0, len(monitors), _MONITORS):
        some = monitors[start : start + _MONITORS]
        async with database.transaction() as connection:
            await lock(connection, some)
            await _into_days(connection, some, today)
    async with database.transaction() as connection:
        await _expire(connection, today - HOURS_DAYS)


async def _not_in_days(connection: Any, before_day: int) -> list[str]:
    """Find monitors with hours of days that are over, which the sums of days lack."""
    rows = await connection.fetch(_NOT_IN_DAYS, before_day * 24)
    return [row["monitor"] for row in rows]


async def _into_days(connection: Any, monitors: Sequence[str], before_day: int) -> None:
    """Make the sums of days anew where an hour changed."""
    await connection.execute(_INTO_DAYS, monitors, before_day * 24)


async def _expire(connection: Any, before_day: int) -> None:
    """Forget hours of days that are older, and are in the sums of days."""
    await connection.execute(_EXPIRE, before_day * 24)


async def window(connection: Any, hours: tuple[int, int], first_day: int) -> list[tuple[str, str, Sums]]:
    """Add up the hours from the first to before the second; of days before `first_day`, whole days only."""
    since, until = hours
    edge = first_day * 24
    days = (since // 24, min(-(-until // 24), first_day))
    rows = await connection.fetch(_WINDOW, max(since, edge), until, *days)
    return [(row["monitor"], row["location"], Sums(*tuple(row)[2:])) for row in rows]


async def stretch(
    connection: Any, monitors: Sequence[str], hours: tuple[int, int], days: tuple[int, int]
) -> list[tuple[str, Sums]]:
    """Add up the hours from the first to before the second, of the days in between whole days."""
    rows = await connection.fetch(_STRETCH, monitors, *hours, *days)
    return [(row["monitor"], Sums(*tuple(row)[2:])) for row in rows]
