"""The report on uptime, from the database of a configuration, whether or not the program runs."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime

from monitor.config.model import Config
from monitor.config.rules import EMBEDDED
from monitor.embedded.account import EmbeddedError
from monitor.embedded.postgres import postgres, running_uri
from monitor.incidents.rules import MonitorRules
from monitor.runtime.data_dir import DataDirError, locked
from monitor.runtime.text import HOUR_S
from monitor.storage.database import Database, StoreUnavailableError
from monitor.storage.migrate import SchemaError
from monitor.uptime.accounts import Account, accounts
from monitor.uptime.report import ReportRow, rows


class ReportError(Exception):
    """There is no report; its text says why, in one line."""


def instant(text: str) -> float:
    """Return a date or an instant of ISO 8601 in Unix seconds; without a time zone, it is one of UTC.

    Raises:
        ValueError: it is neither.

    """
    read = datetime.fromisoformat(text)
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()


async def report(config: Config, since: float, until: float) -> list[ReportRow]:
    """Return a row for each monitor, for the full hours that the time range touches, up to now.

    Raises:
        ReportError: the database is away, or not this program's.

    """
    start = since // HOUR_S * HOUR_S
    end = min(-(-until // HOUR_S) * HOUR_S, time.time())
    try:
        async with _database(config) as uri:
            found = await _accounts(Database(uri), config, start, end)
    except (EmbeddedError, SchemaError, StoreUnavailableError) as error:
        raise ReportError(f"no report: {error}") from None
    return rows(found, (monitor.name for monitor in config.monitors), start, end)


async def _accounts(database: Database, config: Config, start: float, end: float) -> dict[str, Account]:
    rules = MonitorRules(config.monitors)
    try:
        async with database.transaction() as connection:
            await rules.read_windows(connection)
        return await accounts(database, start, end, lambda name: rules.rules(name).windows)
    finally:
        await database.close()


@asynccontextmanager
async def _database(config: Config) -> AsyncIterator[str]:
    """Yield the URI of the database; start an embedded one, unless the running program has it."""
    uri = config.pg_uri.get_secret_value()
    async with AsyncExitStack() as resources:
        if uri == EMBEDDED:
            try:
                resources.enter_context(locked(config.data_dir))
            except DataDirError:
                uri = running_uri(config.data_dir)
            else:
                uri = await resources.enter_async_context(postgres(config.data_dir))
        yield uri
