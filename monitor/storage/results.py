"""The results in PostgreSQL: one row for each, in partitions of a UTC day, with the bookkeeping beside."""

import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any
from uuid import UUID

from monitor.result import CheckResult
from monitor.runtime.text import DAY_S
from monitor.storage import partitions
from monitor.storage.database import REUSE_PLANS, Database, NotNewError, PartitionMissingError, RefusedError
from monitor.storage.rows import copy, insert

_END_OF_TIME = 4_102_444_800  # 2100-01-01: a later slot is a mistake, not a plan

_STORED = """
SELECT found.* FROM unnest($1::text[], $2::float8[], $3::uuid[]) AS wanted (monitor, scheduled_at, result_id)
CROSS JOIN LATERAL (
    SELECT result_id FROM health_data
    WHERE monitor = wanted.monitor AND scheduled_at = wanted.scheduled_at AND result_id = wanted.result_id
        AND scheduled_at BETWEEN $4 AND $5 -- so that the other days are neither opened nor locked
    LIMIT 1 -- so that each is looked up in its own partition
) AS found
UNION ALL
SELECT result_id FROM health_data
WHERE monitor IS NULL AND result_id = ANY($3) AND scheduled_at = ANY($2)
"""

_ANY_STORED = """
SELECT EXISTS (
    SELECT FROM unnest($1::text[]) AS wanted (monitor)
    CROSS JOIN LATERAL (
        SELECT FROM health_data
        WHERE monitor = wanted.monitor AND location = $2 AND scheduled_at >= $3
        LIMIT 1
    ) AS found
) AS is_any
"""

AddRows = Callable[[Any, Sequence[CheckResult]], Awaitable[Sequence[CheckResult]]]

Enter = Callable[[Sequence[CheckResult]], Awaitable[Callable[[], None]]]
"""Enters the results that are new into the books, in the transaction that stores them.

It returns what is to be called when the transaction has ended well.
"""

OpenBooks = Callable[[Any, Sequence[CheckResult]], Awaitable[Enter]]
"""Gets a connection and all results of a transaction, before it stores any.

It locks what these results may change, so that nobody else writes about it until the transaction ends.
"""


class ResultStore:
    """Stores results, with what they come to. A call that is cancelled has stored all or nothing.

    Results are the same if monitor, slot and `id` are. The `id` is made of monitor, slot and location, so
    it alone would do. A message of another program that uses one `id` for two monitors gets two rows.

    `open_books` is how the rest of the program learns of new results: each counts once, in the same
    transaction as its row.
    """

    def __init__(self, database: Database, open_books: OpenBooks) -> None:
        self.database = database
        self._open_books = open_books
        self._days: set[int] = set()
        self._all_new = True

    async def save(self, results: Sequence[CheckResult]) -> int:
        """Store all of them, or none; return how many were new.

        Results that span more than thirty days are stored thirty days at a time, each time all or none.

        Raises:
            StoreUnavailableError: the database is unavailable; try again.
            RefusedError: the database will never take at least one of them.

        """
        for result in results:
            if not 0 <= result.scheduled_at < _END_OF_TIME:
                raise RefusedError(f"scheduled_at {result.scheduled_at!r} is not between 1970 and 2100")
        days = sorted(set(map(_day, results)))
        new = 0
        for start in range(0, len(days), partitions.MOST_DAYS):
            some = days[start : start + partitions.MOST_DAYS]
            new += await self._save([result for result in results if _day(result) in some], some)
        return new

    async def maintain(self) -> None:
        """Make the partitions of today and tomorrow, so that no result has to wait for its own."""
        today = int(time.time() // DAY_S)
        await self._make_partitions([today, today + 1])

    async def _save(self, results: Sequence[CheckResult], days: Sequence[int]) -> int:
        await self._make_partitions(days)
        try:
            return await self._add(results)
        except PartitionMissingError:
            self._days.difference_update(days)
            await self._make_partitions(days)
            return await self._add(results)

    async def _add(self, results: Sequence[CheckResult]) -> int:
        """Add rows by COPY as long as all are new, else by INSERT; return how many were new."""
        if self._all_new:
            try:
                return await self._put(copy, results)
            except NotNewError:
                self._all_new = False
        new = await self._put(insert, results)
        self._all_new = new == len(results)
        return new

    async def _put(self, add: AddRows, results: Sequence[CheckResult]) -> int:
        async with self.database.transaction() as connection:
            await connection.execute(REUSE_PLANS)  # takes a fifth of the time that plans take
            enter = await self._open_books(connection, results)
            new = await add(connection, results)
            note_stored = await enter(new)
        note_stored()
        return len(new)

    async def _make_partitions(self, days: Iterable[int]) -> None:
        """Make what is missing, each in a transaction of its own."""
        for day in days:
            if day not in self._days:
                async with self.database.transaction() as connection:
                    await partitions.make(connection, day)
                self._days.add(day)


async def stored(database: Database, results: Iterable[CheckResult]) -> set[UUID]:
    """Return the ids of those of these results that have a row."""
    return await stored_ids(database, [(each.monitor, each.scheduled_at, each.id) for each in results])


async def stored_ids(database: Database, results: Sequence[tuple[str, float, UUID]]) -> set[UUID]:
    """Return the ids of those of these results (monitor, slot, id) that have a row."""
    slots = [slot for _, slot, _ in results]
    rows = await database.fetch(
        _STORED,
        [monitor for monitor, _, _ in results],
        slots,
        [each for _, _, each in results],
        min(slots, default=0.0),
        max(slots, default=0.0),
    )
    return {found["result_id"] for found in rows}


async def is_any_stored(database: Database, monitors: Iterable[str], location: str, since: float) -> bool:
    """Return whether a check of one of these monitors by this location, at `since` or later, has a row."""
    (row,) = await database.fetch(_ANY_STORED, list(monitors), location, since)
    return bool(row["is_any"])


def _day(result: CheckResult) -> int:
    return int(result.scheduled_at // DAY_S)
