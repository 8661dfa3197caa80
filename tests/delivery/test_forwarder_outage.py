import asyncio
import logging
import re
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest

from monitor.delivery.forwarder import Forwarder, Patience
from monitor.delivery.outbox.collector import Collector
from monitor.delivery.outbox.outbox import Outbox, open_outbox
from monitor.result import Message
from tests.forwarding import HASTE, Line, first_seen, identity, message, outbox_path, until

Queue = asyncio.Queue[Message | None]


def forwarder(line: Line, queue: Queue, outbox: Outbox, patience: Patience = HASTE) -> Forwarder:
    return Forwarder(queue, outbox, line.topic, line.open_producer, patience)


async def arrive_in_order(line: Line, sent: list[Message]) -> None:
    """Check that all have arrived, and in the order of each monitor when copies are left out."""
    read = [first_seen(partition) for partition in await line.read(len(sent))]
    assert len(list(chain(*read))) == len(sent)
    for partition in read:
        for key in {one.key for one in partition}:
            assert [one for one in partition if one.key == key] == [one for one in sent if one.key == key]


async def feed(queue: Queue, sent: list[Message], pause_s: float = 0.002) -> None:
    for one in sent:
        await queue.put(one)
        await asyncio.sleep(pause_s)
    await queue.put(None)


async def test_kafka_that_is_unavailable_at_the_start_is_waited_for(
    line: Line, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "monitor.delivery.forwarder")
    await line.proxy.refuse()
    queue: Queue = asyncio.Queue()
    sent = [message(number) for number in range(1_200)]
    feeding = asyncio.create_task(feed(queue, sent, 0))
    stage = forwarder(line, queue, outbox, replace(HASTE, acknowledge_s=60.0, line_s=3_600.0))
    running = asyncio.create_task(stage.run(asyncio.Event()))
    await until(lambda: outbox.rows == 1_200 and stage.retried > 3, "all wait in the outbox")
    assert stage.availability.unavailable_since_at
    assert (stage._in_hand[0].seq, stage.oldest_unacknowledged_at) == (1, 1.0)

    await line.proxy.start()
    await running
    await feeding

    assert (stage._in_hand, stage.oldest_unacknowledged_at) == ([], None)
    await arrive_in_order(line, sent)
    lines = [record.message for record in caplog.records if record.name == "monitor.delivery.forwarder"]
    assert len(lines) == 2
    assert lines[0].startswith("Kafka takes no results, ")
    assert re.fullmatch(r"Kafka takes results again, \d+ in the outbox", lines[1])
    assert not stage.availability.unavailable_since_at


async def test_results_that_are_sent_through_many_short_outages_arrive_in_order(
    line: Line, outbox: Outbox
) -> None:
    queue: Queue = asyncio.Queue()
    sent = [message(number) for number in range(600)]
    cuts = 0

    async def feed_between_cuts() -> None:
        for number, one in enumerate(sent):
            # No more than belongs to the next cut: after each, something has to go over a new connection.
            await until(lambda: number < 50 * cuts + 99, "cut in between")  # noqa: B023 - it is awaited
            await queue.put(one)
            await asyncio.sleep(0.002)
        await queue.put(None)

    feeding = asyncio.create_task(feed_between_cuts())
    stage = forwarder(line, queue, outbox)
    running = asyncio.create_task(stage.run(asyncio.Event()))

    for count in range(50, 600, 50):
        await until(lambda: stage.sent >= count, "some are acknowledged")  # noqa: B023 - it is awaited
        line.proxy.cut()
        cuts += 1
    await feeding
    await running

    assert line.proxy.accepted > 5
    assert outbox.rows == 0
    await arrive_in_order(line, sent)


async def test_lost_acknowledgements_cost_copies_but_neither_results_nor_order(
    line: Line, outbox: Outbox
) -> None:
    queue: Queue = asyncio.Queue()
    sent = [message(number) for number in range(600)]
    stage = forwarder(line, queue, outbox)
    running = asyncio.create_task(stage.run(asyncio.Event()))
    queue.put_nowait(sent[0])
    await until(lambda: stage.sent == 1, "a connection stands")

    line.proxy.hold_replies()
    await feed(queue, sent[1:], 0)
    await until(lambda: stage.availability.unavailable_since_at, "the acknowledgements are missed")
    line.proxy.cut()
    await line.proxy.start()
    await running

    await arrive_in_order(line, sent)


async def test_a_network_that_swallows_everything_is_outlived(line: Line, outbox: Outbox) -> None:
    queue: Queue = asyncio.Queue()
    sent = [message(number) for number in range(300)]
    stage = forwarder(line, queue, outbox)
    running = asyncio.create_task(stage.run(asyncio.Event()))
    queue.put_nowait(sent[0])
    await until(lambda: stage.sent == 1, "a connection stands")

    line.proxy.black_hole()
    await feed(queue, sent[1:], 0)
    await until(lambda: stage.retried >= 2, "neither the old connection nor a new one works")
    line.proxy.cut()
    await line.proxy.start()
    await running

    await arrive_in_order(line, sent)


async def test_what_the_producer_gives_up_is_sent_by_the_next_one(line: Line, outbox: Outbox) -> None:
    line.request_ms = 300
    queue: Queue = asyncio.Queue()
    sent = [message(number) for number in range(300)]
    stage = forwarder(line, queue, outbox, replace(HASTE, acknowledge_s=20.0))
    running = asyncio.create_task(stage.run(asyncio.Event()))
    queue.put_nowait(sent[0])
    await until(lambda: stage.sent == 1, "a connection stands")

    await line.proxy.refuse()
    await feed(queue, sent[1:], 0)
    await until(lambda: stage.availability.unavailable_since_at, "the producer gives up")
    await line.proxy.start()
    await running

    await arrive_in_order(line, sent)
    assert not stage.availability.unavailable_since_at


async def test_at_the_deadline_what_kafka_has_not_taken_stays_in_the_outbox(
    line: Line, outbox: Outbox
) -> None:
    await line.proxy.refuse()
    queue: Queue = asyncio.Queue()
    await feed(queue, [message(number) for number in range(20)], 0)
    stage = forwarder(line, queue, outbox)
    deadline = asyncio.Event()
    running = asyncio.create_task(stage.run(deadline))
    await until(lambda: stage.retried > 1, "Kafka is missed")

    deadline.set()
    await running

    assert outbox.rows == 20


async def test_memory_stays_flat_while_kafka_is_unavailable(line: Line, outbox: Outbox) -> None:
    await line.proxy.refuse()
    queue: Queue = asyncio.Queue(200)
    stage = forwarder(line, queue, outbox)
    deadline = asyncio.Event()
    running = asyncio.create_task(stage.run(deadline))
    tracemalloc.start()
    try:
        for number in range(1_200):
            await queue.put(message(number, body=f"{number:05}" * 14_000))
        await until(lambda: outbox.rows == 1_200, "all are taken")
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert outbox.bytes > 80_000_000
    assert held < 30_000_000
    await queue.put(None)
    deadline.set()
    await running


def make_read_only(outbox: Outbox, flag: str) -> None:
    """Let every write to the file fail, or no more."""
    assert outbox._file
    outbox._thread.submit(outbox._file._db.execute, f"PRAGMA query_only = {flag}").result()


async def test_while_the_disk_fails_checks_wait_and_nothing_is_lost(
    line: Line, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "monitor.delivery.outbox")
    early = [message(number) for number in range(600)]
    await outbox.append(early)
    make_read_only(outbox, "ON")
    queue: Queue = asyncio.Queue(50)
    late = [message(number, body=str(number) * 5_000) for number in range(600, 1_000)]
    feeding = asyncio.create_task(feed(queue, late, 0))
    stage = forwarder(line, queue, outbox)
    running = asyncio.create_task(stage.run(asyncio.Event()))
    await until(lambda: stage.sent == 600 and queue.full(), "what is on disk goes on, the queue is held back")
    assert outbox.rows == 600

    make_read_only(outbox, "OFF")
    await feeding
    await running

    assert outbox.rows == 0
    await arrive_in_order(line, early + late)
    first, *others = caplog.messages
    assert first.startswith("The outbox cannot be written, checks wait for it: ")
    assert others == ["The outbox can be written again"]


class Watched(Outbox):
    """Notes when it is asked to write."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, 100_000_000)
        self.asked_at: list[float] = []

    async def append(self, messages: Sequence[Message]) -> None:
        self.asked_at.append(asyncio.get_running_loop().time())
        await super().append(messages)


async def test_a_disk_that_fails_is_tried_twice_a_second_until_the_deadline(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outbox = Watched(outbox_path(tmp_path))
    await outbox.append([])
    make_read_only(outbox, "ON")
    queue: Queue = asyncio.Queue()
    for number in range(700):
        queue.put_nowait(message(number))
    queue.put_nowait(None)
    deadline = asyncio.Event()

    running = asyncio.create_task(Collector(queue, outbox, lambda: None).run(deadline))
    await until(lambda: len(outbox.asked_at) > 3, "the disk is tried again, and again")
    deadline.set()
    await running
    rows = outbox.rows
    await outbox.close()

    _, *tries = outbox.asked_at
    assert tries[1] - tries[0] > 0.4
    assert rows == 0
    losses = [line for line in caplog.messages if "lost" in line]
    assert sum(int(line.split()[0]) for line in losses) == 700, losses


async def test_an_outbox_that_cannot_be_read_is_waited_for(
    line: Line, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outbox = await open_outbox(outbox_path(tmp_path), 100_000_000)
    await outbox.append([message(number) for number in range(5)])
    await outbox.close()
    outbox = await open_outbox(outbox_path(tmp_path), 100_000_000)
    assert outbox._file
    db = outbox._file._db
    outbox._thread.submit(db.execute, "ALTER TABLE outbox RENAME TO hidden").result()
    queue: Queue = asyncio.Queue()
    queue.put_nowait(None)
    stage = forwarder(line, queue, outbox)
    running = asyncio.create_task(stage.run(asyncio.Event()))
    await until(lambda: stage.retried > 2, "the failure shows")

    outbox._thread.submit(db.execute, "ALTER TABLE hidden RENAME TO outbox").result()
    await running

    assert stage.sent == 5
    assert [one for one in caplog.messages if one.startswith("The outbox fails, 5 in the outbox: ")]
    await outbox.close()


async def test_batches_of_one_partition_follow_each_other(line: Line, outbox: Outbox) -> None:
    sent = [message(number, monitors=1, body="x" * 100_000) for number in range(40)]
    queue: Queue = asyncio.Queue()
    await feed(queue, sent, 0)
    line.batch_bytes = 150_000

    await forwarder(line, queue, outbox).run(asyncio.Event())

    await arrive_in_order(line, sent)


async def test_a_row_that_is_no_result_has_no_age(line: Line, outbox: Outbox) -> None:
    await line.proxy.refuse()
    queue: Queue = asyncio.Queue()
    stage = forwarder(line, queue, outbox)
    running = asyncio.create_task(stage.run(asyncio.Event()))
    await feed(queue, [Message(b"site", b"damaged")], 0)
    await until(lambda: stage._in_hand, "it waits for Kafka")

    assert stage.oldest_unacknowledged_at is None

    await line.proxy.start()
    await running


async def test_a_stored_result_waits_for_its_acknowledgement_all_the_same(line: Line, outbox: Outbox) -> None:
    await line.proxy.refuse()
    queue: Queue = asyncio.Queue()
    stage = forwarder(line, queue, outbox)
    running = asyncio.create_task(stage.run(asyncio.Event()))
    await feed(queue, [message(0)], 0)
    await until(lambda: stage._in_hand, "it waits for Kafka")

    stage.stored([identity(0)])

    assert (stage.waiting, outbox.rows) == (1, 1)
    await line.proxy.start()
    await running
    assert outbox.rows == 0
