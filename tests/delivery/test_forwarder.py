import asyncio
import logging
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError, TopicAuthorizationFailedError

from monitor.delivery.forwarder import Forwarder
from monitor.delivery.outbox.collector import Collector
from monitor.delivery.outbox.outbox import Outbox, open_outbox
from monitor.result import Message, decode
from tests.forwarding import HASTE, Line, first_seen, message, outbox_path, until


def queue_of(*messages: Message | None) -> "asyncio.Queue[Message | None]":
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    for queued in messages:
        queue.put_nowait(queued)
    return queue


def forwarder(line: Line, queue: "asyncio.Queue[Message | None]", outbox: Outbox, **others: Any) -> Forwarder:
    arguments: dict[str, Any] = {
        "open_producer": line.open_producer,
        "patience": HASTE,
    }
    return Forwarder(queue, outbox, line.topic, **(arguments | others))


def by_monitor(read: list[list[Message]]) -> dict[bytes, list[Message]]:
    """Sort by key; a key is in one partition only."""
    found: dict[bytes, list[Message]] = {}
    for partition in read:
        keys = {read_message.key for read_message in partition}
        assert not keys & found.keys()
        found |= {key: [one for one in partition if one.key == key] for key in keys}
    return found


def expected(sent: list[Message]) -> dict[bytes, list[Message]]:
    return {key: [one for one in sent if one.key == key] for key in {one.key for one in sent}}


async def test_results_reach_the_topic_as_they_were_and_in_order_and_leave_the_outbox(
    line: Line, outbox: Outbox
) -> None:
    sent = [message(number) for number in range(1_300)]
    stage = forwarder(line, queue_of(*sent, None), outbox)

    await stage.run(asyncio.Event())

    assert by_monitor(await line.read(1_300)) == expected(sent)
    assert (stage.sent, stage.retried, outbox.rows, stage.oldest_unacknowledged_at) == (1_300, 0, 0, None)


async def test_results_that_come_one_by_one_go_on_without_the_end_of_the_stream(
    line: Line, outbox: Outbox
) -> None:
    queue = queue_of()
    stage = forwarder(line, queue, outbox)
    running = asyncio.create_task(stage.run(asyncio.Event()))

    for number in range(3):
        queue.put_nowait(message(number))
        await until(lambda: stage.sent == number + 1, "it is acknowledged")  # noqa: B023
        await until(lambda: outbox.rows == 0, "it has left the outbox")

    queue.put_nowait(None)
    await running


async def test_a_full_queue_does_not_wait_for_more(line: Line, outbox: Outbox) -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue(2)
    stage = forwarder(line, queue, outbox)
    running = asyncio.create_task(stage.run(asyncio.Event()))

    for number in range(40):
        await queue.put(message(number))
    await queue.put(None)
    await running

    assert stage.sent == 40


async def test_the_first_result_is_sent_at_once_and_few_more_wait_for_the_window(
    line: Line, outbox: Outbox
) -> None:
    queue = queue_of(message(0))
    stage = forwarder(line, queue, outbox, patience=replace(HASTE, window_s=3_600))
    running = asyncio.create_task(stage.run(asyncio.Event()))
    await until(lambda: stage.sent == 1, "the first is sent")

    for number in range(1, 500):
        queue.put_nowait(message(number))
    await until(lambda: outbox.last_seq == 500, "the others are on disk")
    assert stage.sent == 1
    queue.put_nowait(message(500))
    await until(lambda: stage.sent == 501, "many do not wait")

    queue.put_nowait(message(501))
    queue.put_nowait(None)
    await running
    assert (stage.sent, outbox.rows) == (502, 0)


async def test_a_window_that_ends_is_noticed_without_another_result(line: Line, outbox: Outbox) -> None:
    queue = queue_of(message(0))
    stage = forwarder(line, queue, outbox, patience=replace(HASTE, window_s=0.5, look_s=3_600))
    running = asyncio.create_task(stage.run(asyncio.Event()))
    await until(lambda: stage.sent == 1, "the first is sent")

    queue.put_nowait(message(1))
    await until(lambda: stage.sent == 2, "the second is sent")

    queue.put_nowait(None)
    await running


async def test_results_that_come_soon_after_a_batch_are_written_together(outbox: Outbox) -> None:
    queue = queue_of(message(0))
    written: list[int] = []
    collector = Collector(queue, outbox, lambda: written.append(outbox.last_seq), window_s=2.0)
    running = asyncio.create_task(collector.run(asyncio.Event()))
    await until(lambda: written == [1], "the first is on disk")

    queue.put_nowait(message(1))
    await until(queue.empty, "the next is taken")
    for late in (message(2), message(3), None):
        queue.put_nowait(late)
    await running
    assert written == [1, 4, 4]


async def test_what_an_earlier_run_left_goes_first(line: Line, outbox: Outbox) -> None:
    left = [message(number) for number in range(700)]
    await outbox.append(left)
    fresh = [message(number) for number in range(700, 710)]

    await forwarder(line, queue_of(*fresh, None), outbox).run(asyncio.Event())

    assert by_monitor(await line.read(710)) == expected(left + fresh)


async def test_what_was_acknowledged_but_not_removed_is_sent_again_after_a_crash(
    line: Line, tmp_path: Path
) -> None:
    sent = [message(number) for number in range(10)]
    path = outbox_path(tmp_path)
    for _ in range(2):
        outbox = await open_outbox(path, 1_000_000)
        await outbox.append(sent)
        before_removal = path.with_name("outbox.sqlite-wal").read_bytes()
        main = path.read_bytes()
        await forwarder(line, queue_of(None), outbox).run(asyncio.Event())
        await outbox.close()

    path.write_bytes(main)
    path.with_name("outbox.sqlite-wal").write_bytes(before_removal)
    outbox = await open_outbox(path, 1_000_000)
    assert outbox.rows == 10
    await forwarder(line, queue_of(None), outbox).run(asyncio.Event())
    await outbox.close()

    assert len(list(chain(*await line.read(10)))) == 30


async def test_cancelling_leaves_what_is_in_hand_in_the_outbox(outbox: Outbox) -> None:
    queue = queue_of(message(0))
    running = asyncio.create_task(Collector(queue, outbox, lambda: None, window_s=3_600).run(asyncio.Event()))
    await until(lambda: outbox.rows == 1, "the first is on disk")
    queue.put_nowait(message(1))
    await until(queue.empty, "the second is in hand")

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert outbox.rows == 2


class Choosy(AIOKafkaProducer):  # type: ignore[misc]
    """A producer whose broker takes no batch of more than 3,000 bytes."""

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> "asyncio.Future[object]":
        if batch.size() <= 3_000:
            receipt: asyncio.Future[object] = await super().send_batch(batch, topic, partition=partition)
            return receipt
        refused: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        refused.set_exception(MessageSizeTooLargeError())
        return refused


async def test_a_result_that_is_too_large_is_cut_and_takes_no_neighbour_along(
    line: Line, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    async def open_choosy() -> AIOKafkaProducer:
        producer = Choosy(bootstrap_servers=line.address, max_batch_size=1 << 20)
        await producer.start()
        return producer

    sent = [message(number, body="x" * 10_000 if number == 20 else "") for number in range(40)]
    stage = forwarder(line, queue_of(*sent, None), outbox, open_producer=open_choosy)

    await stage.run(asyncio.Event())

    arrived = sorted(
        (decode(one.value) for one in chain(*await line.read(40))), key=lambda one: one.scheduled_at
    )
    assert [one.scheduled_at for one in arrived] == list(range(40))
    assert [one.scheduled_at for one in arrived if one.body_truncated] == [20]
    assert 0 < len(arrived[20].response_data) < 3_000
    assert "A result of site 0 is too large for Kafka: half of it is cut" in caplog.messages
    assert (stage.retried, outbox.rows) == (0, 0)


@pytest.mark.parametrize("value", [message(1).value, b"not a result" * 100, b'{"id": "\xff'])
async def test_what_cannot_be_cut_any_further_waits_in_the_outbox(
    line: Line, outbox: Outbox, caplog: pytest.LogCaptureFixture, value: bytes
) -> None:
    class Refusing(Choosy):
        async def send_batch(self, *_: object, **__: object) -> "asyncio.Future[object]":
            refused: asyncio.Future[object] = asyncio.get_running_loop().create_future()
            refused.set_exception(MessageSizeTooLargeError())
            return refused

    async def open_refusing() -> AIOKafkaProducer:
        producer = Refusing(bootstrap_servers=line.address)
        await producer.start()
        return producer

    stage = forwarder(line, queue_of(Message(b"site 1", value), None), outbox, open_producer=open_refusing)
    deadline = asyncio.Event()
    running = asyncio.create_task(stage.run(deadline))
    await until(lambda: stage.retried >= 2, "it is tried again")

    deadline.set()
    await running

    assert outbox.rows == 1
    assert [one for one in caplog.messages if "takes no results" in one] == [
        (
            "Kafka takes no results, 1 in the outbox: "
            "[Error 10] MessageSizeTooLargeError: a result of site 1, even without its body"
        )
    ]


async def test_a_refusal_that_waiting_may_cure_is_waited_for(
    line: Line, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    refusals = [TopicAuthorizationFailedError(line.topic)] * 3

    async def open_producer() -> AIOKafkaProducer:
        if refusals:
            raise refusals.pop()
        return await line.open_producer()

    stage = forwarder(line, queue_of(message(1), None), outbox, open_producer=open_producer)

    await stage.run(asyncio.Event())

    assert (stage.sent, stage.retried) == (1, 3)
    assert [record.message for record in caplog.records if record.name == "monitor.delivery.forwarder"] == [
        "Kafka takes no results, 1 in the outbox: [Error 29] TopicAuthorizationFailedError: health",
        "Kafka takes results again, 0 in the outbox",
    ]


async def test_a_bug_brings_the_stage_down(line: Line, outbox: Outbox) -> None:
    async def open_producer() -> AIOKafkaProducer:
        raise ZeroDivisionError

    stage = forwarder(line, queue_of(message(1)), outbox, open_producer=open_producer)

    with pytest.raises(ExceptionGroup) as caught:
        await stage.run(asyncio.Event())

    assert caught.group_contains(ZeroDivisionError)
    assert outbox.rows == 1


async def test_copies_of_one_result_are_told_apart_from_two() -> None:
    assert first_seen([message(1), message(2), message(1)]) == [message(1), message(2)]
