"""Kafka clients and topics, made from the configuration.

All take the bootstrap address apart from the configuration, in which it may be "embedded".
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    NodeNotReadyError,
    TopicAlreadyExistsError,
    UnknownError,
    UnknownTopicOrPartitionError,
    for_code,
)

import monitor.kafka_connection  # noqa: F401 - its import is its use
from monitor.config import Config
from monitor.config_rules import EMBEDDED
from monitor.kafka_closing import close
from monitor.kafka_diagnosis import diagnosis
from monitor.kafka_security import AUTHORITIES, CERTIFICATE, KEY, present
from monitor.result import MAX_MESSAGE_BYTES
from monitor.runtime_waiting import unless_stopped
from monitor.tls_trust import trusting

CLIENT_ID = "website-health-monitor"
EMBEDDED_PARTITIONS = 4
START_S = 60.0  # a group waits for members that are gone: a session, then a rebalance without them
_PRODUCER_S = 20.0
_ADMIN_S = 20.0
_LOOK_S = 0.01
_REPLICAS = 3
_MAX_BATCH_BYTES = 512 << 10
# The broker's clock counts: Kafka refuses records of more than an hour ahead, and deletes old ones.
_TOPIC = {"message.timestamp.type": "LogAppendTime"}
_METADATA_MS = 1_000  # a consumer whose topic was deleted only looks again after this time

# aiokafka gives up a batch, a connection and a request after the same time. Not idempotent, it would send the
# next batch then: later than the caller gives up the producer, who thereby keeps the order.
_EMBEDDED_REQUEST_MS = 30_000
_REQUEST_MS = 15_000  # more than a rebalance takes, less than the patience of who starts a client


def security(config: Config) -> dict[str, Any]:
    """Return what each client needs to be let in.

    The files of `kafka_ssl_dir` are read each time, so that renewed ones are taken up.

    Raises:
        OSError: a file cannot be read, or is no certificate; `ssl.SSLError` is one.

    """
    settings: dict[str, Any] = {"security_protocol": config.kafka_security_protocol}
    if config.kafka_security_protocol.endswith("SSL"):
        settings["ssl_context"] = tls_context(config)
    if config.kafka_password is not None:
        settings["sasl_mechanism"] = config.kafka_sasl_mechanism
        settings["sasl_plain_username"] = config.kafka_username
        settings["sasl_plain_password"] = config.kafka_password.get_secret_value()
    return settings


def tls_context(config: Config) -> ssl.SSLContext:
    """Trust `ca.pem`, or else the system's authorities; show the client's certificate when there is one."""
    authorities, certificate, key = (config.kafka_ssl_dir / name for name in (AUTHORITIES, CERTIFICATE, KEY))
    found = present(config.kafka_ssl_dir)
    context = trusting(authorities if AUTHORITIES in found else None)
    if CERTIFICATE in found:
        context.load_cert_chain(certificate, key)
    return context


def producer(config: Config, bootstrap: str) -> AIOKafkaProducer:
    """Make a producer, not started; idempotent, except on the embedded broker, which knows no such ones.

    `create_batch` makes batches of up to half a megabyte.
    """
    embedded = config.kafka_bootstrap == EMBEDDED
    compression = config.kafka_compression
    return AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        client_id=CLIENT_ID,
        acks="all",
        enable_idempotence=not embedded,
        compression_type=None if compression == "none" else compression,
        linger_ms=0,
        max_batch_size=_MAX_BATCH_BYTES,
        max_request_size=2 * MAX_MESSAGE_BYTES,
        request_timeout_ms=_EMBEDDED_REQUEST_MS if embedded else _REQUEST_MS,
        **security(config),
    )


def consumer(config: Config, bootstrap: str) -> AIOKafkaConsumer:
    """Make a consumer of the topic, not started, that commits nothing by itself.

    On the embedded broker a join takes half the session timeout, and a record a quarter of the longest wait.
    """
    embedded = config.kafka_bootstrap == EMBEDDED
    session_ms, heartbeat_ms, wait_ms = (2_000, 500, 50) if embedded else (10_000, 3_000, 500)
    return _ExplainingConsumer(
        config.kafka_topic,
        bootstrap_servers=bootstrap,
        client_id=CLIENT_ID,
        group_id=config.kafka_group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=session_ms,
        heartbeat_interval_ms=heartbeat_ms,
        fetch_max_wait_ms=wait_ms,
        max_partition_fetch_bytes=2 * MAX_MESSAGE_BYTES,
        metadata_max_age_ms=_METADATA_MS,
        request_timeout_ms=_REQUEST_MS,
        explained=lambda: _explained(config, bootstrap, START_S),
        **security(config),
    )


class _ExplainingConsumer(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka has no types
    """Says at its start, as `started_producer` does, why a cluster does not let it in."""

    def __init__(
        self, topic: str, *, explained: Callable[[], AbstractAsyncContextManager[None]], **settings: Any
    ) -> None:
        super().__init__(topic, **settings)
        self._explained = explained

    async def start(self) -> None:
        async with self._explained():
            await super().start()


@asynccontextmanager
async def started(client: Any, stop: asyncio.Event | None = None) -> AsyncIterator[Any]:
    """Start a consumer, producer or admin client, and stop it in the end, whatever becomes of the broker.

    Raises:
        TimeoutError: the cluster did not answer in time.
        KafkaError: it answered that this client is not welcome.
        StoppedError: `stop` was set before it had started.

    """
    try:
        await unless_stopped(stop or asyncio.Event(), client.start(), START_S)
        yield client
    finally:
        await close(client)


async def started_producer(config: Config, bootstrap: str) -> AIOKafkaProducer:
    """Make the topics where they are missing, and return a producer that has started; `close` it.

    Raises:
        KafkaError: the cluster is away, or does not let us in; names the server, the file and the reason.
        OSError: a file of `kafka_ssl_dir` cannot be used.

    """
    await ensure_topics(config, bootstrap)
    made = producer(config, bootstrap)
    try:
        async with _explained(config, bootstrap, _PRODUCER_S):
            await made.start()
    except BaseException:
        await close(made, grace_s=0)
        raise
    return made


async def ensure_topics(config: Config, bootstrap: str) -> None:
    """Make the topic, and that for dead letters, where they are missing; one that is there stays as it is.

    Returns when all partitions of those that were missing can be used.

    Raises:
        KafkaError: the cluster is away, does not let us in, or does not let us make a topic that is missing.
        OSError: a file of `kafka_ssl_dir` cannot be used.

    """
    async with _admin(config, bootstrap) as admin:
        await _make_missing(admin, config)


async def remake_topic(config: Config, bootstrap: str) -> None:
    """Delete the topic and make it again, empty; the one for dead letters stays. Repeating it is safe.

    Raises:
        KafkaError: the cluster is away, or does not let us.

    """
    async with _admin(config, bootstrap) as admin:
        answer = await admin.delete_topics([config.kafka_topic])
        _refuse(answer.topic_error_codes, UnknownTopicOrPartitionError)
        await _make_missing(admin, config)


@asynccontextmanager
async def _admin(config: Config, bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(
        bootstrap_servers=bootstrap, client_id=CLIENT_ID, request_timeout_ms=_REQUEST_MS, **security(config)
    )
    try:
        async with _explained(config, bootstrap, _ADMIN_S):
            await admin.start()
            yield admin
    finally:
        await close(admin)


@asynccontextmanager
async def _explained(config: Config, bootstrap: str, limit_s: float) -> AsyncIterator[None]:
    """Bound the time, and let the error say what aiokafka keeps to itself."""
    try:
        async with asyncio.timeout(limit_s):
            yield
    except (KafkaConnectionError, NodeNotReadyError, TimeoutError, AttributeError) as error:
        # An `AttributeError` is how aiokafka says that the cluster has no controller just now.
        what = (
            f"no answer in {limit_s:g} s" if isinstance(error, TimeoutError) else "the cluster is not ready"
        )
        reason = await diagnosis(bootstrap, config.kafka_ssl_dir, security(config))
        raise KafkaConnectionError(reason or f"{bootstrap}: {what}") from error
    except UnknownError as error:  # how the embedded broker refuses a producer of a process not its own
        raise KafkaConnectionError(
            f"{bootstrap}: it takes no idempotent producers; an embedded broker serves its own process only"
        ) from error


def _partitions(config: Config) -> dict[str, int]:
    wanted = EMBEDDED_PARTITIONS if config.kafka_bootstrap == EMBEDDED else config.kafka_partitions
    return {config.kafka_topic: wanted, f"{config.kafka_topic}.dead": 1}


async def _make_missing(admin: AIOKafkaAdminClient, config: Config) -> None:
    wanted = _partitions(config)
    there = await admin.list_topics()
    missing = {topic: count for topic, count in wanted.items() if topic not in there}
    if missing:
        replicas = min(_REPLICAS, len((await admin.describe_cluster())["brokers"]))
        answer = await admin.create_topics(
            [NewTopic(topic, count, replicas, topic_configs=_TOPIC) for topic, count in missing.items()]
        )
        _refuse(answer.topic_errors, TopicAlreadyExistsError)
    usable: set[str] = set()
    while not missing.keys() <= usable:
        await asyncio.sleep(_LOOK_S)
        usable = await _usable_topics(admin)


def _refuse(topic_errors: list[tuple[Any, ...]], tolerated: type[KafkaError]) -> None:
    for topic, code, *message in topic_errors:
        error = for_code(code)
        if code and error is not tolerated:
            raise error(f"topic {topic}: {error.__name__} {' '.join(filter(None, message))}".strip())


async def _usable_topics(admin: AIOKafkaAdminClient) -> set[str]:
    described = await admin.describe_topics()
    return {
        each["topic"]
        for each in described
        if each["partitions"] and all(partition["leader"] >= 0 for partition in each["partitions"])
    }
