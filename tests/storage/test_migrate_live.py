"""The original program stores and reads while a new one takes its table over."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg
import pytest

from monitor.storage.database import Database, StoreUnavailableError
from tests.forwarding import until
from tests.program import Start
from tests.storage.test_migrate import ORIGINAL, ORIGINAL_INSERT, rows

READ = "SELECT count(*) FROM health_data WHERE timestamp > $1"


class Original:
    """The original program: it stores, each row until it is stored, and reads."""

    def __init__(self) -> None:
        self.stored = 0
        self.reads = 0

    async def store(self, connection: Any) -> None:
        await connection.execute(ORIGINAL_INSERT, float(self.stored), "original", 200, 0.5)
        self.stored += 1

    async def read(self, connection: Any) -> None:
        await connection.fetchval(READ, 0.0)
        self.reads += 1


async def again_and_again(act: Callable[[Any], Awaitable[None]], uri: str) -> None:
    """Act as long as nobody cancels it, and wait while somebody locks the table."""
    connection = await asyncpg.connect(uri)
    try:
        await connection.execute("SET lock_timeout = '10s'")
        while True:
            with suppress(asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
                await act(connection)
            await asyncio.sleep(0.01)
    finally:
        connection.terminate()


@asynccontextmanager
async def original_program(uri: str) -> AsyncIterator[Original]:
    """Run one; on leaving, it must have gone on."""
    original = Original()
    connection = await asyncpg.connect(uri)
    await connection.execute(ORIGINAL)
    await connection.close()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(again_and_again(act, uri)) for act in (original.store, original.read)]
        await reached(original, 50, 5)
        yield original
        await reached(original, original.stored + 1, original.reads + 1)
        for task in tasks:
            task.cancel()


async def reached(original: Original, stored: int, reads: int) -> None:
    await until(lambda: original.stored >= stored and original.reads >= reads, "stored and read")


async def test_a_take_over_that_somebody_keeps_waiting_gives_way(empty_database: str) -> None:
    reader, new = await asyncpg.connect(empty_database), Database(empty_database)

    async with original_program(empty_database) as original:
        started = reader.transaction()
        await started.start()
        await reader.fetchval(READ, 0.0)
        with pytest.raises(StoreUnavailableError, match="lock timeout"):
            await new.open()
        await reached(original, original.stored + 1, original.reads + 1)
        await started.rollback()
        await new.open()

    assert (
        len(await rows(empty_database, "SELECT FROM health_data WHERE data = 'original'")) >= original.stored
    )
    await new.close()
    await reader.close()


async def test_a_new_program_takes_over_while_the_original_one_stores(
    program: Start, empty_database: str
) -> None:
    new = program(url_to_monitor="http://127.0.0.1:9/", sleep_duration=0.2, pg_uri=empty_database)

    async with original_program(empty_database) as original:
        new.start()
        await asyncio.to_thread(new.prints, "AIOKafka Consumer fetched", 3)
    assert await asyncio.to_thread(new.stop) == 0

    assert (
        len(await rows(empty_database, "SELECT FROM health_data WHERE data = 'original'")) >= original.stored
    )
    assert len(await rows(empty_database, "SELECT FROM health_data WHERE monitor IS NOT NULL")) >= 3
    assert "migrating the schema: 1, schema" in new.printed()
    assert "Traceback" not in new.printed()
