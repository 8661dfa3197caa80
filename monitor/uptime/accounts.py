"""Reads the account of each monitor: sums, the time that newest results cover, and outages."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import msgspec

from monitor.runtime.text import DAY_S, HOUR_S
from monitor.storage.database import Database
from monitor.uptime import store
from monitor.uptime.maintenance import Windows
from monitor.uptime.sums import Sums, split_at_windows

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
    async with database.transaction() as connection:
        return await _accounts(connection, since, until, windows_of)


async def _accounts(
    connection: Any, since: float, until: float, windows_of: Callable[[str], Windows | None]
) -> dict[str, Account]:
    first_day = int(time.time() // DAY_S) - store.HOURS_KEPT_D
    hours = (int(since // HOUR_S), int(-(-until // HOUR_S)))
    places = {tuple(place): sums for *place, sums in await store.sums_of_all(connection, hours, first_day)}
    for row in await connection.fetch(_STATES):
        health, windows = _decoder.decode(row["health"]), windows_of(row["monitor"])
        for location, column, length_s in _not_summed_up(health, windows, since, until):
            sums = places.get((row["monitor"], location), Sums())
            places[row["monitor"], location] = replace(sums, **{column: getattr(sums, column) + length_s})
    found: dict[str, Account] = {}
    for (monitor, _), sums in places.items():
        found.setdefault(monitor, Account([], [])).sums.append(sums)
    for row in await connection.fetch(_OUTAGES, since, until):
        outage = AccountedOutage(row["started_at"], row["ended_at"])
        found.setdefault(row["monitor"], Account([], [])).outages.append(outage)
    return found


def _not_summed_up(
    health: _Newest, windows: Windows | None, since: float, until: float
) -> Iterator[tuple[str, str, float]]:
    """Yield location, column and seconds of the time that newest results cover: no sum has it yet."""
    for location, newest in health.locations.items():
        first, last = max(newest.at, since), min(newest.until, until)
        if newest.status != "unknown":
            for counted_as, start, end in split_at_windows(newest.status, first, last, windows):
                if start < end:
                    yield location, f"{counted_as}_s", end - start
