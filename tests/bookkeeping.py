"""Incidents and changes as the storing side writes them, for tests of the alerts about them."""

import json
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from monitor.alerts.store import AlertStore
from monitor.storage.database import Database
from tests.alerting import NOW

_OPENED = """
WITH incident AS (
    INSERT INTO health_incidents (monitor, kind, started_at, noticed_at, ended_at, reason, detail, locations)
    VALUES ($1, $2, $3, $4, $6, 'status', 'status 500, expected 200-399', '{Vienna}') RETURNING *
)
INSERT INTO health_changes (incident_id, monitor, kind, change, at, noticed_at, reason, detail, locations)
SELECT id, monitor, kind, $5, coalesce(ended_at, noticed_at), noticed_at, reason, detail, locations
FROM incident
RETURNING incident_id
"""
_MANY_PAST = """
WITH incident AS (
    INSERT INTO health_incidents (monitor, kind, started_at, noticed_at, ended_at)
    SELECT 's' || number % 10, 'down', $2 - 900, $2, $2 - 300 FROM generate_series(1, $1) AS number
    RETURNING *
)
INSERT INTO health_changes (incident_id, monitor, kind, change, at, noticed_at)
SELECT id, monitor, kind, 'past', ended_at, noticed_at FROM incident
"""
_RESOLVED = """
WITH incident AS (UPDATE health_incidents SET ended_at = $2 WHERE id = $1 RETURNING *)
INSERT INTO health_changes (incident_id, monitor, kind, change, at, noticed_at, reason, detail)
SELECT id, monitor, kind, 'resolved', ended_at, $2, reason, detail FROM incident
"""
_STATE = """
INSERT INTO health_states (monitor, status, last_at, health) VALUES ($1, $4, $2, $3)
ON CONFLICT (monitor) DO UPDATE SET status = $4, last_at = excluded.last_at, health = excluded.health
"""


class Book:
    """The tables, as others write and read them."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    async def opened(self, monitor: str = "shop", kind: str = "down", noticed_at: float = NOW) -> int:
        number: int = await self.connection.fetchval(
            _OPENED, monitor, kind, noticed_at - 130, noticed_at, "opened", None
        )
        return number

    async def past(self, monitor: str, ended_at: float) -> int:
        number: int = await self.connection.fetchval(
            _OPENED, monitor, "down", ended_at - 600, NOW, "past", ended_at
        )
        return number

    async def many_past(self, count: int) -> None:
        await self.connection.execute(_MANY_PAST, count, NOW)

    async def resolved(self, incident_id: int, at: float = NOW) -> None:
        await self.connection.execute(_RESOLVED, incident_id, at)

    async def state(self, monitor: str, at: float, status: str, failed_at: float | None = None) -> None:
        """Set the status of the newest result; another location failed last at `failed_at`."""
        locations = {"Vienna": {"at": at, "until": at + 180, "status": status}}
        if failed_at is not None:
            locations["Graz"] = {"at": failed_at, "until": failed_at + 180, "status": "down"}
        await self.connection.execute(_STATE, monitor, at, json.dumps({"locations": locations}), status)

    async def deliveries(self) -> list[Any]:
        """Return all, with their titles."""
        query = "SELECT *, alert->>'title' AS title FROM health_deliveries ORDER BY id"
        return list(await self.connection.fetch(query))

    async def outcome(self) -> list[tuple[str, str, str]]:
        """Return each delivery's channel, title and fate."""
        return [
            (each["channel"], each["title"], "sent" if each["sent_at"] else each["error"] or "waits")
            for each in await self.deliveries()
        ]

    async def all_done(self) -> bool:
        query = """
        SELECT NOT EXISTS (SELECT FROM health_deliveries WHERE due_at IS NOT NULL)
           AND NOT EXISTS (SELECT FROM health_changes WHERE decided_at IS NULL)
        """
        return bool(await self.connection.fetchval(query))


@pytest.fixture
async def book(database: str) -> AsyncIterator[Book]:
    connection = await asyncpg.connect(database)
    yield Book(connection)
    await connection.close()


@pytest.fixture
async def alert_store(database: str) -> AsyncIterator[AlertStore]:
    store = AlertStore(Database(database))
    yield store
    await store.database.close()
