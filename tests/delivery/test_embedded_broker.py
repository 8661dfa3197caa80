"""The embedded broker, which forgets: results wait in the outbox until they are stored."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from monitor.config.model import Config
from monitor.delivery.dead_letters import DeadLetter
from monitor.delivery.forwarder import Forwarder
from monitor.delivery.ingest import Ingest
from monitor.delivery.kafka.aiokafka_fixes import close
from monitor.delivery.kafka.clients import consumer, started, started_producer
from monitor.delivery.kafka.topics import ensure_topics, remake_topic
from monitor.delivery.outbox.outbox import Outbox, open_outbox
from monitor.embedded.broker import Broker
from monitor.pipeline import _begin_again
from monitor.result import CheckResult, Message, decode, encode, result_id
from monitor.storage.results import ResultStore, stored
from tests.forwarding import HASTE, Line, identity, last_seen, message, until
from tests.stream import look_for_nothing
from tests.test_result import result

Queue = asyncio.Queue[Message | None]


def forwarder(line: Line, queue: Queue, outbox: Outbox, end_broker: Callable[[], None]) -> Forwarder:
    return Forwarder(queue, outbox, line.topic, line.open_producer, HASTE, end_broker=end_broker)


def never() -> None:
    raise AssertionError("the broker is ended")


def queue_of(*messages: Message | None) -> Queue:
    queue: Queue = asyncio.Queue()
    for queued in messages:
        queue.put_nowait(queued)
    return queue


async def numbers(line: Line, count: int) -> list[float]:
    return sorted(map(number_of, set(chain(*await line.read(count)))))


def number_of(sent: Message) -> float:
    return decode(sent.value).scheduled_at


async def test_a_result_stays_in_the_outbox_until_it_is_stored(line: Line, outbox: Outbox) -> None:
    stage = forwarder(line, queue_of(*map(message, range(10)), None), outbox, never)
    running = asyncio.create_task(stage.run(asyncio.Event()))
    await until(lambda: stage.sent == 10, "all are acknowledged")
    assert outbox.rows == 10

    stage.stored([identity(number) for number in range(5)])
    await until(lambda: outbox.rows == 5, "the stored ones have left")
    assert not running.done()
    stage.stored([identity(number) for number in range(3, 10)])
    await running

    assert outbox.rows == 0


async def test_what_is_not_stored_at_the_deadline_is_sent_again_after_the_restart(
    line: Line, outbox: Outbox
) -> None:
    stage = forwarder(line, queue_of(*map(message, range(10)), None), outbox, never)
    deadline = asyncio.Event()
    running = asyncio.create_task(stage.run(deadline))
    await until(lambda: stage.sent == 10, "all are acknowledged")
    stage.stored([identity(3)])
    deadline.set()
    await running
    await until(lambda: outbox.rows == 9, "the stored one has left")

    again = forwarder(line, queue_of(None), outbox, never)
    running = asyncio.create_task(again.run(asyncio.Event()))
    await until(lambda: again.sent == 9, "the rest is acknowledged again")
    again.stored([identity(number) for number in range(10)])
    await running


async def test_a_broker_that_does_not_give_what_it_took_is_ended(
    line: Line, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    ended: list[int] = []
    stage = forwarder(line, queue_of(*map(message, range(10))), outbox, lambda: ended.append(outbox.rows))
    running = asyncio.create_task(stage.run(asyncio.Event()))
    await until(lambda: stage.sent == 10, "all are acknowledged")
    stage.nothing_fetched()
    stage.stored([identity(number) for number in range(7)])
    stage.nothing_fetched()  # once since the oldest of them is the oldest
    assert ended == []

    stage.nothing_fetched()
    assert len(ended) == 1
    assert "The embedded broker does not give 3 results that it took" in caplog.messages
    stage.begin_again()
    await until(lambda: stage.sent == 13, "the three are sent again")

    stage.nothing_fetched()
    stage.stored([identity(number) for number in range(10)])
    await until(lambda: outbox.rows == 0, "all have left")
    for _ in range(3):
        stage.nothing_fetched()
    assert len(ended) == 1
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_what_is_being_sent_is_not_missed(line: Line, outbox: Outbox) -> None:
    await line.proxy.refuse()
    stage = forwarder(line, queue_of(message(0)), outbox, never)
    running = asyncio.create_task(stage.run(asyncio.Event()))
    await until(lambda: stage.retried > 1, "it cannot be sent")

    for _ in range(3):
        stage.nothing_fetched()

    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_broker_that_does_not_answer_is_ended(line: Line, outbox: Outbox) -> None:
    ended = asyncio.Event()
    queue = queue_of(message(0))
    stage = forwarder(line, queue, outbox, ended.set)
    running = asyncio.create_task(stage.run(asyncio.Event()))
    await until(lambda: stage.sent == 1, "the first is acknowledged")
    line.proxy.hold_replies()

    queue.put_nowait(message(1))
    async with asyncio.timeout(30):
        await ended.wait()

    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await line.proxy.start()


async def test_no_more_than_so_many_are_sent_and_not_stored(
    line: Line, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.delivery.forwarder.UNSTORED_ROWS", 7)
    stage = forwarder(line, queue_of(*map(message, range(20)), None), outbox, never)
    running = asyncio.create_task(stage.run(asyncio.Event()))

    await until(lambda: stage.sent == 7, "the window is full")
    stage.begin_again()
    await until(lambda: stage.sent == 14, "a new broker gets as many")
    stage.stored([identity(0), identity(5)])
    await until(lambda: stage.sent == 16, "two more were admitted")
    stage.stored([identity(number) for number in range(9)])
    await until(lambda: stage.sent == 23, "seven more were admitted")
    stage.stored([identity(number) for number in range(16)])
    await until(lambda: stage.sent == 27, "all were admitted")
    stage.stored([identity(number) for number in range(20)])

    await running
    assert await numbers(line, 20) == list(range(20))


@pytest.mark.parametrize(("limit", "most"), [("MAX_BATCHES", 1), ("MAX_BYTES", 3_000)])
async def test_a_full_broker_is_ended_when_all_that_it_has_is_stored(
    line: Line, outbox: Outbox, monkeypatch: pytest.MonkeyPatch, limit: str, most: int
) -> None:
    monkeypatch.setattr(f"monitor.delivery.forwarder.{limit}", most)
    ended: list[int] = []
    queue = queue_of(*map(message, range(12)))
    stage = forwarder(line, queue, outbox, lambda: ended.append(outbox.rows))
    running = asyncio.create_task(stage.run(asyncio.Event()))
    await until(lambda: stage.sent == 12 and outbox.rows == 12, "the first are acknowledged")
    for number in range(12, 15):
        queue.put_nowait(message(number))
    queue.put_nowait(None)
    await until(lambda: outbox.rows == 15, "more wait")
    stage.stored([identity(number) for number in range(11)])
    await until(lambda: outbox.rows == 4, "the stored ones have left")
    assert (ended, stage.sent) == ([], 12)

    stage.stored([identity(11)])
    await until(lambda: ended, "the broker is ended")
    stage.begin_again()
    while not running.done():  # what is sent a second time is stored a second time
        stage.stored([identity(number) for number in range(12, 15)])
        await asyncio.sleep(0.01)
    await running
    assert (outbox.rows, stage.sent >= 15) == (0, True)


async def test_when_the_broker_dies_all_that_is_not_stored_is_sent_again_in_order(
    line: Line, outbox: Outbox
) -> None:
    queue = queue_of(*map(message, range(10)))
    stage = forwarder(line, queue, outbox, lambda: None)
    running = asyncio.create_task(stage.run(asyncio.Event()))
    await until(lambda: stage.sent == 10, "all are acknowledged")
    stage.stored([identity(number) for number in range(4)])

    await line.kill_broker()
    queue.put_nowait(message(10))
    await line.start_broker()
    stage.begin_again()

    await until(lambda: stage.sent >= 17, "the others are acknowledged again")
    queue.put_nowait(None)
    stage.stored([identity(number) for number in range(11)])
    await running
    # The last may come twice: it may have been sent to the new broker already.
    read = [[number_of(one) for one in last_seen(partition)] for partition in await line.read(7)]
    assert sorted(chain(*read)) == [4, 5, 6, 7, 8, 9, 10]
    assert all(partition == sorted(partition) for partition in read)
    assert outbox.rows == 0


async def test_what_is_read_as_everything_begins_again_is_read_again(
    line: Line, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    await outbox.append([message(number) for number in range(3)])
    stage = forwarder(line, queue_of(message(3), None), outbox, lambda: None)
    after, begun_again = outbox.after, 0

    async def begins_again(*arguments: int) -> object:
        nonlocal begun_again
        rows = await after(*arguments)
        if arguments[0] > 0 and not begun_again:
            begun_again += 1
            stage.begin_again()
        return rows

    monkeypatch.setattr("monitor.delivery.forwarder._IN_HAND_ROWS", 2)
    monkeypatch.setattr(outbox, "after", begins_again)
    running = asyncio.create_task(stage.run(asyncio.Event()))
    await until(lambda: stage.sent >= 6, "all are sent, two of them twice")

    stage.stored([identity(number) for number in range(4)])
    await running
    assert (begun_again, outbox.rows) == (1, 0)


async def test_damaged_results_are_not_waited_for(line: Line, outbox: Outbox) -> None:
    damaged = [Message(b"site", b'{"id": "\xff'), Message(b"site", b"\0" * 20), message(2)]
    stage = forwarder(line, queue_of(*damaged, None), outbox, never)
    running = asyncio.create_task(stage.run(asyncio.Event()))
    await until(lambda: outbox.rows == 1, "the damaged ones have left")

    stage.stored([identity(2)])

    await running


async def test_a_topic_is_made_anew_and_that_of_dead_letters_stays(
    embedded_config: Config, broker: Broker
) -> None:
    topic, dead = embedded_config.kafka_topic, f"{embedded_config.kafka_topic}.dead"
    sending = await started_producer(embedded_config, broker.bootstrap)
    await sending.send_and_wait(dead, b"first")
    await sending.send_and_wait(topic, b"too early")

    await remake_topic(embedded_config, broker.bootstrap)

    assert (await sending.send_and_wait(dead, b"second")).offset == 1
    assert (await sending.send_and_wait(topic, b"x")).offset == 0
    await close(sending)


async def test_a_topic_that_a_client_made_by_asking_has_as_many_partitions_as_ours(
    embedded_config: Config, broker: Broker
) -> None:
    await ensure_topics(embedded_config, broker.bootstrap)

    async with started(AIOKafkaProducer(bootstrap_servers=broker.bootstrap)) as asking:
        ours = await asking.partitions_for(embedded_config.kafka_topic)

        assert await asking.partitions_for("not_there_before") == ours


async def test_to_make_a_topic_without_a_broker_is_an_os_error(embedded_config: Config) -> None:
    with pytest.raises(ConnectionError, match=r"127\.0\.0\.1:1: connection refused"):
        await remake_topic(embedded_config, "127.0.0.1:1")


COUNT = 25_000
BODY = "x" * 4_000


def check(number: int) -> CheckResult:
    monitor, slot = f"m{number % 50}", 1_790_000_000.0 + number
    return result(monitor=monitor, scheduled_at=slot, id=result_id("here", monitor, slot), response_data=BODY)


async def refuse(letters: Sequence[DeadLetter]) -> None:
    raise AssertionError(letters[0].error)


async def test_100_mb_go_through_in_bounded_memory_also_when_the_broker_is_killed(
    embedded_config: Config, broker: Broker, store: ResultStore, short_dir: Path
) -> None:
    servers = broker.bootstrap
    await ensure_topics(embedded_config, servers)
    outbox = await open_outbox(short_dir / "outbox.sqlite", 10**9)
    queue: Queue = asyncio.Queue(1_000)
    forwarder = Forwarder(
        queue,
        outbox,
        embedded_config.kafka_topic,
        partial(started_producer, embedded_config, servers),
        end_broker=broker.kill,
    )
    ingest = Ingest(
        partial(consumer, embedded_config, servers),
        store.save,
        refuse,
        forwarder.stored,
        look_for_nothing,
        on_nothing=forwarder.nothing_fetched,
    )
    largest, brokers = 0, set()

    async def begin_again() -> None:
        brokers.add(broker.child.process.pid)
        await _begin_again(embedded_config, servers, forwarder, ingest)

    async def half_sent(number: int) -> None:
        await until(lambda: forwarder.sent >= number // 2, "half of them are sent")

    broker.on_restart = begin_again
    async with asyncio.timeout(280), asyncio.TaskGroup() as stages:
        forwarding = stages.create_task(forwarder.run(asyncio.Event()))
        stages.create_task(ingest.run())
        for number in range(COUNT):
            if number in {COUNT // 10, COUNT // 5}:
                await half_sent(number)
                broker.kill()
            await queue.put(encode(check(number)))
            if number % 1_000 == 0:
                largest = max(largest, broker.child.process.memory_info().rss)
        await queue.put(None)
        await forwarding
        ingest.stop.set()

    assert len(await stored(store.database, map(check, range(COUNT)))) == COUNT
    assert len(brokers) >= 3  # the full one was ended, too
    assert outbox.rows == 0
    assert largest < 250 << 20
    await outbox.close()
