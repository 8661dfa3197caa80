"""How rows are distributed over the partitions of a topic, and batched."""

import asyncio
import logging
import sys
from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import Any

import msgspec
from aiokafka.partitioner import DefaultPartitioner

from monitor.delivery.outbox.file import OutboxRow
from monitor.result import Message, shrink

_log = logging.getLogger(__name__)


class PartitionBatch:
    """The rows that go to one partition, in their order: sent as one batch, or as several in turn."""

    receipt: asyncio.Future[object]

    def __init__(self, partition: int) -> None:
        self.rows: list[OutboxRow] = []
        self._partition = partition
        self._limit = sys.maxsize
        self._count = 0

    async def send(self, producer: Any, topic: str) -> None:
        """Send as many of the rows as one batch holds; `receipt` ends with Kafka's answer."""
        records = producer.create_batch()
        self._count = 0
        for row in self.rows[: self._limit]:
            if records.append(key=row.key, value=row.value, timestamp=None) is None:
                break
            self._count += 1
        self.receipt = await producer.send_batch(records, topic, partition=self._partition)
        self.receipt.add_done_callback(_look_at)

    def take_sent(self) -> list[OutboxRow]:
        """Remove the rows that were sent last, and return them."""
        rows, self.rows = self.rows[: self._count], self.rows[self._count :]
        return rows

    @property
    def first_monitor(self) -> str:
        return self.rows[0].key.decode(errors="replace")

    def make_smaller(self) -> bool:
        """Make a batch that is too large for Kafka smaller: fewer rows, or half of the body of a single one.

        Return false when there is no body to cut.
        """
        if self._count > 1:
            self._limit = self._count // 2
            return True
        first = self.rows[0]
        try:
            smaller = shrink(Message(first.key, first.value))
        except (msgspec.MsgspecError, UnicodeDecodeError):
            smaller = None
        if smaller:
            _log.warning("A result of %s is too large for Kafka: half of it is cut", self.first_monitor)
            self.rows[0] = OutboxRow(first.seq, *smaller)
        return smaller is not None


def split(rows: Iterable[OutboxRow], partitions: Collection[int]) -> list[PartitionBatch]:
    """Return the rows by their partitions; in each they keep their order."""
    batches: dict[int, PartitionBatch] = {}
    for row in rows:
        partition = partition_of(row.key, len(partitions))
        if partition not in batches:
            batches[partition] = PartitionBatch(partition)
        batches[partition].rows.append(row)
    return list(batches.values())


@lru_cache(maxsize=100_000)
def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of a message, of so many: the same that other Kafka clients choose."""
    every = list(range(partitions))
    return int(DefaultPartitioner()(key, every, every))


def _look_at(receipt: asyncio.Future[object]) -> None:
    """Read the error of a batch whose producer was abandoned, so that asyncio does not complain."""
    receipt.exception()
