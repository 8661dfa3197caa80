import asyncio
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import trustme
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError, KafkaError
from pydantic import SecretStr

from monitor.config.model import Config
from monitor.delivery.kafka.aiokafka_fixes import close
from monitor.delivery.kafka.clients import consumer, started, started_producer
from monitor.delivery.kafka.topics import ensure_topics
from tests.apache_kafka import PASSWORD, ApacheKafka

WRONG = "wrong word"

pytestmark = pytest.mark.kafka


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The folder for the client's files."""
    (tmp_path / "ssl").mkdir()
    return tmp_path / "ssl"


def config(kafka: ApacheKafka, listener: str, files: Path, **settings: Any) -> Config:
    return Config.model_validate(
        {
            "monitors": (),
            "kafka_bootstrap": kafka.bootstrap(listener),
            "kafka_topic": f"t-{uuid4().hex}",
            "kafka_group": f"g-{uuid4().hex}",
            "kafka_ssl_dir": files,
            "kafka_security_protocol": "SSL" if listener == "EXPIRED" else listener,
            **settings,
        }
    )


def sasl(mechanism: str, user: str = "monitor", password: str = PASSWORD) -> dict[str, Any]:
    return {
        "kafka_sasl_mechanism": mechanism,
        "kafka_username": user,
        "kafka_password": SecretStr(password),
    }


async def sent_and_received(config: Config) -> list[tuple[bytes, bytes]]:
    sending = await started_producer(config, config.kafka_bootstrap)
    receiving = consumer(config, config.kafka_bootstrap)
    received: list[tuple[bytes, bytes]] = []
    try:
        for number in range(3):
            await sending.send_and_wait(config.kafka_topic, b"%d" % number, key=b"site")
        async with asyncio.timeout(60):
            await receiving.start()
            while len(received) < 3:
                batches = await receiving.getmany(timeout_ms=500)
                received += [(record.key, record.value) for batch in batches.values() for record in batch]
    finally:
        await close(sending)
        await close(receiving)
    return received


async def refusal(config: Config, bootstrap: str) -> str:
    with pytest.raises(KafkaError) as caught:
        await started_producer(config, bootstrap)
    return str(caught.value.args[0])


IN_ORDER = [(b"site", b"0"), (b"site", b"1"), (b"site", b"2")]


@pytest.mark.kafka_versions
@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "lz4", "zstd"])
async def test_results_arrive_in_order(apache_kafka: ApacheKafka, files: Path, compression: str) -> None:
    plain = config(apache_kafka, "PLAINTEXT", files, kafka_compression=compression)

    assert await sent_and_received(plain) == IN_ORDER


@pytest.mark.kafka_versions
async def test_topics_are_made_once_with_their_partitions(apache_kafka: ApacheKafka, files: Path) -> None:
    plain = config(apache_kafka, "PLAINTEXT", files, kafka_partitions=7)

    await asyncio.gather(*(ensure_topics(plain, plain.kafka_bootstrap) for _ in range(3)))
    await ensure_topics(plain.model_copy(update={"kafka_partitions": 9}), plain.kafka_bootstrap)

    sending = await started_producer(plain, plain.kafka_bootstrap)
    assert await sending.partitions_for(plain.kafka_topic) == set(range(7))
    assert await sending.partitions_for(f"{plain.kafka_topic}.dead") == {0}
    await close(sending)


@pytest.mark.parametrize("off_s", [-30 * 86_400, 2 * 86_400])
async def test_a_clock_that_is_wrong_by_days_neither_stops_nor_ages_results(
    apache_kafka: ApacheKafka, files: Path, off_s: int
) -> None:
    plain = config(apache_kafka, "PLAINTEXT", files)
    sending = await started_producer(plain, plain.kafka_bootstrap)
    wrong_ms = int((time.time() + off_s) * 1_000)

    sent = await sending.send_and_wait(plain.kafka_topic, b"0", key=b"site", timestamp_ms=wrong_ms)

    assert abs(sent.timestamp / 1_000 - time.time()) < 600
    await close(sending)


@pytest.mark.kafka_versions
async def test_a_consumer_that_has_seen_its_topic_deleted_reads_the_new_one_within_seconds(
    apache_kafka: ApacheKafka, files: Path
) -> None:
    plain = config(apache_kafka, "PLAINTEXT", files)
    sending = await started_producer(plain, plain.kafka_bootstrap)
    receiving = consumer(plain, plain.kafka_bootstrap)
    admin = AIOKafkaAdminClient(bootstrap_servers=plain.kafka_bootstrap)
    try:
        await receiving.start()
        await admin.start()
        async with asyncio.timeout(60):
            await admin.delete_topics([plain.kafka_topic])
            while receiving.assignment():
                await receiving.getmany(timeout_ms=100)
            await ensure_topics(plain, plain.kafka_bootstrap)
            await sending.send_and_wait(plain.kafka_topic, b"new", key=b"site")
            while not (received := await receiving.getmany(timeout_ms=100)):
                pass
    finally:
        await close(admin)
        await close(sending)
        await close(receiving)
    assert [record.value for records in received.values() for record in records] == [b"new"]


async def test_a_member_of_the_group_that_vanished_is_waited_out(
    apache_kafka: ApacheKafka, files: Path
) -> None:
    plain = config(apache_kafka, "PLAINTEXT", files)
    await ensure_topics(plain, plain.kafka_bootstrap)
    vanishing = AIOKafkaConsumer(
        plain.kafka_topic,
        bootstrap_servers=plain.kafka_bootstrap,
        group_id=plain.kafka_group,
        session_timeout_ms=25_000,
    )
    await vanishing.start()
    for connection in vanishing._client._conns.values():
        connection._writer.transport.abort()
    await close(vanishing, grace_s=0)

    async with started(consumer(plain, plain.kafka_bootstrap)) as receiving:
        assert len(receiving.assignment()) == 6


@pytest.mark.kafka_versions
async def test_three_files_are_enough_for_tls_with_a_client_certificate(
    apache_kafka: ApacheKafka, files: Path
) -> None:
    apache_kafka.client_files(files)

    assert await sent_and_received(config(apache_kafka, "SSL", files)) == IN_ORDER


async def test_an_authority_that_did_not_sign_the_broker_is_named(
    apache_kafka: ApacheKafka, files: Path
) -> None:
    apache_kafka.client_files(files)
    trustme.CA().cert_pem.write_to_path(files / "ca.pem")
    tls = config(apache_kafka, "SSL", files)

    assert await refusal(tls, tls.kafka_bootstrap) == (
        f"{tls.kafka_bootstrap}: its certificate is not accepted: unable to get local issuer certificate; "
        f"trusted are those of {files}/ca.pem"
    )


async def test_without_ca_pem_the_systems_authorities_count(apache_kafka: ApacheKafka, files: Path) -> None:
    tls = config(apache_kafka, "SSL", files)

    assert (await refusal(tls, tls.kafka_bootstrap)).endswith(f"the system's, as {files}/ca.pem is missing")


async def test_a_certificate_of_the_broker_that_expired_is_told(
    apache_kafka: ApacheKafka, files: Path
) -> None:
    apache_kafka.client_files(files)
    tls = config(apache_kafka, "EXPIRED", files)

    assert "its certificate is not accepted: certificate has expired;" in await refusal(
        tls, tls.kafka_bootstrap
    )


async def test_a_broker_of_another_name_is_told(apache_kafka: ApacheKafka, files: Path) -> None:
    apache_kafka.client_files(files)
    tls = config(apache_kafka, "SSL", files)

    reason = await refusal(tls, apache_kafka.bootstrap("SSL", "localhost"))

    assert "Hostname mismatch, certificate is not valid for 'localhost'" in reason


async def test_a_missing_client_certificate_is_told(apache_kafka: ApacheKafka, files: Path) -> None:
    apache_kafka.authority.cert_pem.write_to_path(files / "ca.pem")
    tls = config(apache_kafka, "SSL", files)

    reason = await refusal(tls, tls.kafka_bootstrap)

    assert reason.startswith(f"{tls.kafka_bootstrap}: TLS fails: ")
    assert reason.endswith(f"; the client's certificate is none, as {files}/service.cert is missing")


async def test_a_client_certificate_that_the_broker_refuses_is_named(
    apache_kafka: ApacheKafka, files: Path
) -> None:
    apache_kafka.client_files(files, trustme.CA())
    tls = config(apache_kafka, "SSL", files)

    reason = await refusal(tls, tls.kafka_bootstrap)

    assert reason.startswith(f"{tls.kafka_bootstrap}: TLS fails: ")
    assert reason.endswith(f"; the client's certificate is {files}/service.cert")


@pytest.mark.kafka_versions
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
@pytest.mark.parametrize("listener", ["SASL_PLAINTEXT", "SASL_SSL"])
async def test_user_and_password_are_enough(
    apache_kafka: ApacheKafka, files: Path, listener: str, mechanism: str
) -> None:
    apache_kafka.authority.cert_pem.write_to_path(files / "ca.pem")

    assert await sent_and_received(config(apache_kafka, listener, files, **sasl(mechanism))) == IN_ORDER


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
async def test_a_wrong_password_is_told_and_not_shown(
    apache_kafka: ApacheKafka, files: Path, mechanism: str
) -> None:
    wrong = config(apache_kafka, "SASL_PLAINTEXT", files, **sasl(mechanism, password=WRONG))

    reason = await refusal(wrong, wrong.kafka_bootstrap)

    assert "uthentication failed" in reason
    assert WRONG not in reason


@pytest.mark.kafka_versions
async def test_a_topic_that_we_may_not_make_is_told(apache_kafka: ApacheKafka, files: Path) -> None:
    guest = config(apache_kafka, "SASL_PLAINTEXT", files, **sasl("PLAIN", "guest"))

    reason = await refusal(guest, guest.kafka_bootstrap)

    assert reason.startswith(f"topic {guest.kafka_topic}")
    assert "TopicAuthorizationFailedError" in reason


async def test_plain_clients_of_a_tls_listener_are_told(apache_kafka: ApacheKafka, files: Path) -> None:
    plain = config(apache_kafka, "PLAINTEXT", files)

    assert (await refusal(plain, apache_kafka.bootstrap("SSL"))).startswith(apache_kafka.bootstrap("SSL"))


@pytest.mark.parametrize("harm", ["kill", "pause"])
async def test_clients_of_a_broker_that_is_gone_end_in_time_and_leave_nothing(
    apache_kafka: ApacheKafka, files: Path, harm: str
) -> None:
    plain = config(apache_kafka, "PLAINTEXT", files)
    before = asyncio.all_tasks()
    sending = await started_producer(plain, plain.kafka_bootstrap)
    receiving = consumer(plain, plain.kafka_bootstrap)
    await receiving.start()
    await sending.partitions_for(plain.kafka_topic)
    getattr(apache_kafka, harm)()
    receipt = await sending.send(plain.kafka_topic, b"late", key=b"site")

    async with asyncio.timeout(45):  # a busy machine needs a few seconds
        await asyncio.gather(close(sending, grace_s=1), close(receiving, grace_s=1))

    assert asyncio.all_tasks() == before
    receipt.cancel()


async def test_a_start_in_front_of_a_paused_broker_is_bounded(
    apache_kafka: ApacheKafka, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.delivery.kafka.clients._PRODUCER_S", 0.5)
    monkeypatch.setattr("monitor.delivery.kafka.topics._ADMIN_S", 0.5)
    monkeypatch.setattr("monitor.delivery.kafka.diagnosis._LIMIT_S", 0.5)
    plain = config(apache_kafka, "PLAINTEXT", files)
    before = asyncio.all_tasks()
    apache_kafka.pause()

    with pytest.raises(KafkaConnectionError, match=f"{plain.kafka_bootstrap}: no answer in 0.5 s$"):
        await started_producer(plain, plain.kafka_bootstrap)

    assert asyncio.all_tasks() == before


async def test_what_was_acknowledged_before_a_kill_is_there_after_it(
    apache_kafka: ApacheKafka, files: Path
) -> None:
    plain = config(apache_kafka, "PLAINTEXT", files)
    sending = await started_producer(plain, plain.kafka_bootstrap)
    await sending.send_and_wait(plain.kafka_topic, b"kept", key=b"site")
    apache_kafka.kill()
    await close(sending, grace_s=0)

    apache_kafka.start()

    receiving = consumer(plain, plain.kafka_bootstrap)
    async with asyncio.timeout(60):
        await receiving.start()
        record = await receiving.getone()
    await close(receiving)
    assert record.value == b"kept"
