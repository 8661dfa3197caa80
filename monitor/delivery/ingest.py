"""From the topic to the store; what can never be stored is set aside, one by one.

A message is committed when its row or its dead letter is there. So a crash repeats messages and loses none;
the store keeps one row of each result, however often it comes.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

from aiokafka.errors import KafkaError

from monitor.delivery.batches import decode_all, portions, save_apart
from monitor.delivery.counts import IngestCounts
from monitor.delivery.dead_letters import DeadLetter, SetAside
from monitor.delivery.kafka.clients import started
from monitor.delivery.offsets import Offsets, ends, has_more, is_behind
from monitor.result import CheckResult, identity
from monitor.result_log import ResultLog
from monitor.runtime.progress import Availability, Progress
from monitor.runtime.waiting import Spacing, StoppedError, delays, pause, unless_stopped
from monitor.storage.database import RefusedError, StoreUnavailableError

BATCH = 2_000
_POLL_S = 1.0
_FETCH_S = 60.0  # a rebalance among many consumers takes a while
_SET_ASIDE_S = 60.0
_LOOK_S = 10.0
_LOOKED_S = 5.0

_log = logging.getLogger(__name__)


@dataclass
class Ingest:
    """The stage between Kafka and the database, over the lives of many consumers.

    `open_consumer` makes a consumer, not started, that commits nothing by itself. `save` stores all results
    or none, and returns how many were new. `on_stored` gets the ids of results that are stored or set aside,
    before the commit. `on_dead` gets each message that was set aside. `look_for_no_data` gets the consumer
    each time that all that it has fetched is stored, `on_nothing` is called now and then when nothing comes.
    After a batch, the next one begins `window_s` later, unless Kafka has more already.
    """

    open_consumer: Callable[[], Any]
    save: Callable[[Sequence[CheckResult]], Awaitable[int]]
    set_aside: SetAside
    on_stored: Callable[[Sequence[UUID]], None]
    look_for_no_data: Callable[[Any], Awaitable[None]]
    on_dead: Callable[[DeadLetter], None] = lambda _: None
    on_nothing: Callable[[], None] = lambda: None
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    counts: IngestCounts = field(default_factory=IngestCounts)
    progress: Progress = field(default_factory=partial(Progress, "the ingest"))
    availability: Availability = field(default_factory=partial(Availability, "PostgreSQL"))
    kafka: Availability = field(default_factory=partial(Availability, "Kafka"))
    window_s: float = 0.5
    result_log: ResultLog = field(default_factory=ResultLog)
    _next_look_at: float = 0.0
    _topics: int = 0

    def __post_init__(self) -> None:
        self._spacing = Spacing(self.window_s)
        self._offsets = Offsets()
        self._has_topic = asyncio.Event()
        self._has_topic.set()

    def topic_is_gone(self) -> None:
        """Commit nothing more of it, and open no other consumer before `topic_is_made`."""
        self._topics += 1
        self._has_topic.clear()

    def topic_is_made(self) -> None:
        self._has_topic.set()

    async def run(self) -> None:
        """Store results until `stop` is set, and commit their offsets; the batch in hand is finished first.

        While Kafka or the database is unavailable, it tries again. At `stop` with the database unavailable,
        or when cancelled, the batch stays uncommitted and comes again later.
        """
        delays_s = delays()
        with suppress(StoppedError):
            while not self.stop.is_set():
                try:
                    self.progress.begin("Kafka")
                    await unless_stopped(self.stop, self._has_topic.wait(), None)
                    consumer = self.counts.consumer = self.open_consumer()
                    async with started(consumer, self.stop):
                        delays_s = delays()
                        await self._ingest(consumer)
                except (KafkaError, OSError) as error:
                    delay_s = next(delays_s)
                    why = self.kafka.reason(error)
                    _log.warning("Kafka is unavailable, trying again in %s s: %s", delay_s, why)
                    await pause(self.stop, delay_s)

    async def _ingest(self, consumer: Any) -> None:
        self._next_look_at = 0.0
        self._offsets.forget()
        topic = self._topics
        while not self.stop.is_set() and topic == self._topics:
            records = await self._fetch(consumer)
            offsets = ends(records)
            if records and await self._offsets.are_valid(consumer, offsets):
                await self._take_in(consumer, records)
                if topic == self._topics:
                    await self._offsets.commit(consumer, offsets)
                self.progress.end()
            else:
                await self._look_for_more(consumer)
            await self.look_for_no_data(consumer)

    async def _fetch(self, consumer: Any) -> list[Any]:
        if consumer.paused() and (left_s := self._spacing.left_s):
            await pause(self.stop, left_s)
        consumer.resume(*consumer.paused())
        records = await unless_stopped(self.stop, _next_records(consumer), _FETCH_S)
        self._spacing.begin()
        return records

    async def _look_for_more(self, consumer: Any) -> None:
        """Ask Kafka now and then, when nothing was fetched, whether there really is nothing."""
        now = asyncio.get_running_loop().time()
        if now < self._next_look_at:
            return
        self._next_look_at = now + _LOOK_S
        try:
            behind = await unless_stopped(self.stop, is_behind(consumer), _LOOKED_S)
        except (KafkaError, OSError):
            behind = True
        if behind:
            self.progress.begin("Kafka")
        else:
            self.progress.end()
        self.on_nothing()

    async def _take_in(self, consumer: Any, records: Sequence[Any]) -> None:
        """Return when each record has its row or its dead letter."""

        async def save(results: Sequence[CheckResult]) -> None:
            await self._insist(consumer, self.availability, lambda: self._save(results))

        dead: list[DeadLetter] = []
        ids: list[UUID] = []
        for portion in portions(records):
            self.result_log.fetched(record.value for record in portion)
            decoded, malformed = decode_all(portion)
            dead += [*malformed, *await save_apart(save, decoded)]
            ids += [each.result.id for each in decoded]
            ids += filter(None, (identity(letter.record.value or b"") for letter in malformed))
        if dead:
            await self._insist(consumer, self.kafka, lambda: self._bury(dead))
        self.on_stored(ids)

    async def _save(self, results: Sequence[CheckResult]) -> None:
        self.counts.saved(results, await self.save(results))

    async def _bury(self, dead: Sequence[DeadLetter]) -> None:
        async with asyncio.timeout(_SET_ASIDE_S):
            await self.set_aside(dead)
        self.counts.dead_letters += len(dead)
        for letter in dead:
            self.on_dead(letter)

    async def _insist(
        self, consumer: Any, availability: Availability, attempt: Callable[[], Awaitable[object]]
    ) -> None:
        """Repeat the attempt until it succeeds; meanwhile the consumer stays in its group."""
        delays_s = delays()
        self.progress.begin(availability.name)
        while True:
            try:
                await attempt()
            except (StoreUnavailableError, KafkaError, OSError) as error:
                delay_s = next(delays_s)
                why = availability.failed(error)
                _log.warning("%s is unavailable, trying again in %s s: %s", availability.name, delay_s, why)
                await self._hold(consumer, delay_s)
            except RefusedError:
                _log_return(availability)
                raise
            else:
                _log_return(availability)
                return

    async def _hold(self, consumer: Any, delay_s: float) -> None:
        """Poll without taking anything: what a rebalance makes fetchable after all is fetched again later."""
        loop = asyncio.get_running_loop()
        until = loop.time() + delay_s
        while (left_s := until - loop.time()) > 0:
            consumer.pause(*consumer.assignment())
            polling = consumer.getmany(timeout_ms=int(left_s * 1000) + 1)
            for partition, records in (await unless_stopped(self.stop, polling, _FETCH_S)).items():
                consumer.seek(partition, records[0].offset)


async def _next_records(consumer: Any) -> list[Any]:
    """Wait for records. If these are all, stop fetching at once.

    So the next fetch brings all that comes until then, not the first record alone.
    """
    batches = await consumer.getmany(timeout_ms=int(_POLL_S * 1000), max_records=BATCH)
    records = [record for batch in batches.values() for record in batch]
    if records and not has_more(consumer, ends(records)):
        consumer.pause(*consumer.assignment())
    return records


def _log_return(availability: Availability) -> None:
    if availability.succeeded():
        _log.info("%s takes results again", availability.name)
