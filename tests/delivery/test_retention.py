"""A topic that may vanish: results wait in the outbox until they are stored."""

import asyncio
from itertools import chain

import pytest

from monitor.config.model import Config
from monitor.delivery.forwarder import Forwarder
from monitor.delivery.kafka.volatile_topic import VolatileTopic
from monitor.delivery.outbox.file import OutboxRow
from monitor.delivery.outbox.outbox import Outbox
from monitor.delivery.partitions import partition_of
from monitor.delivery.retention import UNSTORED_ROWS, Retention, UntilAcknowledged, UntilStored
from monitor.result import Message, decode
from monitor.runtime.progress import Progress
from tests.forwarding import HASTE, Line, ShortTopic, identity, last_seen, message, until

Queue = asyncio.Queue[Message | None]


def forwarder(line: Line, queue: Queue, outbox: Outbox, retention: Retention) -> Forwarder:
    return Forwarder(queue, outbox, line.topic, line.open_producer, retention, HASTE)


def queue_of(*messages: Message | None) -> Queue:
    queue: Queue = asyncio.Queue()
    for queued in messages:
        queue.put_nowait(queued)
    return queue


async def numbers(line: Line, count: int) -> list[float]:
    return sorted(map(number_of, set(chain(*await line.read(count)))))


def number_of(sent: Message) -> float:
    return decode(sent.value).scheduled_at


class Watched(UntilStored):
    """Counts how often the forwarder has looked whether all has to be sent again."""

    looks = 0

    async def must_restart(self, progress: Progress, *, is_sending: bool) -> bool:
        must = await super().must_restart(progress, is_sending=is_sending)
        self.looks += 1
        return must

    async def looked_at(self) -> None:
        before = self.looks
        await until(lambda: self.looks > before, "the forwarder has looked")


async def test_a_result_stays_in_the_outbox_until_it_is_stored(line: Line, outbox: Outbox) -> None:
    topic = ShortTopic(line, 1_000)
    retention = UntilStored(topic)
    stage = forwarder(line, queue_of(*map(message, range(10)), None), outbox, retention)
    running = asyncio.create_task(stage.run(asyncio.Event()))
    await until(lambda: stage.sent == 10, "all are acknowledged")
    partitions = {partition_of(message(number).key, 4) for number in range(10)}
    assert (outbox.rows, topic.batches) == (10, len(partitions))
    assert topic.bytes == outbox.bytes

    stage.stored([identity(number) for number in range(5)])
    await until(lambda: outbox.rows == 5, "the stored ones have left")
    assert not running.done()
    stage.stored([identity(number) for number in range(3, 10)])
    await running

    assert outbox.rows == 0


async def test_what_is_not_stored_at_the_deadline_is_sent_again_after_the_restart(
    line: Line, outbox: Outbox
) -> None:
    stage = forwarder(
        line, queue_of(*map(message, range(10)), None), outbox, UntilStored(ShortTopic(line, 1_000))
    )
    deadline = asyncio.Event()
    running = asyncio.create_task(stage.run(deadline))
    await until(lambda: stage.sent == 10, "all are acknowledged")
    stage.stored([identity(3)])
    deadline.set()
    await running
    await until(lambda: outbox.rows == 9, "the stored one has left")

    again = forwarder(line, queue_of(None), outbox, UntilStored(ShortTopic(line, 1_000)))
    running = asyncio.create_task(again.run(asyncio.Event()))
    await until(lambda: again.sent == 9, "the rest is acknowledged again")
    again.stored([identity(number) for number in range(10)])
    await running


async def test_what_was_acknowledged_and_is_not_in_the_topic_is_sent_again(
    line: Line, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    topic = ShortTopic(line, 1_000)
    retention = Watched(topic)
    stage = forwarder(line, queue_of(*map(message, range(10))), outbox, retention)
    running = asyncio.create_task(stage.run(asyncio.Event()))
    await until(lambda: stage.sent == 10, "all are acknowledged")
    retention.drained()
    stage.stored([identity(number) for number in range(7)])
    retention.drained()
    await retention.looked_at()
    assert topic.epoch == 1  # read once since the oldest of them is the oldest

    retention.drained()
    await until(lambda: stage.sent == 13, "the three are sent again")

    retention.drained()
    await retention.looked_at()
    assert topic.epoch == 2  # read once since they were sent again
    assert "Kafka has lost 3 results that it had taken: sending all again" in caplog.messages
    stage.stored([identity(number) for number in range(10)])
    await until(lambda: outbox.rows == 0, "all have left")
    for _ in range(2):
        retention.drained()
        stage.stored([])  # it wakes
        await retention.looked_at()
    assert topic.epoch == 2
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_what_kafka_has_not_acknowledged_yet_is_not_lost(
    line: Line, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    topic = ShortTopic(line, 1_000)
    retention = UntilStored(topic)
    queue = queue_of(message(0))
    stage = forwarder(line, queue, outbox, retention)
    running = asyncio.create_task(stage.run(asyncio.Event()))
    await until(lambda: stage.sent == 1, "the first is acknowledged")
    stage.stored([identity(0)])
    line.proxy.hold_replies()
    queue.put_nowait(message(1))
    queue.put_nowait(None)

    async def tried_again() -> None:
        before = stage.retried
        await until(lambda: stage.retried > before, "it was tried again")

    for _ in range(3):
        await tried_again()
        retention.drained()

    await line.proxy.start()
    await until(lambda: stage.sent == 2, "the second is acknowledged")

    assert topic.epoch == 1
    assert not [line for line in caplog.messages if "sending all again" in line]
    stage.stored([identity(1)])
    await running


async def test_no_more_than_the_window_is_sent_and_not_stored(
    line: Line, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.delivery.retention.UNSTORED_ROWS", 7)
    stage = forwarder(
        line, queue_of(*map(message, range(20)), None), outbox, UntilStored(ShortTopic(line, 1_000))
    )
    running = asyncio.create_task(stage.run(asyncio.Event()))

    await until(lambda: stage.sent == 7, "the window is full")
    stage.stored([identity(0), identity(5)])
    await until(lambda: stage.sent == 9, "two more were admitted")
    stage.stored([identity(number) for number in range(9)])
    await until(lambda: stage.sent == 16, "seven more were admitted")
    stage.stored([identity(number) for number in range(16)])
    await until(lambda: stage.sent == 20, "all were admitted")
    stage.stored([identity(number) for number in range(20)])

    await running
    assert await numbers(line, 20) == list(range(20))


async def test_large_results_fill_the_window_by_their_bytes(
    line: Line, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.delivery.retention.UNSTORED_BYTES", 1_500_000)
    sent = [message(number, body="x" * 400_000) for number in range(8)]
    stage = forwarder(line, queue_of(*sent, None), outbox, UntilStored(ShortTopic(line, 1_000)))
    running = asyncio.create_task(stage.run(asyncio.Event()))

    await until(lambda: stage.sent == 4, "the window is full")
    stage.stored([identity(number) for number in range(4)])
    await until(lambda: stage.sent == 8, "the others were admitted")
    stage.stored([identity(number) for number in range(8)])

    await running


async def test_a_topic_that_is_used_up_is_recycled_when_all_of_it_is_stored(
    line: Line, outbox: Outbox
) -> None:
    topic = ShortTopic(line, 1)
    retention = UntilStored(topic)
    queue = queue_of(*map(message, range(12)))
    stage = forwarder(line, queue, outbox, retention)
    running = asyncio.create_task(stage.run(asyncio.Event()))
    await until(lambda: stage.sent == 12 and outbox.rows == 12, "the first are acknowledged")
    for number in range(12, 15):
        queue.put_nowait(message(number))
    queue.put_nowait(None)
    await until(lambda: outbox.rows == 15, "more wait")
    stage.stored([identity(number) for number in range(11)])
    await until(lambda: outbox.rows == 4, "the stored ones have left")
    assert (topic.epoch, stage.sent) == (1, 12)

    stage.stored([identity(11)])
    await until(lambda: stage.sent == 15, "the rest is acknowledged")

    assert topic.epoch == 2
    assert await numbers(line, 3) == [12, 13, 14]
    stage.stored([identity(number) for number in range(12, 15)])
    await running
    assert outbox.rows == 0


async def test_when_the_broker_dies_all_that_is_not_stored_is_sent_again_in_order(
    line: Line, outbox: Outbox
) -> None:
    topic = ShortTopic(line, 1_000)
    retention = UntilStored(topic)
    queue = queue_of(*map(message, range(10)))
    stage = forwarder(line, queue, outbox, retention)
    running = asyncio.create_task(stage.run(asyncio.Event()))
    await until(lambda: stage.sent == 10, "all are acknowledged")
    stage.stored([identity(number) for number in range(4)])

    await line.kill_broker()
    queue.put_nowait(message(10))
    await line.start_broker()
    topic.renewed()

    await until(lambda: stage.sent >= 17, "the others are acknowledged again")
    queue.put_nowait(None)
    stage.stored([identity(number) for number in range(11)])
    await running
    # The last may come twice: it was sent to the new broker already before the new epoch began.
    read = [[number_of(one) for one in last_seen(partition)] for partition in await line.read(7)]
    assert sorted(chain(*read)) == [4, 5, 6, 7, 8, 9, 10]
    assert all(partition == sorted(partition) for partition in read)
    assert outbox.rows == 0


async def test_damaged_results_are_not_waited_for(line: Line, outbox: Outbox) -> None:
    damaged = [Message(b"site", b'{"id": "\xff'), Message(b"site", b"\0" * 20), message(2)]
    stage = forwarder(line, queue_of(*damaged, None), outbox, UntilStored(ShortTopic(line, 1_000)))
    running = asyncio.create_task(stage.run(asyncio.Event()))
    await until(lambda: outbox.rows == 1, "the damaged ones have left")

    stage.stored([identity(2)])

    await running


async def test_a_result_that_is_expected_twice_counts_once() -> None:
    retention = UntilStored(VolatileTopic(Config(monitors=()), "127.0.0.1:1"))
    row = OutboxRow.of(1, *message(1))
    before = retention.room_rows(UNSTORED_ROWS)

    retention.sending([row])
    retention.sending([row])

    assert retention.room_rows(UNSTORED_ROWS) == before - 1
    assert retention.stored([identity(1), identity(1)]) == [1]
    assert retention._unstored_bytes == 0


async def test_in_a_new_epoch_there_is_room_for_as_much_as_at_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("monitor.delivery.retention.UNSTORED_BYTES", 1)
    topic = VolatileTopic(Config(monitors=()), "127.0.0.1:9")
    retention = UntilStored(topic)
    retention.sending([OutboxRow.of(1, b"shop", message(1).value)])
    assert retention.room_rows(5) == 0

    topic.renewed()

    assert await retention.must_restart(Progress("the forwarder"), is_sending=False)
    assert retention.room_rows(2 * UNSTORED_ROWS) == UNSTORED_ROWS


async def test_what_real_kafka_has_acknowledged_is_never_sent_again() -> None:
    assert not await UntilAcknowledged().must_restart(Progress("the forwarder"), is_sending=False)


async def test_the_end_does_not_wait_for_what_real_kafka_has_acknowledged() -> None:
    retention = UntilAcknowledged()
    row = OutboxRow.of(1, *message(1))
    retention.sending([row])

    assert retention.acknowledged([row]) == {1}
    assert not retention.waits


async def test_one_look_through_the_topic_does_not_show_that_a_result_is_lost() -> None:
    retention = UntilStored(VolatileTopic(Config(monitors=()), "127.0.0.1:9"))
    retention.sending([OutboxRow.of(1, *message(1))])
    progress = Progress("the forwarder")

    assert not await retention.must_restart(progress, is_sending=False)
    retention.drained()

    assert not await retention.must_restart(progress, is_sending=False)
