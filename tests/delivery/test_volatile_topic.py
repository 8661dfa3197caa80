import asyncio
import itertools
import os
from collections.abc import Iterable
from typing import Any

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from monitor.config.model import Config
from monitor.delivery.kafka.aiokafka_fixes import close
from monitor.delivery.kafka.clients import consumer, started, started_producer
from monitor.delivery.kafka.topics import ensure_topics
from monitor.delivery.kafka.volatile_topic import VolatileTopic
from monitor.delivery.offsets import ends, has_more
from monitor.delivery.retention import UntilStored
from monitor.embedded.broker import Broker
from monitor.runtime.progress import Progress

SMALL, LARGE = 9_600, 1_400  # results: the first ones fill the topic by number and by bytes, both at once
SMALL_BYTES, LARGE_BYTES = 6_700, 100_000
RUN = 50
WINDOW = 5_000
WINDOW_S = 0.1


@pytest.mark.parametrize(
    ("batches", "bytes_", "exhausted"),
    [(9_999, 63_999_999, False), (10_000, 0, True), (0, 64_000_000, True)],
)
def test_a_log_is_exhausted_by_batches_or_by_bytes(
    embedded_config: Config, batches: int, bytes_: int, exhausted: bool
) -> None:
    log = VolatileTopic(embedded_config, "127.0.0.1:1")
    log.batches += batches
    log.bytes += bytes_

    assert log.exhausted == exhausted

    log.renewed()
    assert (log.epoch, log.batches, log.bytes) == (1, 0, 0)


async def test_a_topic_of_which_all_is_stored_begins_no_new_epoch(embedded_config: Config) -> None:
    retention = UntilStored(VolatileTopic(embedded_config, "127.0.0.1:1"))

    retention.drained()

    assert not await retention.must_restart(Progress("the forwarder"), is_sending=False)
    assert retention.epoch == 0


async def test_a_send_right_after_recycling_lands_at_the_beginning(
    embedded_config: Config, broker: Broker
) -> None:
    log = VolatileTopic(embedded_config, broker.bootstrap)
    sending = await started_producer(embedded_config, broker.bootstrap)
    for epoch in range(1, 21):
        receipt = await sending.send_and_wait(embedded_config.kafka_topic, b"x")
        assert receipt.offset == 0

        await log.recycle()

        assert log.epoch == epoch
    await close(sending)


async def test_recycling_spares_the_dead_letters(embedded_config: Config, broker: Broker) -> None:
    dead = f"{embedded_config.kafka_topic}.dead"
    log = VolatileTopic(embedded_config, broker.bootstrap)
    sending = await started_producer(embedded_config, broker.bootstrap)
    await sending.send_and_wait(dead, b"first")

    await log.recycle()

    assert (await sending.send_and_wait(dead, b"second")).offset == 1
    await close(sending)


async def test_recycling_makes_a_topic_that_is_missing(embedded_config: Config, broker: Broker) -> None:
    await VolatileTopic(embedded_config, broker.bootstrap).recycle()

    sending = await started_producer(embedded_config, broker.bootstrap)
    assert await sending.partitions_for(embedded_config.kafka_topic) == {0}
    await close(sending)


async def test_after_a_restart_of_the_broker_the_topics_are_there_in_a_new_epoch(
    embedded_config: Config, broker: Broker
) -> None:
    log = VolatileTopic(embedded_config, broker.bootstrap)
    restored = asyncio.Event()

    async def restore() -> None:
        await log.restore()
        restored.set()

    broker.on_restart = restore
    await ensure_topics(embedded_config, broker.bootstrap)
    log.batches = 5
    broker.child.process.kill()
    async with asyncio.timeout(60):
        await restored.wait()

    assert (log.epoch, log.batches) == (1, 0)
    sending = await started_producer(embedded_config, broker.bootstrap)
    assert (await sending.send_and_wait(embedded_config.kafka_topic, b"x", partition=0)).offset == 0
    await close(sending)


async def test_what_a_client_sent_before_the_topics_were_restored_is_gone(
    embedded_config: Config, broker: Broker
) -> None:
    log = VolatileTopic(embedded_config, broker.bootstrap)
    sending = await started_producer(embedded_config, broker.bootstrap)
    await sending.send_and_wait(embedded_config.kafka_topic, b"too early")

    await log.restore()

    assert (await sending.send_and_wait(embedded_config.kafka_topic, b"x")).offset == 0
    await close(sending)


async def test_a_topic_that_a_client_made_by_asking_has_as_many_partitions_as_ours(
    embedded_config: Config, broker: Broker
) -> None:
    await ensure_topics(embedded_config, broker.bootstrap)

    async with started(AIOKafkaProducer(bootstrap_servers=broker.bootstrap)) as asking:
        ours = await asking.partitions_for(embedded_config.kafka_topic)

        assert await asking.partitions_for("not_there_before") == ours


async def test_restoring_without_a_broker_is_an_os_error(embedded_config: Config) -> None:
    log = VolatileTopic(embedded_config, "127.0.0.1:1")

    with pytest.raises(ConnectionError, match=r"127\.0\.0\.1:1: connection refused"):
        await log.restore()

    assert log.epoch == 0


class Flow:
    """What a forwarder and an ingest do, without a disk and a database."""

    def __init__(self, log: VolatileTopic, topic: str, process: psutil.Process) -> None:
        self.stored: set[int] = set()
        self.most_memory = 0
        self._log = log
        self._topic = topic
        self._process = process
        self._sent: set[int] = set()
        self._progress = asyncio.Event()

    async def forward(self, producer: AIOKafkaProducer) -> None:
        numbers = iter(range(SMALL + LARGE))
        while run := list(itertools.islice(numbers, RUN)):
            if self._log.exhausted:
                await self._all_but(0)
                self.most_memory = max(self.most_memory, self._process.memory_info().rss)
                await self._log.recycle()
            await self._all_but(WINDOW - len(run))
            self._sent.update(run)
            await self._send(producer, run)
        await self._all_but(0)

    async def _all_but(self, count: int) -> None:
        while len(self._sent - self.stored) > count:
            self._progress.clear()
            await self._progress.wait()

    async def _send(self, producer: AIOKafkaProducer, numbers: Iterable[int]) -> None:
        for number in numbers:
            batch = producer.create_batch()
            value = b"%08d" % number + os.urandom(SMALL_BYTES if number < SMALL else LARGE_BYTES)
            batch.append(key=b"site", value=value, timestamp=None)
            await (await producer.send_batch(batch, self._topic, partition=0))
            self._log.batches += 1
            self._log.bytes += len(value)

    async def ingest(self, consumer: AIOKafkaConsumer) -> None:
        epoch = self._log.epoch
        while True:
            if epoch != self._log.epoch:
                epoch = self._log.epoch
                for partition in consumer.assignment():
                    consumer.seek(partition, 0)
            batches: dict[TopicPartition, list[Any]] = await consumer.getmany(
                timeout_ms=200, max_records=1000
            )
            records = [record for batch in batches.values() for record in batch]
            self.stored.update(int(record.value[:8]) for record in records)
            self._progress.set()
            if records and epoch == self._log.epoch:
                await consumer.commit({tp: batch[-1].offset + 1 for tp, batch in batches.items()})
            if records and not has_more(consumer, ends(records)):
                await self._fetch_nothing(consumer)

    async def _fetch_nothing(self, consumer: AIOKafkaConsumer) -> None:
        """Let some records come, as the ingest does: for each fetch, the broker looks at all batches."""
        consumer.pause(*consumer.assignment())
        await asyncio.sleep(WINDOW_S)
        consumer.resume(*consumer.paused())


@pytest.mark.timeout(600)
async def test_many_small_batches_and_200_megabytes_pass_in_little_memory(
    embedded_config: Config, broker: Broker
) -> None:
    config = embedded_config.model_copy(update={"kafka_compression": "none"})
    log = VolatileTopic(config, broker.bootstrap)
    process = psutil.Process(broker.child.process.pid)
    flow = Flow(log, config.kafka_topic, process)
    sending = await started_producer(config, broker.bootstrap)
    receiving = consumer(config, broker.bootstrap)
    await receiving.start()

    ingesting = asyncio.create_task(flow.ingest(receiving))
    async with asyncio.timeout(540):
        await flow.forward(sending)
    ingesting.cancel()
    await asyncio.wait([ingesting])
    await close(sending)
    await close(receiving)

    assert flow.stored == set(range(SMALL + LARGE))
    assert log.epoch >= 2
    assert flow.most_memory < 250_000_000
    assert process.memory_info().rss < 250_000_000
