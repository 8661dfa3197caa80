"""The SQL of monitors without results: watched ones, and those that nobody checks any more."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from monitor import store_incidents
from monitor.health import Change, Health
from monitor.incident import end_unchecked, open_no_data
from monitor.standing import Rules
from monitor.storage.database import Database
from monitor.store_incidents import State

# A monitor that never had a result counts, too: it has a deadline only if it is checked for long enough.
_WITHOUT_RESULTS = """
SELECT monitor FROM unnest($1::text[], $2::float8[]) AS checked (monitor, deadline)
LEFT JOIN health_states USING (monitor)
WHERE coalesce(last_at, '-infinity') < deadline AND NOT EXISTS (
    SELECT FROM health_incidents
    WHERE health_incidents.monitor = checked.monitor AND kind = 'no_data' AND ended_at IS NULL)
"""

_NOT_CHECKED = """
SELECT DISTINCT monitor FROM health_incidents
WHERE ended_at IS NULL AND monitor <> ALL ($1)
    AND NOT EXISTS (
        SELECT FROM health_states
        WHERE health_states.monitor = health_incidents.monitor AND last_at >= $2)
"""


async def look_for_no_data(
    database: Database,
    deadlines: Mapping[str, float],
    checked_since: Mapping[str, float],
    is_ours: Callable[[str], bool],
    now: float,
) -> None:
    """Open incidents for monitors without a result since their deadline.

    End the open incidents of monitors that are not in `checked_since`, if they are ours and had no result
    lately. Those without a deadline are not judged.
    """
    forgotten_at = now - Rules().reach_s
    async with database.transaction() as connection:
        await _open_overdue(connection, deadlines, checked_since, now)
        await _end_no_longer_checked(connection, list(checked_since), is_ours, forgotten_at, now)


async def _open_overdue(
    connection: Any, deadlines: Mapping[str, float], checked_since: Mapping[str, float], now: float
) -> None:
    """Open an incident for each monitor whose newest result is older than its deadline, if it has none."""
    rows = await connection.fetch(_WITHOUT_RESULTS, list(deadlines), list(deadlines.values()))
    names = [row["monitor"] for row in rows]
    for monitor, health in (await _locked(connection, names)).items():
        if health.last_at < deadlines[monitor] and not health.no_data:
            after, change = open_no_data(health, checked_since[monitor], now)
            await _store(connection, State(monitor, "unknown", after), [change], now)


async def _end_no_longer_checked(
    connection: Any,
    checked: Collection[str],
    is_ours: Callable[[str], bool],
    deadline: float,
    now: float,
) -> None:
    """End all open incidents of monitors that are not checked, and had no result since `deadline`."""
    rows = await connection.fetch(_NOT_CHECKED, checked, deadline)
    names = [row["monitor"] for row in rows if is_ours(row["monitor"])]
    for monitor, health in (await _locked(connection, names)).items():
        after, changes = end_unchecked(health, now)
        await _store(connection, State(monitor, "unknown", after), changes, now)


async def _locked(connection: Any, names: Collection[str]) -> dict[str, Health]:
    return await store_incidents.locked(connection, sorted(names)) if names else {}


async def _store(connection: Any, state: State, changes: Iterable[Change], now: float) -> None:
    await store_incidents.store_states(connection, [state])
    await store_incidents.store_changes(connection, [(state.monitor, change) for change in changes], now)
