"""A topic whose records vanish: recycled by the program, or deleted and made anew by somebody else."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.protocol.commit import OffsetFetchRequest, OffsetFetchResponse_v3

from monitor.delivery.offsets import Offsets, is_forgotten
from monitor.storage.results import ResultStore
from tests.delivery.test_ingest import committed, stored, values
from tests.forwarding import until
from tests.storage.test_results import SLOT, count, query
from tests.stream import Stream


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


async def test_a_topic_that_the_program_makes_anew_is_read_from_its_beginning(
    database: str, store: ResultStore, stream: Stream, caplog: pytest.LogCaptureFixture
) -> None:
    async with stream.ingested(store) as ingest:
        await stream.send(*values(400))
        await committed(stream, 400)
        ingest.topic_is_gone()
        await stream.recycle()
        await stream.send(*values(800, first=400))
        ingest.topic_is_made()
        await stored(database, 1_200)
        await committed(stream, 800)

    assert "made anew" not in caplog.text


async def test_a_batch_of_a_topic_that_is_gone_is_not_committed(
    database: str, store: ResultStore, stream: Stream
) -> None:
    batches: list[int] = []

    def topic_is_gone(ids: Sequence[object]) -> None:
        batches.append(len(ids))
        if len(batches) == 1:
            stage.topic_is_gone()
            stage.topic_is_made()

    await stream.send(*values(10), key=b"one")

    async with stream.ingested(store, on_stored=topic_is_gone) as stage:
        await committed(stream, 10)

    assert batches == [10, 10]
    assert await count(database) == 10


async def test_no_consumer_is_opened_while_the_topic_is_gone(
    database: str, store: ResultStore, stream: Stream
) -> None:
    opened: list[Any] = []

    def open_consumer() -> Any:
        opened.append(stream.consumer())
        return opened[-1]

    async with stream.ingested(store, open_consumer=open_consumer) as stage:
        await stream.send(*values(10))
        await committed(stream, 10)
        stage.topic_is_gone()
        await until(lambda: stage.progress.stalled(-1) is not None, "it has noticed")
        await stream.send(*values(10, first=10))
        assert (len(opened), await count(database)) == (1, 10)

        stage.topic_is_made()
        await stored(database, 20)

    assert len(opened) == 2


async def test_it_says_now_and_then_that_nothing_comes(
    database: str, store: ResultStore, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.delivery.ingest._LOOK_S", 0.0)
    looks: list[None] = []

    async with stream.ingested(store, on_nothing=lambda: looks.append(None)):
        await stream.send(*values(10))
        await stored(database, 10)
        looks.clear()
        await until(lambda: len(looks) > 1, "nothing has come for a while")


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


async def test_only_the_commit_that_is_the_oldest_is_looked_for_and_not_at_once(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[TopicPartition] = []

    async def noted(consumer: Any, partition: TopicPartition) -> bool:
        asked.append(partition)
        return await is_forgotten(consumer, partition)

    monkeypatch.setattr("monitor.delivery.offsets.is_forgotten", noted)
    monkeypatch.setattr("monitor.delivery.offsets._SURE_S", 3_600.0)
    offsets, loop = Offsets(), asyncio.get_running_loop()
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
        await Offsets().commit(consumer, {partition: 5})

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
