"""When a result may leave the outbox: when Kafka has acknowledged it, or when it is in the database.

Where the topic may vanish, as the embedded broker's does, only the database counts. What follows from that
(epochs, drains, rows to be sent again) is known here alone.
"""

import logging
from collections.abc import Collection, Iterable, Sequence
from typing import Protocol
from uuid import UUID

import msgspec

from monitor.delivery.kafka.volatile_topic import VolatileTopic
from monitor.delivery.outbox.file import OutboxRow
from monitor.runtime.progress import Progress
from monitor.runtime.text import counted

UNSTORED_ROWS = 5_000
UNSTORED_BYTES = 16 << 20

_log = logging.getLogger(__name__)


class Retention(Protocol):
    """What the forwarder asks about its rows, and what the ingest reports of them."""

    @property
    def epoch(self) -> int:
        """A number that changes when the topic's records are gone and its offsets start at 0 again."""

    @property
    def waits(self) -> bool:
        """Whether rows that Kafka has acknowledged have to stay."""

    def room_rows(self, wanted: int) -> int:
        """Return how many more rows may be sent, up to `wanted`."""

    async def must_restart(self, progress: Progress, *, is_sending: bool) -> bool:
        """Return whether all rows of the outbox have to be sent again, from the first on.

        Empties the topic before, if it has to. `is_sending`: rows were sent and are not acknowledged yet.
        """

    def sending(self, rows: Iterable[OutboxRow]) -> None:
        """Note that these rows go to Kafka now."""

    def acknowledged(self, rows: Sequence[OutboxRow]) -> Collection[int]:
        """Note that Kafka has this batch; return the numbers of the rows that may leave the outbox."""

    def stored(self, ids: Iterable[UUID]) -> Collection[int]:
        """Note that these results are in the database; return the numbers of rows that may leave thereby."""

    def drained(self) -> None:
        """Note that all that can be read of the topic is stored."""


class UntilAcknowledged:
    """For real Kafka: what it has acknowledged is safe."""

    epoch = 0
    waits = False

    def room_rows(self, wanted: int) -> int:
        return wanted

    async def must_restart(self, _progress: Progress, *, is_sending: bool) -> bool:  # noqa: ARG002 - one of the ways to retain
        return False

    def sending(self, rows: Iterable[OutboxRow]) -> None:
        pass

    def acknowledged(self, rows: Sequence[OutboxRow]) -> Collection[int]:
        return {row.seq for row in rows}

    def stored(self, _ids: Iterable[UUID]) -> Collection[int]:
        return ()

    def drained(self) -> None:
        pass


class _Identity(msgspec.Struct):
    id: UUID


_decoder = msgspec.json.Decoder(_Identity)


def identity(value: bytes) -> UUID | None:
    """Return the id in a message, also where the rest of it is no result."""
    try:
        return _decoder.decode(value).id
    except (msgspec.MsgspecError, RecursionError):
        return None


class UntilStored:
    """For a topic that may vanish: a row stays until its result is in the database."""

    def __init__(self, topic: VolatileTopic) -> None:
        self._topic = topic
        self._sent_epoch = topic.epoch
        self._unstored: dict[int, OutboxRow] = {}
        """By the number of the result's id: a UUID is hashed and compared in Python."""
        self._unstored_bytes = 0
        self._never_stored: set[int] = set()
        self._drained = False
        self._oldest: int | None = None

    @property
    def epoch(self) -> int:
        return self._topic.epoch

    @property
    def waits(self) -> bool:
        return bool(self._unstored)

    def room_rows(self, wanted: int) -> int:
        """Return how many more rows may be sent; the last of them may pass the limit on bytes."""
        if self._topic.exhausted or self._unstored_bytes >= UNSTORED_BYTES:
            return 0
        return min(wanted, UNSTORED_ROWS - len(self._unstored))

    async def must_restart(self, progress: Progress, *, is_sending: bool) -> bool:
        """Recycle a topic that is used up and stored, or that lost records; true in each new epoch."""
        are_lost = not is_sending and self._are_lost()
        if are_lost:
            _log.warning(
                "Kafka has lost %s that it had taken: sending all again",
                counted(len(self._unstored), "result"),
            )
        if are_lost or (self._topic.exhausted and not self.waits):
            progress.begin("Kafka to empty the topic")
            await self._topic.recycle()
        if self._topic.epoch == self._sent_epoch:
            return False
        self._sent_epoch = self._topic.epoch
        self._unstored.clear()
        self._unstored_bytes = 0
        self._oldest = None
        return True

    def _are_lost(self) -> bool:
        """Return whether the topic was drained twice, and a row that was sent before was not in it.

        A broker that was killed may acknowledge what it does not have, while it makes the topic anew.
        """
        if not self._drained:
            return False
        self._drained = False
        before = self._oldest
        self._oldest = min((row.seq for row in self._unstored.values()), default=None)
        return self._oldest is not None and self._oldest == before

    def sending(self, rows: Iterable[OutboxRow]) -> None:
        """Expect these rows to be stored, but for those that hold no result, and never will be."""
        self._never_stored.clear()
        for row in rows:
            result_id = identity(row.value)
            if result_id is None:
                self._never_stored.add(row.seq)
                continue
            number = result_id.int
            if number not in self._unstored:
                self._unstored_bytes += row.size
            self._unstored[number] = row

    def acknowledged(self, rows: Sequence[OutboxRow]) -> Collection[int]:
        self._topic.batches += 1
        self._topic.bytes += sum(row.size for row in rows)
        return {row.seq for row in rows} & self._never_stored

    def stored(self, ids: Iterable[UUID]) -> Collection[int]:
        rows = [row for row in (self._unstored.pop(result_id.int, None) for result_id in ids) if row]
        self._unstored_bytes -= sum(row.size for row in rows)
        return [row.seq for row in rows]

    def drained(self) -> None:
        self._drained = True
