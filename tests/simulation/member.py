"""A member of the group, as an `AIOKafkaConsumer` is one; its requests go to the model of the coordinator."""

import asyncio
from collections.abc import Callable, Collection
from functools import partial
from types import SimpleNamespace
from typing import TypeVar

from aiokafka import TopicPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata
from aiokafka.errors import KafkaConnectionError

from tests.simulation.coordinator import Error, Group, Joined

TOPIC = "checks"
PARTITIONS = 64
HEARTBEAT_S = 1.0
RETRY_S = 0.1
LOST_S = 1.0  # until a lost connection is noticed
_CLUSTER = SimpleNamespace(
    topics=lambda: {TOPIC},
    partitions_for_topic=lambda _: set(range(PARTITIONS)),
)

_T = TypeVar("_T")


class Wire:
    """What a process reaches Kafka over."""

    def __init__(self, group: Group, latency_s: Callable[[], float], after: Callable[..., None]) -> None:
        self.cut = False
        self.group = group
        self.latency_s = latency_s
        self.send = after
        """Calls what arrives after so many seconds, also when the sender has ended."""

    @property
    def is_lost(self) -> bool:
        return self.cut or self.group.is_away

    async def ask(self) -> None:
        """Wait as long as any question takes.

        Raises:
            KafkaConnectionError: there was no answer.

        """
        await asyncio.sleep(LOST_S if self.is_lost else self.latency_s())
        if self.is_lost:
            raise KafkaConnectionError("there is no way to Kafka")


def sticky() -> type[StickyPartitionAssignor]:
    """Return an assignor of one process: aiokafka's has its state in the class."""
    return type("Sticky", (StickyPartitionAssignor,), {})


class Member:
    """Joins the group again and again until it is stopped."""

    def __init__(
        self, wire: Wire, assignor: type[StickyPartitionAssignor], joined: Callable[[], None]
    ) -> None:
        self._client = SimpleNamespace(_conns={}, listener=None)
        self._wire = wire
        self._assignor = assignor
        self._noted = joined
        self.member = ""
        self._generation = 0
        self._joining = False
        self._closed = False

    async def start(self) -> None:
        await self._wire.ask()

    def subscribe(self, topics: Collection[str], listener: object) -> None:
        assert list(topics) == [TOPIC]
        self._client.listener = listener
        self._join()
        self._after(HEARTBEAT_S, self._beat)

    async def getmany(self, timeout_ms: int) -> None:
        await asyncio.sleep(timeout_ms / 1_000)

    def partitions_for_topic(self, topic: str) -> set[int]:
        assert topic == TOPIC
        return set(range(PARTITIONS))

    def pause(self, *partitions: TopicPartition) -> None:
        pass

    async def stop(self) -> None:
        self._closed = True
        if self.member and not self._wire.cut:
            self._wire.send(self._wire.latency_s(), partial(self._wire.group.leave, self.member))

    def _after(self, delay_s: float, do: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_later(delay_s, partial(self._unless_closed, do))

    def _unless_closed(self, do: Callable[[], None]) -> None:
        if not self._closed:
            do()

    def _request(
        self, send: Callable[[Callable[[_T | Error], None]], None], take: Callable[[_T | Error], None]
    ) -> None:
        loop = asyncio.get_running_loop()

        def answered(answer: _T | Error) -> None:
            lost = self._wire.cut or answer is Error.LOST
            delay_s = LOST_S if lost else self._wire.latency_s()
            self._wire.send(delay_s, partial(arrived, Error.LOST if lost else answer))

        def arrived(answer: _T | Error) -> None:
            if not loop.is_closed():
                loop.call_soon(self._unless_closed, partial(take, answer))

        def arrive() -> None:
            if self._wire.cut:
                answered(Error.LOST)
            else:
                send(answered)

        self._wire.send(self._wire.latency_s(), arrive)

    def _join(self) -> None:
        self._joining = True
        metadata = self._assignor.metadata([TOPIC]).encode()
        self._request(partial(self._wire.group.join, self.member, metadata), self._joined)

    def _joined(self, answer: Joined | Error) -> None:
        if isinstance(answer, Error):
            self._join_again(answer)
            return
        self.member, self._generation = answer.member, answer.generation
        assignments = None
        if answer.announced:
            members = {
                name: ConsumerProtocolMemberMetadata.decode(announced)
                for name, announced in answer.announced.items()
            }
            assignments = {
                name: each.encode() for name, each in self._assignor.assign(_CLUSTER, members).items()
            }
        sync = partial(self._wire.group.sync, self.member, self._generation, assignments)
        self._request(sync, self._synced)

    def _synced(self, answer: bytes | Error) -> None:
        if isinstance(answer, Error):
            self._join_again(answer)
            return
        self._joining = False
        assignment = ConsumerProtocolMemberAssignment.decode(answer)
        self._assignor.on_assignment(assignment)
        self._client.listener.on_partitions_assigned(set(assignment.partitions()))
        self._noted()

    def _join_again(self, answer: Error) -> None:
        if answer is Error.UNKNOWN:
            self.member = ""
        self._after(RETRY_S, self._join)

    def _beat(self) -> None:
        self._after(HEARTBEAT_S, self._beat)
        if self.member and not self._joining:
            beat = partial(self._wire.group.heartbeat, self.member, self._generation)
            self._request(beat, partial(self._beaten, self._generation))

    def _beaten(self, generation: int, answer: Error | None) -> None:
        if answer in {None, Error.LOST} or self._joining or generation != self._generation:
            return
        if answer is Error.UNKNOWN:
            self.member = ""
        self._join()
