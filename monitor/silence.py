"""Finds monitors of which no results come, and opens an incident of kind `no_data` for each.

A process judges only monitors whose results are in its own partitions, and only by an instant whose messages
it has all stored since. After Kafka was unavailable, partitions were assigned anew, or this process slept,
results may still be on their way: then it waits for three intervals and a minute more.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from monitor.storage.database import Database, StoreUnavailableError
from monitor.store_silence import look_for_no_data
from monitor.watched import MonitorRules

LOOK_S = 5.0
SETTLE_S = 60.0
_FIRST_CHECKS_PER_S = 50  # the schedule's ramp
_ASLEEP_S = 30.0
_KAFKA_S = 3.0
_SKEW_S = 1.0


class _Instant(NamedTuple):
    """An instant: where each partition ended then, and up to where it was read."""

    at: float
    monotonic: float
    ends: dict[TopicPartition, int]
    positions: dict[TopicPartition, int]

    def is_read(self, ends: Mapping[TopicPartition, int]) -> bool:
        """Return whether everything before these ends has been read, and so stored, at this instant."""
        return all(self.positions.get(partition, -1) >= end for partition, end in ends.items())


class NoDataWatch:
    """Looks for monitors without results again and again, between the batches of one storing process.

    `partition_of` returns the partition of a key, out of so many, as producers choose it.
    """

    def __init__(
        self,
        database: Database,
        rules: MonitorRules,
        partition_of: Callable[[bytes, int], int],
        *,
        settle_s: float = SETTLE_S,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._rules = rules
        self._partition_of = partition_of
        self._settle_s = settle_s
        self._clock = clock
        self._monotonic = monotonic
        self._last: _Instant | None = None
        self._unread: _Instant | None = None
        self._uninterrupted_since = 0.0

    async def look(self, consumer: Any) -> None:
        """Look, unless that was just done. Everything that the consumer has returned must be stored."""
        if self._last and self._monotonic() < self._last.monotonic + LOOK_S:
            return
        now = _Instant(self._clock(), self._monotonic(), *await _ends_and_positions(consumer))
        if not self._last or self._is_interrupted(self._last, now):
            self._uninterrupted_since, self._unread = now.at, None
        self._last = now
        if self._unread and now.is_read(self._unread.ends):
            await self._judge(self._unread, consumer)
            self._unread = None
        self._unread = self._unread or now

    def _is_interrupted(self, last: _Instant, now: _Instant) -> bool:
        slept_s = now.monotonic - last.monotonic
        return (
            not now.ends
            or now.ends.keys() != last.ends.keys()
            or any(now.ends[partition] < end for partition, end in last.ends.items())
            or slept_s > _ASLEEP_S
            or abs(now.at - last.at - slept_s) > _SKEW_S
        )

    async def _judge(self, read: _Instant, consumer: Any) -> None:
        checked_since = self._rules.checked_since
        if read.at < self._uninterrupted_since + self._settle_s + len(checked_since) / _FIRST_CHECKS_PER_S:
            return
        ours = {partition.partition for partition in read.ends}
        (topic,) = {partition.topic for partition in read.ends}
        partitions = len(consumer.partitions_for_topic(topic))

        def is_ours(name: str) -> bool:
            return self._partition_of(name.encode(), partitions) in ours

        deadlines = {
            name: read.at - patience_s
            for name, since_at in checked_since.items()
            if max(since_at, self._uninterrupted_since)
            < read.at - (patience_s := self._rules.no_data_after_s(name))
            and is_ours(name)
        }
        try:
            await look_for_no_data(self._database, deadlines, checked_since, is_ours, read.at)
        except StoreUnavailableError:
            return  # the next batch will log that, and wait


async def _ends_and_positions(
    consumer: Any,
) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
    """Return where the partitions end, and up to where they are read; nothing if Kafka does not answer."""
    partitions = consumer.assignment()
    try:
        async with asyncio.timeout(_KAFKA_S):
            ends = await consumer.end_offsets(partitions)
            return ends, {partition: await consumer.position(partition) for partition in partitions}
    except (KafkaError, TimeoutError):
        return {}, {}
