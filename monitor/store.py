"""The results in PostgreSQL.

What goes wrong is one of two: the database is away (`StoreUnavailableError`: wait and try again, the
results are not to blame) or it cannot take these results (`RefusedError`: waiting does not help).
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID

import asyncpg

from monitor import store_days, store_incidents, store_silence, store_sums
from monitor.bookkeeping import Bookkeeping
from monitor.migrate import SchemaError, migrate
from monitor.result import CheckResult
from monitor.row import copy, insert
from monitor.standing import Rules
from monitor.store_days import DAY_S
from monitor.store_report import Account, accounts
from monitor.store_trust import system_trust

_END_OF_TIME = 4_102_444_800  # 2100-01-01: a later slot is a mistake, not a plan
_MAX_DAYS = 30  # that one statement touches: each partition takes six of the server's locks
_MONITORS = 200  # whose days are summed up at once
_CONNECT_S = 10
_COMMAND_S = 30
_CLOSE_S = 3
_MAX_ERROR_CHARS = 300

_SETTINGS = {
    "application_name": "website-health-monitor",
    "lock_timeout": "10s",
    "statement_timeout": f"{_COMMAND_S}s",
    "idle_in_transaction_session_timeout": "60s",
}

_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    ValueError,
    OverflowError,
)

_STORED = "SELECT result_id FROM health_data WHERE result_id = ANY($1)"


Add = Callable[[Any, Sequence[CheckResult]], Awaitable[Sequence[CheckResult]]]


class StoreUnavailableError(Exception):
    """The database is away, full, busy or closed to us; its text is one line without secrets."""


class RefusedError(Exception):
    """At least one of the results can never be stored; its text is one line."""


class Store:
    """Results in one database, opened at first use.

    Every method waits a bounded time and raises `StoreUnavailableError` when the database does not answer in
    it, or `SchemaError` when its schema is not this program's. A cancelled call has stored all or nothing.
    """

    def __init__(self, uri: str, bookkeeping: Bookkeeping | None = None) -> None:
        self._uri = uri
        self._bookkeeping = bookkeeping or Bookkeeping()
        self._pool: Any = None
        self._opening = asyncio.Lock()
        self._days: set[int] = set()
        self._all_new = True

    async def open(self) -> None:
        """Connect and migrate, unless that is done; migrating takes as long as the original's rows need."""
        async with self._opening:
            self._pool = self._pool or await _connect(self._uri)

    async def close(self) -> None:
        """Give the connections back; statements that run get a moment to end."""
        if self._pool is not None:
            try:
                async with asyncio.timeout(_CLOSE_S):
                    await self._pool.close()
            except TimeoutError:
                self._pool.terminate()

    async def save(self, results: Sequence[CheckResult]) -> int:
        """Store all of them, or none; returns how many were new.

        Results that span more than thirty days are stored thirty days at a time, each time all or none.

        Raises:
            RefusedError: the database will never take at least one of them.

        """
        for result in results:
            if not 0 <= result.scheduled_at < _END_OF_TIME:
                raise RefusedError(f"scheduled_at {result.scheduled_at!r} is not between 1970 and 2100")
        days = sorted(set(map(_day, results)))
        if len(days) <= _MAX_DAYS:
            return await self._save(results, days)
        early = set(days[:_MAX_DAYS])
        new = await self.save([result for result in results if _day(result) in early])
        return new + await self.save([result for result in results if _day(result) not in early])

    async def stored(self, ids: Iterable[UUID]) -> set[UUID]:
        """Which of these results have a row."""
        async with self.transaction() as connection:
            rows = await connection.fetch(_STORED, list(ids))
        return {found["result_id"] for found in rows}

    async def maintain(self) -> None:
        """Make the partitions of today and tomorrow, so that no result has to wait for its own."""
        today = int(time.time() // DAY_S)
        await self._make_partitions([today, today + 1])

    async def drop_expired(self, retention_days: float) -> int:
        """Drop the days that are wholly older, returning how many; the first version's rows stay for good."""
        first_kept = int(time.time() / DAY_S - retention_days)
        async with self.transaction() as connection:
            names = await store_days.before(connection, first_kept)
        for name in names:
            async with self.transaction() as connection:
                await store_days.drop(connection, name)
        self._days = {day for day in self._days if day >= first_kept}
        return len(names)

    async def look_for_silence(
        self,
        deadlines: Mapping[str, float],
        since: Mapping[str, float],
        is_ours: Callable[[str], bool],
        now: float,
    ) -> None:
        """Open incidents for monitors without a result since their deadline; end those of unwatched ones.

        `since` says when each watched monitor began to be; those without a deadline are not judged.
        """
        forgotten_at = now - Rules().reach_s
        async with self.transaction() as connection:
            await store_silence.open_silences(connection, deadlines, since, now)
            await store_silence.end_unwatched(connection, list(since), is_ours, forgotten_at, now)

    async def accounts(self, since: float, until: float) -> dict[str, Account]:
        """Read what there is to say of each monitor from one full hour on until an instant."""
        first_day = int(time.time() // DAY_S) - store_sums.HOURS_DAYS
        async with self.transaction() as connection:
            await self._bookkeeping.read_windows(connection)
            return await accounts(connection, since, until, first_day, self._bookkeeping.rules)

    async def sum_up_days(self) -> None:
        """Put hours of days that are over into the sums of days; forget hours that are too old."""
        today = int(time.time() // DAY_S)
        async with self.transaction() as connection:
            monitors = await store_sums.not_in_days(connection, today)
        for start in range(0, len(monitors), _MONITORS):
            some = monitors[start : start + _MONITORS]
            async with self.transaction() as connection:
                await store_incidents.locked(connection, some)
                await store_sums.into_days(connection, some, today)
        async with self.transaction() as connection:
            await store_sums.expire(connection, today - store_sums.HOURS_DAYS)

    async def _save(self, results: Sequence[CheckResult], days: Sequence[int]) -> int:
        if not results:
            return 0
        await self._make_partitions(days)
        try:
            return await self._add(results)
        except _PartitionMissingError:
            self._days.difference_update(days)
            await self._make_partitions(days)
            return await self._add(results)

    async def _add(self, results: Sequence[CheckResult]) -> int:
        """Take the short way, unless the last results were not all new."""
        if self._all_new:
            try:
                return await self._put(copy, results)
            except _NotNewError:
                self._all_new = False
        new = await self._put(insert, results)
        self._all_new = new == len(results)
        return new

    async def _put(self, add: Add, results: Sequence[CheckResult]) -> int:
        async with self.transaction() as connection:
            healths = await self._bookkeeping.lock(connection, results)
            new = await add(connection, results)
            await self._bookkeeping.enter(connection, healths, new)
        return len(new)

    async def _make_partitions(self, days: Iterable[int]) -> None:
        """Make what is missing, each in a transaction of its own."""
        for day in days:
            if day not in self._days:
                async with self.transaction() as connection:
                    await store_days.make(connection, day)
                self._days.add(day)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        """Lend a connection for one transaction."""
        await self.open()
        try:
            async with self._pool.acquire(timeout=_CONNECT_S) as connection, connection.transaction():
                yield connection
        except _ERRORS as error:
            raise _told_apart(error, self._uri) from None


class _PartitionMissingError(RefusedError):
    """The row's partition is not there, maybe because another process dropped it a moment ago."""


class _NotNewError(RefusedError):
    """A row is there already."""


async def open_store(uri: str) -> Store:
    """Connect to the database and migrate it.

    Raises:
        StoreUnavailableError: it is away.
        SchemaError: it holds a schema that is not for this program to touch.

    """
    store = Store(uri)
    await store.open()
    return store


async def _connect(uri: str) -> Any:
    try:
        trust = system_trust(uri)
        settings = {**_SETTINGS, "lock_timeout": "60s"}
        connection = await asyncpg.connect(uri, ssl=trust, timeout=_CONNECT_S, server_settings=settings)
        try:
            await migrate(connection)
        finally:
            connection.terminate()
        return await asyncpg.create_pool(
            uri,
            ssl=trust,
            min_size=0,
            max_size=5,
            timeout=_CONNECT_S,
            command_timeout=_COMMAND_S,
            server_settings=_SETTINGS,
        )
    except asyncpg.RaiseError as error:
        raise SchemaError(_line(error, uri)) from None
    except _ERRORS as error:
        if type(error) is ValueError:
            raise SchemaError("pg_uri cannot be read: is its password percent-encoded?") from None
        if _blames_rows(error):
            raise SchemaError(f"this database cannot be used: {_line(error, uri)}") from None
        raise StoreUnavailableError(_line(error, uri)) from None


def _blames_rows(error: Exception) -> bool:
    """SQLSTATE classes 22, 23 and 54 (limits: an index entry's size), and what asyncpg cannot encode."""
    if isinstance(error, asyncpg.PostgresError):
        return str(error.sqlstate)[:2] in {"22", "23", "54"}
    return isinstance(error, ValueError | OverflowError) and not isinstance(error, OSError)


def _told_apart(error: Exception, uri: str) -> StoreUnavailableError | RefusedError:
    if isinstance(error, asyncpg.CheckViolationError):
        return _PartitionMissingError(_line(error, uri))
    if isinstance(error, asyncpg.UniqueViolationError):
        return _NotNewError(_line(error, uri))
    return (RefusedError if _blames_rows(error) else StoreUnavailableError)(_line(error, uri))


def _line(error: Exception, uri: str) -> str:
    """One line without the password, and without the row that PostgreSQL shows in the next ones."""
    text = (str(error) or type(error).__name__).splitlines()[0]
    if password := urlsplit(uri).password:
        text = text.replace(password, "***").replace(unquote(password), "***")
    return text if len(text) <= _MAX_ERROR_CHARS else f"{text[:_MAX_ERROR_CHARS]}…"


def _day(result: CheckResult) -> int:
    return int(result.scheduled_at // DAY_S)
