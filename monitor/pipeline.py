"""From the queue to the table: opens what that needs, runs it, and ends it in order.

checks -> queue (JSON) -> outbox + forwarder -> Kafka -> ingest -> PostgreSQL -> alerts
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from monitor.alerts.heartbeat import RecentResults, send_heartbeats
from monitor.alerts.sender import send_alerts
from monitor.alerts.store import AlertStore
from monitor.config.model import Config
from monitor.config.public_url import public_url
from monitor.config.rules import EMBEDDED
from monitor.delivery.counts import IngestCounts
from monitor.delivery.dead_letters import set_aside
from monitor.delivery.forwarder import Forwarder
from monitor.delivery.ingest import ingest
from monitor.delivery.kafka.aiokafka_fixes import close
from monitor.delivery.kafka.clients import consumer, producer, started_producer
from monitor.delivery.kafka.topics import ensure_topics
from monitor.delivery.kafka.volatile_topic import VolatileTopic
from monitor.delivery.outbox import Outbox, open_outbox
from monitor.delivery.partitions import partition_of
from monitor.delivery.retention import Retention, UntilAcknowledged, UntilStored
from monitor.embedded.broker import broker
from monitor.embedded.postgres import postgres
from monitor.incidents.bookkeeping import Bookkeeping
from monitor.incidents.no_data import NoDataWatch
from monitor.incidents.rules import MonitorRules
from monitor.incidents.store import locked as locked_monitors
from monitor.runtime.data_dir import locked
from monitor.runtime.progress import Availability, Progress, Watch
from monitor.runtime.tasks import Tasks
from monitor.runtime.text import HOUR_S
from monitor.storage.database import Database, StoreUnavailableError
from monitor.storage.results import ResultStore
from monitor.uptime.store import sum_up_days

if TYPE_CHECKING:
    from monitor.result import Message

log = logging.getLogger(__name__)

_MAX_QUEUED = 1_000
_RESOURCES_S = 2.0  # of the grace, for closing what the stages used
_UPKEEP_S = HOUR_S
_UPKEEP_RETRY_S = 30.0


class _Servers(NamedTuple):
    """Where PostgreSQL and Kafka are, and when what Kafka has may leave the outbox."""

    database: str
    kafka: str
    retention: Retention


@dataclass(kw_only=True, slots=True)
class Pipeline:
    """Everything after the checks: put results into `queue`, and they are stored.

    `rules` say when results of a monitor make an incident. `watch` knows which
    stages are stalled. `kafka` and `postgresql` know since when the server has refused results.
    """

    config: Config
    queue: "asyncio.Queue[Message | None]"
    outbox: Outbox
    forwarder: Forwarder
    counts: IngestCounts
    store: ResultStore
    rules: MonitorRules
    alerts: AlertStore
    kafka: Availability
    postgresql: Availability
    grace_s: float
    watch: Watch = field(default_factory=Watch)
    recent: RecentResults = field(default_factory=RecentResults)
    stages: Tasks = field(default_factory=Tasks)
    _beside: "list[asyncio.Task[None]]" = field(default_factory=list)
    _ends_at: float | None = None

    def follow(self, config: Config) -> None:
        self.config = config
        self.rules.follow(config.monitors)

    def run_beside(self, name: str, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run it until the program ends; when it crashes, the program does."""
        self._beside.append(self.stages.start(name, coroutine))

    def end_beside(self) -> None:
        for task in self._beside:
            self.stages.end(task)

    def begin_grace(self) -> None:
        """Start the clock of `grace_s`, within which all stages have to end."""
        self._ends_at = asyncio.get_running_loop().time() + self.grace_s

    @property
    def left_s(self) -> float:
        """Seconds that the stages have left to hand on what they hold; the first call begins the grace."""
        if self._ends_at is None:
            self.begin_grace()
        assert self._ends_at is not None  # noqa: S101 - for the type checker
        resources_s = min(_RESOURCES_S, self.grace_s / 4)
        return max(0.0, self._ends_at - asyncio.get_running_loop().time() - resources_s)


@asynccontextmanager
async def pipeline(config: Config, *, alerting: bool = True) -> AsyncIterator[Pipeline]:
    """Run everything after the checks; without `alerting`, changes are left for another process to send.

    On leaving, what is in the queue reaches the outbox; from there it goes on as far as the grace allows.

    Raises:
        DataDirError, EmbeddedError, OutboxError: it cannot start.
        SchemaError: the database is not for this program.

    """
    async with AsyncExitStack() as resources:
        resources.enter_context(locked(config.data_dir))
        servers = await _servers(config, resources)
        running = await _opened(config, servers, resources)
        async with (
            running.stages,
            _sending_alerts(running, alerting=alerting),
            _storing_results(running, servers),
        ):
            yield running


async def _servers(config: Config, resources: AsyncExitStack) -> _Servers:
    """Start the embedded servers that the configuration asks for; return the addresses of all."""
    database = config.pg_uri.get_secret_value()
    shown = public_url(database)
    if database == EMBEDDED:
        database = shown = await resources.enter_async_context(postgres(config.data_dir))
    kafka = config.kafka_bootstrap
    retention: Retention = UntilAcknowledged()
    if kafka == EMBEDDED:
        embedded = await resources.enter_async_context(broker(config.data_dir))
        kafka = embedded.bootstrap
        topic = VolatileTopic(config, kafka)
        retention = UntilStored(topic)
        await ensure_topics(config, kafka)
        embedded.on_restart = topic.restore
        log.warning("the embedded broker keeps its log in memory: it is for trying out, not for real use")
    log.info("database: %s", shown)
    log.info("broker: %s, topic %s", kafka, config.kafka_topic)
    return _Servers(database, kafka, retention)


async def _opened(config: Config, servers: _Servers, resources: AsyncExitStack) -> Pipeline:
    """Open the outbox and the stores, and connect the stages; none of them runs yet."""
    outbox = await open_outbox(config.data_dir / "outbox.sqlite", int(config.outbox_max_mb * 1e6))
    resources.push_async_callback(outbox.close)
    rules = MonitorRules(config.monitors)
    bookkeeping = Bookkeeping(rules, config.retention_days)
    # Connections of their own, so that results and alerts do not wait for each other.
    store = ResultStore(_database(servers, resources), bookkeeping.open_books)
    alerts = AlertStore(_database(servers, resources))
    queue: asyncio.Queue[Message | None] = asyncio.Queue(_MAX_QUEUED)
    kafka = Availability("Kafka")
    open_producer = partial(started_producer, config, servers.kafka)
    return Pipeline(
        config=config,
        queue=queue,
        outbox=outbox,
        forwarder=Forwarder(
            queue,
            outbox,
            config.kafka_topic,
            open_producer,
            close,
            retention=servers.retention,
            availability=kafka,
        ),
        counts=IngestCounts(store),
        store=store,
        rules=rules,
        alerts=alerts,
        kafka=kafka,
        postgresql=Availability("PostgreSQL"),
        grace_s=config.shutdown_grace_s,
    )


def _database(servers: _Servers, resources: AsyncExitStack) -> Database:
    database = Database(servers.database)
    resources.push_async_callback(database.close)
    return database


@asynccontextmanager
async def _storing_results(running: Pipeline, servers: _Servers) -> AsyncIterator[None]:
    """Run the stages: the forwarder drains the queue into Kafka, the ingest inserts what Kafka has.

    On leaving, they end in this order, each as far as the grace allows.
    """
    stages = running.stages
    deadline, stop = asyncio.Event(), asyncio.Event()
    running.watch.add(*running.forwarder.progress)
    watching = stages.start("the watch of the stages", running.watch.run())
    forwarding = stages.start("the forwarder", running.forwarder.run(deadline))
    ingesting = stages.start("the ingest", _ingest(running, servers, stop))
    upkeep = stages.start("the upkeep", _keep_up(running.store, running.config.retention_days))
    yield
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


def _ingest(running: Pipeline, servers: _Servers, stop: asyncio.Event) -> Coroutine[Any, Any, None]:
    config, counts, forwarder = running.config, running.counts, running.forwarder
    progress = Progress("the ingest")
    running.watch.add(progress)
    open_producer = partial(producer, config, servers.kafka)
    return ingest(
        counts.watching(partial(consumer, config, servers.kafka)),
        counts,
        counts.counting(partial(set_aside, open_producer, f"{config.kafka_topic}.dead")),
        stop,
        retention=servers.retention,
        on_stored=forwarder.stored,
        progress=progress,
        availability=running.postgresql,
        look_for_no_data=NoDataWatch(running.store.database, running.rules, partition_of).look,
    )


@asynccontextmanager
async def _sending_alerts(running: Pipeline, *, alerting: bool) -> AsyncIterator[None]:
    """Send alerts and heartbeats; on leaving, what is being sent is sent, as far as the grace allows."""
    stop = asyncio.Event()
    if not alerting:
        stop.set()
    stages, progress = running.stages, Progress("the alerts")
    running.watch.add(progress)
    alerts = send_alerts(running.alerts, lambda: running.config, stop, progress)
    sending = stages.start("the alerts", alerts)
    heartbeat = send_heartbeats(running.recent, running.alerts.database, lambda: running.config)
    beating = stages.start("the heartbeat", heartbeat)
    yield
    stages.end(beating)
    stop.set()
    await asyncio.wait([sending], timeout=running.left_s)
    stages.end(sending)


async def _keep_up(store: ResultStore, retention_days: float) -> None:
    """Make the next days' partitions, sum up days that are over, and drop what is too old, once an hour."""
    while True:
        try:
            await store.maintain()
            await sum_up_days(store.database, locked_monitors)
            dropped = await store.drop_expired(retention_days)
            if dropped:
                log.info("%d days of results, older than %g days, are dropped", dropped, retention_days)
            await asyncio.sleep(_UPKEEP_S)
        except StoreUnavailableError:
            await asyncio.sleep(_UPKEEP_RETRY_S)
