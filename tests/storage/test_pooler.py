"""A database behind what all connection poolers have in common; `test_pgbouncer.py` has a real one."""

import logging
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from monitor.storage.database import Database
from tests.pooler import LIMITS, relay

PREPARED = "SELECT count(*) FROM pg_prepared_statements"


@pytest.fixture
async def pooled(database: str) -> AsyncIterator[str]:
    async with relay(database) as uri:
        yield uri


async def test_behind_a_pooler_limits_are_set_in_each_transaction(pooled: str) -> None:
    database = Database(pooled)

    async with database.transaction() as connection:
        inside = await connection.fetchval(LIMITS)
    ((alone,),) = await database.fetch(LIMITS)
    async with database._pool.acquire() as connection:
        outside = await connection.fetchval(LIMITS)

    assert inside == alone == ["10s", "30s", "1min"]
    assert outside == ["0", "0", "0"]
    await database.close()


async def test_behind_a_pooler_nothing_is_prepared(pooled: str, database: str) -> None:
    for uri, prepares in ((pooled, False), (database, True)):
        opened = Database(uri)
        for _ in range(2):
            ((count,),) = await opened.fetch(PREPARED)
        assert bool(count) == prepares
        await opened.close()


async def test_a_pooler_is_logged(pooled: str, database: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "monitor.storage.database")

    for uri in database, pooled:
        opened = Database(uri)
        await opened.open()
        await opened.close()

    (line,) = caplog.messages
    assert line.startswith(f"a connection pooler answers at {urlsplit(pooled).query.removeprefix('host=')}:")
