"""Sums of hours and days in PostgreSQL; whoever writes them holds the locks of these monitors."""
# ruff: noqa: S608 - what is put in are numbers of buckets

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from monitor.result import CheckResult
from monitor.runtime.text import DAY_S
from monitor.storage.database import Database
from monitor.uptime.ledger import Entry
from monitor.uptime.sums import BUCKETS, Sums, UptimePoint, status_of

HOURS_KEPT_D = 400  # for which sums of hours are kept; those of days are kept for good

_MONITORS = 200  # whose days are summed up at once

# The elements of the array of response times, one for each bucket: too many to write out. To paste a
# statement into psql, put `NULL` in their place.
_BUCKETS_SUM = ", ".join(f"sum(response_times[{n}])::bigint" for n in range(1, BUCKETS + 1))
_BUCKETS_ADDED = ", ".join(
    f"known.response_times[{n}] + excluded.response_times[{n}]" for n in range(1, BUCKETS + 1)
)

_ADD = f"""
INSERT INTO health_hours AS known (
    monitor, location, hour, up_s, degraded_s, down_s, maintenance_s, up, degraded, down, unknown,
    response_times, slowest_s, resolve_s, connect_s, tls_s, processing_s, transfer_s)
SELECT
    monitor, location, hour, coalesce(up_s, 0), coalesce(degraded_s, 0), coalesce(down_s, 0),
    coalesce(maintenance_s, 0), coalesce(up, 0), coalesce(degraded, 0), coalesce(down, 0),
    coalesce(unknown, 0), response_times::int[], coalesce(slowest_s, 0), coalesce(resolve_s, 0),
    coalesce(connect_s, 0), coalesce(tls_s, 0), coalesce(processing_s, 0), coalesce(transfer_s, 0)
FROM unnest(
    $1::text[], $2::text[], $3::int[], $4::float8[], $5::float8[], $6::float8[], $7::float8[], $8::int[],
    $9::int[], $10::int[], $11::int[], $12::text[], $13::float8[], $14::float8[], $15::float8[],
    $16::float8[], $17::float8[], $18::float8[]
) AS added (
    monitor, location, hour, up_s, degraded_s, down_s, maintenance_s, up, degraded, down, unknown,
    response_times, slowest_s, resolve_s, connect_s, tls_s, processing_s, transfer_s)
ON CONFLICT (monitor, location, hour) DO UPDATE SET
    up_s = known.up_s + excluded.up_s,
    degraded_s = known.degraded_s + excluded.degraded_s,
    down_s = known.down_s + excluded.down_s,
    maintenance_s = known.maintenance_s + excluded.maintenance_s,
    up = known.up + excluded.up,
    degraded = known.degraded + excluded.degraded,
    down = known.down + excluded.down,
    unknown = known.unknown + excluded.unknown,
    response_times = ARRAY[{_BUCKETS_ADDED}],
    slowest_s = greatest(known.slowest_s, excluded.slowest_s),
    resolve_s = known.resolve_s + excluded.resolve_s,
    connect_s = known.connect_s + excluded.connect_s,
    tls_s = known.tls_s + excluded.tls_s,
    processing_s = known.processing_s + excluded.processing_s,
    transfer_s = known.transfer_s + excluded.transfer_s,
    in_day = false
"""

_AROUND = """
SELECT scheduled_at, up, degraded FROM health_data
WHERE monitor = $1 AND location IS NOT DISTINCT FROM nullif($2, '') AND scheduled_at BETWEEN $3 AND $4
    AND result_id <> ALL ($5::uuid[])
"""

# Monitors with hours, of days that are over, that the sums of days lack.
_NOT_IN_DAYS = "SELECT DISTINCT monitor FROM health_hours WHERE NOT in_day AND hour < $1 ORDER BY 1"

# Each day with an hour that changed is summed up again.
_INTO_DAYS = f"""
WITH put AS (
    UPDATE health_hours SET in_day = true WHERE monitor = ANY($1) AND hour < $2 AND NOT in_day
    RETURNING monitor, location, hour / 24 AS day
)
INSERT INTO health_days (
    monitor, location, day, up_s, degraded_s, down_s, maintenance_s, up, degraded, down, unknown,
    response_times, slowest_s, resolve_s, connect_s, tls_s, processing_s, transfer_s)
SELECT
    monitor, location, day,
    sum(up_s), sum(degraded_s), sum(down_s), sum(maintenance_s), sum(up), sum(degraded), sum(down),
    sum(unknown), ARRAY[{_BUCKETS_SUM}],
    max(slowest_s), sum(resolve_s), sum(connect_s), sum(tls_s), sum(processing_s), sum(transfer_s)
FROM (SELECT DISTINCT monitor, location, day FROM put) AS touched
JOIN health_hours USING (monitor, location)
WHERE hour >= day * 24 AND hour < (day + 1) * 24
GROUP BY monitor, location, day
ON CONFLICT (monitor, location, day) DO UPDATE SET
    up_s = excluded.up_s,
    degraded_s = excluded.degraded_s,
    down_s = excluded.down_s,
    maintenance_s = excluded.maintenance_s,
    up = excluded.up,
    degraded = excluded.degraded,
    down = excluded.down,
    unknown = excluded.unknown,
    response_times = excluded.response_times,
    slowest_s = excluded.slowest_s,
    resolve_s = excluded.resolve_s,
    connect_s = excluded.connect_s,
    tls_s = excluded.tls_s,
    processing_s = excluded.processing_s,
    transfer_s = excluded.transfer_s
"""

_EXPIRE = "DELETE FROM health_hours WHERE hour < $1 AND in_day"

# Sums of hours from hour $2 until before $3; the days from $4 until before $5 are read as sums of days.
_SUMS = f"""
SELECT
    monitor, location,
    sum(up_s), sum(degraded_s), sum(down_s), sum(maintenance_s), sum(up), sum(degraded), sum(down),
    sum(unknown), ARRAY[{_BUCKETS_SUM}],
    max(slowest_s), sum(resolve_s), sum(connect_s), sum(tls_s), sum(processing_s), sum(transfer_s)
FROM (
    SELECT
        monitor, location, up_s, degraded_s, down_s, maintenance_s, up, degraded, down, unknown,
        response_times, slowest_s, resolve_s, connect_s, tls_s, processing_s, transfer_s
    FROM health_hours WHERE monitor = ANY($1) AND hour >= $2 AND hour < least($3, $4 * 24)
    UNION ALL
    SELECT
        monitor, location, up_s, degraded_s, down_s, maintenance_s, up, degraded, down, unknown,
        response_times, slowest_s, resolve_s, connect_s, tls_s, processing_s, transfer_s
    FROM health_days WHERE monitor = ANY($1) AND day >= $4 AND day < $5
    UNION ALL
    SELECT
        monitor, location, up_s, degraded_s, down_s, maintenance_s, up, degraded, down, unknown,
        response_times, slowest_s, resolve_s, connect_s, tls_s, processing_s, transfer_s
    FROM health_hours WHERE monitor = ANY($1) AND hour >= greatest($2, $5 * 24) AND hour < $3
) AS known
GROUP BY monitor, location
"""


async def add(connection: Any, entries: Mapping[tuple[str, str, int], Entry]) -> None:
    """Add the entries to the sums of hours, by monitor, location and hour since 1970.

    Columns of zeros only, mostly half of them, do not travel: `unnest` fills shorter arrays up with nulls.
    """
    rows = [
        (
            *key,
            *entry.seconds,
            *entry.counts,
            _array(entry.response_times),
            entry.slowest_s,
            *entry.phases,
        )
        for key, entry in entries.items()
    ]
    monitors, locations, hours, *sums = zip(*rows, strict=True)
    numbers = [column if any(column) else () for column in sums]
    await connection.execute(_ADD, monitors, locations, hours, *numbers)


def _array(response_times: Mapping[int, int]) -> str:
    counts = ["0"] * BUCKETS
    for index, count in response_times.items():
        counts[index] = str(count)
    return f"{{{','.join(counts)}}}"


async def around(connection: Any, late: Sequence[CheckResult], reach_s: float) -> list[UptimePoint]:
    """Return the results from `reach_s` before to after late ones, which are of one monitor and location."""
    slots, ids = [result.scheduled_at for result in late], [result.id for result in late]
    between = min(slots) - reach_s, max(slots) + reach_s
    rows = await connection.fetch(_AROUND, late[0].monitor, late[0].location, *between, ids)
    return [UptimePoint(at, status_of(up, bool(degraded)), at + reach_s) for at, up, degraded in rows]


async def sum_up_days(database: Database, lock: Callable[[Any, Sequence[str]], Awaitable[object]]) -> None:
    """Add hours of days that are over to the sums of days; delete hours that are too old.

    `lock` holds up whoever writes about these monitors, until the transaction ends.
    """
    today = int(await database.earlier_now() // DAY_S)
    monitors = [row["monitor"] for row in await database.fetch(_NOT_IN_DAYS, today * 24)]
    for start in range(0, len(monitors), _MONITORS):
        some = monitors[start : start + _MONITORS]
        async with database.transaction() as connection:
            await lock(connection, some)
            await connection.execute(_INTO_DAYS, some, today * 24)
    async with database.transaction() as connection:
        await connection.execute(_EXPIRE, (today - HOURS_KEPT_D) * 24)


async def sums_of(
    connection: Any, monitors: Sequence[str], hours: tuple[int, int], days: tuple[int, int]
) -> list[tuple[str, str, Sums]]:
    """Return the sums by monitor and location, of the hours from the first until before the second.

    The days from the first until before the second are read from the sums of days.
    """
    rows = await connection.fetch(_SUMS, monitors, *hours, *days)
    return [(row["monitor"], row["location"], Sums(*tuple(row)[2:])) for row in rows]
