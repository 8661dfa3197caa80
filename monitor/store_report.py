"""Reads what a report is made from: sums, the results that still speak, and outages."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import msgspec

from monitor import store_sums
from monitor.maintenance import Windows
from monitor.storage_database import Database
from monitor.store_days import DAY_S
from monitor.uptime import HOUR_S, Sums, split_at_windows

_STATES = "SELECT monitor, health FROM health_states"

_OUTAGES = """
SELECT monitor, started_at, ended_at FROM health_incidents
WHERE kind = 'down' AND started_at < $2 AND (ended_at IS NULL OR ended_at > $1)
"""


class _NewestResult(msgspec.Struct):
    at: float
    until: float
    status: Literal["up", "degraded", "down", "unknown"]


class _Newest(msgspec.Struct):
    locations: dict[str, _NewestResult] = {}


_decoder = msgspec.json.Decoder(_Newest)


class AccountedOutage(NamedTuple):
    """One incident of a monitor that was down."""

    started_at: float
    ended_at: float | None


class Account(NamedTuple):
    """What is known of one monitor in a window."""

    sums: list[Sums]
    """One for each location."""
    outages: list[AccountedOutage]


async def accounts(
    database: Database, since: float, until: float, windows_of: Callable[[str], Windows | None]
) -> dict[str, Account]:
    """Read the account of each monitor, from one full hour on until an instant.

    Where only sums of days are kept, it begins at a full day.
    """
    async with database.transaction() as connection:
        return await _accounts(connection, since, until, windows_of)


async def _accounts(
    connection: Any, since: float, until: float, windows_of: Callable[[str], Windows | None]
) -> dict[str, Account]:
    first_day = int(time.time() // DAY_S) - store_sums.HOURS_DAYS
    hours = (int(since // HOUR_S), int(-(-until // HOUR_S)))
    places = {tuple(place): sums for *place, sums in await store_sums.window(connection, hours, first_day)}
    for row in await connection.fetch(_STATES):
        health, windows = _decoder.decode(row["health"]), windows_of(row["monitor"])
        for location, column, length_s in _still_spoken(health, windows, since, until):
            sums = places.get((row["monitor"], location), Sums())
            places[row["monitor"], location] = replace(sums, **{column: getattr(sums, column) + length_s})
    found: dict[str, Account] = {}
    for (monitor, _), sums in places.items():
        found.setdefault(monitor, Account([], [])).sums.append(sums)
    for row in await connection.fetch(_OUTAGES, since, until):
        outage = AccountedOutage(row["started_at"], row["ended_at"])
        found.setdefault(row["monitor"], Account([], [])).outages.append(outage)
    return found


def _still_spoken(
    health: _Newest, windows: Windows | None, since: float, until: float
) -> Iterator[tuple[str, str, float]]:
    """Tell the time that newest results speak for, which the next ones will add to the sums."""
    for location, newest in health.locations.items():
        first, last = max(newest.at, since), min(newest.until, until)
        if newest.status != "unknown":
            for spent, start, end in split_at_windows(newest.status, first, last, windows):
                if start < end:
                    yield location, f"{spent}_s", end - start
