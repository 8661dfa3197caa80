"""Whom the changes were told, and what people said of them, in PostgreSQL."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from monitor import alert_sql as sql
from monitor import store_maintenance
from monitor.alert_certificates import Seen
from monitor.alert_counts import AlertCounts, Waiting
from monitor.alert_decision import Decision, Delivery
from monitor.alert_message import Alert
from monitor.alert_outage import WITHIN_S
from monitor.alert_situation import Change, Incident, Newest, Plan, Situation, Told
from monitor.maintenance_made import MadeWindow, MadeWindows
from monitor.storage_database import Database

LEASE_S = 180.0
"""Who claimed a delivery has this long to send it; longer than any channel takes."""
GIVE_UP_S = 86_400.0
REFUSALS = 10
"""Of one alert, by a channel that takes others; with the time between them about half an hour."""
PROVEN_S = 1_800.0
"""A channel that took another alert so long ago, and still refuses one, would never take it."""
KEEP_S = 90 * 86_400.0

_DECIDING_LOCK = 0x616C65727473
_PARENTS_S = 3_600.0  # for which the end of what others depend on still matters to them
_MAX_CHANGES = 10_000
_NEWS_S = 2 * WITHIN_S  # for which it matters how all the others are


class Claimed(NamedTuple):
    """A delivery that is ours to send, for the `attempts`th time."""

    id: int
    channel: str
    attempts: int
    alert: Alert


class Silence(msgspec.Struct, frozen=True):
    """Alerts about a monitor are held back until then; somebody ordered it at `at`."""

    monitor: str
    until_at: float
    at: float
    who: str
    why: str


class Acknowledgement(msgspec.Struct, frozen=True):
    """Somebody knows of an incident since `at`: there are no reminders and no escalation."""

    at: float
    who: str
    why: str


class _Location(msgspec.Struct):
    at: float
    until: float
    status: str


class _Health(msgspec.Struct):
    locations: dict[str, _Location] = {}


_health = msgspec.json.Decoder(_Health)
_alert = msgspec.json.Decoder(Alert)


class AlertStore:
    """Alerts and what people say of incidents, in one database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.counts = AlertCounts()

    async def decide(self, plan: Plan, now: float, decide: Callable[[Plan, Situation], Decision]) -> int:
        """Decide on the changes and store what comes of it, all or nothing; returns how many deliveries.

        Of several processes that do so at the same time, one does, and the others return 0.
        """
        async with self.database.transaction() as connection:
            if not await connection.fetchval(sql.ANYTHING_TO_DECIDE, _DECIDING_LOCK):
                return 0
            situation = await _situation(connection, plan, now)
            decision = decide(plan, situation)
            await _keep(connection, decision, now)
        return len(decision.deliveries)

    async def add(self, deliveries: Iterable[Delivery], now: float) -> None:
        """Store deliveries; those that are there already are left as they are."""
        async with self.database.transaction() as connection:
            await _deliver(connection, list(deliveries), now)

    async def claim(self, channels: Sequence[str], lease_s: float = LEASE_S) -> list[Claimed]:
        """Take the next delivery of each channel; nobody else gets it for the time of the lease."""
        async with self.database.transaction() as connection:
            rows = await connection.fetch(sql.CLAIM, channels, lease_s)
        return [
            Claimed(row["id"], row["channel"], row["attempts"], _alert.decode(row["alert"])) for row in rows
        ]

    async def delivered(self, claimed: Claimed) -> None:
        """Note that it was sent."""
        async with self.database.transaction() as connection:
            await connection.execute(sql.DELIVERED, claimed.id)
        self.counts.sent[claimed.channel] += 1

    async def postpone(self, claimed: Claimed, error: str, delay_s: float) -> bool:
        """Note that it has to be sent again, unless somebody else has taken it since.

        Returns whether it is given up instead: after so many refusals by a channel that takes others.
        """
        claim = claimed.id, claimed.attempts
        async with self.database.transaction() as connection:
            await connection.execute(sql.POSTPONED, *claim, error, delay_s)
            given_up = bool(await connection.fetchval(sql.REFUSED_ALONE, *claim, REFUSALS, PROVEN_S))
        self.counts.failed_attempts[claimed.channel] += 1
        self.counts.failed[claimed.channel] += given_up
        return given_up

    async def fail(self, claimed: Claimed, error: str) -> None:
        """Note that it can never be sent."""
        async with self.database.transaction() as connection:
            await connection.execute(sql.FAILED, claimed.id, claimed.attempts, error)
        self.counts.failed_attempts[claimed.channel] += 1
        self.counts.failed[claimed.channel] += 1

    async def tidy(self, give_up_s: float = GIVE_UP_S, keep_s: float = KEEP_S) -> int:
        """Give up what could not be sent for a day, returning how many; forget what is long done."""
        async with self.database.transaction() as connection:
            given_up = await connection.fetch(sql.GIVEN_UP, give_up_s)
            await connection.execute(sql.FORGOTTEN, keep_s)
        self.counts.failed.update(row["channel"] for row in given_up)
        return len(given_up)

    async def count_waiting(self) -> None:
        """Read what waits to be told, unless that was just done."""
        if self.counts.is_due():
            async with self.database.transaction() as connection:
                rows = await connection.fetch(sql.WAITING)
            self.counts.note_waiting({channel: Waiting(*facts) for channel, *facts in rows})

    async def chains(self, monitors: Sequence[str], since: float) -> list[Seen]:
        """Give the certificates that the newest checks after `since` saw."""
        async with self.database.transaction() as connection:
            rows = await connection.fetch(sql.CHAINS, monitors, since)
        return [Seen(*row) for row in rows]

    async def acknowledge(self, incident_id: int, who: str, why: str, now: float) -> bool:
        """Stop an incident's reminders and escalation; false where it is not open, or was acknowledged."""
        async with self.database.transaction() as connection:
            return bool(await connection.fetchval(sql.ACKNOWLEDGE, incident_id, now, who, why))

    async def acknowledgement(self, incident_id: int) -> Acknowledgement | None:
        """Tell when an incident was acknowledged, by whom and why."""
        async with self.database.transaction() as connection:
            row = await connection.fetchrow(sql.ACKNOWLEDGEMENT, incident_id)
        return Acknowledgement(*row) if row else None

    async def silence(self, silence: Silence) -> None:
        """Hold back a monitor's alerts until a time; a later silence replaces it, also an earlier end."""
        async with self.database.transaction() as connection:
            await connection.execute(sql.SILENCE, *msgspec.structs.astuple(silence))

    async def silences(self, now: float) -> list[Silence]:
        """Give those that hold."""
        async with self.database.transaction() as connection:
            rows = await connection.fetch(sql.SILENCES, None, now)
        return [Silence(*row) for row in rows]

    async def make_maintenance(self, window: MadeWindow) -> MadeWindow:
        """Store a maintenance window; returns it with its number."""
        async with self.database.transaction() as connection:
            return await store_maintenance.make(connection, window)

    async def end_maintenance(self, number: int, now: float) -> MadeWindow | None:
        """End a window now, or take it back; `None` where it is over, or there is none of this number."""
        async with self.database.transaction() as connection:
            return await store_maintenance.end(connection, number, now)


async def _situation(connection: Any, plan: Plan, now: float) -> Situation:
    changes = [
        Change(row[0], Incident(*row[7:]), *row[1:7])
        for row in await connection.fetch(sql.CHANGES, _MAX_CHANGES)
    ]
    incidents = {row[0]: Incident(*row) for row in await connection.fetch(sql.OPEN)}
    concerned = {each.monitor for each in incidents.values()} | {each.incident.monitor for each in changes}
    above = set().union(*map(plan.above, concerned))
    first_at = min([now, *(change.at for change in changes)])
    if above:
        rows = await connection.fetch(sql.LATELY, list(above), first_at - _PARENTS_S)
        incidents |= {row[0]: Incident(*row) for row in rows}
    ids = [*incidents, *(change.incident.id for change in changes)]
    told = defaultdict(list)
    for incident_id, *facts in await connection.fetch(sql.TOLD, ids):
        told[incident_id].append(Told(*facts))
    acknowledged = frozenset(row[0] for row in await connection.fetch(sql.ACKNOWLEDGED, ids))
    silent = {row[0]: row[1] for row in await connection.fetch(sql.SILENCES, list(concerned), now)}
    newest = {}
    if any(change.change == "opened" for change in changes):
        newest = {
            name: _newest(text) for name, text in await connection.fetch(sql.STATES, list(plan.monitors))
        }
    resolved = [change.incident.monitor for change in changes if change.change == "resolved"]
    troubled = frozenset(row[0] for row in await connection.fetch(sql.TROUBLED, resolved))
    made = MadeWindows(await store_maintenance.made(connection, first_at))
    return Situation(
        now, changes, list(incidents.values()), told, acknowledged, silent, newest, troubled, made
    )


def _newest(health: str) -> Newest:
    locations = _health.decode(health).locations.values()
    at = max((location.at for location in locations), default=0.0)
    return Newest(at, failed=any(each.status == "down" and each.until >= at for each in locations))


async def _keep(connection: Any, decision: Decision, now: float) -> None:
    if decision.decided:
        await connection.execute(sql.DECIDED, list(decision.decided), now)
    await _deliver(connection, decision.deliveries, now)
    if decision.known:
        rows = [(incident_id, *told) for incident_id, told in decision.known]
        await connection.execute(sql.KNOWN, *map(list, zip(*rows, strict=True)))


async def _deliver(connection: Any, deliveries: Sequence[Delivery], now: float) -> None:
    if deliveries:
        rows = [
            (each.channel, each.about, each.subject, msgspec.json.encode(each.alert).decode())
            for each in deliveries
        ]
        await connection.execute(sql.DELIVER, *map(list, zip(*rows, strict=True)), now)
