"""How far a consumer of the storing side is, and where it goes on."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError

_COMMIT_S = 5.0

_log = logging.getLogger("monitor.ingest")


async def is_behind(consumer: Any) -> bool:
    """Tell whether Kafka has records that were not fetched."""
    ends = await consumer.end_offsets(consumer.assignment())
    return any([await consumer.position(partition) < end for partition, end in ends.items()])


async def is_forgotten(consumer: Any, partition: TopicPartition) -> bool:
    """Tell whether Kafka does not know any more that the group committed anything in this partition.

    It forgets that with the topic. One that was made anew may be longer by now than the old one was, and
    nothing else says that the records are of another log.
    """
    async with asyncio.timeout(_COMMIT_S):
        return await consumer.committed(partition) is None


async def rewind(consumer: Any) -> bool:
    """Start from the first record, also after the next rebalance; returns whether that is settled."""
    starts = dict.fromkeys(consumer.assignment(), 0)
    for partition in starts:
        consumer.seek(partition, 0)
    return await commit(consumer, starts)


async def commit(consumer: Any, offsets: Mapping[TopicPartition, int]) -> bool:
    """Commit what is still ours; what is not comes again elsewhere, and is stored once all the same."""
    assigned = consumer.assignment()
    ours = {partition: offset for partition, offset in offsets.items() if partition in assigned}
    if not ours:
        return False
    try:
        async with asyncio.timeout(_COMMIT_S):
            await consumer.commit(ours)
    except CommitFailedError as error:
        _log.info("offsets were not committed, some results come again: %s", error.args[-1])
        return False
    return True


def ends(records: Sequence[Any]) -> dict[TopicPartition, int]:
    """Say where to go on after these records."""
    last = {(record.topic, record.partition): record.offset for record in records}
    return {TopicPartition(*partition): offset + 1 for partition, offset in last.items()}
