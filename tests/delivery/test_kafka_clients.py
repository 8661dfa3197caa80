import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import InvalidReplicationFactorError, KafkaConnectionError, TopicAlreadyExistsError
from pydantic import SecretStr

from monitor.config.model import Config
from monitor.delivery.kafka.access import security
from monitor.delivery.kafka.aiokafka_fixes import close
from monitor.delivery.kafka.clients import consumer, producer, started_producer
from monitor.delivery.kafka.topics import _refuse, ensure_topics
from monitor.embedded.broker import Broker
from monitor.result import MAX_MESSAGE_BYTES

TLS_HANDSHAKE = b"\x16"


async def receive(config: Config, bootstrap: str, count: int) -> list[bytes]:
    receiving = consumer(config, bootstrap)
    values: list[bytes] = []
    async with asyncio.timeout(60):
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


async def test_topics_on_the_embedded_broker_have_one_partition(
    embedded_config: Config, broker: Broker
) -> None:
    await ensure_topics(embedded_config, broker.bootstrap)
    await ensure_topics(embedded_config, broker.bootstrap)

    sending = await started_producer(embedded_config, broker.bootstrap)
    assert await sending.partitions_for(embedded_config.kafka_topic) == {0}
    assert await sending.partitions_for(f"{embedded_config.kafka_topic}.dead") == {0}
    await close(sending)


async def test_an_embedded_broker_of_another_process_is_told(embedded_config: Config, broker: Broker) -> None:
    foreign = embedded_config.model_copy(update={"kafka_bootstrap": broker.bootstrap})

    with pytest.raises(KafkaConnectionError, match=f"{broker.bootstrap}: .* serves its own process only$"):
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


def test_a_named_pipe_among_the_files_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "service.key")
    config = Config(monitors=(), kafka_ssl_dir=tmp_path, kafka_security_protocol="SSL")

    with pytest.raises(OSError, match="a named pipe, not a regular file"):
        security(config)


def test_sasl_is_as_the_configuration_has_it(tmp_path: Path) -> None:
    config = Config(
        monitors=(),
        kafka_ssl_dir=tmp_path,
        kafka_security_protocol="SASL_PLAINTEXT",
        kafka_sasl_mechanism="SCRAM-SHA-512",
        kafka_username="monitor",
        kafka_password=SecretStr("secret"),
    )

    assert security(config) == {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "monitor",
        "sasl_plain_password": "secret",
    }


@pytest.mark.parametrize("make", [producer, consumer])
async def test_each_client_speaks_tls_where_the_configuration_says_so(
    make: Callable[[Config, str], Any], tmp_path: Path
) -> None:
    config = Config(monitors=(), kafka_ssl_dir=tmp_path, kafka_security_protocol="SSL")
    said: asyncio.Queue[bytes] = asyncio.Queue()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await said.put(await reader.read(1))
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        client = make(config, f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
        starting = asyncio.ensure_future(client.start())
        assert await asyncio.wait_for(said.get(), 60) == TLS_HANDSHAKE
        starting.cancel()
        await asyncio.wait([starting])
        await close(client)
