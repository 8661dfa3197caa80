"""Which of a location's checks this process makes, where several processes share them.

A slot is the same instant for all processes, and a slot that is checked twice is one row. So a double
check is better than a gap. Kafka's consumer group is the only coordinator, its assignment of partitions
the only protocol:

1. Monitors are hashed to 64 shards, and those to the partitions of `<kafka_topic>.checks`, in which nothing
   is ever written. All processes of a location subscribe to it in one group, with the sticky assignor.
2. A process checks the monitors of the shards in its newest assignment. It keeps them through a rebalance,
   and while Kafka is unavailable, until the next assignment.
3. Of shards that it gains, it makes the checks of the last 30 s that it has not made itself and that
   PostgreSQL does not have, each under its own slot. While PostgreSQL does not answer, it makes them all.
   One that stood still makes those of the time in which it did.
4. A process that stops leaves the group at once, and goes on for 3 s, until others have its shards.
5. One that has no assignment 20 s after its start checks everything, until it has one.
"""

import asyncio
import hashlib
import logging
import re
import socket
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any
from uuid import UUID

from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from monitor.config.model import Config
from monitor.delivery.kafka.aiokafka_fixes import close
from monitor.delivery.kafka.clients import group_member
from monitor.delivery.kafka.topics import checks_topic, ensure_checks_topic, members_of_checks
from monitor.result import PROCESS, result_id
from monitor.runtime.progress import Availability
from monitor.runtime.waiting import StoppedError, delays, pause, unless_stopped
from monitor.storage.database import Database, StoreUnavailableError
from monitor.storage.results import stored_ids

log = logging.getLogger(__name__)

SHARDS = 64
LOOK_BACK_S = 30.0
ALONE_AFTER_S = 20.0
LEAVING_S = 3.0
_POLL_S = 60.0  # aiokafka throws out a member that asks for nothing for five minutes
_ANSWER_S = 30.0
_LOOK_UP_S = 2.0
_SALT = b"shard"  # a slot is a hash of the same name: the monitors of a shard are not to be due together


def shard_of(name: str) -> int:
    """Return the shard of a monitor: the same for the same name, in every process."""
    return hashlib.blake2b(name.encode(), digest_size=2, salt=_SALT).digest()[0] % SHARDS


class Shard:
    """Whether the checks of some monitors are made here, and since and until when (Unix seconds)."""

    def __init__(self) -> None:
        self.is_own = asyncio.Event()
        self.gained_at = 0.0
        self.lost_at = 0.0

    def gain(self, at: float) -> tuple[float, float]:
        """Own it from now on; return the span before that in which slots may be missing."""
        self.gained_at = at
        self.is_own.set()
        return max(self.lost_at, at - LOOK_BACK_S), at

    def lose(self, at: float) -> None:
        self.lost_at = at
        self.is_own.clear()

    def covers(self, slot: float) -> bool:
        """Whether the check of this slot, which was waited for while the shard was own, is made here."""
        return slot <= self.lost_at or (self.is_own.is_set() and self.gained_at < slot)


def own_shard() -> Shard:
    """Return what holds the monitors of a process that shares with none."""
    shard = Shard()
    shard.is_own.set()
    return shard


Look = Callable[[Sequence[tuple[str, float, UUID]]], Awaitable[Collection[UUID]]]
"""Returns which of these results (monitor, slot, id) have a row; raises `StoreUnavailableError`."""


class Sharing(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """The share of this process, for as long as `run` runs.

    `prepare` makes the topic, `open_consumer` a consumer that has not started, `members` asks Kafka for the
    processes and their partitions. `on_known` is called once, when it is known which checks are made here.
    """

    def __init__(
        self,
        *,
        name: str,
        location: str,
        topic: str,
        prepare: Callable[[], Awaitable[None]],
        open_consumer: Callable[[], Any],
        members: Callable[[], Awaitable[Mapping[str, Collection[int]]]],
        look: Look,
        kafka: Availability,
    ) -> None:
        self.name = name
        self.shards = [Shard() for _ in range(SHARDS)]
        self.gained: asyncio.Queue[Mapping[int, tuple[float, float]]] = asyncio.Queue()
        """For each assignment, the shards that are new here, with the span of slots that may be missing."""
        self.members: Mapping[str, Sequence[int]] = {}
        """The shards of each process, as of the newest assignment."""
        self.taken_over = 0
        self.is_known = False
        self.on_known: Callable[[], None] = lambda: None
        self._location, self._topic = location, topic
        self._prepare, self._open_consumer, self._members = prepare, open_consumer, members
        self._look = look
        self._kafka = kafka
        self._consumer: Any = None
        self._assigned = asyncio.Event()
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Take part in the group until `leave` was called; while that cannot be, try again."""
        async with asyncio.TaskGroup() as tasks:
            others = [tasks.create_task(self._wait_alone()), tasks.create_task(self._list_members())]
            waits_s = delays(last_s=_POLL_S)
            with suppress(StoppedError):
                while True:
                    try:
                        await self._take_part()
                    except (KafkaError, OSError) as error:  # a `TimeoutError` is an `OSError`
                        if self._kafka.unavailable_since_at is None:
                            log.warning(
                                "Kafka is unavailable, checks are shared as before: %s",
                                self._kafka.reason(error),
                            )
                        self._kafka.failed(error)
                    await pause(self._stop, next(waits_s))
            for each in others:
                each.cancel()

    async def _take_part(self) -> None:
        await unless_stopped(self._stop, self._prepare(), _ANSWER_S)
        self._consumer = consumer = self._open_consumer()
        try:
            await unless_stopped(self._stop, consumer.start(), _ANSWER_S)
            consumer.subscribe([self._topic], listener=self)
            while True:
                poll = consumer.getmany(timeout_ms=int(_POLL_S * 1_000))  # raises what keeps us out
                await unless_stopped(self._stop, poll, 2 * _POLL_S)
                if not consumer.partitions_for_topic(self._topic):
                    raise UnknownTopicOrPartitionError(f"topic {self._topic} is gone")
        finally:
            await close(consumer)  # leaves the group

    def on_partitions_revoked(self, revoked: object) -> None:
        """Keep the shards: what is revoked before a rebalance is mostly assigned again."""

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Take the shards of these partitions for this process's own."""
        if amount := len(self._consumer.partitions_for_topic(self._topic) or ()):
            self._consumer.pause(*assigned)  # there is nothing to fetch
            self.own({each.partition for each in assigned}, amount)
            self._assigned.set()

    def own(self, partitions: Collection[int], amount: int) -> None:
        """Check the monitors of these partitions, of so many, from now on, and no others."""
        now = time.time()
        gained = {}
        for number, shard in enumerate(self.shards):
            if number % amount in partitions:
                if not shard.is_own.is_set():
                    gained[number] = shard.gain(now)
            elif shard.is_own.is_set():
                shard.lose(now)
        self.gained.put_nowait(gained)
        self.is_known = True
        self.on_known()
        self.on_known = lambda: None

    async def _wait_alone(self) -> None:
        await asyncio.sleep(ALONE_AFTER_S)
        if not self.is_known:
            log.warning("Kafka has assigned no checks in %.0f s: all of them are made here", ALONE_AFTER_S)
            self.own({0}, 1)

    async def _list_members(self) -> None:
        """Ask after each assignment who has which shards: only for people."""
        while True:
            await self._assigned.wait()
            own = self.own_shards()
            self.members = {self.name: own}
            try:
                async with asyncio.timeout(_ANSWER_S):
                    assigned = await self._members()
            except (KafkaError, OSError) as error:
                log.warning(
                    "the processes that share the checks cannot be listed: %s", self._kafka.reason(error)
                )
            else:
                amount = max((len(self._consumer.partitions_for_topic(self._topic) or ()), 1))
                self.members = {
                    name: [number for number in range(SHARDS) if number % amount in partitions]
                    for name, partitions in assigned.items()
                }
            if self._kafka.succeeded():
                log.info("the checks are shared again")
            if own == self.own_shards():
                self._assigned.clear()
                log.info(
                    "checks are shared; processes: %d, shards of this one: %d of %d",
                    *(len(self.members), len(own), SHARDS),
                )

    def own_shards(self) -> Sequence[int]:
        """Return the shards whose monitors are checked here."""
        return [number for number, shard in enumerate(self.shards) if shard.is_own.is_set()]

    async def without_row(self, slots: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
        """Return those of these slots of monitors that have no row; all, if PostgreSQL does not answer."""
        wanted = [(monitor, slot, result_id(self._location, monitor, slot)) for monitor, slot in slots]
        known: Collection[UUID] = ()
        with suppress(StoreUnavailableError, TimeoutError):
            async with asyncio.timeout(_LOOK_UP_S):
                known = await self._look(wanted)
        missing = [(monitor, slot) for monitor, slot, result in wanted if result not in known]
        self.taken_over += len(missing)
        return missing

    async def leave(self) -> None:
        """Leave the group, and return when the others have had time to get the shards."""
        self._stop.set()
        if len(self.members) > 1:
            await asyncio.sleep(LEAVING_S)


def sharing(config: Config, database: Database) -> Sharing | None:
    """Return what decides which checks are made here; `None` where there can be no other process."""
    if not config.shares_checks:
        return None
    bootstrap = config.kafka_bootstrap
    host = re.sub(r"[^!-~]", "-", socket.gethostname())[:80]
    name = f"{host}-{PROCESS}"
    return Sharing(
        name=name,
        location=config.location,
        topic=checks_topic(config),
        prepare=partial(ensure_checks_topic, config, bootstrap, SHARDS),
        open_consumer=partial(group_member, config, bootstrap, name),
        members=partial(members_of_checks, config, bootstrap),
        look=partial(stored_ids, database),
        kafka=Availability("Kafka", bootstrap),
    )
