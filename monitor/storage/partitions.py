"""The partitions of the two tables of results: one for each UTC day that has some."""

from datetime import UTC, datetime
from typing import Any

from monitor.runtime.text import DAY_S

DATA = "health_data"
FAILURES = "health_failures"
MOST_DAYS = 30  # of a table that one statement may touch: each takes four to six of the server's locks

_LOCK = 0x6865616C7469

# PostgreSQL 14 and newer have lz4, if they were built with it. A body of 20 kB takes a fifth of the processor
# time that the default takes, and 8 % more space.
_USE_LZ4 = """
DO $$ BEGIN
    IF 'lz4' = ANY (enumvals) FROM pg_settings WHERE name = 'default_toast_compression' THEN
        ALTER TABLE {name}
            ALTER data SET COMPRESSION lz4, ALTER tls SET COMPRESSION lz4, ALTER evidence SET COMPRESSION lz4;
    END IF;
END $$
"""

_DAYS = """
SELECT to_date(right(relname, 8), 'YYYYMMDD') - DATE '1970-01-01' AS day
FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
WHERE inhparent = to_regclass($1) AND relname ~ '_[0-9]{8}$'
    AND obj_description(inhrelid, 'pg_class') IS DISTINCT FROM $2
ORDER BY 1
"""


async def make(connection: Any, day: int) -> None:
    """Make the partition of a day (since 1970), unless it is there; readers of other days are not blocked."""
    await connection.execute("SET LOCAL lock_timeout = '2s'")
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
    await add(connection, DATA, day)


async def add(connection: Any, table: str, day: int) -> None:
    """Add the partition of a day, unless it is there. A lock keeps all others from doing the same."""
    name = name_of(table, day)
    if await connection.fetchval("SELECT to_regclass($1) IS NULL", name):
        await create(connection, table, name)
        await connection.execute(attachment(table, day))


async def create(connection: Any, table: str, name: str, *more: str) -> None:
    """Create a table that can become a partition; `more` is what it has besides."""
    like = f"LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED"
    await connection.execute(f"CREATE TABLE {name} ({', '.join((like, *more))})")
    await connection.execute(_USE_LZ4.format(name=name))


def attachment(table: str, day: int) -> str:
    """Return the statement that makes the table of a day its partition."""
    first, end = bounds(day)
    return f"ALTER TABLE {table} ATTACH PARTITION {name_of(table, day)} FOR VALUES FROM ({first}) TO ({end})"


async def days(connection: Any, table: str, without: str = "") -> list[int]:
    """Return the days that have a partition, the oldest first, but for those with the comment `without`."""
    return [row["day"] for row in await connection.fetch(_DAYS, table, without)]


async def starts(connection: Any, since: float, until: float) -> list[float]:
    """Return where statements have to begin that read a time range part by part, the newest part first.

    Each part touches at most `MOST_DAYS` partitions of a table.
    """
    found = {*await days(connection, DATA), *await days(connection, FAILURES)}
    newest = sorted((day for day in found if since < day * DAY_S <= until), reverse=True)
    return [*(float(day * DAY_S) for day in newest[MOST_DAYS - 1 :: MOST_DAYS]), since]


def name_of(table: str, day: int) -> str:
    """Return the name of the partition of a day."""
    return f"{table}_{datetime.fromtimestamp(day * DAY_S, UTC):%Y%m%d}"


def bounds(day: int) -> tuple[int, int]:
    """Return when a day begins and when it is over."""
    return day * DAY_S, (day + 1) * DAY_S
