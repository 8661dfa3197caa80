import asyncio
import gc
import os
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import InvalidReplicationFactorError, KafkaConnectionError, TopicAlreadyExistsError

from monitor.config.model import Config
from monitor.delivery.kafka.access import security
from monitor.delivery.kafka.aiokafka_fixes import close
from monitor.delivery.kafka.clients import consumer, producer, started_producer
from monitor.delivery.kafka.topics import _refuse, ensure_topics
from monitor.embedded.broker import Broker
from monitor.result import MAX_MESSAGE_BYTES
from tests.freeze import freeze


async def receive(config: Config, bootstrap: str, count: int) -> list[bytes]:
    receiving = consumer(config, bootstrap)
    values: list[bytes] = []
    async with asyncio.timeout(20):
        await receiving.start()
        while len(values) < count:
            batches = await receiving.getmany(timeout_ms=500)
            values += [record.value for batch in batches.values() for record in batch]
    await close(receiving)
    return values


async def test_the_embedded_broker_takes_what_is_sent_up_to_the_largest_message(
    embedded_config: Config, broker: Broker
) -> None:
    sent = [b"small", os.urandom(MAX_MESSAGE_BYTES)]
    sending = await started_producer(embedded_config, broker.bootstrap)

    for value in sent:
        await sending.send_and_wait(embedded_config.kafka_topic, value, key=b"site")

    assert await receive(embedded_config, broker.bootstrap, 2) == sent
    await close(sending)


async def test_what_was_not_committed_comes_again(embedded_config: Config, broker: Broker) -> None:
    sending = await started_producer(embedded_config, broker.bootstrap)
    await sending.send_and_wait(embedded_config.kafka_topic, b"twice", key=b"site")
    await close(sending)

    assert await receive(embedded_config, broker.bootstrap, 1) == [b"twice"]
    assert await receive(embedded_config, broker.bootstrap, 1) == [b"twice"]


async def test_topics_on_the_embedded_broker_have_four_partitions_and_one(
    embedded_config: Config, broker: Broker
) -> None:
    await ensure_topics(embedded_config, broker.bootstrap)
    await ensure_topics(embedded_config, broker.bootstrap)

    sending = await started_producer(embedded_config, broker.bootstrap)
    assert await sending.partitions_for(embedded_config.kafka_topic) == {0, 1, 2, 3}
    assert await sending.partitions_for(f"{embedded_config.kafka_topic}.dead") == {0}
    await close(sending)


async def test_an_embedded_broker_of_another_process_is_told(embedded_config: Config, broker: Broker) -> None:
    foreign = embedded_config.model_copy(update={"kafka_bootstrap": broker.bootstrap})

    with pytest.raises(KafkaConnectionError, match=f"{broker.bootstrap}: .* serves its own process only"):
        await started_producer(foreign, broker.bootstrap)


async def test_a_broker_that_is_not_there_is_named_with_the_reason(embedded_config: Config) -> None:
    with pytest.raises(KafkaConnectionError, match=r"127\.0\.0\.1:1: connection refused$"):
        await started_producer(embedded_config, "127.0.0.1:1")


async def test_a_name_that_is_none_is_told(embedded_config: Config) -> None:
    with pytest.raises(KafkaConnectionError, match=r"kafka\.invalid:9092: .*[Nn]ame"):
        await ensure_topics(embedded_config, "kafka.invalid")


async def test_a_server_that_never_answers_is_given_up(
    embedded_config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.delivery.kafka.topics._ADMIN_S", 0.3)
    monkeypatch.setattr("monitor.delivery.kafka.diagnosis._LIMIT_S", 0.3)
    before = asyncio.all_tasks()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"

        with pytest.raises(KafkaConnectionError, match=f"{address}: no answer in 0.3 s$"):
            await ensure_topics(embedded_config, address)

    assert asyncio.all_tasks() == before


async def test_a_broker_that_answers_too_late_for_a_start_is_told(
    embedded_config: Config, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.delivery.kafka.clients._PRODUCER_S", 0)

    with pytest.raises(KafkaConnectionError, match=f"{broker.bootstrap}: no answer in 0 s$"):
        await started_producer(embedded_config, broker.bootstrap)


def test_a_refusal_names_the_topic_and_the_reason() -> None:
    with pytest.raises(InvalidReplicationFactorError, match=r"topic t: Invalid.* too many$"):
        _refuse([("t", 38, "too many")], TopicAlreadyExistsError)


def test_files_that_are_no_certificates_are_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    config = Config(monitors=(), kafka_ssl_dir=tmp_path, kafka_security_protocol="SSL")

    with pytest.raises(OSError, match="NO_CERTIFICATE"):
        security(config)


@pytest.mark.parametrize("make", [producer, consumer])
async def test_a_client_that_was_never_started_can_be_closed(
    embedded_config: Config, make: Callable[[Config, str], Any]
) -> None:
    await close(make(embedded_config, "127.0.0.1:1"))


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
        await sending.send(embedded_config.kafka_topic, os.urandom(900_000), partition=partition)
        for partition in range(4)
    ]
    began = time.monotonic()

    await asyncio.gather(close(sending, grace_s=0.5), close(receiving, grace_s=0.5))

    assert time.monotonic() - began < 10
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
