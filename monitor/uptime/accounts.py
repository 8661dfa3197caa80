"""Reads the account of each monitor: sums, the time that newest results cover, and outages."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import msgspec

from monitor.runtime.text import DAY_S, HOUR_S
from monitor.storage.database import Database
from monitor.uptime import store
from monitor.uptime.maintenance import Windows
from monitor.uptime.sums import Status, Sums, UptimePoint, time_covered

_STATES = "SELECT monitor, health FROM health_states"

_OUTAGES = """
SELECT monitor, started_at, ended_at FROM health_incidents
WHERE kind = 'down' AND started_at < $2 AND (ended_at IS NULL OR ended_at > $1)
"""


class NewestResult(msgspec.Struct):
    """The newest result of a monitor at one location, and until when it counts."""

    at: float
    until: float
    status: Status


class _StoredHealth(msgspec.Struct):
    locations: dict[str, NewestResult] = {}


_stored_health = msgspec.json.Decoder(_StoredHealth)


class AccountedOutage(NamedTuple):
    """One incident of the kind `down`."""

    started_at: float
    ended_at: float | None


class Account(NamedTuple):
    """What is known of one monitor in a time range."""

    sums: list[Sums]
    """One for each location."""
    outages: list[AccountedOutage]


async def accounts(
    database: Database, since: float, until: float, windows_of: Callable[[str], Windows | None]
) -> dict[str, Account]:
    """Return the account of each monitor, from a full hour until an instant.

    Where only sums of days are kept, it begins at a full day. `windows_of` returns the maintenance windows of
    a monitor.
    """
    hours = (int(since // HOUR_S), int(-(-until // HOUR_S)))
    first_day = int(time.time() // DAY_S) - store.HOURS_KEPT_D
    days = (hours[0] // 24, min(-(-hours[1] // 24), first_day))
    async with database.transaction() as connection:
        states = await connection.fetch(_STATES)
        kept = await store.sums_of(connection, [row["monitor"] for row in states], hours, days)
        outages = await connection.fetch(_OUTAGES, since, until)
    places = {(monitor, location): sums for monitor, location, sums in kept}
    for monitor, health in states:
        for location, newest in newest_results(health).items():
            # No sum has the time that the newest result covers.
            point = UptimePoint(max(newest.at, since), newest.status, newest.until)
            for _, counted_as, length_s in time_covered(point, until, windows_of(monitor)):
                sums, column = places.get((monitor, location), Sums()), f"{counted_as}_s"
                places[monitor, location] = replace(sums, **{column: getattr(sums, column) + length_s})
    found: dict[str, Account] = {}
    for (monitor, _), sums in places.items():
        found.setdefault(monitor, Account([], [])).sums.append(sums)
    for monitor, *times in outages:
        found.setdefault(monitor, Account([], [])).outages.append(AccountedOutage(*times))
    return found


def newest_results(health: str) -> dict[str, NewestResult]:
    """Return a monitor's newest results by location, out of its column `health` in `health_states`."""
    return _stored_health.decode(health).locations
