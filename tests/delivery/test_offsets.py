"""A topic whose records vanish: recycled by the program, or deleted and made anew by somebody else."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.protocol.commit import OffsetFetchRequest, OffsetFetchResponse_v3

from monitor.delivery.offsets import Offsets, is_forgotten
from monitor.delivery.retention import UntilAcknowledged
from monitor.storage.results import ResultStore
from tests.delivery.test_ingest import committed, stored, values
from tests.forwarding import until
from tests.storage.test_results import SLOT, count, query
from tests.stream import Stream, eventually


class Recycled:
    """Stands for the retention of results in the embedded broker's topic."""

    def __init__(self) -> None:
        self._epoch = 1
        self.looks = 0
        self.drains = 0

    @property
    def epoch(self) -> int:
        self.looks += 1
        return self._epoch

    def renew(self) -> None:
        self._epoch, self.looks = 2, 0

    def drained(self) -> None:
        self.drains += 1


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a commit be looked for however young it is."""
    monkeypatch.setattr("monitor.delivery.offsets._SURE_S", -1.0)


@asynccontextmanager
async def member(stream: Stream) -> AsyncIterator[Any]:
    """Join the group, and get all four partitions."""
    async with stream.consumer() as consumer:
        await until(lambda: len(consumer.assignment()) == 4, "it has all partitions")
        yield consumer


async def test_a_recycled_topic_is_read_from_its_beginning(
    database: str, store: ResultStore, stream: Stream
) -> None:
    retention = Recycled()

    async with stream.ingested(store, retention=retention):
        await stream.send(*values(400))
        await committed(stream, 400)
        await stream.recycle()
        retention.renew()
        await stream.send(*values(100, first=400))
        await stored(database, 500)

    assert await stream.committed() == 100


async def test_the_retention_is_told_when_all_of_it_is_stored(
    database: str, store: ResultStore, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.delivery.ingest._LOOK_S", 0.0)
    retention = Recycled()

    async def drained() -> bool:
        return retention.drains > 1

    async with stream.ingested(store, retention=retention):
        await stream.send(*values(10))
        await stored(database, 10)
        retention.drains = 0
        await eventually("it is drained", drained)


@pytest.mark.usefixtures("at_once")
async def test_a_topic_that_somebody_made_anew_is_read_in_order_from_its_beginning(
    database: str, store: ResultStore, stream: Stream, caplog: pytest.LogCaptureFixture
) -> None:
    async with stream.ingested(store):
        await stream.send(*values(400), key=b"one")
        await committed(stream, 400)
        await stream.recycle()
        await stream.send(*values(800, first=400), key=b"one")
        await stored(database, 1_200)
        await committed(stream, 800)

    rows = await query(database, "SELECT scheduled_at FROM health_data ORDER BY id")
    assert [row["scheduled_at"] for row in rows] == [SLOT + each for each in range(1_200)]
    assert "the topic was made anew: it is read from its first record" in caplog.messages


@pytest.mark.usefixtures("at_once")
async def test_a_topic_that_is_recycled_while_it_is_read_is_not_taken_for_somebody_elses(
    database: str, store: ResultStore, stream: Stream, caplog: pytest.LogCaptureFixture
) -> None:
    retention, is_new = Recycled(), asyncio.Event()

    def open_consumer() -> Any:
        consumer = stream.consumer()
        getmany = consumer.getmany

        async def recycled_meanwhile(**options: Any) -> Any:
            fetched = await getmany(**options)
            if fetched and is_new.is_set():
                retention.renew()
            return fetched

        consumer.getmany = recycled_meanwhile
        return consumer

    async with stream.ingested(store, retention=retention, open_consumer=open_consumer):
        await stream.send(*values(400))
        await committed(stream, 400)
        await stream.recycle()
        is_new.set()
        await stream.send(*values(800, first=400))
        await stored(database, 1_200)
        await committed(stream, 800)

    assert "made anew" not in caplog.text


async def test_only_the_commit_that_is_the_oldest_is_looked_for_and_not_at_once(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[TopicPartition] = []

    async def noted(consumer: Any, partition: TopicPartition) -> bool:
        asked.append(partition)
        return await is_forgotten(consumer, partition)

    monkeypatch.setattr("monitor.delivery.offsets.is_forgotten", noted)
    monkeypatch.setattr("monitor.delivery.offsets._SURE_S", 3_600.0)
    offsets, loop = Offsets(UntilAcknowledged()), asyncio.get_running_loop()
    newer, older = (TopicPartition(stream.topic, number) for number in (1, 2))
    async with member(stream) as consumer:
        await offsets.commit(consumer, {older: 1})
        committed_at = loop.time()
        await until(lambda: loop.time() > committed_at, "a moment has passed")
        await offsets.commit(consumer, {newer: 1})
        assert await offsets.are_valid(consumer, [newer, older])
        assert asked == []

        monkeypatch.setattr("monitor.delivery.offsets._SURE_S", -1.0)
        assert await offsets.are_valid(consumer, [newer, older])

    assert asked == [older]


NOT_LOADED_YET, NOT_THE_COORDINATOR = 14, 16


async def test_what_a_coordinator_cannot_say_yet_is_not_forgotten(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    partition, errors = TopicPartition(stream.topic, 1), [NOT_LOADED_YET, NOT_THE_COORDINATOR]
    async with member(stream) as consumer:
        send = consumer._client.send

        async def after_a_restart(node: int, request: object, **how: object) -> object:
            if errors and isinstance(request, OffsetFetchRequest):
                return OffsetFetchResponse_v3(0, [], errors.pop(0))
            return await send(node, request, **how)

        monkeypatch.setattr(consumer._client, "send", after_a_restart)
        await Offsets(UntilAcknowledged()).commit(consumer, {partition: 5})

        assert not await is_forgotten(consumer, partition)
    assert errors == []


@pytest.mark.usefixtures("at_once")
async def test_a_new_topic_loses_nothing_when_kafka_forgets_the_old_one_late(
    database: str, store: ResultStore, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[bool] = []

    async def at_first_not(*asked: Any) -> bool:
        answers.append(bool(answers) and await is_forgotten(*asked))
        return answers[-1]

    async with stream.ingested(store):
        await stream.send(*values(400))
        await committed(stream, 400)
        monkeypatch.setattr("monitor.delivery.offsets.is_forgotten", at_first_not)
        await stream.recycle()
        await stream.send(*values(800, first=400))
        await stored(database, 1_200)

    assert answers[:2] == [False, True]


async def test_a_batch_of_the_topic_before_is_not_committed(
    database: str, store: ResultStore, stream: Stream
) -> None:
    retention = Recycled()
    batches: list[int] = []

    def recycled_meanwhile(ids: Sequence[object]) -> None:
        batches.append(len(ids))
        retention.renew()

    await stream.send(*values(10), key=b"one")

    async with stream.ingested(store, retention=retention, on_stored=recycled_meanwhile):
        await committed(stream, 10)

    assert batches[0] == batches[-1] == 10
    assert len(batches) > 1
    assert await count(database) == 10


async def test_what_was_fetched_before_a_new_epoch_is_never_committed(stream: Stream) -> None:
    retention: Any = Recycled()
    offsets, partition = Offsets(retention), TopicPartition(stream.topic, 1)
    async with member(stream) as consumer:
        await offsets.follow_epoch(consumer)
        retention.renew()
        await offsets.commit(consumer, {partition: 10})
        assert await consumer.committed(partition) is None

        await offsets.follow_epoch(consumer)
        await offsets.commit(consumer, {partition: 5})

        assert await consumer.committed(partition) == 5


async def test_a_member_without_partitions_has_nothing_to_read_again(
    database: str, store: ResultStore, unstarted_stream: Stream
) -> None:
    stream = unstarted_stream
    await stream.start(partitions=1)
    consumers: list[Any] = []
    retention = Recycled()

    def open_consumer() -> Any:
        consumers.append(stream.consumer())
        return consumers[-1]

    async def one_is_idle() -> bool:
        return sorted(len(consumer.assignment()) for consumer in consumers) == [0, 1]

    async def looked_twice() -> bool:
        return retention.looks > 4

    async with (
        stream.ingested(store, retention=retention, open_consumer=open_consumer),
        stream.ingested(store, retention=retention, open_consumer=open_consumer),
    ):
        await eventually("one member is idle", one_is_idle)
        retention.renew()
        await eventually("both members have looked", looked_twice)
        await stream.send(*values(10))
        await stored(database, 10)
