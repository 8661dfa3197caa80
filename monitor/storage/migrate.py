"""Migrates a database to the schema that this program needs, one numbered SQL file after the other."""

import logging
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib.resources import files
from typing import Any, NamedTuple

# Any number that no other program on this database is likely to lock.
_ADVISORY_LOCK = 0x6865616C7468

# Of the transaction, not of the connection: a pooler would refuse or forget them.
_LIMITS = """
SET LOCAL lock_timeout = '60s';
SET LOCAL statement_timeout = 0;
SET LOCAL idle_in_transaction_session_timeout = '60s';
"""

# Whoever uses the tables waits while a step waits for their locks, and gives up after 10 s.
_PATIENCE = "SET LOCAL lock_timeout = '5s'"

_ENCODINGS = {"UTF8", "SQL_ASCII"}  # the second one keeps all bytes as they are

_log = logging.getLogger(__name__)

_FOLDER = files("monitor.storage") / "schema"

_LEDGER = """
CREATE TABLE health_schema (
    version integer PRIMARY KEY,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""


class SchemaError(Exception):
    """The database has a schema that this program must not touch; waiting does not help."""


class Migration(NamedTuple):
    """One step of the schema; `checksum` shows when its text was changed afterwards."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the SQL, in hexadecimal digits."""
        return sha256(self.sql.encode()).hexdigest()


def _read() -> tuple[Migration, ...]:
    named = ((re.fullmatch(r"(\d{4})_(\w+)\.sql", path.name), path) for path in _FOLDER.iterdir())
    return tuple(
        sorted(Migration(int(name[1]), name[2], path.read_text("utf-8")) for name, path in named if name)
    )


MIGRATIONS = _read()


async def migrate(connection: Any, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Apply the missing migrations, each in a transaction of its own; many processes may do so at once.

    Each one of a table that is there already is logged before it begins: with many rows it takes minutes.

    Raises:
        SchemaError: the database is newer than the program, was migrated by other SQL, or lacks characters.

    """
    encoding = await connection.fetchval("SHOW server_encoding")
    if encoding not in _ENCODINGS:
        raise SchemaError(f"the database cannot hold every page: its encoding is {encoding}; must be UTF8")
    is_fresh = await connection.fetchval("SELECT to_regclass('health_data') IS NULL")
    level = logging.DEBUG if is_fresh else logging.INFO
    while await _apply_next(connection, migrations, level):
        pass


async def _apply_next(connection: Any, migrations: Sequence[Migration], level: int) -> bool:
    async with connection.transaction():
        await connection.execute(_LIMITS)
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _ADVISORY_LOCK)
        is_first = await connection.fetchval("SELECT to_regclass('health_schema') IS NULL")
        if is_first:  # where the table is there, a role that may only read is enough
            await connection.execute(_LEDGER)
        rows = await connection.fetch("SELECT version, checksum FROM health_schema")
        applied = {row["version"]: row["checksum"] for row in rows}
        _check_applied(applied, migrations)
        for migration in migrations:
            if migration.version not in applied:
                _log.log(level, "migrating the schema: %d, %s", migration.version, migration.name)
                await connection.execute(_PATIENCE)
                await connection.execute(migration.sql)
                await connection.execute(
                    "INSERT INTO health_schema (version, name, checksum) VALUES ($1, $2, $3)",
                    migration.version,
                    migration.name,
                    migration.checksum,
                )
                return True
    return False


def _check_applied(applied: Mapping[int, str], migrations: Sequence[Migration]) -> None:
    known = {migration.version: migration for migration in migrations}
    if newer := sorted(applied.keys() - known.keys()):
        raise SchemaError(
            f"the database is newer than this program: it has migration {newer[-1]}, not just {max(known)}"
        )
    for version, checksum in applied.items():
        if known[version].checksum != checksum:
            raise SchemaError(f"migration {version} of the database is not this program's")
