"""Results from the queue through the outbox to the topic.

With Kafka, a result leaves the outbox when Kafka has acknowledged it. The embedded broker keeps its log in
memory: there, a result leaves when it is in the database.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from monitor.delivery.kafka.aiokafka_fixes import close
from monitor.delivery.outbox.collector import Collector
from monitor.delivery.outbox.file import OutboxRow
from monitor.delivery.outbox.outbox import Outbox, OutboxError
from monitor.delivery.partitions import PartitionBatch, split
from monitor.result import InvalidMessageError, Message, checked_at, identity
from monitor.runtime.progress import Availability, Progress
from monitor.runtime.tasks import Tasks
from monitor.runtime.waiting import Spacing, delays, one_line, within

_IN_HAND_ROWS = 500
_IN_HAND_BYTES = 1 << 20
UNSTORED_ROWS = 5_000
"""Of the embedded broker, and not in the database yet."""
MAX_BATCHES = 10_000
"""Of the embedded broker: it frees no memory, and each fetch looks at all batches."""
MAX_BYTES = 64_000_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds.

    `line_s` is the least time between two log lines while Kafka is unavailable, `window_s` that between two
    sends, unless there is much to send.
    """

    acknowledge_s: float = 20.0
    first_retry_s: float = 0.5
    longest_retry_s: float = 5.0
    line_s: float = 10.0
    look_s: float = 0.5
    window_s: float = 0.25


PATIENCE = Patience()


class Forwarder:
    """The stage between the checks and Kafka; results of one monitor keep their order.

    `open_producer` makes the topic where it is missing, and returns a started producer. It ends in bounded
    time. It raises `KafkaError` or `OSError` when Kafka is unavailable; then the forwarder tries again later.
    With `end_broker`, results stay in the outbox until `stored` says that they are in the database. It is
    called when the broker is full, does not answer, or does not have what it took; whoever starts it again
    calls `begin_again`.
    """

    def __init__(
        self,
        queue: asyncio.Queue[Message | None],
        outbox: Outbox,
        topic: str,
        open_producer: Callable[[], Awaitable[AIOKafkaProducer]],
        patience: Patience = PATIENCE,
        *,
        end_broker: Callable[[], None] | None = None,
        address: str = "",
    ) -> None:
        self.sent = 0
        self.retried = 0
        self.availability = Availability("Kafka", address)
        self._outbox = outbox
        self._topic = topic
        self._open_producer = open_producer
        self._end_broker = end_broker
        self._patience = patience
        self._spacing = Spacing(patience.window_s)
        self._wake = asyncio.Event()
        self._collector = Collector(queue, outbox, self._wake.set)
        self._progress = Progress("the forwarder")
        self._producer: AIOKafkaProducer | None = None
        self._delays_s = self._delays()
        self._next_line_at = 0.0
        self._in_hand: list[OutboxRow] = []
        self._cursor = 0
        self._safe: set[int] = set()
        self._unstored: dict[int, int] = {}
        """Rows by the number of the result's id: a UUID is hashed and compared in Python."""
        self._expected: int | None = None
        self._never_stored: set[int] = set()
        self._batches = 0
        self._bytes = 0
        self._removed_at = 0.0

    @property
    def progress(self) -> tuple[Progress, Progress]:
        """The progress of its two halves: from the queue to the outbox, and from there to Kafka."""
        return self._collector.progress, self._progress

    @property
    def oldest_unacknowledged_at(self) -> float | None:
        """When the check of the first row that Kafka has not acknowledged started (Unix seconds)."""
        with suppress(InvalidMessageError):
            return checked_at(self._in_hand[0].value) if self._in_hand else None
        return None

    @property
    def waiting(self) -> int:
        """How many results have to stay in the outbox for now."""
        return self._outbox.rows - len(self._safe)

    async def run(self, deadline: asyncio.Event) -> None:
        """Forward until the queue yields `None` and all is safe, or `deadline` is set.

        What is not safe by then stays in the outbox. In either case the queue is emptied into it.
        Cancelling loses nothing that was taken from the queue.
        """
        async with Tasks() as tasks:
            sender = tasks.start("the sender", self._forward())
            watch = tasks.start("the deadline", _end_at(deadline, tasks, sender))
            await self._collector.run(deadline)
            await asyncio.wait([sender])
            tasks.end(watch)

    def stored(self, ids: Iterable[UUID]) -> None:
        """Note that these results are in the database."""
        if self._end_broker is None:
            return
        safe = [self._unstored.pop(each.int) for each in ids if each.int in self._unstored]
        if safe:
            self._safe.update(safe)
            self._progress.end()
        self._wake.set()

    def nothing_fetched(self) -> None:
        """Note that a consumer gets nothing more for now, at most once in some seconds.

        What was sent before the last time, and is not stored by now, the broker does not have.
        """
        before = self._expected
        self._expected = next(iter(self._unstored.values()), None)
        if self._end_broker and before is not None and self._expected == before and not self._in_hand:
            _log.warning("The embedded broker does not give %d results that it took", len(self._unstored))
            self._expected = None
            self._end_broker()

    def begin_again(self) -> None:
        """Send all rows of the outbox from the first on: the broker is a new one, with an empty topic."""
        self._in_hand, self._cursor = [], 0
        self._unstored.clear()
        self._expected = None
        self._batches = self._bytes = 0
        self._wake.set()

    async def _forward(self) -> None:
        try:
            while await self._survive(self._forward_next):
                pass
        finally:
            await self._abandon()
            await self._remove_safe()

    async def _survive(self, step: Callable[[], Awaitable[bool]]) -> bool:
        """Run the step; wait a while when the outbox or Kafka fails. Return false at the end."""
        try:
            return await step()
        except OutboxError as error:
            await self._pause("The outbox fails", one_line(error))
        except (KafkaError, OSError) as error:
            why = self.availability.failed(error)
            await self._abandon()
            if self._end_broker and isinstance(error, TimeoutError):
                self._end_broker()
            await self._pause("Kafka takes no results", why)
        return True

    async def _pause(self, what: str, why: str) -> None:
        now = time.monotonic()
        if now >= self._next_line_at:
            self._next_line_at = now + self._patience.line_s
            _log.warning("%s, %d in the outbox: %s", what, self.waiting, why)
        self.retried += 1
        await asyncio.sleep(next(self._delays_s))

    def _delays(self) -> Iterator[float]:
        return delays(self._patience.first_retry_s, self._patience.longest_retry_s)

    async def _abandon(self) -> None:
        """Close the producer; the next one sends again what Kafka has not acknowledged."""
        producer, self._producer = self._producer, None
        if producer:
            await close(producer)

    async def _forward_next(self) -> bool:
        """Send the next rows, or those in hand that Kafka has not acknowledged."""
        if not await self._wait_for_rows():
            return False
        self._spacing.begin()
        self._progress.begin("Kafka")
        if self._producer is None:
            self._producer = await self._open_producer()
        async with asyncio.timeout(self._patience.acknowledge_s):
            await self._send(self._producer)
        self._progress.end()
        if self.availability.succeeded():
            _log.info("%s takes results again, %d in the outbox", self.availability.name, self.waiting)
        self._next_line_at = 0.0
        self._delays_s = self._delays()
        return True

    async def _wait_for_rows(self) -> bool:
        """Wait until rows are in hand; return false when there will be no more."""
        while True:
            self._wake.clear()
            ended = self._collector.ended
            if (
                len(self._safe) >= _IN_HAND_ROWS
                or time.monotonic() >= self._removed_at + self._patience.look_s
            ):
                await self._remove_safe()
            if self._is_full and self._end_broker and not (self._in_hand or self._unstored):
                self._batches = self._bytes = 0
                self._end_broker()
            if self._in_hand or await self._read():
                return True
            if ended and not self._unstored:
                return False
            if self._unstored or self._cursor < self._outbox.last_seq:
                self._progress.begin("what was sent to be stored")
            else:
                self._progress.end()
            await within(self._look_s(), self._wake.wait())

    def _look_s(self) -> float | None:
        """Return when to look again though nothing happens."""
        if self._cursor < self._outbox.last_seq and (left_s := self._spacing.left_s):
            return min(left_s, self._patience.look_s)
        return self._patience.look_s if self._unstored or self._safe else None

    async def _read(self) -> bool:
        """Take the next rows of the outbox in hand, as many as may be sent; return whether there are any."""
        waiting = self._outbox.last_seq - self._cursor
        if self._spacing.left_s and waiting < _IN_HAND_ROWS and not self._collector.ended:
            return False
        room = 0 if self._is_full else min(_IN_HAND_ROWS, UNSTORED_ROWS - len(self._unstored))
        while room > 0 and not self._in_hand and self._cursor < self._outbox.last_seq:
            cursor, last = self._cursor, self._outbox.last_seq
            self._progress.begin("the disk of the outbox")
            rows = await self._outbox.after(cursor, room, _IN_HAND_BYTES)
            if self._cursor == cursor:  # else everything begins again
                self._cursor = rows[-1].seq if rows else last
                self._in_hand = [row for row in rows if row.seq not in self._safe]
        return bool(self._in_hand)

    @property
    def _is_full(self) -> bool:
        return self._batches >= MAX_BATCHES or self._bytes >= MAX_BYTES

    async def _remove_safe(self) -> None:
        if self._safe:
            safe = set(self._safe)
            self._removed_at = time.monotonic()
            with suppress(OutboxError):
                await self._outbox.remove(safe)
                self._safe -= safe

    async def _send(self, producer: AIOKafkaProducer) -> None:
        """Send what is in hand, in each partition one batch after the other: none can overtake another."""
        if self._end_broker:
            for row in self._in_hand:
                if id_ := identity(row.value):
                    self._unstored[id_.int] = row.seq
                else:
                    self._never_stored.add(row.seq)
        batches = split(self._in_hand, await producer.partitions_for(self._topic))
        while batches:
            for batch in batches:
                await batch.send(producer, self._topic)
            await asyncio.wait([batch.receipt for batch in batches])
            failures = [failure for batch in batches if (failure := self._settle(batch))]
            if failures:
                raise failures[0]
            batches = [batch for batch in batches if batch.rows]

    def _settle(self, batch: PartitionBatch) -> BaseException | None:
        """Remove the rows that Kafka has acknowledged; return an error that only waiting helps against."""
        failure: BaseException | None = batch.receipt.exception()
        if failure is None:
            self._acknowledge(batch.take_sent())
        elif isinstance(failure, MessageSizeTooLargeError):
            if batch.make_smaller():
                return None
            failure = MessageSizeTooLargeError(f"a result of {batch.first_monitor}, even without its body")
        return failure

    def _acknowledge(self, rows: list[OutboxRow]) -> None:
        seqs = {row.seq for row in rows}
        self._in_hand = [row for row in self._in_hand if row.seq not in seqs]
        self.sent += len(rows)
        if self._end_broker is None:
            self._safe |= seqs
            return
        self._safe |= seqs & self._never_stored
        self._never_stored -= seqs
        self._batches += 1
        self._bytes += sum(row.size for row in rows)


async def _end_at(deadline: asyncio.Event, tasks: Tasks, task: asyncio.Task[None]) -> None:
    await deadline.wait()
    tasks.end(task)
