"""Results from the queue to the outbox, whatever Kafka does."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from monitor.delivery.outbox.outbox import Outbox, OutboxError
from monitor.result import Message
from monitor.runtime.progress import Progress
from monitor.runtime.waiting import Spacing, within

_BATCH_ROWS = 500
_UNSAVED_BYTES = 4 << 20
_WINDOW_S = 0.08  # a result is on disk within 0.1 s
_RETRY_S = 0.5

_log = logging.getLogger(__name__)


class Collector:
    """Takes what is in the queue, a batch at a time, until `None`; one begins `window_s` after the other.

    While the disk fails, results stay in memory, and are sent from there. Beyond 4 MB of them no more is
    taken, so that a bounded queue bounds the memory. `announce` is called after each batch.
    """

    def __init__(
        self,
        queue: asyncio.Queue[Message | None],
        outbox: Outbox,
        announce: Callable[[], None],
        window_s: float = _WINDOW_S,
    ) -> None:
        self.ended = False
        self.progress = Progress("the outbox")
        self._none_seen = False
        self._queue = queue
        self._outbox = outbox
        self._announce = announce
        self._in_hand: list[Message] = []
        self._writable = True
        self._removed = asyncio.Event()
        self._spacing = Spacing(window_s)

    async def run(self) -> None:
        """Collect until the end of the stream; cancelling loses nothing that was taken."""
        try:
            while not self._none_seen:
                await self._take()
                self.progress.begin("its disk")
                await self._append(self._let_go())
                self._announce()
                await self._wait_for_room()
                self.progress.end()
        finally:
            await self._append(self._let_go())
            self.ended = True
            self._announce()

    def make_room(self) -> None:
        """Wake a collector that waits for memory: rows were removed from the outbox."""
        self._removed.set()

    async def _take(self) -> None:
        """Wait for a result, then for more of them until the next batch may be written."""
        self._put_in_hand(await self._queue.get())
        if self._queue.qsize() < _BATCH_ROWS and not self._queue.full() and not self._none_seen:
            await asyncio.sleep(self._spacing.left_s)
        self._spacing.begin()
        while len(self._in_hand) < _BATCH_ROWS and not self._queue.empty():
            self._put_in_hand(self._queue.get_nowait())

    def _put_in_hand(self, message: Message | None) -> None:
        if message is None:
            self._none_seen = True
        else:
            self._in_hand.append(message)

    def _let_go(self) -> list[Message]:
        batch, self._in_hand = self._in_hand, []
        return batch

    async def _wait_for_room(self) -> None:
        while self._outbox.unsaved_bytes > _UNSAVED_BYTES:
            self._removed.clear()
            await within(_RETRY_S, self._removed.wait())
            await self._append([])

    async def _append(self, batch: Sequence[Message]) -> None:
        if not batch and not self._outbox.unsaved_bytes:
            return
        try:
            await self._outbox.append(batch)
        except OutboxError as error:
            if self._writable:
                _log.error("The outbox cannot be written, results are kept in memory: %s", error)
            self._writable = False
        else:
            if not self._writable:
                _log.info("The outbox can be written again")
            self._writable = True
