"""What the topic of results holds: each check that was made, also of slots that have a row already."""

import json
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from tests.chaos.faults_brokers import TOPIC
from tests.chaos.faults_kafka import PARTITIONS
from tests.chaos.stored import number_of


class Message(NamedTuple):
    """A result, and the number of the site's answer that it is about."""

    monitor: str
    number: int | None
    slot: float
    up: bool
    process: str
    """Which made the check; empty where it was made late."""


async def messages(bootstrap: str) -> list[Message]:
    """Read all that the topic holds."""
    partitions = [TopicPartition(TOPIC, number) for number in range(PARTITIONS)]
    found: list[Message] = []
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap) as consumer:
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        for partition in partitions:
            while await consumer.position(partition) < ends[partition]:
                fetched = await consumer.getmany(partition, timeout_ms=1_000)
                found += [_message(record.value) for record in fetched.get(partition, ())]
    return found


def _message(value: bytes) -> Message:
    result = json.loads(value)
    number, process = number_of(result["response_data"]), result.get("process", "")
    return Message(result["monitor"], number, result["scheduled_at"], result["up"], process)
