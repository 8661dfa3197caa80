"""What the storing side has done, counted around it."""

import asyncio
import signal
import time
from collections.abc import Sequence

from aiokafka import TopicPartition

from monitor.delivery.counts import IngestCounts
from monitor.result import CheckResult
from monitor.storage.results import ResultStore
from tests.delivery.test_ingest import committed, stored, values
from tests.stream import Stream, eventually


async def test_rows_and_duplicates_are_counted(database: str, store: ResultStore, stream: Stream) -> None:
    counts = IngestCounts()
    began = time.time()

    async with stream.ingested(store, counts=counts):
        await stream.send(*values(50))
        await committed(stream, 50)
        await stream.send(*values(60))
        await committed(stream, 110)

    await stored(database, 60)
    assert (counts.stored, counts.duplicates, counts.dead_letters) == (60, 50, 0)
    assert began <= counts.saved_at <= time.time()
    assert 50 <= sum(counts.delay_s.counts) <= 60


async def test_dead_letters_are_counted(store: ResultStore, stream: Stream) -> None:
    counts = IngestCounts()
    await stream.send(*values(2), b"<html>", b"<body>")

    async with stream.ingested(store, counts=counts):
        await committed(stream, 4)

    assert (counts.stored, counts.dead_letters) == (2, 2)


class _Held:
    """A store that keeps a batch waiting."""

    def __init__(self) -> None:
        self.holds = asyncio.Event()
        self.free = asyncio.Event()

    async def save(self, results: Sequence[CheckResult], /) -> int:
        self.holds.set()
        await self.free.wait()
        return len(results)


async def test_lag_is_what_kafka_has_and_nobody_has_taken(stream: Stream) -> None:
    held = _Held()
    counts = IngestCounts()
    await counts.look()
    assert counts.lag == 0
    await stream.send(*values(3_000), key=b"one partition")

    async with stream.ingested(held, counts=counts):
        await held.holds.wait()
        await counts.look()
        assert 1_000 <= counts.lag < 3_000
        held.free.set()

        async def caught_up() -> bool:
            await counts.look()
            return counts.lag == 0 and counts.stored == 3_000

        await eventually("all is taken", caught_up)


async def test_a_position_that_nobody_knows_yet_is_not_waited_for(stream: Stream) -> None:
    counts = IngestCounts()
    async with stream.consumer() as consumer:
        counts.consumer = consumer
        consumer.unsubscribe()
        stream.lose(signal.SIGSTOP)
        consumer.assign([TopicPartition(stream.topic, 0)])
        await counts.look()

        assert counts.lag == 0
        looking = asyncio.create_task(counts.look())
        await asyncio.sleep(0)
        consumer.assign([TopicPartition(stream.topic, 1)])
        await looking
        assert counts.lag == 0
        stream.lose(signal.SIGCONT)
