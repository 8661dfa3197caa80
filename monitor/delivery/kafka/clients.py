"""Kafka clients, made from the configuration.

All take the bootstrap address as well, as it may be "embedded" in the configuration.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

from monitor.config.model import Config
from monitor.config.rules import EMBEDDED
from monitor.delivery.kafka.access import CLIENT_ID, REQUEST_MS, security
from monitor.delivery.kafka.aiokafka_fixes import ExplainingConsumer, close, explained
from monitor.delivery.kafka.topics import checks_group, ensure_topics
from monitor.result import MAX_MESSAGE_BYTES
from monitor.runtime.waiting import unless_stopped

START_S = 60.0  # a group waits for members that are gone: a session, then a rebalance without them
_SESSION_MS = 6_000  # brokers allow no less by default
_HEARTBEAT_MS = 1_000
_PRODUCER_S = 20.0
_MAX_BATCH_BYTES = 512 << 10
# A consumer whose topic was deleted only looks again after `metadata_max_age_ms`.
_TIMING = {
    "session_timeout_ms": 10_000,
    "heartbeat_interval_ms": 3_000,
    "fetch_max_wait_ms": 500,
    "metadata_max_age_ms": 1_000,
}
# A join takes half the session timeout, and the first record after a while a quarter of the wait.
_EMBEDDED_TIMING = {
    "session_timeout_ms": 2_000,
    "heartbeat_interval_ms": 650,
    "fetch_max_wait_ms": 1_000,
    "metadata_max_age_ms": 5_000,
    "consumer_timeout_ms": 1_000,  # how often it looks again at what it could fetch
}
# aiokafka gives up a batch, a connection and a request after the same time. Not idempotent, it would send the
# next batch then: later than the caller gives up the producer, who thereby keeps the order.
_EMBEDDED_REQUEST_MS = 30_000


class _FirstPartitionProducer(AIOKafkaProducer):  # type: ignore[misc]  # aiokafka has no types
    """A producer for one partition: one batch costs less than one for each partition."""

    async def partitions_for(self, topic: str) -> set[int]:
        return {min(await super().partitions_for(topic))}


def producer(config: Config, bootstrap: str) -> AIOKafkaProducer:
    """Make a producer, not started. On the embedded broker it is not idempotent, as that has no such ones.

    `create_batch` makes batches of up to half a megabyte.
    """
    embedded = config.kafka_bootstrap == EMBEDDED
    compression = config.kafka_compression
    made = _FirstPartitionProducer if embedded else AIOKafkaProducer
    return made(
        bootstrap_servers=bootstrap,
        client_id=CLIENT_ID,
        acks="all",
        enable_idempotence=not embedded,
        compression_type=None if compression == "none" else compression,
        max_batch_size=_MAX_BATCH_BYTES,
        max_request_size=2 * MAX_MESSAGE_BYTES,
        request_timeout_ms=_EMBEDDED_REQUEST_MS if embedded else REQUEST_MS,
        **security(config),
    )


def consumer(config: Config, bootstrap: str) -> AIOKafkaConsumer:
    """Make a consumer of the topic, not started, that commits nothing by itself."""
    timing = _EMBEDDED_TIMING if config.kafka_bootstrap == EMBEDDED else _TIMING
    return ExplainingConsumer(
        config.kafka_topic,
        bootstrap_servers=bootstrap,
        client_id=CLIENT_ID,
        group_id=config.kafka_group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=2 * MAX_MESSAGE_BYTES,
        request_timeout_ms=REQUEST_MS,
        **timing,
        explained=lambda: explained(config, bootstrap, START_S),
        **security(config),
    )


def group_member(config: Config, bootstrap: str, name: str) -> AIOKafkaConsumer:
    """Make a member of the group that shares the checks, not started and without topics; it commits nothing.

    aiokafka sends its JoinGroup request once for each assignor, so there is one.
    """
    return ExplainingConsumer(
        bootstrap_servers=bootstrap,
        client_id=name,
        group_id=checks_group(config),
        partition_assignment_strategy=[StickyPartitionAssignor],
        enable_auto_commit=False,
        session_timeout_ms=_SESSION_MS,
        heartbeat_interval_ms=_HEARTBEAT_MS,
        request_timeout_ms=REQUEST_MS,
        consumer_timeout_ms=60_000,  # how often it looks whether there is something to fetch: there never is
        explained=lambda: explained(config, bootstrap, START_S),
        **security(config),
    )


@asynccontextmanager
async def started(client: Any, stop: asyncio.Event | None = None) -> AsyncIterator[Any]:
    """Start a consumer, producer or admin client, and close it on leaving, whatever became of the broker.

    Raises:
        TimeoutError: Kafka did not answer in time.
        KafkaError: Kafka refused this client.
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
        KafkaError: Kafka is unavailable, or refuses us; the text names server, file and reason.
        OSError: a file of `kafka_ssl_dir` cannot be used.

    """
    await ensure_topics(config, bootstrap)
    made = producer(config, bootstrap)
    try:
        async with explained(config, bootstrap, _PRODUCER_S):
            await made.start()
    except BaseException:
        await close(made, grace_s=0)
        raise
    return made
