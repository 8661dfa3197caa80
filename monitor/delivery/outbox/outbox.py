"""Results that are not yet safe elsewhere, on disk.

All SQLite work and all state are in one thread of their own, one job after the other. So a call that is
cancelled never leaves half a job.
"""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import ParamSpec, TypeVar

from monitor.delivery.outbox.file import OutboxFile, OutboxRow, is_damage
from monitor.result import Message
from monitor.runtime.text import counted

_DROPPED_LINE_S = 10.0

_log = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")


class OutboxError(Exception):
    """The disk is full or fails, or the file is in use; the text is SQLite's."""


async def open_outbox(path: Path, max_bytes: int) -> "Outbox":
    """Open the file, or make it. A damaged file is renamed, and a new one begun.

    Raises:
        OutboxError: it cannot be opened or written, or another process has it.

    """
    outbox = Outbox(path, max_bytes)
    try:
        await outbox.append([])
    except OutboxError:
        await outbox.close()
        raise
    return outbox


class Outbox:
    """Rows in the order in which they came; beyond `max_bytes` the oldest are dropped."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.last_seq = 0
        self.rows = 0
        self.bytes = 0
        self.dropped = 0
        self._path = path
        self._max_bytes = max_bytes
        self._thread = ThreadPoolExecutor(1, "outbox")
        self._file: OutboxFile | None = None
        self._dropped_unlogged = 0
        self._dropped_logged_at = float("-inf")

    async def append(self, messages: Sequence[Message]) -> None:
        """Add at the end and commit; `last_seq` is the number of the last one then.

        Raises:
            OutboxError: none was added; or all were, but the oldest could not be dropped.

        """
        await self._in_thread(self._append, messages)

    async def after(self, seq: int, max_rows: int, max_bytes: int) -> list[OutboxRow]:
        """Return the rows that follow `seq`, up to the limits; at least one, if there is one.

        Raises:
            OutboxError: the disk cannot be read.

        """
        return await self._in_thread(lambda: self._opened().read(seq, max_rows, max_bytes))

    async def remove(self, seqs: Collection[int]) -> None:
        """Delete these rows, as far as they are there.

        Raises:
            OutboxError: they are still there.

        """
        await self._in_thread(lambda: self._opened().delete(seqs))

    async def close(self) -> None:
        """Finish the jobs that were begun, and close."""
        await self._in_thread(self._close)
        self._thread.shutdown()

    async def _in_thread(self, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        def attempt() -> T:
            try:
                try:
                    return job(*args, **kwargs)
                except sqlite3.DatabaseError as error:
                    if not is_damage(error):
                        raise
                    self._put_aside(error)
                    return job(*args, **kwargs)
            except (sqlite3.Error, OSError) as error:
                raise OutboxError(f"{self._path}: {error}") from error
            finally:
                self.rows, self.bytes = (self._file.rows, self._file.bytes) if self._file else (0, 0)

        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._thread, attempt))

    def _opened(self) -> OutboxFile:
        if self._file is None:
            self._file = OutboxFile(self._path)
            self.last_seq = max(self.last_seq, self._file.last_seq)
        return self._file

    def _append(self, messages: Sequence[Message]) -> None:
        file = self._opened()
        if messages:
            file.insert([OutboxRow(seq, *each) for seq, each in enumerate(messages, self.last_seq + 1)])
            self.last_seq += len(messages)
        if file.bytes > self._max_bytes:
            count = file.drop_oldest(file.bytes - self._max_bytes)
            self.dropped += count
            self._dropped_unlogged += count
            if time.monotonic() - self._dropped_logged_at >= _DROPPED_LINE_S:
                self._log_dropped()

    def _log_dropped(self) -> None:
        _log.error(
            "The outbox is full (%.1f MB), its oldest are dropped: %s",
            self._max_bytes / 1e6,
            counted(self._dropped_unlogged, "result"),
        )
        self._dropped_unlogged = 0
        self._dropped_logged_at = time.monotonic()

    def _put_aside(self, damage: sqlite3.Error) -> None:
        """Rename the damaged file, with its journal: people may recover what is in it."""
        if self._file:
            with suppress(sqlite3.Error):
                self._file.close()
            self._file = None
        aside = f"{self._path.name}.corrupt-{int(time.time())}"
        for suffix in ("-wal", "-shm", ""):
            with suppress(FileNotFoundError):
                self._path.with_name(self._path.name + suffix).rename(self._path.with_name(aside + suffix))
        _log.error("The outbox is damaged, a new one is begun; the old file is %s: %s", aside, damage)

    def _close(self) -> None:
        if self._dropped_unlogged:
            self._log_dropped()
        if self._file:
            with suppress(sqlite3.Error):
                self._file.close()
            self._file = None
