"""The SQLite file behind the outbox: rows in the order of their numbers.

Synchronous, for one thread. All raise `sqlite3.Error`; of a damaged file, one for which `is_damage` is true.
"""

import json
import sqlite3
from collections.abc import Collection, Iterable
from itertools import chain
from pathlib import Path
from typing import NamedTuple

# One statement for many rows, the last of them empty: SQLite's Python module gives up the interpreter lock at
# each step, and in a busy program it may take 5 ms each time to get it back.
_INSERTED_ROWS = 64
_INSERT = (
    "INSERT INTO outbox SELECT * FROM (VALUES "  # noqa: S608 - all of it is written here
    f"{','.join(['(?,?,?)'] * _INSERTED_ROWS)}) WHERE column1 IS NOT NULL"
)
_SIZE = "length(key) + length(value)"
_LISTED = "seq IN (SELECT value FROM json_each(?))"
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_VACUUM_BYTES = 16 << 20
_VACUUM_PAGES = 4096


class OutboxRow(NamedTuple):
    """A message with its number in the outbox; numbers increase and are used once."""

    seq: int
    key: bytes
    value: bytes

    @property
    def size(self) -> int:
        """Bytes of the key and the value."""
        return len(self.key) + len(self.value)


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether the file is damaged, in contrast to a full disk, a lock or a failing device."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & 0xFF in _DAMAGE


class OutboxFile:
    """An open file, made when it is missing, and locked against other processes."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, timeout=0, check_same_thread=False)
        try:
            self._prepare()
            rows, size = self._db.execute(f"SELECT count(*), total({_SIZE}) FROM outbox").fetchone()  # noqa: S608 - all of it is written here
            last = self._db.execute("SELECT max(seq) FROM sqlite_sequence").fetchone()
        except BaseException:
            self._db.close()
            raise
        self.rows: int = rows
        self.bytes = int(size)
        self.last_seq: int = last[0] or 0
        self._freed = 0

    def _prepare(self) -> None:
        for pragma in (
            "page_size = 16384",
            "auto_vacuum = INCREMENTAL",
            "locking_mode = EXCLUSIVE",
            "journal_mode = WAL",
            "synchronous = NORMAL",
            "journal_size_limit = 4194304",
            "wal_autocheckpoint = 256",
        ):
            self._db.execute(f"PRAGMA {pragma}").fetchall()
        with self._db:
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS outbox (seq INTEGER PRIMARY KEY AUTOINCREMENT,"
                " key BLOB NOT NULL CHECK (typeof(key) = 'blob'),"
                " value BLOB NOT NULL CHECK (typeof(value) = 'blob'))"
            )
        verdict = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            error = sqlite3.DatabaseError(verdict)
            error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise error

    def insert(self, rows: Collection[OutboxRow]) -> None:
        """Write all rows or none."""
        fields = list(chain.from_iterable(rows))
        at_once = 3 * _INSERTED_ROWS
        with self._db:
            for begin in range(0, len(fields), at_once):
                some = fields[begin : begin + at_once]
                self._db.execute(_INSERT, some + [None] * (at_once - len(some)))
        self.rows += len(rows)
        self.bytes += sum(row.size for row in rows)

    def read(self, after: int, max_rows: int, max_bytes: int) -> list[OutboxRow]:
        """Return the rows that follow `after`, up to the limits; at least one, if there is one."""
        cursor = self._db.execute(
            "SELECT seq, key, value FROM outbox WHERE seq > ? ORDER BY seq LIMIT ?", (after, max_rows)
        )
        return _up_to(cursor, max_bytes)

    def delete(self, seqs: Collection[int]) -> None:
        """Delete these rows, as far as they are there."""
        listed = json.dumps(list(seqs))
        with self._db:
            count, size = self._db.execute(
                f"SELECT count(*), total({_SIZE}) FROM outbox WHERE {_LISTED}",  # noqa: S608 - all of it is written here
                (listed,),
            ).fetchone()
            self._db.execute(f"DELETE FROM outbox WHERE {_LISTED}", (listed,))  # noqa: S608 - all of it is written here
        self._forget(count, int(size))

    def drop_oldest(self, size: int) -> int:
        """Delete the oldest rows until `size` bytes are gone; return how many."""
        seq, count, gone = self._db.execute(
            f"SELECT seq, count, size FROM (SELECT seq, count(*) OVER old AS count, sum({_SIZE}) OVER old"  # noqa: S608 - all of it is written here
            " AS size FROM outbox WINDOW old AS (ORDER BY seq)) WHERE size >= ? LIMIT 1",
            (size,),
        ).fetchone()
        with self._db:
            self._db.execute("DELETE FROM outbox WHERE seq <= ?", (seq,))
        self._forget(count, gone)
        return int(count)

    def _forget(self, rows: int, size: int) -> None:
        """Count these out; give free pages back to the file system when many rows are gone."""
        self.rows -= rows
        self.bytes -= size
        self._freed += size
        if self._freed >= _VACUUM_BYTES:
            self._freed = 0
            # A script, because `execute` stops after one page.
            self._db.executescript(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        self._db.close()


def _up_to(cursor: Iterable[tuple[int, bytes, bytes]], max_bytes: int) -> list[OutboxRow]:
    rows: list[OutboxRow] = []
    for row in map(OutboxRow._make, cursor):
        max_bytes -= row.size
        if rows and max_bytes < 0:
            break
        rows.append(row)
    return rows
