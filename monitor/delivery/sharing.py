"""What the processes of one location tell each other, through a consumer group of Kafka.

Nothing is consumed. A request to join the group has what the process announces; the leader's answer to all
is the assignment. What is in these bytes is decided elsewhere: see the room `sharing`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from aiokafka.coordinator.protocol import (
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
)
from aiokafka.errors import KafkaError

from monitor.delivery.kafka.aiokafka_fixes import close, leave, on_heartbeats
from monitor.runtime.progress import Availability
from monitor.runtime.waiting import StoppedError, delays, pause, unless_stopped

_PREPARE_S = 30.0
_START_S = 30.0
_POLL_S = 60.0
_POLLED_S = 90.0  # a rebalance and a look-up of the coordinator take less
_LEAVE_S = 1.0
_LAST_DELAY_S = 60.0
_VERSION = 0

_log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Group:
    """Membership in the group of a location, over the lives of many consumers.

    `prepare` makes the topic. `open_consumer` makes a consumer, not started, with this one assignor.
    `announce` returns the bytes to join with. `assign` gets the bytes of all members, by their ids, and
    returns those for all. `received` gets them. `answered` is called whenever the
    coordinator answers, `refused` when the cluster does not let us have the topic or the group.
    """

    topic: str
    prepare: Callable[[], Awaitable[None]]
    open_consumer: Callable[["Assignor"], Any]
    announce: Callable[[], bytes]
    assign: Callable[[Mapping[str, bytes]], bytes]
    received: Callable[[bytes], None]
    answered: Callable[[], None]
    refused: Callable[[], None]
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    kafka: Availability = field(default_factory=partial(Availability, "Kafka"))
    is_refused: bool = False
    bug: Exception | None = None
    """What `announce`, `assign` or `received` raised."""
    _consumer: Any = None
    _is_joining: bool = True
    _delays_s: Iterator[float] = field(default_factory=partial(delays, last_s=_LAST_DELAY_S))

    async def run(self) -> None:
        """Take part until `stop` is set, then leave the group. While that cannot be, try again.

        A bug in what the group asks for ends it at once, and is raised.
        """
        with suppress(StoppedError):
            while True:
                try:
                    await self._take_part()
                except (KafkaError, OSError) as error:
                    if self.bug is None:
                        self._note(error)
                    await pause(self.stop, next(self._delays_s))
        if self.bug is not None:
            raise self.bug

    async def _take_part(self) -> None:
        await unless_stopped(self.stop, self.prepare(), _PREPARE_S)
        consumer = self.open_consumer(Assignor(self))
        try:
            await unless_stopped(self.stop, consumer.start(), _START_S)
            on_heartbeats(consumer, self.answered)
            self._consumer = consumer
            self._join()
            while True:
                polling = consumer.getmany(timeout_ms=int(_POLL_S * 1_000))  # it raises what keeps us out
                await unless_stopped(self.stop, polling, _POLLED_S)
        finally:
            self._consumer = None
            # A client that is replaced does not leave: its successor is the same process.
            if self.stop.is_set():
                await leave(consumer, _LEAVE_S)
            await close(consumer, 0)

    def rejoin(self) -> None:
        """Join again with what is to be announced now; while a rebalance is under way, nothing is done.

        A subscription that changes meanwhile would make the client ignore the coordinator's answer.
        """
        if self._consumer is not None and not self._is_joining:
            self._join()

    def _join(self) -> None:
        self._is_joining = True
        self._consumer.subscribe([self.topic])

    def announcement(self) -> bytes:
        """Return what to join with: it is asked for when the coordinator is connected."""
        self._is_joining = True
        self.answered()
        return self.announce()

    def take(self, assignment: bytes) -> None:
        """Hand on the assignment with which a rebalance has ended."""
        self._is_joining = self.is_refused = False
        self._delays_s = delays(last_s=_LAST_DELAY_S)
        if self.kafka.succeeded():
            _log.info("the checks are shared again")
        self.received(assignment)

    def _note(self, error: KafkaError | OSError) -> None:
        is_new = self.kafka.unavailable_since_at is None
        why = self.kafka.failed(error)
        if isinstance(error, OSError) or error.retriable:
            if is_new:
                _log.warning("Kafka is unavailable, checks are shared as before: %s", why)
            return
        if not self.is_refused:
            _log.warning("Kafka does not let processes share their checks, all are made here: %s", why)
        self.is_refused = True
        self.refused()


class Assignor:
    """What aiokafka asks when it joins, and when it is the leader of the group."""

    name = "website-health-checks"

    def __init__(self, group: Group) -> None:
        self._group = group

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        with self._noticing_bugs():
            return ConsumerProtocolMemberMetadata(_VERSION, list(topics), self._group.announcement())

    def assign(
        self, _: object, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """Return the same for all members; nobody gets partitions, as there is nothing to read."""
        announced = {member: each.user_data or b"" for member, each in members.items()}  # Kafka allows null
        with self._noticing_bugs():
            assignment = self._group.assign(announced)
        return dict.fromkeys(members, ConsumerProtocolMemberAssignment(_VERSION, [], assignment))

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        with self._noticing_bugs():
            self._group.take(assignment.user_data or b"")

    @contextmanager
    def _noticing_bugs(self) -> Iterator[None]:
        """End the group with what the block raises: aiokafka would make an error of Kafka of it."""
        try:
            yield
        except Exception as bug:
            self._group.bug = bug
            self._group.stop.set()
            raise
