"""The SQLite file behind the outbox: rows in the order of their numbers.

Synchronous, for one thread. All raise `sqlite3.Error`; of a damaged file, one for which `is_damage` is true.
"""

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple, Self

# One statement for many rows: SQLite's Python module gives up the interpreter lock at each step, and in a
# busy program it may take 5 ms each time to get it back.
_INSERTS = [
    (count, f"INSERT OR REPLACE INTO outbox (seq, key, value) VALUES {','.join(['(?,?,?)'] * count)}")  # noqa: S608 - all of it is written here
    for count in (256, 64, 16, 4, 1)
]
_SIZE = "length(key) + length(value)"
_STORED = attrgetter("seq", "key", "value")
_LISTED = "seq IN (SELECT value FROM json_each(?))"
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_NO_ROOM = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}
_VACUUM_BYTES = 16 << 20
_VACUUM_PAGES = 4096
_SPARE_PAGES = 256


class OutboxRow(NamedTuple):
    """A message with its number in the outbox; numbers increase and are never used twice."""

    seq: int
    key: bytes
    value: bytes
    size: int
    """Bytes of the key and the value."""

    @classmethod
    def of(cls, seq: int, key: bytes, value: bytes) -> Self:
        return cls(seq, key, value, len(key) + len(value))


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether the file is damaged, in contrast to a full disk, a lock or a failing device."""
    return _code(error) in _DAMAGE


def is_no_room(error: sqlite3.Error) -> bool:
    """Return whether the disk takes no more data."""
    return _code(error) in _NO_ROOM


def _code(error: sqlite3.Error) -> int:
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & 0xFF


def damaged(what: str) -> sqlite3.DatabaseError:
    """Return the error that SQLite itself would raise for a damaged file."""
    error = sqlite3.DatabaseError(what)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def rows_of(cursor: Iterable[tuple[int, object, object]]) -> Iterator[OutboxRow]:
    """Yield the rows of a `SELECT seq, key, value`.

    Raises:
        sqlite3.DatabaseError: a value has another type: the file is damaged.

    """
    for seq, key, value in cursor:
        if not (isinstance(key, bytes) and isinstance(value, bytes)):
            raise damaged(f"row {seq} does not hold bytes")
        yield OutboxRow.of(seq, key, value)


class OutboxFile:
    """An open file, made when it is missing, and locked against other processes."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, timeout=0, check_same_thread=False)
        try:
            self._prepare()
            found = self._db.execute(f"SELECT count(*), total({_SIZE}), max(seq) FROM outbox").fetchone()  # noqa: S608 - all of it is written here
            used = self._db.execute("SELECT max(seq) FROM sqlite_sequence").fetchone()
        except BaseException:
            self._db.close()
            raise
        self.rows: int = found[0]
        self.bytes = int(found[1])
        self.next_seq: int = 1 + max(found[2] or 0, used[0] or 0)
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
            raise damaged(verdict)

    def insert(self, rows: Sequence[OutboxRow]) -> None:
        """Write all rows or none; a row replaces one of the same number."""
        place = 0
        with self._db:
            for count, statement in _INSERTS:
                while place + count <= len(rows):
                    some = rows[place : place + count]
                    self._db.execute(statement, list(chain.from_iterable(map(_STORED, some))))
                    place += count
        self.rows += len(rows)
        self.bytes += sum(row.size for row in rows)

    def read(self, after: int, max_rows: int, max_bytes: int) -> list[OutboxRow]:
        """Return the rows that follow `after`, up to the limits; at least one, if there is one."""
        cursor = self._db.execute(
            "SELECT seq, key, value FROM outbox WHERE seq > ? ORDER BY seq LIMIT ?", (after, max_rows)
        )
        return up_to(rows_of(cursor), max_rows, max_bytes)

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

    def holds_others(self, seqs: Collection[int]) -> bool:
        """Return whether there is a row besides these."""
        others = f"SELECT EXISTS (SELECT 1 FROM outbox WHERE NOT {_LISTED})"  # noqa: S608 - all of it is written here
        return bool(self._db.execute(others, (json.dumps(list(seqs)),)).fetchone()[0])

    def drop_oldest(self, size: int) -> tuple[int, int]:
        """Delete the oldest rows until `size` bytes are gone; return how many, and the last one's number."""
        seq, count, gone = self._db.execute(
            f"SELECT seq, count, size FROM (SELECT seq, count(*) OVER old AS count, sum({_SIZE}) OVER old"  # noqa: S608 - all of it is written here
            " AS size FROM outbox WINDOW old AS (ORDER BY seq)) WHERE size >= ? LIMIT 1",
            (size,),
        ).fetchone()
        with self._db:
            self._db.execute("DELETE FROM outbox WHERE seq <= ?", (seq,))
        self._forget(count, gone)
        return count, seq

    def _forget(self, rows: int, size: int) -> None:
        self.rows -= rows
        self.bytes -= size
        self._freed += size
        if self._freed >= _VACUUM_BYTES:
            self._freed = 0
            self._give_back(_SPARE_PAGES, _VACUUM_PAGES)

    def _give_back(self, spare: int, at_most: int) -> None:
        """Give free pages back to the file system, but for some that the next rows will need."""
        free = self._db.execute("PRAGMA freelist_count").fetchone()[0] - spare
        if free > 0:
            # A script, because `execute` stops after one page.
            self._db.executescript(f"PRAGMA incremental_vacuum({min(free, at_most)})")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self, *, tidy: bool = True) -> None:
        """Close the file; with `tidy`, make it as small as possible before."""
        try:
            if tidy:
                self._give_back(0, 1 << 30)
        finally:
            self._db.close()


def up_to(rows: Iterable[OutboxRow], max_rows: int, max_bytes: int) -> list[OutboxRow]:
    """Return the first rows, up to the limits; always at least one, if there is one."""
    taken: list[OutboxRow] = []
    for row in rows:
        max_bytes -= row.size
        if taken and (max_bytes < 0 or len(taken) >= max_rows):
            break
        taken.append(row)
    return taken
