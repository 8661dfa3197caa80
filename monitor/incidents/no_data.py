"""Finds monitors of which no results come, and opens an incident of kind `no_data` for each.

A process judges only monitors whose results are in its own partitions, and only by an instant whose messages
it has all stored since. After Kafka was unavailable, partitions were assigned anew, or this process slept,
results may still be on their way: then it waits for three intervals and a minute more.
"""

import asyncio
import math
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import msgspec
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from monitor.incidents import store
from monitor.incidents.incident_log import log_changes
from monitor.incidents.location import Slowness
from monitor.incidents.model import NO_LONGER_CHECKED, Change, Episode, Health, Kind
from monitor.incidents.rules import MonitorRules, Rules
from monitor.runtime.text import quoted
from monitor.storage.database import Database, StoreUnavailableError
from monitor.uptime.sums import REACH

LOOK_S = 5.0
_SETTLE_S = 60.0
_FIRST_CHECKS_PER_S = 50  # the schedule's ramp
_ASLEEP_S = 30.0
_KAFKA_S = 3.0
_SKEW_S = 1.0

# A monitor that never had a result counts, too: it has a deadline only if it is checked for long enough.
_NEWEST = """
SELECT monitor, coalesce(last_at, '-infinity') AS last_at, EXISTS (
    SELECT FROM health_incidents
    WHERE health_incidents.monitor = checked.monitor AND kind = 'no_data' AND ended_at IS NULL) AS is_open
FROM unnest($1::text[]) AS checked (monitor) LEFT JOIN health_states USING (monitor)
"""

_WITHOUT_RESULTS = """
SELECT DISTINCT monitor FROM health_incidents
WHERE ended_at IS NULL AND NOT EXISTS (
    SELECT FROM health_states WHERE health_states.monitor = health_incidents.monitor AND last_at >= $1)
"""


class _Instant(NamedTuple):
    """An instant: where each partition ended then, and up to where it was read."""

    at: float
    monotonic: float
    ends: dict[TopicPartition, int]
    positions: dict[TopicPartition, int]

    def is_read(self, ends: Mapping[TopicPartition, int]) -> bool:
        """Return whether everything before these ends has been read, and so stored, at this instant."""
        return all(self.positions.get(partition, -1) >= end for partition, end in ends.items())


class NoDataWatch:
    """Looks for monitors without results again and again, between the batches of one storing process.

    `partition_of` returns the partition of a key, out of so many, as producers choose it.
    """

    def __init__(
        self,
        database: Database,
        rules: MonitorRules,
        partition_of: Callable[[bytes, int], int],
        *,
        settle_s: float = _SETTLE_S,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._rules = rules
        self._partition_of = partition_of
        self._settle_s = settle_s
        self._clock = clock
        self._monotonic = monotonic
        self._last: _Instant | None = None
        self._unread: _Instant | None = None
        self._uninterrupted_since = 0.0
        self._newest: dict[str, float] = {}
        """Slots, as they were when each monitor was judged last: no other is due before it."""
        self._unstorable: dict[str, tuple[float, str]] = {}

    def cannot_store(self, key: bytes | None, error: str) -> None:
        """Remember that a result was set aside, by the key of its message, and why."""
        name = (key or b"").decode(errors="replace")
        if name in self._rules.checked_since:
            self._unstorable[name] = self._clock(), quoted(error)

    async def look(self, consumer: Any) -> None:
        """Look, unless that was just done. Everything that the consumer has returned must be stored."""
        if self._last and self._monotonic() < self._last.monotonic + LOOK_S:
            return
        now = _Instant(self._clock(), self._monotonic(), *await _ends_and_positions(consumer))
        if not self._last or self._is_interrupted(self._last, now):
            self._uninterrupted_since, self._unread = now.at, None
        self._last = now
        if self._unread and now.is_read(self._unread.ends):
            await self._judge(self._unread, consumer)
            self._unread = None
        self._unread = self._unread or now

    def _is_interrupted(self, last: _Instant, now: _Instant) -> bool:
        slept_s = now.monotonic - last.monotonic
        return (
            not now.ends
            or now.ends.keys() != last.ends.keys()
            or any(now.ends[partition] < end for partition, end in last.ends.items())
            or slept_s > _ASLEEP_S
            or abs(now.at - last.at - slept_s) > _SKEW_S
        )

    async def _judge(self, read: _Instant, consumer: Any) -> None:
        checked_since = self._rules.checked_since
        if read.at < self._uninterrupted_since + self._settle_s + len(checked_since) / _FIRST_CHECKS_PER_S:
            return
        ours = {partition.partition for partition in read.ends}
        (topic,) = {partition.topic for partition in read.ends}
        partitions = consumer.partitions_for_topic(topic)
        if partitions is None:
            return  # it was deleted a moment ago

        def is_ours(name: str) -> bool:
            return self._partition_of(name.encode(), len(partitions)) in ours

        newest, patience_s = self._newest, self._rules.no_data_after_s
        deadlines = {
            name: deadline
            for name, since_at in self._rules.judged_since.items()
            if newest.get(name, -math.inf) < (deadline := read.at - patience_s[name])
            and max(since_at, self._uninterrupted_since) < deadline
            and is_ours(name)
        }
        details = {
            name: f"no result for {REACH} intervals that can be stored: {error}"
            for name, (at, error) in self._unstorable.items()
            if at >= deadlines.get(name, float("inf"))
        }
        try:
            found = await look_for_no_data(
                self._database, deadlines, checked_since, is_ours, read.at, details
            )
        except StoreUnavailableError:
            return  # the next batch will log that, and wait
        for gone in newest.keys() - checked_since.keys():
            del newest[gone]
        newest |= {name: min(at, read.at) for name, at in found.items()}  # a clock may have been ahead


async def _ends_and_positions(
    consumer: Any,
) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
    """Return where the partitions end, and up to where they are read; nothing if Kafka does not answer."""
    partitions = consumer.assignment()
    try:
        async with asyncio.timeout(_KAFKA_S):
            ends = await consumer.end_offsets(partitions)
            return ends, {partition: await consumer.position(partition) for partition in partitions}
    except (KafkaError, TimeoutError):
        return {}, {}


async def look_for_no_data(
    database: Database,
    deadlines: Mapping[str, float],
    checked_since: Mapping[str, float],
    is_ours: Callable[[str], bool],
    now: float,
    details: Mapping[str, str],
) -> dict[str, float]:
    """Open incidents for monitors without a result since their deadline, with `details` where they are known.

    End the open incidents of monitors that are not in `checked_since`, if they are ours and had no result
    lately. Those without a deadline are not judged. Return the newest slot of each one that was.
    """
    forgotten_at = now - Rules().reach_s
    async with database.transaction() as connection:
        rows = await connection.fetch(_NEWEST, list(deadlines)) if deadlines else []
        overdue = [
            row["monitor"]
            for row in rows
            if not row["is_open"] and row["last_at"] < deadlines[row["monitor"]]
        ]
        opened = await _open_overdue(connection, overdue, deadlines, checked_since, now, details)
        ended = await _end_no_longer_checked(connection, checked_since, is_ours, forgotten_at, now)
    log_changes(opened + ended)
    return {row["monitor"]: row["last_at"] for row in rows}


async def _open_overdue(
    connection: Any,
    overdue: Collection[str],
    deadlines: Mapping[str, float],
    checked_since: Mapping[str, float],
    now: float,
    details: Mapping[str, str],
) -> list[store.StoredChange]:
    """Open an incident for each of these whose newest result is still older than its deadline."""
    stored: list[store.StoredChange] = []
    for monitor, health in (await store.locked(connection, overdue)).items():
        if health.last_at < deadlines[monitor] and not health.no_data:
            after, change = open_no_data(health, checked_since[monitor], now, details.get(monitor))
            stored += await _store(connection, store.State(monitor, "unknown", after), [change], now)
    return stored


async def _end_no_longer_checked(
    connection: Any,
    checked: Collection[str],
    is_ours: Callable[[str], bool],
    deadline: float,
    now: float,
) -> list[store.StoredChange]:
    """End all open incidents of monitors that are not checked, and had no result since `deadline`."""
    rows = await connection.fetch(_WITHOUT_RESULTS, deadline)
    names = [row["monitor"] for row in rows if row["monitor"] not in checked and is_ours(row["monitor"])]
    stored: list[store.StoredChange] = []
    for monitor, health in (await store.locked(connection, names)).items():
        after, changes = end_unchecked(health, now)
        stored += await _store(connection, store.State(monitor, "unknown", after), changes, now)
    return stored


async def _store(
    connection: Any, state: store.State, changes: Iterable[Change], now: float
) -> list[store.StoredChange]:
    await store.store_states(connection, [state])
    return await store.store_changes(connection, [(state.monitor, change) for change in changes], now)


def open_no_data(
    health: Health, since: float, now: float, detail: str | None = None
) -> tuple[Health, Change]:
    """Return the health with an incident of kind `no_data`, and the change that opens it.

    The next result that is news resolves it. It began with the newest result; if there was none, at `since`.
    """
    started_at = health.last_at if health.locations else since
    episode = Episode(
        Kind.NO_DATA,
        started_at,
        decided_at=now,
        observed_at=now,
        detail=detail or f"no result for {REACH} intervals",
        was_opened=True,
    )
    return msgspec.structs.replace(health, no_data=episode), episode.change("opened", now)


def end_unchecked(health: Health, now: float) -> tuple[Health, list[Change]]:
    """Return what is left, and the ends of all open incidents, of a monitor that nobody checks any more.

    Results that come later begin anew.
    """
    ends = [episode.ended(now) for episode in (health.outage, health.flapping, health.no_data) if episode]
    changes = [
        replace(end, reason=None, detail=NO_LONGER_CHECKED) if end.change == "resolved" else end
        for end in ends
    ]
    locations = {
        name: msgspec.structs.replace(
            state, down=False, since=0.0, streak=0, streak_at=0.0, failed=(), slowness=Slowness()
        )
        for name, state in health.locations.items()
    }
    return Health(locations), changes
