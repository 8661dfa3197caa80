"""Years of days: no statement opens or locks more of them than it reads."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from monitor.alerts.store import AlertStore
from monitor.incidents.bookkeeping import Bookkeeping
from monitor.incidents.rules import MonitorRules
from monitor.runtime.text import DAY_S
from monitor.storage.database import Database
from monitor.storage.expiry import KeptDays, expire
from monitor.storage.partitions import MOST_DAYS
from monitor.storage.results import ResultStore, is_any_stored, stored
from monitor.web.queries import Incident, PageReader, Place
from tests.storage.test_expiry import FAILED, expired, noon, on
from tests.storage.test_results import query

A_DAY = 4  # locks: of the table and its three indexes
OTHERS = 50  # of what the statements of a transaction use besides
TRIES = 7  # after five, PostgreSQL looks for a plan that suits all arguments

AN_HOUR = Incident(
    id=1,
    monitor="shop",
    kind="down",
    started_at=on(2).scheduled_at,
    noticed_at=on(2).scheduled_at,
    ended_at=on(1.96).scheduled_at,
    past=False,
    reason=None,
    detail=None,
    locations=(),
)

# Failed results of each day, in the table where they would be after 90 days.
FILL = """
DO $$
DECLARE
    today integer := floor(extract(epoch FROM now()) / 86400);
    name text;
    source text;
BEGIN
    FOR day IN today - %d .. today - 4 LOOP
        FOREACH source IN ARRAY ARRAY['health_data', 'health_failures'] LOOP
            name := source || to_char(DATE '1970-01-01' + day, '_YYYYMMDD');
            EXECUTE format('CREATE TABLE %%s PARTITION OF %%s FOR VALUES FROM (%%s) TO (%%s)',
                           name, source, day * 86400, (day + 1) * 86400);
        END LOOP;
        INSERT INTO health_failures (id, monitor, scheduled_at, timestamp, result_id, up)
        VALUES (day, 'shop', day * 86400 + 43200, day * 86400 + 43200, gen_random_uuid(), false);
    END LOOP;
END $$
"""


class Counting(Database):
    """Counts the locks that each transaction has at its end, and keeps the most."""

    most = 0

    async def fetch(self, statement: str, *arguments: object) -> list[Any]:
        async with self.transaction() as connection:
            rows: list[Any] = await connection.fetch(statement, *arguments)
        return rows

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        async with super().transaction() as connection:
            yield connection
            count = "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid()"
            self.most = max(self.most, await connection.fetchval(count))


@pytest.fixture
async def counting(database: str) -> AsyncIterator[Counting]:
    opened = Counting(database)
    yield opened
    await opened.close()


async def test_no_statement_locks_more_days_than_it_reads(counting: Counting, database: str) -> None:
    await query(database, FILL % 400)
    reader, now = PageReader(counting), time.time()
    bookkeeping = Bookkeeping(MonitorRules(), 90, clock=lambda: noon() + DAY_S)
    store = ResultStore(counting, bookkeeping.open_books)
    most: dict[str, int] = {}

    for at in range(TRIES):
        result = on(at / 1_000)
        late = on(60 + at / 1_000, **FAILED)
        for name, asking in {
            "new": store.save([result]),
            "late": store.save([late, on(58)]),
            "stored": stored(counting, [result]),
            "any stored": is_any_stored(counting, ["shop"], "here", now - DAY_S),
            "latest": reader.latest(["shop"], now - DAY_S),
            "course": reader.course("shop", now - DAY_S, now, 180),
            "a day of results": reader.results("shop", now - DAY_S, Place(), 50),
            "chains": AlertStore(counting).chains(["shop"], now - DAY_S),
            "all results": reader.results("shop", 0, Place(), 1_000),
            "last failed result": reader.last_failed(AN_HOUR),
            "upkeep": store.maintain(),
        }.items():
            counting.most = 0
            await asking
            most[name] = max(most.get(name, 0), counting.most)

    assert most.pop("all results") <= 2 * MOST_DAYS * A_DAY + OTHERS
    assert most.pop("late") <= 8 * A_DAY + OTHERS
    assert {name: locks for name, locks in most.items() if locks > 6 * A_DAY + OTHERS} == {}


async def test_results_of_years_are_read_part_by_part(counting: Counting, database: str) -> None:
    await query(database, FILL % 100)
    reader, noon = PageReader(counting), [on(ago).scheduled_at for ago in range(4, 101)]

    whole = await reader.results("shop", 0, Place(), 1_000)
    some = await reader.results("shop", noon[70] - 1, Place(noon[5], 0), 40)
    rest = await reader.results("shop", noon[70] - 1, Place(some[-1].scheduled_at, some[-1].id), 40)

    assert [row.scheduled_at for row in whole] == noon
    assert [row.scheduled_at for row in some + rest] == noon[6:71]


async def test_days_are_removed_with_few_locks(counting: Counting, database: str) -> None:
    await query(database, FILL % 100)
    store = ResultStore(counting, Bookkeeping(MonitorRules(), 90).open_books)
    await store.save([on(99, **FAILED), on(98)])
    counting.most = 0

    await expire(counting, KeptDays(98, 200, 97))

    assert counting.most <= 12 * A_DAY + OTHERS
    assert await counting.fetch("SELECT FROM health_failures WHERE data IS NULL AND status = 503")
    assert await counting.fetch("SELECT FROM health_data WHERE data IS NULL AND status = 200")


async def test_readers_and_writers_go_on_while_days_are_removed(counting: Counting, database: str) -> None:
    await query(database, FILL % 30)
    store = ResultStore(counting, Bookkeeping(MonitorRules(), 90).open_books)
    await store.save([on(ago, **FAILED) for ago in range(10, 20)])
    reader, written = PageReader(counting), 0
    removing = asyncio.create_task(expired(database, KeptDays(9, 40, 5)))

    while not removing.done():
        written += await store.save([on(-written / 10_000)])
        seen = await reader.results("shop", on(19).scheduled_at, Place(on(9.5).scheduled_at, 0), 99)
        assert len(seen) == 20

    await removing
    assert written
