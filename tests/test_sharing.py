"""Which checks a process makes, as Kafka assigns them; `tests/simulation` has the whole location."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError

from monitor.config.model import Config
from monitor.result import result_id
from monitor.sharing import SHARDS, Shard, Sharing, shard_of, sharing
from monitor.storage.database import StoreUnavailableError
from tests.clock import NeverWaiting
from tests.sharing import fake_sharing

LOOPS = {"never waiting": NeverWaiting}
NOW = 1_790_000_000.0
TOPIC = "website-health.checks"


@pytest.fixture(autouse=True)
async def _time_of_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    monkeypatch.setattr("monitor.sharing.time", SimpleNamespace(time=lambda: NOW + loop.time()))


class Consumer:
    """Stands where aiokafka's consumer is; the test assigns."""

    def __init__(self, *, partitions: int = SHARDS) -> None:
        self._client = SimpleNamespace(_conns={})
        self.partitions = partitions
        self.listener: Any = None
        self.stopped = False
        self.paused: list[TopicPartition] = []

    async def start(self) -> None:
        pass

    def subscribe(self, topics: Sequence[str], listener: object) -> None:
        assert list(topics) == [TOPIC]
        self.listener = listener

    async def getmany(self, timeout_ms: int) -> None:
        await asyncio.sleep(timeout_ms / 1_000)

    def partitions_for_topic(self, topic: str) -> set[int]:
        assert topic == TOPIC
        return set(range(self.partitions))

    def pause(self, *partitions: TopicPartition) -> None:
        self.paused += partitions

    async def stop(self) -> None:
        self.stopped = True

    def assign(self, *partitions: int) -> None:
        self.listener.on_partitions_revoked(set())
        self.listener.on_partitions_assigned([TopicPartition(TOPIC, each) for each in partitions])


@asynccontextmanager
async def running(shared: Sharing) -> AsyncIterator[None]:
    task = asyncio.create_task(shared.run())
    await asyncio.sleep(0.1)
    yield
    await shared.leave()
    await task


def gained(shared: Sharing) -> dict[int, Any]:
    """Return the newest spans that may have missed slots, in seconds after NOW."""
    spans: dict[int, Any] = {}
    while not shared.gained.empty():
        spans = {number: (a - NOW, b - NOW) for number, (a, b) in shared.gained.get_nowait().items()}
    return spans


def test_a_monitor_has_the_same_shard_in_every_process() -> None:
    assert [shard_of(name) for name in ("shop", "blog", "späti")] == [28, 52, 44]
    assert {shard_of(f"m{number}") for number in range(2_000)} == set(range(SHARDS))


def test_a_slot_belongs_to_who_has_the_shard_when_it_is_due() -> None:
    shard = Shard()
    shard.gain(100.0)
    assert not shard.covers(100.0)  # it may be missing, and is looked for
    assert shard.covers(100.1)
    shard.lose(200.0)
    assert shard.covers(200.0)
    assert not shard.covers(200.1)


def test_slots_may_be_missing_of_the_last_30_s_in_which_the_shard_was_not_own() -> None:
    shard = Shard()
    assert shard.gain(1_000.0) == (970.0, 1_000.0)
    shard.lose(2_000.0)
    assert shard.gain(2_012.0) == (2_000.0, 2_012.0)


async def test_the_newest_assignment_counts_and_a_rebalance_takes_nothing_away(
    caplog: pytest.LogCaptureFixture,
) -> None:
    consumer = Consumer()
    known: list[bool] = []

    async def members() -> dict[str, Collection[int]]:
        return {"here-1": range(0, 64, 2), "there-1": range(1, 64, 2)}

    shared = fake_sharing(open_consumer=lambda: consumer, members=members)
    shared.on_known = lambda: known.append(shared.is_known)
    with caplog.at_level(logging.INFO):
        async with running(shared):
            assert (shared.own_shards(), known) == ([], [])
            consumer.assign(*range(0, 64, 2))
            assert shared.own_shards() == list(range(0, 64, 2))
            assert set(gained(shared)) == set(range(0, 64, 2))
            consumer.listener.on_partitions_revoked(set())
            assert len(shared.own_shards()) == 32
            await asyncio.sleep(5)
            consumer.assign(*range(32))
            assert shared.own_shards() == list(range(32))
            assert gained(shared) == {
                number: (pytest.approx(-24.9), pytest.approx(5.1)) for number in range(1, 32, 2)
            }
            assert len(consumer.paused) == 64
            await asyncio.sleep(0.1)
            began = asyncio.get_running_loop().time()

    assert known == [True]
    assert asyncio.get_running_loop().time() - began == pytest.approx(3.0)  # others get the shards
    assert consumer.stopped
    assert [len(shards) for shards in shared.members.values()] == [32, 32]
    assert caplog.messages == ["checks are shared; processes: 2, shards of this one: 32 of 64"] * 2


async def test_a_topic_of_few_partitions_has_several_shards_in_each() -> None:
    consumer = Consumer(partitions=3)
    shared = fake_sharing(open_consumer=lambda: consumer)

    async with running(shared):
        consumer.assign(1)

    assert shared.own_shards() == list(range(1, 64, 3))


async def test_what_is_assigned_of_an_unknown_topic_is_not_understood() -> None:
    consumer = Consumer(partitions=0)
    shared = fake_sharing(open_consumer=lambda: consumer)

    async with running(shared):
        consumer.assign(1)

    assert not shared.is_known


async def test_who_has_nobody_to_share_with_leaves_at_once() -> None:
    consumer = Consumer()
    shared = fake_sharing(open_consumer=lambda: consumer)

    async with running(shared):
        consumer.assign(*range(64))
        await asyncio.sleep(1)
        began = asyncio.get_running_loop().time()

    assert asyncio.get_running_loop().time() == began


async def test_without_an_assignment_in_20_s_everything_is_checked_until_there_is_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    consumer = Consumer()
    shared = fake_sharing(open_consumer=lambda: consumer)

    async with running(shared):
        await asyncio.sleep(19)
        assert not shared.is_known
        await asyncio.sleep(1)
        assert len(shared.own_shards()) == 64
        consumer.assign(3)
        assert shared.own_shards() == [3]
        await asyncio.sleep(60)
        assert shared.own_shards() == [3]

    assert caplog.messages == ["Kafka has assigned no checks in 20 s: all of them are made here"]


async def test_an_unavailable_kafka_is_asked_again_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    asked = 0
    consumer = Consumer()

    async def prepare() -> None:
        nonlocal asked
        asked += 1
        if asked <= 3:
            raise KafkaConnectionError("nobody is there")

    shared = fake_sharing(prepare=prepare, open_consumer=lambda: consumer)
    with caplog.at_level(logging.INFO):
        async with running(shared):
            await asyncio.sleep(15)
            consumer.assign(*range(64))
            await asyncio.sleep(0.1)

    assert [each.partition(":")[0] for each in caplog.messages] == [
        "Kafka is unavailable, checks are shared as before",
        "the checks are shared again",
        "checks are shared; processes",
    ]


async def test_a_consumer_whose_topic_is_gone_is_closed_and_another_opened() -> None:
    consumers = [Consumer(), Consumer()]
    opened = iter(consumers)
    shared = fake_sharing(open_consumer=lambda: next(opened))

    async with running(shared):
        consumers[0].assign(1, 2)
        consumers[0].partitions = 0
        await asyncio.sleep(62)
        assert consumers[0].stopped
        assert shared.own_shards() == [1, 2]  # until the next assignment
        consumers[1].assign(2, 3)
        assert shared.own_shards() == [2, 3]


async def test_processes_that_cannot_be_listed_are_no_reason_to_stop(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def members() -> dict[str, Collection[int]]:
        raise KafkaConnectionError("nobody is there")

    consumer = Consumer()
    shared = fake_sharing(open_consumer=lambda: consumer, members=members)
    async with running(shared):
        consumer.assign(1)
        await asyncio.sleep(0.1)

    assert shared.members == {"here-1": [1]}
    assert "the processes that share the checks cannot be listed: " in caplog.text


async def test_of_slots_that_may_be_missing_those_with_a_row_are_not_checked() -> None:
    asked: list[tuple[str, float, UUID]] = []

    async def look(results: Sequence[tuple[str, float, UUID]]) -> Collection[UUID]:
        asked.extend(results)
        return {result_id("here", "a", 5.0)}

    shared = fake_sharing(look=look)

    assert await shared.without_row([("a", 5.0), ("a", 10.0), ("b", 5.0)]) == [("a", 10.0), ("b", 5.0)]
    assert asked[1] == ("a", 10.0, result_id("here", "a", 10.0))
    assert shared.taken_over == 2


async def test_while_postgresql_does_not_answer_all_of_them_are_checked() -> None:
    async def unavailable(_: object) -> Collection[UUID]:
        raise StoreUnavailableError("PostgreSQL", "it is gone")

    async def hanging(_: object) -> Collection[UUID]:
        await asyncio.Event().wait()
        return ()

    for look in (unavailable, hanging):
        assert await fake_sharing(look=look).without_row([("a", 5.0)]) == [("a", 5.0)]


def test_only_processes_on_a_kafka_of_their_own_may_have_others() -> None:
    database = object()

    assert sharing(Config(monitors=()), database) is None  # type: ignore[arg-type]  # it asks nothing
    shared = sharing(Config(monitors=(), kafka_bootstrap="127.0.0.1:1"), database)  # type: ignore[arg-type]
    assert shared
    assert shared.name.isascii()
