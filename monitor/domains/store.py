"""In PostgreSQL: what is known of domains, and who asks about which of them."""

from collections.abc import Iterable
from typing import NamedTuple

from monitor.domains.known import Key
from monitor.runtime.text import DAY_S
from monitor.storage.database import Database

LEASE_S = 300.0
"""Whoever claims a domain has so long to ask about it."""
FORGOTTEN_S = 30.0 * DAY_S
"""A domain that nobody has asked about for so long is forgotten."""

_ADD = """
INSERT INTO health_domains (domain, server, due_at)
SELECT domain, server, 0 FROM unnest($1::text[], $2::text[]) AS wanted (domain, server)
ON CONFLICT DO NOTHING
"""

_READ = """
SELECT domain, server, expires_at, seen_at, asked_at, why
FROM health_domains JOIN unnest($1::text[], $2::text[]) AS wanted (domain, server) USING (domain, server)
"""

# What is due later than any request lets it be was written before the clock was set back.
_CLAIM = """
WITH mine AS (
    SELECT domain, server FROM health_domains
    JOIN unnest($1::text[], $2::text[]) AS wanted (domain, server) USING (domain, server)
    CROSS JOIN extract(epoch FROM clock_timestamp()) AS now
    WHERE due_at <= now OR due_at > now + $4
    ORDER BY due_at LIMIT 1 FOR UPDATE OF health_domains SKIP LOCKED
)
UPDATE health_domains AS claimed SET due_at = extract(epoch FROM clock_timestamp()) + $3
FROM mine WHERE claimed.domain = mine.domain AND claimed.server = mine.server
RETURNING claimed.domain, claimed.server
"""

_SAVE = """
UPDATE health_domains SET
    due_at = extract(epoch FROM clock_timestamp()) + $3,
    asked_at = extract(epoch FROM clock_timestamp()),
    expires_at = coalesce($4, expires_at),
    seen_at = CASE WHEN $4::float8 IS NULL THEN seen_at ELSE extract(epoch FROM clock_timestamp()) END,
    why = $5
WHERE domain = $1 AND server = $2
"""

_FORGET = (
    "DELETE FROM health_domains WHERE due_at < extract(epoch FROM clock_timestamp()) - $1 AND due_at > 0"
)


class Known(NamedTuple):
    """A row of `health_domains`."""

    expires_at: float | None
    seen_at: float | None
    asked_at: float | None
    why: str | None


class DomainStore:
    """Every method raises `StoreUnavailableError` when the database does not answer in time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, keys: Iterable[Key]) -> None:
        """Note that these are wanted, and forget those that nobody wants any more."""
        await self._database.fetch(_ADD, *_columns(keys))
        await self._database.fetch(_FORGET, FORGOTTEN_S)

    async def read(self, keys: Iterable[Key]) -> dict[Key, Known]:
        rows = await self._database.fetch(_READ, *_columns(keys))
        return {Key(*row[:2]): Known(*row[2:]) for row in map(tuple, rows)}

    async def claim(self, keys: Iterable[Key]) -> Key | None:
        """Return one of these that is due; no other process gets it before the lease ends."""
        rows = await self._database.fetch(_CLAIM, *_columns(keys), LEASE_S, DAY_S)
        return Key(*rows[0]) if rows else None

    async def save(self, key: Key, expires_at: float | None, why: str | None, again_s: float) -> None:
        """Store what an answer said; without a date, what was known before stays."""
        await self._database.fetch(_SAVE, *key, again_s, expires_at, why)


def _columns(keys: Iterable[Key]) -> tuple[list[str], list[str]]:
    every = list(keys)
    return [each.domain for each in every], [each.server for each in every]
