"""From the queue to the table: opens what that needs, runs it, and ends it in order."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from monitor.alert import alert
from monitor.alert_store import AlertStore
from monitor.bookkeeping import Bookkeeping
from monitor.config import Config
from monitor.config_rules import EMBEDDED
from monitor.data_dir import locked
from monitor.dead_letter import set_aside
from monitor.embedded_broker import broker
from monitor.embedded_postgres import postgres
from monitor.forwarder import Forwarder
from monitor.heartbeat import Pulse, beat
from monitor.ingest import ingest
from monitor.ingest_counts import IngestCounts
from monitor.kafka_clients import consumer, ensure_topics, producer, started_producer
from monitor.kafka_closing import close
from monitor.outage import Outage
from monitor.outbox import Outbox, open_outbox
from monitor.progress import Progress, Watch
from monitor.public_url import public_url
from monitor.silence import Silence
from monitor.store import Store, StoreUnavailableError
from monitor.tasks import Tasks
from monitor.volatile_log import VolatileLog
from monitor.watched import Watched

if TYPE_CHECKING:
    from monitor.result import Message

log = logging.getLogger(__name__)

_MAX_QUEUED = 1_000
_RESOURCES_S = 2.0  # of the grace, for closing what the stages used
_UPKEEP_S = 3_600.0
_UPKEEP_RETRY_S = 30.0


class Pipeline:
    """Takes results by `queue`, and has them stored; `store` reads back; `watched` is what to expect.

    `watch` knows which stages are stalled, `kafka` and `postgresql` whether the last attempt to hand them
    results failed, and since when.
    """

    forwarder: Forwarder
    outbox: Outbox
    alerts: AlertStore

    def __init__(self, config: Config, store: Store, watched: Watched, stages: Tasks) -> None:
        self.config = config
        self.pulse = Pulse()
        self.queue: asyncio.Queue[Message | None] = asyncio.Queue(_MAX_QUEUED)
        self.store = store
        self.watched = watched
        self.watch = Watch()
        self.kafka = Outage("Kafka")
        self.postgresql = Outage("PostgreSQL")
        self.counts = IngestCounts(store)
        self._stages = stages
        self._beside: list[asyncio.Task[None]] = []
        self._grace_s = config.shutdown_grace_s
        self._ends_at: float | None = None

    def follow(self, config: Config) -> None:
        """Follow a new configuration."""
        self.config = config
        self.watched.take(config.monitors)

    def run_beside(self, name: str, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run it until the program ends; when it crashes, the program does."""
        self._beside.append(self._stages.start(name, coroutine))

    def end_beside(self) -> None:
        """End what runs beside."""
        for task in self._beside:
            self._stages.end(task)

    def begin_grace(self) -> None:
        """From now on, all must be over within the grace."""
        self._ends_at = asyncio.get_running_loop().time() + self._grace_s

    @property
    def left_s(self) -> float:
        """Seconds that the stages have left to hand on what they hold."""
        if self._ends_at is None:
            self.begin_grace()
        assert self._ends_at is not None  # noqa: S101 - for the type checker
        resources_s = min(_RESOURCES_S, self._grace_s / 4)
        return max(0.0, self._ends_at - asyncio.get_running_loop().time() - resources_s)


@asynccontextmanager
async def pipeline(config: Config, *, alerting: bool = True) -> AsyncIterator[Pipeline]:
    """Run everything after the checks; without `alerting`, changes are left for others to tell.

    On leaving, what is in the queue reaches the outbox; from there it goes on as far as the grace allows.

    Raises:
        DataDirError, EmbeddedError, OutboxError: it cannot start.
        SchemaError: the database is not for this program.

    """
    async with AsyncExitStack() as resources:
        resources.enter_context(locked(config.data_dir))
        uri = config.pg_uri.get_secret_value()
        shown = public_url(uri)
        if uri == EMBEDDED:
            uri = shown = await resources.enter_async_context(postgres(config.data_dir))
        servers, volatile = config.kafka_bootstrap, None
        if servers == EMBEDDED:
            embedded = await resources.enter_async_context(broker(config.data_dir))
            servers = embedded.bootstrap
            volatile = VolatileLog(config, servers)
            await ensure_topics(config, servers)
            embedded.on_restart = volatile.restore
            log.warning("the embedded broker keeps its log in memory: it is for trying out, not for real use")
        log.info("database: %s", shown)
        log.info("broker: %s, topic %s", servers, config.kafka_topic)
        outbox = await open_outbox(config.data_dir / "outbox.sqlite", int(config.outbox_max_mb * 1e6))
        resources.push_async_callback(outbox.close)
        watched = Watched(config.monitors)
        store = Store(uri, Bookkeeping(watched.rules, config.retention_days, learn=watched.learn))
        resources.push_async_callback(store.close)
        stages = Tasks()
        running = Pipeline(config, store, watched, stages)
        alerts = AlertStore(uri)
        resources.push_async_callback(alerts.close)
        forwarder = Forwarder(
            running.queue,
            outbox,
            config.kafka_topic,
            partial(started_producer, config, servers),
            close,
            log=volatile,
            outage=running.kafka,
        )
        running.outbox, running.forwarder, running.alerts = outbox, forwarder, alerts
        storing = Progress("the ingest")
        running.watch.add(*forwarder.progress, storing)
        async with stages, _telling(stages, running, alerts, alerting=alerting):
            deadline, stop = asyncio.Event(), asyncio.Event()
            watching = stages.start("the watch of the stages", running.watch.run())
            forwarding = stages.start("the forwarder", forwarder.run(deadline))
            ingesting = stages.start(
                "the ingest",
                ingest(
                    running.counts.watching(partial(consumer, config, servers)),
                    running.counts,
                    running.counts.counting(
                        partial(set_aside, partial(producer, config, servers), f"{config.kafka_topic}.dead")
                    ),
                    stop,
                    log=volatile,
                    on_stored=forwarder.stored if volatile else lambda _: None,
                    progress=storing,
                    outage=running.postgresql,
                    look=Silence(store, watched).look,
                ),
            )
            upkeep = stages.start("the upkeep", _keep_up(store, config.retention_days))
            yield running
            await running.queue.put(None)
            await asyncio.wait([forwarding], timeout=running.left_s)
            deadline.set()
            await asyncio.wait([forwarding])
            stop.set()
            stages.end(upkeep)
            running.end_beside()
            await asyncio.wait([ingesting], timeout=running.left_s)
            stages.end(ingesting)
            stages.end(watching)


@asynccontextmanager
async def _telling(
    stages: Tasks, running: Pipeline, store: AlertStore, *, alerting: bool
) -> AsyncIterator[None]:
    """Tell people, and that all works; on leaving, what is being sent is sent, as far as the grace allows."""
    stop = asyncio.Event()
    if not alerting:
        stop.set()
    progress = Progress("the alerts")
    running.watch.add(progress)
    telling = stages.start("the alerts", alert(store, lambda: running.config, stop, progress=progress))
    beating = stages.start("the heartbeat", beat(running.pulse, store, lambda: running.config))
    yield
    stages.end(beating)
    stop.set()
    await asyncio.wait([telling], timeout=running.left_s)
    stages.end(telling)


async def _keep_up(store: Store, retention_days: float) -> None:
    """Once an hour, make the next days' partitions, sum up days that are over, and drop what is too old."""
    while True:
        try:
            await store.maintain()
            await store.sum_up_days()
            dropped = await store.drop_expired(retention_days)
            if dropped:
                log.info("%d days of results, older than %g days, are dropped", dropped, retention_days)
            await asyncio.sleep(_UPKEEP_S)
        except StoreUnavailableError:
            await asyncio.sleep(_UPKEEP_RETRY_S)
