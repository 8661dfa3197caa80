"""A broker behind a proxy, a topic, and what the tests of the forwarder do with them."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from monitor.delivery.forwarder import Patience
from monitor.delivery.kafka.aiokafka_fixes import close as close_producer
from monitor.delivery.outbox.outbox import Outbox, open_outbox
from monitor.embedded.broker import _binary as broker_binary
from monitor.result import CheckResult, Message, encode, result_id
from tests.ports import free_ports
from tests.tcp_proxy import TcpProxy

PARTITIONS = 3
HASTE = Patience(acknowledge_s=1.0, first_retry_s=0.02, longest_retry_s=0.1, look_s=0.05, window_s=0.01)


def message(number: int, monitors: int = 5, body: str = "") -> Message:
    """Make a result of one of the monitors; `scheduled_at` is the number."""
    monitor = f"site {number % monitors}"
    return encode(
        CheckResult(
            timestamp=1.0,
            response_data=body,
            response_status=200,
            response_time=0.1,
            id=identity(number, monitors),
            monitor=monitor,
            url="https://example.org/",
            location="here",
            scheduled_at=float(number),
            up=True,
        )
    )


def identity(number: int, monitors: int = 5) -> UUID:
    return result_id("here", f"site {number % monitors}", float(number))


async def until(condition: Callable[[], object], what: str, limit_s: float = 60.0) -> None:
    """Poll until it holds."""
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, f"not within {limit_s} s: {what}"
        await asyncio.sleep(0.01)


class Line:
    """Broker, proxy and topic; producers reach the broker through the proxy only."""

    topic = "health"

    def __init__(self) -> None:
        port, proxy_port = free_ports(2)
        self.proxy = TcpProxy(proxy_port, port)
        self._port = port
        self._folder = TemporaryDirectory()
        self._process: asyncio.subprocess.Process | None = None
        self.opened = 0
        self.request_ms = 2_000
        self.batch_bytes = 1 << 20

    async def start_broker(self) -> None:
        """Start it (again, empty) and make the topic."""
        self._process = await asyncio.create_subprocess_exec(
            broker_binary(Path(self._folder.name)),
            "broker",
            f"--listener-url=tcp://127.0.0.1:{self._port}",
            f"--advertised-listener-url=tcp://127.0.0.1:{self.proxy.port}",
            "--storage-engine=memory://tansu/",
            "--silent",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        await until(lambda: answers(self._port), "the broker answers")
        await self.proxy.start()
        await self.make_topic()

    async def kill_broker(self) -> None:
        if self._process:
            self._process.kill()
            await self._process.wait()
            self._process = None

    async def make_topic(self, *, again: bool = False) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.address)
        await admin.start()
        try:
            if again:
                await admin.delete_topics([self.topic])
            await admin.create_topics([NewTopic(self.topic, PARTITIONS, 1)])
        finally:
            await admin.close()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.proxy.port}"

    async def open_producer(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            bootstrap_servers=self.address,
            acks="all",
            max_batch_size=self.batch_bytes,
            request_timeout_ms=self.request_ms,
        )
        self.opened += 1
        try:
            async with asyncio.timeout(2):
                await producer.start()
        except BaseException:
            await close_producer(producer)
            raise
        return producer

    async def read(self, count: int) -> list[list[Message]]:
        """Read until there are so many different messages, and to the end.

        Returns them by partition, in their order, with all copies.
        """
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.address, auto_offset_reset="earliest", fetch_max_wait_ms=50
        )
        await consumer.start()
        partitions = [TopicPartition(self.topic, number) for number in range(PARTITIONS)]
        consumer.assign(partitions)
        read: list[list[Message]] = [[] for _ in partitions]
        try:
            async with asyncio.timeout(60):
                ends = await consumer.end_offsets(partitions)
                while len(set(chain(*read))) < count or any(
                    [await consumer.position(partition) < end for partition, end in ends.items()]
                ):
                    for partition, records in (await consumer.getmany(*partitions, timeout_ms=100)).items():
                        read[partition.partition] += [Message(record.key, record.value) for record in records]
        finally:
            await consumer.stop()
        return read

    async def stop(self) -> None:
        await self.proxy.stop()
        await self.kill_broker()
        self._folder.cleanup()


def first_seen(partition: Iterable[Message]) -> list[Message]:
    """Leave out what had been there before."""
    return list(dict.fromkeys(partition))


def last_seen(partition: Sequence[Message]) -> list[Message]:
    """Leave out what comes again later."""
    return first_seen(reversed(partition))[::-1]


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def outbox_path(folder: Path) -> Path:
    return folder / "outbox.sqlite"


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    line = Line()
    await line.start_broker()
    yield line
    await line.stop()


@pytest.fixture
async def outbox(tmp_path: Path) -> AsyncIterator[Outbox]:
    outbox = await open_outbox(outbox_path(tmp_path), 100_000_000)
    yield outbox
    await outbox.close()
