"""The topics of results, dead letters and shared checks: made where they are missing, or made anew."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code

from monitor.config.model import Config
from monitor.config.rules import EMBEDDED
from monitor.delivery.kafka.access import CLIENT_ID, REQUEST_MS, security
from monitor.delivery.kafka.aiokafka_fixes import close, explained

# A client that asks the embedded broker for a topic which is not there makes it, with so many.
_EMBEDDED_PARTITIONS = 4
_ADMIN_S = 20.0
_LOOK_S = 0.01
_MAX_LOCATION = 100
_REPLICAS = 3
# The broker's clock counts: Kafka refuses records of more than an hour ahead, and deletes old ones.
_TOPIC = {"message.timestamp.type": "LogAppendTime"}


def dead_topic(config: Config) -> str:
    """Return the topic of what cannot be stored."""
    return f"{config.kafka_topic}.dead"


def checks_topic(config: Config) -> str:
    """Return the topic whose partitions stand for the shards of checks; nothing is ever written to it."""
    return f"{config.kafka_topic}.checks"


def checks_group(config: Config) -> str:
    """Return the group of the processes that share the checks of this location.

    The location is written so that tools of Kafka, metrics and shells take it.
    """
    location = quote(config.location, safe="")
    if len(location) > _MAX_LOCATION:
        digest = hashlib.blake2b(location.encode(), digest_size=8).hexdigest()
        location = f"{location[:_MAX_LOCATION]}-{digest}"
    return f"{config.kafka_group}.checks.{location}"


async def ensure_topics(config: Config, bootstrap: str) -> None:
    """Make the topic and that of the dead letters where they are missing; existing ones stay as they are.

    Return when all partitions of the new ones can be used.

    Raises:
        KafkaError: Kafka is unavailable, does not let us in, or does not let us make a topic that is missing.
        OSError: a file of `kafka_ssl_dir` cannot be used.

    """
    async with _admin(config, bootstrap) as admin:
        await _make_missing(admin, _topics(config))


async def ensure_checks_topic(config: Config, bootstrap: str, partitions: int) -> None:
    """Make the topic of shared checks where it is missing; return when it can be used.

    Raises:
        KafkaError: Kafka is unavailable, does not let us in, or does not let us make the topic.
        OSError: a file of `kafka_ssl_dir` cannot be used.

    """
    async with _admin(config, bootstrap) as admin:
        await _make_missing(admin, {checks_topic(config): partitions})


async def members_of_checks(config: Config, bootstrap: str) -> dict[str, Collection[int]]:
    """Return the processes that share the checks of this location, with the partitions of each.

    Raises:
        KafkaError: Kafka is unavailable, or does not let us in.

    """
    async with _admin(config, bootstrap) as admin:
        (answer,) = await admin.describe_consumer_groups([checks_group(config)])
    ((_, _, _, _, _, members, *_),) = answer.groups
    return {
        name: [each.partition for each in ConsumerProtocolMemberAssignment.decode(assignment).partitions()]
        for _, name, _, _, assignment in members
        if assignment
    }


async def remake_topic(config: Config, bootstrap: str) -> None:
    """Delete the topic and make it again, empty; the one for dead letters stays. Repeating it is safe.

    Raises:
        OSError: Kafka is unavailable, or does not let us do that.

    """
    try:
        async with _admin(config, bootstrap) as admin:
            answer = await admin.delete_topics([config.kafka_topic])
            _refuse(answer.topic_error_codes, UnknownTopicOrPartitionError)
            await _make_missing(admin, _topics(config))
    except KafkaError as error:
        raise ConnectionError(str(error)) from error


def _topics(config: Config) -> dict[str, int]:
    partitions = _EMBEDDED_PARTITIONS if config.kafka_bootstrap == EMBEDDED else config.kafka_partitions
    return {config.kafka_topic: partitions, dead_topic(config): 1}


@asynccontextmanager
async def _admin(config: Config, bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(
        bootstrap_servers=bootstrap, client_id=CLIENT_ID, request_timeout_ms=REQUEST_MS, **security(config)
    )
    try:
        async with explained(config, bootstrap, _ADMIN_S):
            await admin.start()
            yield admin
    finally:
        await close(admin)


async def _make_missing(admin: AIOKafkaAdminClient, wanted: Mapping[str, int]) -> None:
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
