"""PostgreSQL: connections, transactions, and what an error means.

An error is one of two: the database is unavailable (`StoreUnavailableError`: wait and try again, the rows
are not to blame), or it cannot take these rows (`RefusedError`: waiting does not help).
"""

import asyncio
import logging
import os
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import asyncpg

from monitor.config.files import database_files
from monitor.runtime.files import check_pem
from monitor.runtime.tls import trusting
from monitor.runtime.waiting import one_line
from monitor.storage.migrate import SchemaError, migrate

_PORT = 5432
_CONNECT_S = 10
_COMMAND_S = 30
_CLOSE_S = 3
_MAX_ERROR_CHARS = 300

_log = logging.getLogger(__name__)

_NAME = {"application_name": "website-health-monitor"}
_SETTINGS = {
    "lock_timeout": "10s",
    "statement_timeout": f"{_COMMAND_S}s",
    "idle_in_transaction_session_timeout": "60s",
    "plan_cache_mode": "force_custom_plan",
}

# A plan that suits all time ranges opens and locks each day that there is. So each use of a statement gets a
# plan of its own, except in a transaction that begins with `REUSE_PLANS`.
REUSE_PLANS = "SET LOCAL plan_cache_mode = auto"
OWN_PLANS = "SET LOCAL plan_cache_mode = force_custom_plan"

# What the errors of a pooler leave out: what to do.
_REMEDIES = {
    "unsupported startup parameter": "take it out of pg_uri, or let PgBouncer ignore it",
    "statement pooling mode": "pool_mode must be transaction or session",
}

_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    ValueError,
    OverflowError,
)


class StoreUnavailableError(Exception):
    """The database is down, full, busy or closed to us; its text is one line without secrets."""


class RefusedError(Exception):
    """At least one of the rows can never be stored; its text is one line."""


class PartitionMissingError(RefusedError):
    """The row's partition is not there; another process may have dropped it a moment ago."""


class NotNewError(RefusedError):
    """A row with the same key is there already."""


class Database:
    """One database, with connections of its own; connected and migrated at first use.

    Every call waits a bounded time. It raises `StoreUnavailableError` when the database does not answer in
    that time, and `SchemaError` when the schema is not this program's.
    """

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._pool: Any = None
        self._behind_pooler = False
        self._opening = asyncio.Lock()

    async def open(self) -> None:
        """Connect and migrate, unless that is done; migrating takes as long as the original's rows need."""
        async with self._opening:
            self._pool = self._pool or await self._connect()

    async def close(self) -> None:
        """Close the connections; statements that run get a moment to end."""
        if self._pool is not None:
            try:
                async with asyncio.timeout(_CLOSE_S):
                    await self._pool.close()
            except TimeoutError:
                self._pool.terminate()

    async def fetch(self, statement: str, *arguments: object) -> list[Any]:
        """Return the rows of a statement that is a transaction by itself.

        Raises:
            StoreUnavailableError, RefusedError: as in `transaction`.

        """
        await self.open()
        async with self.transaction() if self._behind_pooler else self._connection() as connection:
            rows: list[Any] = await connection.fetch(statement, *arguments)
        return rows

    async def earlier_now(self) -> float:
        """Return Unix seconds by the clock of this machine or of the server, whichever is behind.

        For what is removed because of its age: a clock that is ahead must not remove all.

        Raises:
            StoreUnavailableError: as in `transaction`.

        """
        (row,) = await self.fetch("SELECT extract(epoch FROM now())::float8 AS now")
        server_now: float = row["now"]
        return min(time.time(), server_now)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        """Open a transaction and yield its connection; whoever is cancelled in it has stored nothing.

        Raises:
            StoreUnavailableError: the database is unavailable, or gave up waiting for a lock.
            RefusedError: it will never take the rows of a statement.

        """
        async with self._connection() as connection, connection.transaction():
            if self._behind_pooler:
                await connection.execute(_set_local(_SETTINGS))
            yield connection

    async def _connect(self) -> Any:
        pool, self._behind_pooler = await _connect(self._uri)
        return pool

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        await self.open()
        try:
            async with self._pool.acquire(timeout=_CONNECT_S) as connection:
                yield connection
        except _ERRORS as error:
            raise _meant(error, self._uri) from None


async def _connect(uri: str) -> tuple[Any, bool]:
    """Migrate the database; return a pool of connections to it, and whether a pooler is in between."""
    try:
        reach = {"dsn": uri, "ssl": system_trust(uri), "timeout": _CONNECT_S}
        connection = await _connected(reach)
        try:
            behind_pooler = await _has_pooler(connection)
            await migrate(connection)
        finally:
            connection.terminate()
        if behind_pooler:
            _log.info("a connection pooler answers at %s: no statement is prepared there", server_of(uri))
            options: dict[str, Any] = {"server_settings": _NAME, "statement_cache_size": 0}
        else:
            options = {"server_settings": _NAME | _SETTINGS}
        limits = {"min_size": 0, "max_size": 5, "command_timeout": _COMMAND_S}
        return await asyncpg.create_pool(**reach, **options, **limits, reset=_keep), behind_pooler
    except asyncpg.RaiseError as error:
        raise SchemaError(_line(error, uri)) from None
    except _ERRORS as error:
        if type(error) is ValueError:
            raise SchemaError("pg_uri cannot be read: is its password percent-encoded?") from None
        if _blames_rows(error):
            raise SchemaError(f"this database cannot be used: {_line(error, uri)}") from None
        raise StoreUnavailableError(_unavailable(error, uri)) from None


async def _connected(reach: Mapping[str, Any]) -> Any:
    try:
        return await asyncpg.connect(**reach, server_settings=_NAME, statement_cache_size=0)
    except KeyError:  # of getpass, where Python is older than 3.13
        raise OSError("pg_uri has no user, and the account of this process has no name") from None


async def _has_pooler(connection: Any) -> bool:
    """Return whether a pooler, such as PgBouncer, is between us and PostgreSQL.

    Poolers give each client a process id of their own, for cancelling. Some refuse `_SETTINGS` when a
    connection starts, others drop them silently; the next transaction may be in another session.
    """
    process = await connection.fetchval("SELECT pg_backend_pid()", timeout=_CONNECT_S)
    return bool(process != connection.get_server_pid())


def _set_local(settings: Mapping[str, str]) -> str:
    return "".join(f"SET LOCAL {name} = '{value}';" for name, value in settings.items())


async def _keep(_connection: Any) -> None:
    """Ask PostgreSQL for no reset after each use: our transactions leave nothing behind in their session."""


def system_trust(uri: str) -> ssl.SSLContext | None:
    """Return what libpq's `sslrootcert=system` means, the default here; `None` where the URI says all.

    Raises:
        OSError: a file that the URI names is none that can be read.

    """
    options = dict(parse_qsl(urlsplit(uri).query))
    check_pem(*database_files(uri))
    mode = options.get("sslmode", "")
    if not mode.startswith("verify") or options.get("sslrootcert", "system") != "system":
        return None
    context = trusting()
    context.check_hostname = mode == "verify-full"
    if "sslcert" in options:
        context.load_cert_chain(options["sslcert"], options.get("sslkey"), options.get("sslpassword"))
    return context


def _blames_rows(error: Exception) -> bool:
    """Return whether the rows are at fault, not the database.

    They are for the SQLSTATE classes 22, 23 and 54 (limits: an index entry's size), and for what asyncpg
    cannot encode.
    """
    if isinstance(error, asyncpg.PostgresError):
        return str(error.sqlstate)[:2] in {"22", "23", "54"}
    return isinstance(error, ValueError | OverflowError) and not isinstance(error, OSError)


def _meant(error: Exception, uri: str) -> StoreUnavailableError | RefusedError:
    if isinstance(error, asyncpg.CheckViolationError):
        return PartitionMissingError(_line(error, uri))
    if isinstance(error, asyncpg.UniqueViolationError):
        return NotNewError(_line(error, uri))
    if _blames_rows(error):
        return RefusedError(_line(error, uri))
    return StoreUnavailableError(_unavailable(error, uri))


def server_of(uri: str) -> str:
    """Return the address in a URI, as in `db.example:5432`; of several servers, all, with commas."""
    parts = urlsplit(uri)
    options = dict(parse_qsl(parts.query))
    hosts = parts.netloc.rpartition("@")[2] or options.get("host") or "localhost"
    port = options.get("port", str(_PORT))
    return ",".join(_address(host, port) for host in hosts.split(","))


def _address(host: str, port: str) -> str:
    has_port = host.startswith("/") or ":" in host.rpartition("]")[2]
    return unquote(host) if has_port else f"{unquote(host)}:{port}"


def _unavailable(error: Exception, uri: str) -> str:
    """Return one line without the password that names the server, and what is wrong as what it is."""
    server, parts = server_of(uri), urlsplit(uri)
    match error:
        case asyncpg.InvalidPasswordError():
            text = f"{server} refuses the user {unquote(parts.username or '')} or the password"
        case asyncpg.InvalidCatalogNameError():
            text = f"{server} has no database {unquote(parts.path.lstrip('/'))}"
        case ConnectionError() if "connection_lost" in str(error):
            text = f"{server} closed the connection"
        case TimeoutError():
            text = f"{server}: no answer in time"
        case OSError(errno=int(number), filename=None) if number > 0 and not isinstance(error, ssl.SSLError):
            text = f"{server}: {os.strerror(number).lower()}"
        case _:
            line = one_line(error)
            text = ": ".join([server, line, *(todo for words, todo in _REMEDIES.items() if words in line)])
    return _masked(text, uri)


def _line(error: Exception, uri: str) -> str:
    """Return one line without the password, and without the row that PostgreSQL shows in the next lines."""
    return _masked(one_line(error), uri)


def _masked(text: str, uri: str) -> str:
    if password := urlsplit(uri).password:
        text = text.replace(password, "***").replace(unquote(password), "***")
    return text if len(text) <= _MAX_ERROR_CHARS else f"{text[:_MAX_ERROR_CHARS]}…"
