"""Results from the queue to the outbox, whatever Kafka does."""

import asyncio
import logging
from collections.abc import Callable

from monitor.delivery.outbox.outbox import Outbox, OutboxError
from monitor.result import Message
from monitor.runtime.progress import Progress
from monitor.runtime.text import counted
from monitor.runtime.waiting import Spacing, within

_BATCH_ROWS = 500
_WINDOW_S = 0.08  # a result is on disk within 0.1 s
_RETRY_S = 0.5

_log = logging.getLogger(__name__)


class Collector:
    """Takes what is in the queue, a batch at a time, until `None`; one begins `window_s` after the other.

    While the disk cannot be written it keeps its batch and tries again, so that a bounded queue fills, and
    checks wait. `announce` is called after each batch.
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
        self._batch: list[Message] = []
        self._spacing = Spacing(window_s)

    async def run(self, deadline: asyncio.Event) -> None:
        """Collect until the end of the stream; what cannot be written when `deadline` is set is lost.

        Cancelling loses nothing that was taken and can be written.
        """
        try:
            while not self._none_seen:
                await self._take()
                await self._write(deadline)
                self._announce()
                self.progress.end()
        finally:
            if self._batch:
                try:
                    await self._outbox.append(self._batch)
                except OutboxError as error:
                    lost = counted(len(self._batch), "result")
                    _log.error("%s lost, the outbox cannot be written: %s", lost, error)
            self.ended = True
            self._announce()

    async def _take(self) -> None:
        """Wait for a result, then for more of them until the next batch may be written."""
        self._put_in_batch(await self._queue.get())
        if self._queue.qsize() < _BATCH_ROWS and not self._queue.full() and not self._none_seen:
            await asyncio.sleep(self._spacing.left_s)
        self._spacing.begin()
        while len(self._batch) < _BATCH_ROWS and not self._queue.empty():
            self._put_in_batch(self._queue.get_nowait())

    def _put_in_batch(self, message: Message | None) -> None:
        if message is None:
            self._none_seen = True
        else:
            self._batch.append(message)

    async def _write(self, deadline: asyncio.Event) -> None:
        """Write the batch; while that fails, try again until the deadline."""
        self.progress.begin("its disk")
        failed = False
        while self._batch:
            batch, self._batch = self._batch, []
            try:
                await self._outbox.append(batch)
            except OutboxError as error:
                self._batch = batch
                if not failed:
                    _log.error("The outbox cannot be written, checks wait for it: %s", error)
                failed = True
                if deadline.is_set():
                    return
                await within(_RETRY_S, deadline.wait())
        if failed:
            _log.info("The outbox can be written again")
