"""Results that are not yet safe elsewhere, on disk.

All SQLite work and all state are in one thread of their own, one job after the other. So a call that is
cancelled never leaves half a job.
"""

import asyncio
import logging
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import ParamSpec, TypeVar

from monitor.delivery.outbox.file import OutboxFile, OutboxRow, is_damage, is_no_room, up_to
from monitor.delivery.outbox.salvage import finish, salvage
from monitor.result import Message
from monitor.runtime.text import counted

_WINDOW_BYTES = 16 << 20
_DROPPED_LINE_S = 10.0

_log = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")


class OutboxError(Exception):
    """The disk is full or fails, or the file is in use; the text is SQLite's."""


async def open_outbox(path: Path, max_bytes: int) -> "Outbox":
    """Open the file, or make it. A damaged file is replaced by one with all rows that can be read.

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
    """Rows in the order in which they came; beyond `max_bytes` the oldest are dropped.

    The newest rows are in memory as well, so that a reader who keeps up does not touch the disk. Rows that
    could not be written are in memory only. They are read and removed like all others, and the next `append`
    writes them.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.last_seq = 0
        self.rows = 0
        self.bytes = 0
        self.unsaved_bytes = 0
        self.dropped = 0
        self._path = path
        self._max_bytes = max_bytes
        self._thread = ThreadPoolExecutor(1, "outbox")
        self._file: OutboxFile | None = None
        self._window: deque[OutboxRow | None] = deque()
        self._window_start = 1
        self._window_bytes = 0
        self._unsaved: list[OutboxRow] = []
        self._gone: set[int] = set()
        self._dropped_unlogged = 0
        self._dropped_logged_at = float("-inf")

    async def append(self, messages: Sequence[Message]) -> None:
        """Add at the end and commit; `last_seq` is the number of the last one then.

        Raises:
            OutboxError: they are in memory only, for now. `append([])` tries again.

        """
        await self._in_thread(self._append, messages)

    async def after(self, seq: int, max_rows: int, max_bytes: int) -> list[OutboxRow]:
        """Return the rows that follow `seq`, up to the limits; at least one, if there is one.

        Raises:
            OutboxError: the disk cannot be read.

        """
        return await self._in_thread(self._after, seq, max_rows, max_bytes)

    async def remove(self, seqs: Collection[int]) -> None:
        """Delete these rows, as far as they are there.

        Raises:
            OutboxError: they are not read again, but stay on disk until a later `remove` succeeds.

        """
        await self._in_thread(self._remove, seqs)

    async def close(self) -> None:
        """Finish the jobs that were begun, write what is in memory only, and close."""
        await self._in_thread(self._close)
        self._thread.shutdown()

    async def _in_thread(self, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        def attempt() -> T:
            try:
                return job(*args, **kwargs)
            except (sqlite3.Error, OSError) as error:
                raise OutboxError(f"{self._path}: {error}") from error
            finally:
                self._count()

        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._thread, attempt))

    def _count(self) -> None:
        self.last_seq = self._window_start + len(self._window) - 1
        self.unsaved_bytes = sum(row.size for row in self._unsaved)
        self.rows = len(self._unsaved) + (self._file.rows if self._file else 0)
        self.bytes = self.unsaved_bytes + (self._file.bytes if self._file else 0)

    def _append(self, messages: Sequence[Message]) -> None:
        first = self._window_start + len(self._window)
        rows = [OutboxRow.of(seq, key, value) for seq, (key, value) in enumerate(messages, first)]
        self._window.extend(rows)
        self._window_bytes += sum(row.size for row in rows)
        self._unsaved += rows
        try:
            self._repairing(self._save)
        finally:
            self._trim_window()

    def _save(self) -> None:
        file = self._opened()
        if self._unsaved:
            file.insert(self._unsaved)
            self._unsaved.clear()
        if file.bytes > self._max_bytes:
            self._drop_oldest(file)

    def _drop_oldest(self, file: OutboxFile) -> None:
        count, last = file.drop_oldest(file.bytes - self._max_bytes)
        while self._window and self._window_start <= last:
            self._forget_first()
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

    def _after(self, seq: int, max_rows: int, max_bytes: int) -> list[OutboxRow]:
        start = seq + 1 - self._window_start
        if start < 0:
            rows = self._repairing(lambda: self._from_disk(seq, max_rows, max_bytes))
            if rows:
                return rows
        newest = islice(self._window, max(0, start), None)
        return up_to((row for row in newest if row), max_rows, max_bytes)

    def _from_disk(self, seq: int, max_rows: int, max_bytes: int) -> list[OutboxRow]:
        while rows := self._opened().read(seq, max_rows, max_bytes):
            left = [row for row in rows if row.seq not in self._gone]
            if left:
                return left
            seq = rows[-1].seq
        return []

    def _remove(self, seqs: Collection[int]) -> None:
        for seq in seqs:
            place = seq - self._window_start
            if 0 <= place < len(self._window) and (row := self._window[place]):
                self._window[place] = None
                self._window_bytes -= row.size
        self._gone.update(seqs)
        if self._unsaved:
            self._gone.difference_update([row.seq for row in self._unsaved])
            gone = set(seqs)
            self._unsaved = [row for row in self._unsaved if row.seq not in gone]
        self._trim_window()
        self._repairing(self._delete_gone)
        self._gone.clear()

    def _delete_gone(self) -> None:
        file = self._opened()
        try:
            file.delete(self._gone)
        except sqlite3.OperationalError as error:
            if not is_no_room(error) or file.holds_others(self._gone):
                raise
            self._begin_again(file)

    def _begin_again(self, file: OutboxFile) -> None:
        """Replace a file of which no row is needed: on a full disk, not even a delete can be written."""
        file.close(tidy=False)
        self._file = None
        for suffix in ("", "-wal"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        self._opened()

    def _trim_window(self) -> None:
        saved_before = self._unsaved[0].seq if self._unsaved else self._window_start + len(self._window)
        while self._window and (
            self._window[0] is None
            or (self._window_bytes > _WINDOW_BYTES and self._window_start < saved_before)
        ):
            self._forget_first()

    def _forget_first(self) -> None:
        row = self._window.popleft()
        self._window_start += 1
        self._window_bytes -= row.size if row else 0

    def _opened(self) -> OutboxFile:
        if self._file is None:
            finish(self._path)
            self._file = OutboxFile(self._path)
            if not self._window:
                self._window_start = max(self._window_start, self._file.next_seq)
        return self._file

    def _repairing(self, job: Callable[[], T]) -> T:
        try:
            return job()
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
        self._repair()
        return job()

    def _repair(self) -> None:
        """Replace the damaged file; rows that are still in memory are written again."""
        if self._file:
            with suppress(sqlite3.Error):
                self._file.close(tidy=False)
            self._file = None
        salvage(self._path)
        newest = [row for row in self._window if row]
        self._opened().delete([row.seq for row in newest])
        self._unsaved = newest
        self._save()

    def _close(self) -> None:
        if self._dropped_unlogged:
            self._log_dropped()
        try:
            if self._unsaved:
                self._repairing(self._save)
        except (sqlite3.Error, OSError) as error:
            lost = counted(len(self._unsaved), "result")
            _log.error("%s lost, the outbox cannot be written: %s", lost, error)
        if self._file:
            with suppress(sqlite3.Error):
                self._file.close()
            self._file = None
