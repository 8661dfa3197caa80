"""Each migration while an older program stores and reads."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg
import pytest

from monitor.runtime.text import DAY_S
from monitor.storage.database import Database, StoreUnavailableError
from monitor.storage.migrate import MIGRATIONS, migrate
from monitor.storage.partitions import name_of
from tests.forwarding import until
from tests.postgres import result_store
from tests.program import Start
from tests.storage.test_results import SLOT, query, result

DAY = int(SLOT // DAY_S)
FIRST_PARTITION = (
    f"CREATE TABLE {name_of('health_data', DAY)} PARTITION OF health_data"
    f" FOR VALUES FROM ({DAY * DAY_S}) TO ({(DAY + 1) * DAY_S})"
)

# What every version has stored, with the statement of every version but for newer columns.
STORE = """
INSERT INTO health_data (timestamp, data, status, time, result_id, monitor, url, location, scheduled_at, up)
SELECT at, '', 200, 0.5, id, 'shop', '', 'here', at, true
FROM unnest($1::float8[], $2::uuid[]) AS new (at, id)
ON CONFLICT DO NOTHING
"""
READ = "SELECT count(*) FROM health_data WHERE monitor = 'shop' AND scheduled_at > $1"


class Older:
    """A program that stores batches of results, each until it is stored, and reads."""

    def __init__(self) -> None:
        self.stored: list[object] = []
        self.reads = 0

    async def store(self, connection: Any) -> None:
        first = len(self.stored)
        batch = [result(SLOT + number / 100) for number in range(first, first + 10)]
        ids = [each.id for each in batch]
        await connection.execute(STORE, [each.scheduled_at for each in batch], ids)
        self.stored += ids

    async def read(self, connection: Any) -> None:
        await connection.fetchval(READ, SLOT)
        self.reads += 1


async def again_and_again(act: Callable[[Any], Awaitable[None]], uri: str, *, may_wait: bool = True) -> None:
    """Act as long as nobody cancels it; wait as the program does while somebody locks what it needs."""
    locked = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) if may_wait else ()
    connection = await asyncpg.connect(uri)
    try:
        await connection.execute("SET lock_timeout = '10s'")
        while True:
            with suppress(*locked):
                await act(connection)
            await asyncio.sleep(0.01)
    finally:
        connection.terminate()


@asynccontextmanager
async def older_program(uri: str) -> AsyncIterator[Older]:
    """Run one; on leaving, it must have gone on."""
    older = Older()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(again_and_again(act, uri)) for act in (older.store, older.read)]
        await reached(older, 50, 5)
        yield older
        await reached(older, len(older.stored) + 1, older.reads + 1)
        for task in tasks:
            task.cancel()


async def reached(older: Older, stored: int, reads: int) -> None:
    await until(lambda: len(older.stored) >= stored and older.reads >= reads, "stored and read")


@pytest.mark.parametrize("version", range(2, len(MIGRATIONS) + 1))
async def test_a_migration_loses_nothing_of_what_an_older_program_stores_meanwhile(
    empty_database: str, version: int
) -> None:
    connection = await asyncpg.connect(empty_database)
    await migrate(connection, MIGRATIONS[: version - 1])
    await connection.execute(FIRST_PARTITION)

    async with older_program(empty_database) as older:
        await migrate(connection, MIGRATIONS[:version])
    await migrate(connection)

    rows = await query(empty_database, "SELECT result_id FROM health_data ORDER BY scheduled_at")
    assert [row["result_id"] for row in rows][: len(older.stored)] == older.stored
    store = result_store(empty_database)
    assert await store.save([result(SLOT), result(SLOT - 1)]) == 1
    await store.database.close()
    await connection.close()


async def test_a_migration_that_somebody_keeps_waiting_gives_way(empty_database: str) -> None:
    connection = await asyncpg.connect(empty_database)
    await migrate(connection, MIGRATIONS[:1])
    await connection.execute(FIRST_PARTITION)
    reader, new = await asyncpg.connect(empty_database), Database(empty_database)
    started, older = reader.transaction(), Older()
    await started.start()
    await reader.fetchval(READ, SLOT)

    async with asyncio.TaskGroup() as group:
        storing = group.create_task(again_and_again(older.store, empty_database, may_wait=False))
        with pytest.raises(StoreUnavailableError, match="lock timeout"):
            await new.open()
        await reached(older, len(older.stored) + 1, 0)
        storing.cancel()
    await started.rollback()
    await new.open()

    rows = await query(empty_database, "SELECT result_id FROM health_data ORDER BY scheduled_at")
    assert [row["result_id"] for row in rows][: len(older.stored)] == older.stored
    await new.close()
    for each in (connection, reader):
        await each.close()


async def test_a_new_program_takes_over_while_an_older_one_stores(
    program: Start, empty_database: str
) -> None:
    connection = await asyncpg.connect(empty_database)
    await migrate(connection, MIGRATIONS[:1])
    await connection.execute(FIRST_PARTITION)
    await connection.close()
    new = program(
        url_to_monitor="http://127.0.0.1:9/",
        sleep_duration=0.2,
        pg_uri=empty_database,
        retention_days=36_500,
    )

    async with older_program(empty_database) as older:
        new.start()
        await asyncio.to_thread(new.prints, "AIOKafka Consumer fetched", 3)
    assert await asyncio.to_thread(new.stop) == 0

    count = "SELECT count(*) FROM health_data WHERE monitor {} 'shop'"
    ((kept,),) = await query(empty_database, count.format("="))
    ((checked,),) = await query(empty_database, count.format("<>"))
    assert kept >= len(older.stored)
    assert checked >= 3
    assert f"migrating the schema: {len(MIGRATIONS)}, " in new.printed()
    assert "Traceback" not in new.printed()
