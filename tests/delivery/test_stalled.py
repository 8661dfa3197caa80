"""Which stage makes no progress, and what it waits for."""

import asyncio
import logging
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from monitor.config.model import Config
from monitor.delivery import ingest
from monitor.delivery.forwarder import Forwarder
from monitor.delivery.outbox.outbox import Outbox
from monitor.pipeline import pipeline
from monitor.runtime.progress import Availability, Progress
from monitor.storage.results import ResultStore
from tests.delivery.test_forwarder_outage import Queue, make_read_only
from tests.delivery.test_ingest import committed, stored, values
from tests.forwarding import HASTE, Line, identity, message, until
from tests.postgres import PostgresServer
from tests.stream import Stream
from tests.test_schedule import Site, make_schedule, monitor, take


class Clock:
    """Time that a test sets."""

    def __init__(self) -> None:
        self.passed_s = 0.0

    def __call__(self) -> float:
        return self.passed_s


def waits_for(stages: Iterable[Progress]) -> list[tuple[str, str]]:
    """Return what is under way at all, and what it waits for."""
    return [found[:2] for stage in stages if (found := stage.stalled(-3_600))]


async def test_an_ingest_waits_for_postgresql_while_it_is_unavailable(
    database: str,
    store: ResultStore,
    stream: Stream,
    postgres_server: PostgresServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "monitor.delivery.ingest")
    name = urlsplit(database).path[1:]
    clock = Clock()
    progress, availability = Progress("the ingest", clock), Availability("PostgreSQL")

    async with stream.ingested(store, progress=progress, availability=availability):
        await stream.send(*values(10))
        await committed(stream, 10)
        await until(lambda: not waits_for([progress]), "all is done")
        postgres_server.sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        postgres_server.disconnect(name)
        await stream.send(*values(20))
        await until(lambda: availability.unavailable_since_at, "it is unavailable")
        clock.passed_s += 60
        assert progress.stalled(60) == ("the ingest", "PostgreSQL", 60)

        postgres_server.sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        await stored(database, 20)
        await until(lambda: not progress.stalled(0), "it has gone on")

    assert availability.unavailable_since_at is None
    assert caplog.messages.count("PostgreSQL takes results again") == 1


async def test_a_database_that_refuses_a_result_is_there_again(
    database: str, store: ResultStore, stream: Stream, postgres_server: PostgresServer
) -> None:
    name = urlsplit(database).path[1:]
    availability = Availability("PostgreSQL")
    postgres_server.sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    postgres_server.disconnect(name)
    bad = values(1)[0].replace(b'"response_data":"', b'"response_data":"\\u0000')

    async with stream.ingested(store, availability=availability):
        await stream.send(bad)
        await until(lambda: availability.unavailable_since_at, "it is unavailable")
        postgres_server.sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        await committed(stream, 1)

    assert availability.unavailable_since_at is None


async def test_an_ingest_waits_for_kafka_until_it_is_there(
    store: ResultStore, unstarted_stream: Stream
) -> None:
    progress = Progress("the ingest")

    async with unstarted_stream.ingested(store, progress=progress):
        await until(lambda: waits_for([progress]) == [("the ingest", "Kafka")], "it waits")
        await unstarted_stream.start()
        await until(lambda: not waits_for([progress]), "it has nothing to do", 60)


@pytest.fixture
def frequent_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "_LOOK_S", 0.0)
    monkeypatch.setattr(ingest, "_LOOKED_S", 0.5)


@pytest.mark.parametrize(("look_s", "asks"), [(3_600.0, 1), (0.0, 20)])
async def test_kafka_is_asked_for_its_end_now_and_then_when_nothing_comes(
    store: ResultStore, stream: Stream, monkeypatch: pytest.MonkeyPatch, look_s: float, asks: int
) -> None:
    monkeypatch.setattr(ingest, "_LOOK_S", look_s)
    monkeypatch.setattr(ingest, "_POLL_S", 0.01)
    asked: list[object] = []
    rounds: list[int] = []

    def open_consumer() -> Any:
        consumer = stream.consumer()
        end_offsets = consumer.end_offsets

        async def counted(partitions: Any) -> Any:
            asked.append(partitions)
            return await end_offsets(partitions)

        consumer.end_offsets = counted
        return consumer

    async def note(_: object) -> None:
        rounds.append(len(asked))

    async with stream.ingested(store, open_consumer=open_consumer, look_for_no_data=note):
        await until(lambda: len(rounds) >= 20, "it has polled often")

    assert rounds[19] == asks


@pytest.mark.usefixtures("frequent_looks")
async def test_an_ingest_that_is_given_nothing_though_there_are_records_waits_for_kafka(
    store: ResultStore, stream: Stream
) -> None:
    progress = Progress("the ingest")
    consumers: list[Any] = []

    def open_consumer() -> Any:
        consumers.append(stream.consumer())
        return consumers[-1]

    asked: list[object] = []

    async def nothing(**how: object) -> dict[object, list[object]]:
        asked.append(how)
        await asyncio.sleep(0.05)
        return {}

    async with stream.ingested(store, progress=progress, open_consumer=open_consumer):
        await stream.send(*values(10))
        await committed(stream, 10)
        await until(lambda: not waits_for([progress]), "it has nothing to do")
        getmany, consumers[0].getmany = consumers[0].getmany, nothing
        await until(lambda: asked, "what was asked before has been answered")
        await stream.send(*values(20))
        await until(lambda: waits_for([progress]) == [("the ingest", "Kafka")], "it waits")

        consumers[0].getmany = getmany
        await committed(stream, 30)
        await until(lambda: not waits_for([progress]), "it has nothing to do again")


@pytest.mark.usefixtures("frequent_looks")
async def test_an_ingest_waits_for_a_broker_that_says_nothing(store: ResultStore, stream: Stream) -> None:
    progress = Progress("the ingest")

    async with stream.ingested(store, progress=progress):
        await stream.send(*values(10))
        await committed(stream, 10)
        await until(lambda: not waits_for([progress]), "it has nothing to do")

        stream.end()

        await until(lambda: waits_for([progress]) == [("the ingest", "Kafka")], "it waits")


async def test_a_forwarder_waits_for_kafka_while_it_is_unavailable(line: Line, outbox: Outbox) -> None:
    await line.proxy.refuse()
    queue: Queue = asyncio.Queue()
    stage = Forwarder(queue, outbox, line.topic, line.open_producer, HASTE)
    running = asyncio.create_task(stage.run(asyncio.Event()))
    await queue.put(message(1))
    await until(lambda: stage.availability.unavailable_since_at, "Kafka is away")
    assert waits_for(stage.progress) == [("the forwarder", "Kafka")]

    await line.proxy.start()

    await until(lambda: not waits_for(stage.progress), "it has nothing to do")
    assert stage.availability.unavailable_since_at is None
    await queue.put(None)
    await running


async def test_a_forwarder_whose_broker_forgets_waits_for_what_it_sent_to_be_stored(
    line: Line, outbox: Outbox
) -> None:
    queue: Queue = asyncio.Queue()
    stage = Forwarder(
        queue,
        outbox,
        line.topic,
        line.open_producer,
        HASTE,
        end_broker=lambda: None,
    )
    running = asyncio.create_task(stage.run(asyncio.Event()))
    await queue.put(message(1))
    await until(
        lambda: waits_for(stage.progress) == [("the forwarder", "what was sent to be stored")], "it waits"
    )

    stage.stored([identity(1)])

    await until(lambda: not waits_for(stage.progress), "it has nothing to do")
    await queue.put(None)
    await running


async def test_an_outbox_waits_for_a_disk_that_takes_nothing(line: Line, outbox: Outbox) -> None:
    await line.proxy.refuse()
    queue: Queue = asyncio.Queue()
    stage = Forwarder(queue, outbox, line.topic, line.open_producer, HASTE)
    deadline = asyncio.Event()
    running = asyncio.create_task(stage.run(deadline))
    make_read_only(outbox, "ON")
    await queue.put(message(1))

    await until(lambda: ("the outbox", "its disk") in waits_for(stage.progress), "it waits")

    make_read_only(outbox, "OFF")
    await until(lambda: waits_for(stage.progress) == [("the forwarder", "Kafka")], "it has gone on")
    deadline.set()
    await queue.put(None)
    await running


async def test_a_schedule_waits_for_a_check_that_does_not_end_in_its_time() -> None:
    queue: Queue = asyncio.Queue()
    stuck, lively = Site(monitor("stuck", 0.05)), Site(monitor("lively", 0.05))
    stuck.answers.clear()
    clock = Clock()

    async with make_schedule(queue) as schedule:
        schedule.progress._now = clock
        schedule.add([(stuck.monitor, stuck), (lively.monitor, lively)])
        await take(queue, 5)
        clock.passed_s += 69.9
        await take(queue, 5)
        assert schedule.progress.stalled(60) is None
        clock.passed_s += 0.1
        assert schedule.progress.stalled(60) == ("the schedule", "the check of stuck", 70)
        stuck.answers.set()
        await until(lambda: not schedule.progress.stalled(60), "it has gone on")


async def test_a_schedule_waits_for_room_in_the_queue() -> None:
    queue: Queue = asyncio.Queue(1)
    site = Site(monitor("a", 0.05))

    async with make_schedule(queue) as schedule:
        schedule.add([(site.monitor, site)])
        await until(
            lambda: waits_for([schedule.progress]) == [("the schedule", "room in the queue")], "it waits"
        )
        await take(queue, 2)


async def test_the_pipeline_knows_which_of_its_stages_are_stalled_and_what_is_unavailable(
    short_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = Config(
        monitors=(),
        data_dir=short_dir,
        kafka_bootstrap="127.0.0.1:9",
        pg_uri=SecretStr("postgresql://127.0.0.1:9/x"),
        shutdown_grace_s=1,
    )

    async with pipeline(config) as running:
        running.watch._limit_s = 0.5
        await running.queue.put(message(1))
        await until(lambda: len(running.watch.stalled()) == 3, "all wait for what they need")
        await until(lambda: caplog.text.count("made no progress") == 3, "it is logged")
        stalled, unavailable_since_at = (
            running.watch.stalled(),
            running.forwarder.availability.unavailable_since_at,
        )

    assert {each[:2] for each in stalled} == {
        ("the forwarder", "Kafka"),
        ("the ingest", "Kafka"),
        ("the alerting", "PostgreSQL"),
    }
    assert unavailable_since_at == pytest.approx(time.time(), abs=60)
    assert running.ingest.availability.unavailable_since_at is None
