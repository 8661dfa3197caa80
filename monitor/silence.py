"""Looks for monitors that fell silent: nobody sends a result for want of results.

A process judges only what it would know of: monitors whose results are in its own partitions, as of an
instant whose every message it has stored since. When Kafka was away, or the partitions were shared out anew,
or this process slept, results may be on their way: then it waits three intervals more, and a minute.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner

from monitor.storage_database import Database, StoreUnavailableError
from monitor.store_silence import look_for_silence
from monitor.watched import MonitorRules

LOOK_S = 5.0
SETTLE_S = 60.0
_FIRST_CHECKS_PER_S = 50  # the schedule's ramp
_ASLEEP_S = 30.0
_KAFKA_S = 3.0
_SKEW_S = 1.0


class _Instant(NamedTuple):
    """A look at Kafka: when it was, and where each partition ended."""

    at: float
    monotonic: float
    ends: dict[TopicPartition, int]
    positions: dict[TopicPartition, int]

    def is_read(self, ends: Mapping[TopicPartition, int]) -> bool:
        """Whether all that was there is stored by now."""
        return all(self.positions.get(partition, -1) >= end for partition, end in ends.items())


class Silence:
    """Looks again and again, between the batches of one storing process."""

    def __init__(
        self,
        database: Database,
        rules: MonitorRules,
        *,
        settle_s: float = SETTLE_S,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._rules = rules
        self._settle_s = settle_s
        self._clock = clock
        self._monotonic = monotonic
        self._last: _Instant | None = None
        self._unread: _Instant | None = None
        self._clear_since = 0.0

    async def look(self, consumer: Any) -> None:
        """Look, unless that was just done; all that the consumer has given is stored."""
        if self._last and self._monotonic() < self._last.monotonic + LOOK_S:
            return
        now = _Instant(self._clock(), self._monotonic(), *await _ends_and_positions(consumer))
        if not self._last or self._is_interrupted(self._last, now):
            self._clear_since, self._unread = now.at, None
        self._last = now
        if self._unread and now.is_read(self._unread.ends):
            await self._say(self._unread, consumer)
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

    async def _say(self, read: _Instant, consumer: Any) -> None:
        since = self._rules.checked_since
        if read.at < self._clear_since + self._settle_s + len(since) / _FIRST_CHECKS_PER_S:
            return
        ours = {partition.partition for partition in read.ends}
        (topic,) = {partition.topic for partition in read.ends}
        partitions = len(consumer.partitions_for_topic(topic))

        def is_ours(name: str) -> bool:
            return _partition(name, partitions) in ours

        deadlines = {
            name: read.at - patience_s
            for name, since_at in since.items()
            if max(since_at, self._clear_since) < read.at - (patience_s := self._rules.no_data_after_s(name))
            and is_ours(name)
        }
        try:
            await look_for_silence(self._database, deadlines, since, is_ours, read.at)
        except StoreUnavailableError:
            return  # the next batch says so, and waits


async def _ends_and_positions(
    consumer: Any,
) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
    """Ask where the partitions end, and how far they are read; none, when Kafka does not say."""
    partitions = consumer.assignment()
    try:
        async with asyncio.timeout(_KAFKA_S):
            ends = await consumer.end_offsets(partitions)
            return ends, {partition: await consumer.position(partition) for partition in partitions}
    except (KafkaError, TimeoutError):
        return {}, {}


@lru_cache(maxsize=100_000)
def _partition(name: str, partitions: int) -> int:
    """Find where the messages of a monitor are, as the forwarder's producer does."""
    every = list(range(partitions))
    return int(DefaultPartitioner()(name.encode(), every, every))
