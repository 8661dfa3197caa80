"""In PostgreSQL: who is alerted of which changes, and acknowledgements and silences of people."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from monitor.alerts import sql
from monitor.alerts.channels.channels import GIVE_UP_S, LONGEST_WAIT_S
from monitor.alerts.counts import AlertCounts, Waiting
from monitor.alerts.decision import Decision, Delivery
from monitor.alerts.expiring import SeenChain
from monitor.alerts.message import Alert
from monitor.alerts.situation import IncidentRow, Newest, Notified, Plan, Situation, UndecidedChange
from monitor.domains.known import Domain
from monitor.runtime.progress import Availability
from monitor.runtime.text import DAY_S, HOUR_S
from monitor.storage.database import Database
from monitor.uptime import maintenance_store
from monitor.uptime.accounts import newest_results
from monitor.uptime.maintenance import MadeWindow, MadeWindows

LEASE_S = 180.0
"""Whoever claims a delivery has so long to send it; that is longer than any channel takes."""
REFUSALS = 10
"""After so many of one alert, about half an hour, it is given up if the channel takes others."""
PROVEN_S = 1_800.0
"""A channel that still refuses an alert so long after it took another one will never take it."""
KEEP_S = 90 * DAY_S

_DECIDING_LOCK = 0x616C65727473
_DEPENDENCIES_S = HOUR_S  # the end of a dependency still matters so long to its dependents
_MAX_CHANGES = 10_000


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


class Acknowledged(Acknowledgement, frozen=True, kw_only=True):
    """An incident was acknowledged: there are no reminders and no escalation."""

    incident: int


class IncidentUpdate(msgspec.Struct, frozen=True):
    """What somebody wrote about an incident for customers."""

    id: int
    at: float
    who: str
    """For those who run the monitor; customers do not see it."""
    text: str


class OpenAcknowledgement(NamedTuple):
    """An acknowledgement that is in effect."""

    monitor: str
    acknowledged: Acknowledged
    is_of_all: bool
    """Whether all open incidents of the monitor are acknowledged."""


_alert = msgspec.json.Decoder(Alert)


class AlertStore:
    """Alerts, and what people do about incidents, in one database.

    `domain_of` returns what is known of the registration of a monitor's domain.
    """

    def __init__(
        self, database: Database, domain_of: Callable[[str], Domain | None] = lambda _: None
    ) -> None:
        self.database = database
        self.domain_of = domain_of
        self.counts = AlertCounts()
        self.availability = Availability("PostgreSQL")
        """Whether changes can be decided on: it is looked at each second, also while there are no results."""

    async def decide(self, plan: Plan, now: float, decide: Callable[[Plan, Situation], Decision]) -> int:
        """Decide on the changes and store the decision, all or nothing; return the number of deliveries.

        Of several processes that do so at the same time, one decides, and the others return 0.
        """
        if not await self.database.fetch(sql.ANYTHING_TO_DECIDE):
            return 0
        async with self.database.transaction() as connection:
            if not await connection.fetchval(sql.LOCK_DECIDING, _DECIDING_LOCK):
                return 0
            situation = await _situation(connection, plan, now)
            decision = decide(plan, situation)
            await _store(connection, decision, now)
        return len(decision.deliveries)

    async def add(self, deliveries: Iterable[Delivery], now: float) -> None:
        """Store deliveries; those that are already stored are left as they are."""
        async with self.database.transaction() as connection:
            await _deliver(connection, list(deliveries), now)

    async def claim(self, channels: Sequence[str], lease_s: float = LEASE_S) -> list[Claimed]:
        """Return the next delivery of each channel; nobody else gets it before the lease ends."""
        rows = await self.database.fetch(sql.CLAIM, channels, lease_s, LONGEST_WAIT_S)
        return [
            Claimed(number, channel, attempts, _alert.decode(alert))
            for number, channel, attempts, alert in rows
        ]

    async def mark_sent(self, claimed: Claimed) -> None:
        await self.database.fetch(sql.DELIVERED, claimed.id)
        self.counts.sent[claimed.channel] += 1

    async def postpone(self, claimed: Claimed, error: str, delay_s: float) -> bool:
        """Store that it has to be sent again in `delay_s`, unless somebody else has claimed it since.

        Returns whether it is given up instead: refused `REFUSALS` times by a channel that takes others.
        """
        claim = claimed.id, claimed.attempts
        async with self.database.transaction() as connection:
            await connection.execute(sql.POSTPONED, *claim, error, delay_s)
            given_up = bool(await connection.fetchval(sql.REFUSED_ALONE, *claim, REFUSALS, PROVEN_S))
        self.counts.failed_attempts[claimed.channel] += 1
        self.counts.failed[claimed.channel] += given_up
        return given_up

    async def tidy(self, give_up_s: float = GIVE_UP_S, keep_s: float = KEEP_S) -> int:
        """Give up what could not be sent for a day, and return how many; delete what was done long ago."""
        async with self.database.transaction() as connection:
            given_up = await connection.fetch(sql.GIVEN_UP, give_up_s)
            await connection.execute(sql.FORGOTTEN, keep_s)
        self.counts.failed.update(row["channel"] for row in given_up)
        return len(given_up)

    async def count_waiting(self) -> None:
        """Count the deliveries that wait, unless that was just done."""
        if self.counts.is_due():
            rows = await self.database.fetch(sql.WAITING)
            self.counts.note_waiting({channel: Waiting(*facts) for channel, *facts in rows})

    async def chains(
        self, monitors: Sequence[str], since: float, among: int | None = None
    ) -> list[SeenChain]:
        """Return the certificate chains that the newest checks after `since` saw.

        Of each monitor, those of all its checks, or `among` so many of the newest.
        """
        rows = await self.database.fetch(sql.CHAINS, monitors, since, among)
        return [SeenChain(*row) for row in rows]

    async def acknowledge(self, incident_id: int, who: str, why: str, now: float) -> bool:
        """Stop reminders and escalation of an incident; false if it is not open, or is acknowledged."""
        return bool(await self.database.fetch(sql.ACKNOWLEDGE, incident_id, now, who, why))

    async def acknowledgement(self, incident_id: int) -> Acknowledgement | None:
        rows = await self.database.fetch(sql.ACKNOWLEDGEMENT, incident_id)
        return Acknowledgement(*rows[0]) if rows else None

    async def end_acknowledgement(self, incident_id: int) -> Acknowledgement | None:
        """End an acknowledgement, so that reminders continue; return it, `None` if none is in effect."""
        rows = await self.database.fetch(sql.END_ACKNOWLEDGEMENT, incident_id)
        return Acknowledgement(*rows[0]) if rows else None

    async def post_update(self, incident_id: int, who: str, text: str, now: float) -> IncidentUpdate | None:
        """Store what customers are told of an incident, open or over; `None` if there is no such incident."""
        rows = await self.database.fetch(sql.POST_UPDATE, incident_id, now, who, text)
        return IncidentUpdate(rows[0]["id"], now, who, text) if rows else None

    async def updates(self, incident_ids: Sequence[int]) -> defaultdict[int, list[IncidentUpdate]]:
        """Return the updates of these incidents by their numbers, the oldest first."""
        found = defaultdict[int, list[IncidentUpdate]](list)
        for incident_id, *update in await self.database.fetch(sql.UPDATES, incident_ids):
            found[incident_id].append(IncidentUpdate(*update))
        return found

    async def acknowledged(self) -> list[OpenAcknowledgement]:
        """Return the acknowledgements of open incidents, in the order of the incidents' numbers."""
        rows = await self.database.fetch(sql.ALL_ACKNOWLEDGED)
        return [
            OpenAcknowledgement(monitor, Acknowledged(*facts, incident=number), is_of_all)
            for monitor, is_of_all, number, *facts in rows
        ]

    async def silence(self, silence: Silence) -> None:
        """Hold back alerts of a monitor until a time; a later silence replaces it, also by an earlier end."""
        await self.database.fetch(sql.SILENCE, *msgspec.structs.astuple(silence))

    async def end_silence(self, monitor: str, now: float) -> None:
        """End the silence of a monitor; without one in effect, nothing changes."""
        await self.database.fetch(sql.END_SILENCE, monitor, now)

    async def silences(self, now: float) -> list[Silence]:
        """Return the silences that have not ended."""
        return [Silence(*row) for row in await self.database.fetch(sql.SILENCES, None, now)]

    async def make_maintenance(self, window: MadeWindow) -> MadeWindow:
        """Store a maintenance window and return it with its number."""
        async with self.database.transaction() as connection:
            return await maintenance_store.make(connection, window)

    async def end_maintenance(self, number: int, now: float) -> MadeWindow | None:
        """End a window now, or cancel it; `None` if it is over, or there is none of this number."""
        async with self.database.transaction() as connection:
            return await maintenance_store.end(connection, number, now)


async def _situation(connection: Any, plan: Plan, now: float) -> Situation:
    changes = [
        UndecidedChange(row[0], IncidentRow(*row[7:]), *row[1:7])
        for row in await connection.fetch(sql.CHANGES, _MAX_CHANGES)
    ]
    incidents = {row[0]: IncidentRow(*row) for row in await connection.fetch(sql.OPEN)}
    concerned = {each.monitor for each in incidents.values()} | {each.incident.monitor for each in changes}
    dependencies = set().union(*map(plan.dependencies_of, concerned))
    first_at = min([now, *(change.at for change in changes)])
    if dependencies:
        rows = await connection.fetch(sql.RECENT, list(dependencies), first_at - _DEPENDENCIES_S)
        incidents |= {row[0]: IncidentRow(*row) for row in rows}
    ids = [*incidents, *(change.incident.id for change in changes)]
    notified = defaultdict(list)
    for incident_id, *facts in await connection.fetch(sql.NOTIFIED, ids):
        notified[incident_id].append(Notified(*facts))
    acknowledged = frozenset(row[0] for row in await connection.fetch(sql.ACKNOWLEDGED, ids))
    silenced = {row[0]: row[1] for row in await connection.fetch(sql.SILENCES, list(concerned), now)}
    newest = {}
    if any(change.change == "opened" for change in changes):
        rows = await connection.fetch(sql.STATES, list(plan.monitors))
        newest = {name: _newest(health) for name, health in rows}
    resolved = [change.incident.monitor for change in changes if change.change == "resolved"]
    down = frozenset(row[0] for row in await connection.fetch(sql.DOWN_OR_PARTIAL, resolved))
    made = MadeWindows(await maintenance_store.made(connection, first_at))
    return Situation(
        now, changes, list(incidents.values()), notified, acknowledged, silenced, newest, down, made
    )


def _newest(health: str) -> Newest:
    results = newest_results(health).values()
    at = max((each.at for each in results), default=0.0)
    return Newest(at, failed=any(each.status == "down" and each.until >= at for each in results))


async def _store(connection: Any, decision: Decision, now: float) -> None:
    if decision.decided:
        await connection.execute(sql.DECIDED, list(decision.decided), now)
    await _deliver(connection, decision.deliveries, now)
    if decision.notified:
        rows = [(incident_id, *notified) for (incident_id, _), notified in decision.notified.items()]
        await connection.execute(sql.STORE_NOTIFIED, *map(list, zip(*rows, strict=True)))


async def _deliver(connection: Any, deliveries: Sequence[Delivery], now: float) -> None:
    if deliveries:
        rows = [
            (each.channel, each.about, each.subject, msgspec.json.encode(each.alert).decode())
            for each in deliveries
        ]
        await connection.execute(sql.DELIVER, *map(list, zip(*rows, strict=True)), now)
