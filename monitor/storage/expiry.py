"""What is too old: bodies leave their rows, rows their table; failed ones stay in another table for longer.

A day at a time, each in one transaction: whoever dies in it has changed nothing, and it is begun anew. One
process at a time is at it. Meanwhile all can read the day; who stores a result of it waits.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from monitor.runtime.text import DAY_S, counted
from monitor.storage import partitions
from monitor.storage.database import Database, StoreUnavailableError
from monitor.storage.partitions import DATA, FAILURES

_LOCK = 0x6865616C746A
_COPY_S = 3_600  # at most, for one statement about a day

_NO_BODIES = "without bodies"  # the comment of such a partition
_HAS_BODY = "data <> '' OR evidence->>'body' <> ''"
_REMOVED = {"data": "NULL", "evidence": """evidence || '{"body": ""}'"""}

_COLUMNS = """
SELECT attname::text AS name FROM pg_attribute
WHERE attrelid = 'health_data'::regclass AND attnum > 0 AND NOT attisdropped
"""

# Made after the rows, they take half the time and half the space.
_INDEXES = """
SELECT regexp_replace(pg_get_indexdef(indexrelid), ' INDEX .+ USING ', ' INDEX ON ' || $2 || ' USING ')
    AS statement
FROM pg_index WHERE indrelid = to_regclass($1)
"""

_log = logging.getLogger(__name__)


class KeptDays(NamedTuple):
    """For how many days what is kept; bodies for as long as their rows, where it is `None`."""

    rows: float
    failures: float
    bodies: float | None


class _Removal(NamedTuple):
    """What is made of each day of a table that is too old `now`, unless it has the comment `done`."""

    table: str
    days_kept: float
    now: float
    carry_out: Callable[[Any, int], Awaitable[object]]
    what: str
    done: str = ""

    @property
    def first_kept(self) -> int:
        return int(self.now / DAY_S - self.days_kept)

    async def days(self, connection: Any) -> list[int]:
        found = await partitions.days(connection, self.table, self.done)
        return [day for day in found if day < self.first_kept]


async def expire(database: Database, kept: KeptDays) -> None:
    """Remove what is too old, of days that are wholly older, and log it. The original program's rows stay.

    Raises:
        StoreUnavailableError: the database is unavailable, or others use it for long; try again later.

    """
    try:
        await _expire(database, kept)
    except StoreUnavailableError as error:
        _log.info("what is too old is removed later: %s", error)
        raise


async def _expire(database: Database, kept: KeptDays) -> None:
    now = await database.earlier_now()
    drop_failures = _Removal(FAILURES, kept.failures, now, partial(_drop, FAILURES), "failed results dropped")
    drop_rows = partial(_drop_rows, failures_from=drop_failures.first_kept)
    await _carry_out(database, _Removal(DATA, kept.rows, now, drop_rows, "results dropped"))
    if kept.bodies is not None:
        for table in (DATA, FAILURES):
            remove_bodies = partial(_remove_bodies, table)
            await _carry_out(
                database, _Removal(table, kept.bodies, now, remove_bodies, "bodies removed", _NO_BODIES)
            )
    await _carry_out(database, drop_failures)


async def _carry_out(database: Database, removal: _Removal) -> None:
    async with database.transaction() as connection:
        days = await removal.days(connection)
    made = sum([await _carry_out_one(database, removal, day) for day in days])
    if made:
        _log.info("%s of %s, older than %g d", counted(made, "day"), removal.what, removal.days_kept)


async def _carry_out_one(database: Database, removal: _Removal, day: int) -> bool:
    """Return whether the day was still there to be worked off."""
    async with database.transaction() as connection:
        # Whoever reads for long, as pg_dump does, would let a copy be in vain.
        await _lock(connection)
        await connection.execute(f"LOCK TABLE ONLY {removal.table}")
    async with database.transaction() as connection:
        await _lock(connection)
        if day not in await removal.days(connection):
            return False
        await removal.carry_out(connection, day)
        return True


async def _lock(connection: Any) -> None:
    """Keep other processes from the same until the transaction ends, and set its limits."""
    await connection.execute(
        f"SET LOCAL lock_timeout = '2s'; SET LOCAL statement_timeout = '{_COPY_S}s';"
        f" SELECT pg_advisory_xact_lock({_LOCK})"
    )


async def _drop_rows(connection: Any, day: int, *, failures_from: int) -> None:
    """Drop a day; its failed results go to the other table first, unless they are too old for it."""
    name = partitions.name_of(DATA, day)
    if day >= failures_from:
        await connection.execute(f"LOCK TABLE {name} IN SHARE MODE")
        await partitions.add(connection, FAILURES, day)
        failures = partitions.name_of(FAILURES, day)
        await _copy(connection, name, failures, {}, "WHERE NOT up ON CONFLICT DO NOTHING")
        await connection.execute(f"COMMENT ON TABLE {failures} IS NULL")
    await _drop(DATA, connection, day)


async def _drop(table: str, connection: Any, day: int) -> None:
    await connection.execute(f"DROP TABLE {partitions.name_of(table, day)}")


async def _remove_bodies(table: str, connection: Any, day: int) -> None:
    """Replace a day by a copy without bodies: to update its rows would double the space that they take."""
    name = partitions.name_of(table, day)
    await connection.execute(f"LOCK TABLE {name} IN SHARE MODE")
    has_bodies = f"SELECT EXISTS (SELECT FROM {name} WHERE {_HAS_BODY})"  # noqa: S608 - written here
    if await connection.fetchval(has_bodies, timeout=_COPY_S):
        copy = f"{name}_copy"
        first, end = partitions.bounds(day)
        # With this check and its indexes, attaching it reads nothing: all wait for it.
        check = f"CHECK (scheduled_at IS NOT NULL AND scheduled_at >= {first} AND scheduled_at < {end})"
        await partitions.create(connection, table, copy, f"CONSTRAINT slots {check}")
        await _copy(connection, name, copy, _REMOVED)
        for row in await connection.fetch(_INDEXES, table, copy):
            await connection.execute(row["statement"], timeout=_COPY_S)
        await connection.execute(
            f"DROP TABLE {name}; ALTER TABLE {copy} RENAME TO {name}; {partitions.attachment(table, day)};"
            f" ALTER TABLE {name} DROP CONSTRAINT slots"
        )
    await connection.execute(f"COMMENT ON TABLE {name} IS '{_NO_BODIES}'")


async def _copy(
    connection: Any, source: str, target: str, changed: Mapping[str, str], which: str = ""
) -> None:
    names = [row["name"] for row in await connection.fetch(_COLUMNS)]
    values = ", ".join(changed.get(name, name) for name in names)
    await connection.execute(
        f"INSERT INTO {target} ({', '.join(names)}) SELECT {values} FROM {source} {which}",  # noqa: S608 - written here
        timeout=_COPY_S,
    )
