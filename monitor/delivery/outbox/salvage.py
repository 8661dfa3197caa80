"""Moves what can still be read of a damaged outbox to a new file.

The new file is complete before it replaces the old one: after a crash in between, the next start goes on.
"""

import logging
import sqlite3
import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

from monitor.delivery.outbox.file import OutboxFile, OutboxRow, rows_of
from monitor.runtime.text import counted

_CHUNK_ROWS = 500
_MAX_FAILED_READS = 100_000
_MIN_ROW_BYTES = 64

_log = logging.getLogger(__name__)


def salvage(path: Path) -> None:
    """Put a new file with all readable rows at `path`, and keep the damaged one beside it.

    Raises:
        OSError, sqlite3.Error: the new file cannot be written; nothing has changed.

    """
    fresh = _fresh(path)
    fresh.unlink(missing_ok=True)
    rescued = OutboxFile(fresh)
    with closing(rescued), closing(sqlite3.connect(path)) as bad:
        bad.execute("PRAGMA writable_schema = ON")  # or SQLite refuses a truncated file as a whole
        rows = _readable_rows(bad, path.stat().st_size)
        while chunk := list(islice(rows, _CHUNK_ROWS)):
            rescued.insert(chunk)
        kept = rescued.rows
    aside = path.with_name(f"{path.name}.corrupt-{int(time.time())}")
    path.rename(aside)
    finish(path)
    _log.error("The outbox was damaged: %s kept, the old file is %s", counted(kept, "result"), aside)


def finish(path: Path) -> None:
    """Put the new file in its place once the damaged one is away; without a new one, nothing is done.

    Raises:
        OSError: it cannot be moved.

    """
    fresh = _fresh(path)
    if fresh.exists() and not path.exists():
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        fresh.rename(path)


def _fresh(path: Path) -> Path:
    return path.with_name(f"{path.name}.new")


def _readable_rows(bad: sqlite3.Connection, size: int) -> Iterator[OutboxRow]:
    """Yield each readable row once; halve each range that cannot be read, down to single rows."""
    seq = 0
    try:
        for row in rows_of(bad.execute("SELECT seq, key, value FROM outbox ORDER BY seq")):
            seq = row.seq
            yield row
    except sqlite3.DatabaseError:
        ranges = deque(_rest(bad, seq + 1, size))
    else:
        return
    failed = 0
    while ranges and failed < _MAX_FAILED_READS:
        first, last = ranges.popleft()
        try:
            for row in rows_of(
                bad.execute(
                    "SELECT seq, key, value FROM outbox WHERE seq BETWEEN ? AND ? ORDER BY seq", (first, last)
                )
            ):
                first = row.seq + 1
                yield row
        except sqlite3.DatabaseError:
            failed += 1
            middle = (first + last) // 2
            if first < last:
                ranges += [(first, middle), (middle + 1, last)]


def _rest(bad: sqlite3.Connection, first: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield the range of numbers in which more rows may be, if the last number can still be read."""
    try:
        last = bad.execute("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'").fetchone()[0]
    except (sqlite3.DatabaseError, TypeError):
        return
    yield max(first, last - size // _MIN_ROW_BYTES), last
