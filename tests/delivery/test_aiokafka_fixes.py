import asyncio
import gc
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener
from aiokafka.codec import lz4_encode
from aiokafka.conn import AIOKafkaConnection, create_conn
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from monitor.config.model import Config
from monitor.delivery.kafka import clients
from monitor.delivery.kafka.access import CLIENT_ID
from monitor.delivery.kafka.aiokafka_fixes import close
from monitor.delivery.kafka.clients import consumer, producer, started, started_producer
from monitor.embedded.broker import Broker
from tests.freeze import freeze
from tests.stream import Stream, eventually

HEADER_BYTES = 61  # of a batch


@pytest.mark.parametrize("make", [producer, consumer])
async def test_a_client_that_was_never_started_can_be_closed(
    embedded_config: Config, make: Callable[[Config, str], Any]
) -> None:
    await close(make(embedded_config, "127.0.0.1:1"))


class SubscribesAgain(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka has no types
    """Makes the consumer join again as soon as it has joined, once."""

    def __init__(self, client: AIOKafkaConsumer, topic: str) -> None:
        self.client = client
        self.topic = topic
        self.joined = 0

    def on_partitions_revoked(self, revoked: object) -> None:
        pass

    def on_partitions_assigned(self, _assigned: object) -> None:
        self.joined += 1
        if self.joined == 1:
            self.client.subscribe([self.topic], listener=self)


async def has_joined(listener: SubscribesAgain, times: int) -> bool:
    return listener.joined == times


async def test_a_member_that_joins_again_at_once_stays_a_member(
    embedded_config: Config, broker: Broker
) -> None:
    sending, receiving = await started_pair(embedded_config, broker)
    listener = SubscribesAgain(receiving, embedded_config.kafka_topic)

    receiving.subscribe([embedded_config.kafka_topic], listener=listener)
    await eventually("it has joined again", partial(has_joined, listener, 2))

    assert await receiving.getmany(timeout_ms=10) == {}  # raises what keeps it out
    await close(sending)
    await close(receiving)


async def pause(broker: Broker) -> None:
    freeze(broker.child.process.pid)


async def kill(broker: Broker) -> None:
    broker.child.process.kill()


async def started_pair(config: Config, broker: Broker) -> tuple[AIOKafkaProducer, AIOKafkaConsumer]:
    sending = await started_producer(config, broker.bootstrap)
    receiving = consumer(config, broker.bootstrap)
    await receiving.start()
    await sending.send_and_wait(config.kafka_topic, b"early", key=b"site")
    return sending, receiving


async def test_closing_sends_what_was_not_sent_yet(embedded_config: Config, broker: Broker) -> None:
    sending = await started_producer(embedded_config, broker.bootstrap)
    receipt = await sending.send(embedded_config.kafka_topic, b"last", key=b"site")

    await close(sending)

    assert (await receipt).offset == 0


@pytest.mark.parametrize("harm", [kill, pause])
async def test_clients_of_a_broker_that_is_gone_end_in_time_and_leave_nothing(
    embedded_config: Config, broker: Broker, harm: Callable[[Broker], Awaitable[None]]
) -> None:
    before = asyncio.all_tasks()
    sending, receiving = await started_pair(embedded_config, broker)
    await harm(broker)
    receipts = [
        await sending.send(topic, os.urandom(900_000), partition=0)
        for topic in (embedded_config.kafka_topic, f"{embedded_config.kafka_topic}.dead")
    ]

    async with asyncio.timeout(25):  # by itself, aiokafka waits for longer
        await asyncio.gather(close(sending, grace_s=0.5), close(receiving, grace_s=0.5))

    assert asyncio.all_tasks() == before
    for receipt in receipts:
        receipt.cancel()


class Deaf:
    """A part of a client that takes a cancellation for a timeout of its own."""

    async def work(self) -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()


async def test_a_task_that_goes_on_after_a_cancellation_is_cancelled_again(
    embedded_config: Config, broker: Broker
) -> None:
    before = asyncio.all_tasks()
    sending = producer(embedded_config, broker.bootstrap)
    sending.deaf = Deaf()
    working = asyncio.create_task(sending.deaf.work())

    await close(sending)

    assert working.cancelled()
    assert asyncio.all_tasks() == before


class Reconnecting:
    """A part of a client that connects once more while the client ends."""

    def __init__(self, port: int) -> None:
        self.connection: AIOKafkaConnection | None = None
        self._port = port

    async def work(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.connection = await create_conn("127.0.0.1", self._port)


async def test_a_connection_that_is_made_during_the_end_is_closed(
    embedded_config: Config, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.delivery.kafka.aiokafka_fixes._AGAIN_S", 60.0)  # it is not cancelled twice
    sending = producer(embedded_config, broker.bootstrap)
    sending.part = part = Reconnecting(broker.port)
    working = asyncio.create_task(part.work())
    working.add_done_callback(lambda _: sending.client._conns.update(late=part.connection))
    await asyncio.sleep(0)

    await close(sending)

    assert part.connection is not None
    assert not part.connection.connected()


class Endless(AIOKafkaProducer):  # type: ignore[misc]  # aiokafka has no types
    """A producer whose `stop` does not return, not even when it is cancelled, until `end` is set."""

    end: asyncio.Event
    ignores_cancelling = True

    async def stop(self) -> None:
        while not self.end.is_set():
            try:
                await self.end.wait()
            except asyncio.CancelledError:
                if not self.ignores_cancelling:
                    raise


@pytest.fixture
async def endless() -> AsyncIterator[Endless]:
    client = Endless(bootstrap_servers="127.0.0.1:9")
    client.end = asyncio.Event()
    yield client
    client.end.set()


async def test_a_stop_that_does_not_return_is_cancelled(endless: Endless) -> None:
    before = asyncio.all_tasks()
    endless.ignores_cancelling = False

    async with asyncio.timeout(60):
        await close(endless, grace_s=0.05)

    assert asyncio.all_tasks() == before


async def test_a_stop_that_cannot_be_cancelled_is_left_alone(
    endless: Endless, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("monitor.delivery.kafka.aiokafka_fixes._END_S", 0.3)
    before = asyncio.all_tasks()

    closing = asyncio.create_task(close(endless, grace_s=0.05))
    await asyncio.wait([closing], timeout=60)

    assert closing.done()
    assert closing.exception() is None
    assert "a Kafka client does not end, it is left alone: " in caplog.text
    endless.end.set()
    await asyncio.wait(asyncio.all_tasks() - before)


async def test_cancelling_a_close_ends_the_client_all_the_same(
    embedded_config: Config, broker: Broker
) -> None:
    before = asyncio.all_tasks()
    sending, receiving = await started_pair(embedded_config, broker)
    await pause(broker)
    receipt = await sending.send(embedded_config.kafka_topic, b"late", key=b"site")

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await asyncio.gather(close(sending, grace_s=60), close(receiving, grace_s=60))

    assert asyncio.all_tasks() == before
    receipt.cancel()


async def test_a_closed_producer_sends_no_more(embedded_config: Config, broker: Broker) -> None:
    sending, receiving = await started_pair(embedded_config, broker)
    await pause(broker)
    receipt = await sending.send(embedded_config.kafka_topic, b"late", key=b"site")

    await close(sending, grace_s=0)
    broker.child.process.resume()

    assert not receipt.done() or receipt.exception()
    receipt.cancel()
    await close(receiving)


async def test_a_commit_that_was_given_up_is_no_complaint(
    embedded_config: Config, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    sending, receiving = await started_pair(embedded_config, broker)
    await pause(broker)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await receiving.commit(dict.fromkeys(receiving.assignment(), 0))

    await close(receiving, grace_s=0.1)
    await close(sending, grace_s=0.1)
    gc.collect()

    assert "asyncio" not in {record.name for record in caplog.records}


async def test_closing_a_client_leaves_alone_what_the_event_loop_does(embedded_config: Config) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        accepting = asyncio.create_task(asyncio.get_running_loop().sock_accept(server))
        await asyncio.sleep(0)

        await close(producer(embedded_config, "127.0.0.1:9"))

        assert not accepting.done()
        accepting.cancel()
        await asyncio.wait([accepting])


def others() -> set[asyncio.Task[object]]:
    return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_consumer_of_a_lost_broker_leaves_nothing_behind(stream: Stream, how: signal.Signals) -> None:
    async with started(stream.consumer()) as consumer:
        stream.lose(how)
        await consumer.getmany(timeout_ms=1_500)

    assert others() == set()


async def test_a_client_that_does_not_come_to_start_leaves_nothing_behind(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "START_S", 0.5)
    stream.lose(signal.SIGSTOP)

    with pytest.raises(TimeoutError):
        async with started(stream.consumer()):
            pytest.fail("there is no broker")

    assert others() == set()


async def test_a_start_that_is_given_up_while_it_learns_of_the_cluster_leaves_no_connection(
    embedded_config: Config, broker: Broker
) -> None:
    host, port = broker.bootstrap.split(":")
    asked, closed = asyncio.Event(), asyncio.Event()

    async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, requests = await asyncio.open_connection(host, int(port))
        requests.write(await frame(reader))
        writer.write(await frame(answers))
        await frame(reader)
        asked.set()
        assert await reader.read() == b""
        closed.set()
        for each in (requests, writer):
            each.close()

    async with await asyncio.start_server(answer_once, "127.0.0.1", 0) as server:
        client = consumer(embedded_config, f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
        starting = asyncio.create_task(client.start())
        await asked.wait()

        starting.cancel()
        await asyncio.wait([starting])
        await close(client)

        async with asyncio.timeout(60):
            await closed.wait()


async def frame(reader: asyncio.StreamReader) -> bytes:
    size = await reader.readexactly(4)
    return size + await reader.readexactly(int.from_bytes(size))


async def closed_between(host: str, port: int) -> None:
    """Send a request to a connection that has answered one, and was closed a moment ago."""
    connection = await create_conn(host, port, client_id=CLIENT_ID)
    assert (await connection.send(MetadataRequest([]))).brokers
    connection._writer.transport.abort()
    await asyncio.sleep(0)  # now it is closed, and who reads from it will know in the next turn
    with pytest.raises(KafkaConnectionError, match=f"{host}:{port}: closed"):
        await connection.send(MetadataRequest([]))
    assert not connection.connected()


async def test_a_connection_that_was_closed_a_moment_ago_is_an_error_of_kafka(broker: Broker) -> None:
    host, port = broker.bootstrap.split(":")

    await asyncio.to_thread(uvloop.run, closed_between(host, int(port)))


def test_batches_are_compressed_with_the_level_that_takes_least() -> None:
    def built(compression: int) -> bytes:
        builder = DefaultRecordBatchBuilder(2, compression, 0, -1, -1, -1, 1 << 20)
        for number in range(100):
            builder.append(number, 0, b"shop", Path(__file__).read_bytes()[number * 50 :][:1_000], [])
        return bytes(builder.build())[HEADER_BYTES:]

    none, lz4 = 0, 3
    assert built(lz4) == lz4_encode(built(none), 1) != lz4_encode(built(none), 9)
