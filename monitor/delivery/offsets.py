"""How far a consumer of the storing side is, and where it goes on."""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError

_COMMIT_S = 5.0
_SURE_S = 0.5  # a topic that was deleted and made anew is not read earlier

_log = logging.getLogger(__name__)


class Offsets:
    """The offsets of one consumer after the other, and whether they still mean the same records.

    They do not when somebody deleted the topic and made it anew: then it is read from its first record.
    """

    def __init__(self) -> None:
        self._committed_at: dict[TopicPartition, float] = {}

    def forget(self) -> None:
        """Forget the last consumer's commits: other members may have gone on from them since."""
        self._committed_at.clear()

    async def are_valid(self, consumer: Any, partitions: Iterable[TopicPartition]) -> bool:
        """Return whether the group's commits are still known; if not, the topic is read from its start.

        If Kafka still knows the oldest of the last commits, it knows those that came after it.
        """
        ours = self._committed_at.keys() & consumer.assignment() & set(partitions)
        oldest = min(ours, key=self._committed_at.__getitem__, default=None)
        if oldest is None:
            return True
        age_s = asyncio.get_running_loop().time() - self._committed_at[oldest]
        if age_s <= _SURE_S or not await is_forgotten(consumer, oldest):
            return True
        _log.warning("the topic was made anew: it is read from its first record")
        self._committed_at.clear()
        await rewind(consumer)
        return False

    async def commit(self, consumer: Any, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit what was fetched last, unless it is of a topic that is gone, maybe only since the fetch."""
        if await self.are_valid(consumer, offsets) and await commit(consumer, offsets):
            now = asyncio.get_running_loop().time()
            self._committed_at |= dict.fromkeys(offsets.keys() & consumer.assignment(), now)


async def is_behind(consumer: Any) -> bool:
    """Return whether Kafka has records that were not fetched."""
    known = await consumer.end_offsets(consumer.assignment())
    return any([await consumer.position(partition) < end for partition, end in known.items()])


def has_more(consumer: Any, offsets: Mapping[TopicPartition, int]) -> bool:
    """Return whether Kafka had records after these offsets when the consumer asked last."""
    assigned = offsets.keys() & consumer.assignment()
    return any((consumer.highwater(partition) or 0) > offsets[partition] for partition in assigned)


async def is_forgotten(consumer: Any, partition: TopicPartition) -> bool:
    """Return whether Kafka does not know any more that the group committed anything in this partition.

    It forgets that with the topic. One that was made anew may be longer by now than the old one was, and
    nothing else says that the records are of another log.
    """
    async with asyncio.timeout(_COMMIT_S):
        return await consumer.committed(partition) is None


async def rewind(consumer: Any) -> bool:
    """Start from the first record, also after the next rebalance; return whether that is committed."""
    starts = dict.fromkeys(consumer.assignment(), 0)
    for partition in starts:
        consumer.seek(partition, 0)
    return await commit(consumer, starts)


async def commit(consumer: Any, offsets: Mapping[TopicPartition, int]) -> bool:
    """Commit in the partitions that are still ours; return whether there were any, and Kafka took it.

    The records of the others come again in another process. The store keeps one row of each result.
    """
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
    """Return the offsets that follow these records."""
    last = {(record.topic, record.partition): record.offset for record in records}
    return {TopicPartition(*partition): offset + 1 for partition, offset in last.items()}
