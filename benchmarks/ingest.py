"""Messages stored in a second, beside a bare COPY of the same rows: `python -m benchmarks.ingest [COUNT]`.

With the embedded broker and PostgreSQL. All messages are in the topic before the clock starts.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import uvloop

from monitor.config.model import Config
from monitor.delivery.dead_letters import DeadLetter
from monitor.delivery.ingest import Ingest
from monitor.delivery.kafka.aiokafka_fixes import close
from monitor.delivery.kafka.clients import consumer, started_producer
from monitor.embedded.broker import broker
from monitor.embedded.postgres import postgres
from monitor.incidents.bookkeeping import Bookkeeping
from monitor.incidents.rules import MonitorRules
from monitor.result import CheckResult, Phases, encode, result_id
from monitor.runtime.process.data_dir import locked
from monitor.storage.database import Database
from monitor.storage.results import ResultStore
from monitor.storage.rows import row

MONITORS = 500
BODY = "<p>All is well here.</p>" * 10


def results(count: int) -> list[CheckResult]:
    now = time.time() - count / MONITORS
    return [
        CheckResult(
            timestamp=now + n / MONITORS,
            response_data=BODY,
            response_status=200,
            response_time=0.125,
            id=result_id("here", f"m{n % MONITORS}", float(n)),
            monitor=f"m{n % MONITORS}",
            url="https://shop.example/",
            location="here",
            scheduled_at=now + n / MONITORS,
            up=True,
            phases=Phases(connect=0.01, processing=0.1, transfer=0.001),
            http_version="1.1",
            ip="192.0.2.1",
            body_bytes=len(BODY),
        )
        for n in range(count)
    ]


async def produce(config: Config, servers: str, checks: list[CheckResult]) -> None:
    producer = await started_producer(config, servers)
    for start in range(0, len(checks), 1_000):
        messages = map(encode, checks[start : start + 1_000])
        sent = [await producer.send(config.kafka_topic, message.value, message.key) for message in messages]
        await asyncio.gather(*sent)
    await close(producer)


async def ingested(config: Config, servers: str, uri: str, count: int) -> float:
    database = Database(uri)
    store = ResultStore(database, Bookkeeping(MonitorRules(), 90).open_books)
    await store.maintain()
    left, times = count, []

    def on_stored(ids: Any) -> None:
        nonlocal left
        left -= len(ids)
        times.append((time.monotonic(), len(ids)))
        if left <= 0:
            ingest.stop.set()

    async def refuse(letters: Sequence[DeadLetter]) -> None:
        raise AssertionError(letters[0].error)

    async def look_for_nothing(_consumer: Any) -> None:
        pass

    open_consumer = partial(consumer, config, servers)
    ingest = Ingest(open_consumer, store.save, refuse, on_stored, look_for_nothing)
    await ingest.run()
    await database.close()
    (began, first), (ended, _) = times[0], times[-1]  # joining the group takes the embedded broker a second
    return (count - first) / (ended - began)


async def copied(uri: str, checks: list[CheckResult]) -> float:
    connection = await asyncpg.connect(uri)
    await connection.execute("CREATE TABLE bare (LIKE health_data)")
    columns = await connection.fetch(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'bare'::regclass AND attnum > 1 ORDER BY attnum"
    )
    names = [column["attname"] for column in columns]
    await connection.execute("ALTER TABLE bare ALTER id DROP NOT NULL")
    rows = [row(check) for check in checks]
    began = time.monotonic()
    for start in range(0, len(rows), 1_000):
        await connection.copy_records_to_table("bare", records=rows[start : start + 1_000], columns=names)
    ended = time.monotonic()
    await connection.close()
    return len(rows) / (ended - began)


async def main(count: int) -> None:
    async with AsyncExitStack() as resources:
        folder = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="whm-")), "d")
        resources.enter_context(locked(folder))
        uri = await resources.enter_async_context(postgres(folder))
        servers = (await resources.enter_async_context(broker(folder))).bootstrap
        config = Config(monitors=(), data_dir=folder)
        checks = results(count)
        await produce(config, servers, checks)
        through = await ingested(config, servers, uri, count)
        bare = await copied(uri, checks)
    print(f"rows a second, ingest     {through:10.0f}")
    print(f"rows a second, bare COPY  {bare:10.0f}")
    print(f"ingest / COPY             {through / bare:10.2f}")


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000))
