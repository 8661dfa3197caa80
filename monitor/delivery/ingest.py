"""From the topic to the store; what can never be stored is set aside, one by one.

A message is committed when its row or its dead letter is there. So a crash repeats messages and loses none;
the store keeps one row of each result, however often it comes.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol
from uuid import UUID

from aiokafka.errors import KafkaError

from monitor.delivery.batches import Decoded, decode_all, portions
from monitor.delivery.dead_letters import DeadLetter, SetAside
from monitor.delivery.kafka.clients import started
from monitor.delivery.offsets import Offsets, ends, is_behind
from monitor.delivery.retention import Retention, UntilAcknowledged
from monitor.result import CheckResult
from monitor.runtime.progress import Availability, Progress
from monitor.runtime.waiting import StoppedError, delays, one_line, pause, unless_stopped
from monitor.storage.database import RefusedError, StoreUnavailableError

BATCH = 2_000
_POLL_S = 1.0
_FETCH_S = 60.0  # a rebalance among many consumers takes a while
_SET_ASIDE_S = 60.0
_LOOK_S = 10.0
_LOOKED_S = 5.0
_RETRY_S = 0.5, 5.0  # the first delay and the longest

_log = logging.getLogger(__name__)


class Saver(Protocol):
    """Where results go: the store, or what counts in front of it."""

    async def save(self, results: Sequence[CheckResult], /) -> int:
        """Store all or none; return how many were new."""


async def _nothing(_consumer: Any) -> None:
    pass


async def ingest(  # noqa: PLR0913 - a stage gets what it needs as arguments
    open_consumer: Callable[[], Any],
    store: Saver,
    set_aside: SetAside,
    stop: asyncio.Event,
    *,
    retention: Retention | None = None,
    on_stored: Callable[[Sequence[UUID]], None] = lambda _: None,
    progress: Progress | None = None,
    availability: Availability | None = None,
    look_for_no_data: Callable[[Any], Awaitable[None]] = _nothing,
) -> None:
    """Store results until `stop` is set, and commit their offsets; the batch in hand is finished first.

    While Kafka or the database is unavailable, it tries again. At `stop` with the database unavailable, or
    when cancelled, the batch stays uncommitted and comes again later. `open_consumer` makes a consumer, not
    started, that commits nothing by itself. `on_stored` gets the ids of results that are stored or set aside,
    before the commit. `availability` is the database's. `look_for_no_data` gets the consumer each time that
    all that it has fetched is stored.
    """
    progress = progress or Progress("the ingest")
    postgresql = availability or Availability("PostgreSQL")
    ingestion = _Ingestion(
        store,
        set_aside,
        stop,
        retention or UntilAcknowledged(),
        on_stored,
        progress,
        postgresql,
        look_for_no_data,
    )
    delays_s = delays(*_RETRY_S)
    with suppress(StoppedError):
        while not stop.is_set():
            try:
                progress.begin("Kafka")
                async with started(open_consumer(), stop) as consumer:
                    delays_s = delays(*_RETRY_S)
                    await ingestion.run(consumer)
            except (KafkaError, OSError) as error:
                delay_s = next(delays_s)
                _log.warning("Kafka is unavailable, trying again in %s s: %s", delay_s, one_line(error))
                await pause(stop, delay_s)


async def save_apart(
    save: Callable[[Sequence[CheckResult]], Awaitable[None]], decoded: Sequence[Decoded]
) -> list[DeadLetter]:
    """Save all that can be saved, halving what is refused; return what is refused alone."""
    try:
        await save([each.result for each in decoded])
    except RefusedError as error:
        if len(decoded) == 1:
            return [DeadLetter(decoded[0].record, str(error))]
        middle = len(decoded) // 2
        return await save_apart(save, decoded[:middle]) + await save_apart(save, decoded[middle:])
    return []


class _Ingestion:
    """One stage over the lives of many consumers: fetch, take in, commit."""

    def __init__(
        self,
        store: Saver,
        set_aside: SetAside,
        stop: asyncio.Event,
        retention: Retention,
        on_stored: Callable[[Sequence[UUID]], None],
        progress: Progress,
        availability: Availability,
        look_for_no_data: Callable[[Any], Awaitable[None]],
    ) -> None:
        self._store = store
        self._set_aside = set_aside
        self._stop = stop
        self._retention = retention
        self._offsets = Offsets(retention)
        self._on_stored = on_stored
        self._progress = progress
        self._postgresql = availability
        self._kafka = Availability("Kafka")
        self._look_for_no_data = look_for_no_data
        self._next_look_at = 0.0

    async def run(self, consumer: Any) -> None:
        self._next_look_at = 0.0
        self._offsets.forget()
        while not self._stop.is_set():
            await self._offsets.follow_epoch(consumer)
            records = await self._fetch(consumer)
            offsets = ends(records)
            if records and await self._offsets.are_valid(consumer, offsets):
                await self._take_in(consumer, records)
                await self._offsets.commit(consumer, offsets)
                self._progress.end()
            else:
                await self._look_for_more(consumer)
            await self._look_for_no_data(consumer)

    async def _fetch(self, consumer: Any) -> list[Any]:
        fetching = consumer.getmany(timeout_ms=int(_POLL_S * 1000), max_records=BATCH)
        batches = await unless_stopped(self._stop, fetching, _FETCH_S)
        return [record for batch in batches.values() for record in batch]

    async def _look_for_more(self, consumer: Any) -> None:
        """Ask Kafka now and then, when nothing was fetched, whether there really is nothing."""
        now = asyncio.get_running_loop().time()
        if now < self._next_look_at:
            return
        self._next_look_at = now + _LOOK_S
        try:
            behind = await unless_stopped(self._stop, is_behind(consumer), _LOOKED_S)
        except (KafkaError, OSError):
            behind = True
        if behind:
            self._progress.begin("Kafka")
            return
        self._progress.end()
        self._retention.drained()

    async def _take_in(self, consumer: Any, records: Sequence[Any]) -> None:
        """Return when each record has its row or its dead letter."""

        async def save(results: Sequence[CheckResult]) -> None:
            await self._insist(consumer, self._postgresql, lambda: self._store.save(results))

        dead: list[DeadLetter] = []
        ids: list[UUID] = []
        for portion in portions(records):
            if _log.isEnabledFor(logging.INFO):
                for record in portion:
                    _log.info("AIOKafka Consumer fetched: %s", record.value)
            decoded, malformed = decode_all(portion)
            dead += [*malformed, *await save_apart(save, decoded)]
            ids += [each.result.id for each in decoded]
        if dead:
            await self._insist(consumer, self._kafka, lambda: self._bury(dead))
        self._on_stored(ids)

    async def _bury(self, dead: Sequence[DeadLetter]) -> None:
        async with asyncio.timeout(_SET_ASIDE_S):
            await self._set_aside(dead)

    async def _insist(
        self, consumer: Any, availability: Availability, attempt: Callable[[], Awaitable[object]]
    ) -> None:
        """Repeat the attempt until it succeeds; meanwhile the consumer stays in its group."""
        delays_s = delays(*_RETRY_S)
        self._progress.begin(availability.name)
        while True:
            try:
                await attempt()
            except (StoreUnavailableError, KafkaError, OSError) as error:
                delay_s = next(delays_s)
                availability.failed()
                _log.warning(
                    "%s is unavailable, trying again in %s s: %s",
                    availability.name,
                    delay_s,
                    one_line(error),
                )
                await self._hold(consumer, delay_s)
            except RefusedError:
                _log_return(availability)
                raise
            else:
                _log_return(availability)
                consumer.resume(*consumer.paused())
                return

    async def _hold(self, consumer: Any, delay_s: float) -> None:
        """Poll without taking anything: what a rebalance makes fetchable after all is fetched again later."""
        loop = asyncio.get_running_loop()
        until = loop.time() + delay_s
        while (left_s := until - loop.time()) > 0:
            consumer.pause(*consumer.assignment())
            polling = consumer.getmany(timeout_ms=int(left_s * 1000) + 1)
            for partition, records in (await unless_stopped(self._stop, polling, _FETCH_S)).items():
                consumer.seek(partition, records[0].offset)


def _log_return(availability: Availability) -> None:
    if availability.succeeded():
        _log.info("%s takes results again", availability.name)
