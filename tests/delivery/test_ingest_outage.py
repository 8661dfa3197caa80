"""A database or a broker that is unavailable for a while: nothing is lost, nothing good is set aside."""

import asyncio
import logging
import re
from collections.abc import Sequence
from functools import partial
from itertools import pairwise, repeat
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiokafka.errors import KafkaConnectionError

from monitor.delivery.dead_letters import DeadLetter, set_aside
from monitor.result import CheckResult, encode
from monitor.storage.database import StoreUnavailableError
from monitor.storage.results import ResultStore
from tests.delivery.test_ingest import committed, of_many_monitors, stored, values
from tests.forwarding import until
from tests.postgres import PostgresServer, result_store
from tests.storage.test_results import count
from tests.stream import Stream, eventually


def logged(caplog: pytest.LogCaptureFixture, text: str, times: int = 1) -> Any:
    async def heard() -> bool:
        return sum(text in message for message in caplog.messages) >= times

    return heard


async def test_a_store_that_is_away_is_waited_for(
    database: str,
    store: ResultStore,
    stream: Stream,
    postgres_server: PostgresServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    name = urlsplit(database).path[1:]

    async with stream.ingested(store):
        await stream.send(*values(300))
        await stored(database, 300)
        postgres_server.sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        postgres_server.disconnect(name)
        await stream.send(*values(300, first=300))
        await eventually("it is logged", logged(caplog, "PostgreSQL is unavailable", 2))
        assert await stream.committed() == 300
        postgres_server.sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        await stored(database, 600)
        await committed(stream, 600)

    assert await stream.dead() == []


class Attempts:
    """A store that fails while it is told to, and notes when it was asked."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.at: list[float] = []
        self.saved: list[CheckResult] = []

    async def save(self, results: Sequence[CheckResult], /) -> int:
        self.at.append(asyncio.get_running_loop().time())
        if self.failures:
            self.failures -= 1
            raise StoreUnavailableError("away")
        self.saved += results
        return len(results)


def announced(caplog: pytest.LogCaptureFixture, server: str) -> list[float]:
    """Return the delays that were logged, in their order."""
    found = (re.match(f"{server} is unavailable, trying again in (.+) s: ", text) for text in caplog.messages)
    return [float(each[1]) for each in found if each]


async def test_the_store_is_left_alone_longer_and_longer_until_it_takes_results(
    stream: Stream, caplog: pytest.LogCaptureFixture
) -> None:
    store = Attempts(failures=3)
    await stream.send(*values(1))

    async with stream.ingested(store):
        await committed(stream, 1)
        store.failures = 2
        await stream.send(*values(1, first=1), key=b"monitor 0")
        await committed(stream, 2)

    assert announced(caplog, "PostgreSQL") == [0.5, 1, 2, 0.5, 1]
    waits = [after - before for before, after in pairwise(store.at)]
    del waits[3]  # between the two messages
    assert all(waited >= delay for waited, delay in zip(waits, [0.5, 1, 2, 0.5, 1], strict=True))
    assert len(store.saved) == 2


async def test_kafka_is_left_alone_longer_and_longer_until_it_lets_a_consumer_in(
    stream: Stream, caplog: pytest.LogCaptureFixture
) -> None:
    opened_at: list[float] = []

    def open_consumer() -> Any:
        opened_at.append(asyncio.get_running_loop().time())
        if len(opened_at) in {1, 2, 4}:
            raise KafkaConnectionError("away")
        consumer = stream.consumer()
        if len(opened_at) == 3:
            consumer.getmany = fail
        return consumer

    async def fail(**_: object) -> None:
        raise KafkaConnectionError("lost")

    await stream.send(*values(1))

    async with stream.ingested(Attempts(0), open_consumer=open_consumer):
        await committed(stream, 1)

    assert announced(caplog, "Kafka") == [0.5, 1, 0.5, 1]
    waits = [after - before for before, after in pairwise(opened_at)]
    assert all(waited >= delay for waited, delay in zip(waits, [0.5, 1, 0.5, 1], strict=True))


async def test_while_the_store_is_away_the_consumer_is_polled_and_takes_nothing(stream: Stream) -> None:
    store = Attempts(failures=3)
    polls: list[int] = []
    consumers: list[Any] = []

    def open_consumer() -> Any:
        consumer = stream.consumer()
        getmany = consumer.getmany

        async def counted(**options: Any) -> Any:
            fetched = await getmany(**options)
            if store.at and not store.saved:
                polls.append(sum(map(len, fetched.values())))
            return fetched

        consumer.getmany = counted
        consumers.append(consumer)
        return consumer

    async def tried() -> bool:
        return bool(store.at)

    await stream.send(*values(1), key=b"one")

    async with stream.ingested(store, open_consumer=open_consumer):
        await eventually("the store is asked", tried)
        await stream.send(*values(10, first=1), key=b"one")
        await committed(stream, 11)
        await until(lambda: not consumers[0].paused(), "it is read again")

    assert polls
    assert set(polls) == {0}
    assert [each.scheduled_at - store.saved[0].scheduled_at for each in store.saved] == list(range(11))


async def test_what_a_rebalance_makes_fetchable_during_an_outage_is_fetched_again_later(
    stream: Stream,
) -> None:
    store = Attempts(failures=1_000)
    fetched: list[int] = []

    def open_consumer() -> Any:
        consumer = stream.consumer()
        getmany = consumer.getmany

        async def counted(**options: Any) -> Any:
            batches = await getmany(**options)
            fetched.append(sum(map(len, batches.values())))
            return batches

        consumer.getmany = counted
        consumer.pause = lambda *_: None  # a rebalance forgets that partitions were paused
        return consumer

    async def tried() -> bool:
        return bool(store.at)

    async def came_again() -> bool:
        return sum(fetched) > 1

    await stream.send(*values(1), key=b"one")

    async with stream.ingested(store, open_consumer=open_consumer):
        await eventually("the store is asked", tried)
        await stream.send(*values(10, first=1), key=b"one")
        await eventually("more is fetched during the outage", came_again)
        store.failures = 0
        await committed(stream, 11)

    assert [each.scheduled_at - store.saved[0].scheduled_at for each in store.saved] == list(range(11))


async def test_all_of_a_large_batch_waits_for_the_store(
    database: str,
    store: ResultStore,
    stream: Stream,
    postgres_server: PostgresServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    name = urlsplit(database).path[1:]
    postgres_server.sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    postgres_server.disconnect(name)
    await stream.send(*[encode(each).value for each in of_many_monitors(1_000)], key=b"one")

    async with stream.ingested(store):
        await eventually("it is logged", logged(caplog, "PostgreSQL is unavailable", 2))
        postgres_server.sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        await stored(database, 1_000)
        await committed(stream, 1_000)

    assert await stream.dead() == []


async def test_a_server_that_is_killed_loses_nothing(
    own_postgres_server: PostgresServer, stream: Stream, caplog: pytest.LogCaptureFixture
) -> None:
    store = result_store(own_postgres_server.uri())
    await store.database.open()

    async with stream.ingested(store):
        await stream.send(*values(500))
        await stored(own_postgres_server.uri(), 500)
        sending = asyncio.create_task(stream.send(*values(2_000, first=500)))
        own_postgres_server.kill()
        await sending
        await eventually("it is logged", logged(caplog, "PostgreSQL is unavailable"))
        own_postgres_server.start()
        await stored(own_postgres_server.uri(), 2_500)
        await committed(stream, 2_500)

    assert await stream.dead() == []
    await store.database.close()


async def test_a_stop_does_not_wait_for_a_store_that_is_away(
    own_postgres_server: PostgresServer,
    stream: Stream,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("monitor.delivery.ingest.delays", partial(repeat, 3_600.0))
    own_postgres_server.stop()
    await stream.send(*values(10))

    async with stream.ingested(result_store(own_postgres_server.uri())) as stage:
        await eventually("it is logged", logged(caplog, "PostgreSQL is unavailable"))
        stage.stop.set()

    assert await stream.committed() == 0


async def test_a_rebalance_during_an_outage_loses_nothing(
    database: str,
    store: ResultStore,
    stream: Stream,
    postgres_server: PostgresServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    name = urlsplit(database).path[1:]
    consumers: list[Any] = []

    def open_consumer() -> Any:
        consumers.append(stream.consumer())
        return consumers[-1]

    async def shared() -> bool:
        return [len(consumer.assignment()) for consumer in consumers] == [2, 2]

    async with stream.ingested(store, open_consumer=open_consumer) as first:
        postgres_server.sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        postgres_server.disconnect(name)
        await stream.send(*values(2_000))
        await eventually("it is logged", logged(caplog, "PostgreSQL is unavailable"))

        async with stream.ingested(store, open_consumer=open_consumer):
            await eventually("both have partitions", shared)
            await stream.send(*values(2_000, first=2_000))
            assert await stream.committed() == 0
            postgres_server.sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
            await stored(database, 4_000)
            first.stop.set()
            await committed(stream, 4_000)

    assert await stream.dead() == []


async def test_a_broker_that_comes_late_is_waited_for(
    database: str, store: ResultStore, unstarted_stream: Stream, caplog: pytest.LogCaptureFixture
) -> None:
    async with unstarted_stream.ingested(store):
        await eventually("it is logged", logged(caplog, "Kafka is unavailable", 2))
        await unstarted_stream.start()
        await unstarted_stream.send(*values(10))
        await stored(database, 10)


async def test_a_broker_that_is_killed_and_comes_back_is_read_again(
    database: str, store: ResultStore, stream: Stream
) -> None:
    async with stream.ingested(store):
        await stream.send(*values(10))
        await committed(stream, 10)
        stream.end()
        await stream.start()
        await stream.send(*values(20))
        await stored(database, 20)


async def test_a_broker_that_dies_in_the_middle_of_a_batch_is_waited_for(
    database: str, store: ResultStore, stream: Stream, caplog: pytest.LogCaptureFixture
) -> None:
    def die(_: object) -> None:
        if not caplog.messages.count("the broker dies"):
            logging.getLogger("tests").warning("the broker dies")
            stream.end()

    await stream.send(*values(10))

    async with stream.ingested(store, on_stored=die):
        await eventually("it is logged", logged(caplog, "Kafka is unavailable"))
        await stream.start()
        await stream.send(*values(20))
        await stored(database, 20)
        await eventually("it is read again", logged(caplog, "the broker dies"))


async def test_a_stop_does_not_wait_for_a_broker_that_is_away(
    store: ResultStore,
    unstarted_stream: Stream,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("monitor.delivery.ingest.delays", partial(repeat, 3_600.0))

    async with unstarted_stream.ingested(store) as stage:
        await eventually("it is logged", logged(caplog, "Kafka is unavailable"))
        stage.stop.set()


async def test_setting_aside_waits_for_kafka(
    database: str, store: ResultStore, stream: Stream, caplog: pytest.LogCaptureFixture
) -> None:
    missing = iter(["127.0.0.1:1"])

    async def aside(letters: Sequence[DeadLetter]) -> None:
        stream.address, right = next(missing, stream.address), stream.address
        try:
            await set_aside(stream.producer, f"{stream.topic}.dead", letters)
        finally:
            stream.address = right

    await stream.send(b"bad", *values(10))

    async with stream.ingested(store, set_aside=aside):
        await eventually("it is logged", logged(caplog, "Kafka is unavailable"))
        await committed(stream, 11)

    assert await count(database) == 10
    assert [dead.value for dead in await stream.dead()] == [b"bad"]


async def test_setting_aside_is_given_up_in_time_and_tried_again(
    stream: Stream, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("monitor.delivery.ingest._SET_ASIDE_S", 0.3)
    hanging = [asyncio.Event()]

    async def aside(letters: Sequence[DeadLetter]) -> None:
        if hanging:
            await hanging.pop().wait()
        monkeypatch.undo()
        await set_aside(stream.producer, f"{stream.topic}.dead", letters)

    await stream.send(b"bad")

    async with stream.ingested(Attempts(0), set_aside=aside):
        await committed(stream, 1)

    assert announced(caplog, "Kafka") == [0.5]
    assert [dead.value for dead in await stream.dead()] == [b"bad"]


async def test_a_commit_that_comes_too_late_stops_nothing(
    database: str, store: ResultStore, stream: Stream, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "monitor.delivery.offsets")
    consumers: list[Any] = []

    def open_consumer() -> Any:
        consumers.append(stream.consumer())
        return consumers[-1]

    spoilers = iter([lambda: setattr(consumers[0]._coordinator, "generation", 4_711)])
    await stream.send(*values(10))

    async with stream.ingested(
        store, open_consumer=open_consumer, on_stored=lambda _: next(spoilers, lambda: None)()
    ):
        await eventually("it is logged", logged(caplog, "offsets were not committed"))
        await stream.send(*values(10, first=10))
        await committed(stream, 20)

    assert await count(database) == 20
    (line,) = (text for text in caplog.messages if "offsets were not committed" in text)
    assert line.endswith("may have assigned the partitions to another member")


async def test_a_cancelled_stage_leaves_what_it_had_in_hand_to_the_next(
    database: str, store: ResultStore, stream: Stream
) -> None:
    await stream.send(*values(2_000))
    noted = asyncio.Event()
    stage = asyncio.create_task(stream.ingest(store, on_stored=lambda _: noted.set()).run())
    await noted.wait()

    stage.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stage

    assert await stream.committed() <= await count(database)
    async with stream.ingested(store):
        await stored(database, 2_000)
