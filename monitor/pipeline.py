"""From the queue to the table: opens what that needs, runs it, and ends it in order.

checks -> queue (JSON) -> outbox + forwarder -> Kafka -> ingest -> PostgreSQL -> alerts
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from monitor.alerts.channels.channels import Channels
from monitor.alerts.heartbeat import RecentResults, send_heartbeats
from monitor.alerts.own_trouble import Trouble, send_own_trouble, troubles_of
from monitor.alerts.sender import send_alerts
from monitor.alerts.store import AlertStore
from monitor.config.model import Config
from monitor.config.public_url import MASK, public_url
from monitor.config.rules import EMBEDDED
from monitor.delivery.dead_letters import set_aside
from monitor.delivery.forwarder import Forwarder
from monitor.delivery.ingest import Ingest
from monitor.delivery.kafka.clients import consumer, producer, started_producer
from monitor.delivery.kafka.topics import dead_topic, ensure_topics, remake_topic
from monitor.delivery.outbox.outbox import Outbox, open_outbox
from monitor.delivery.partitions import partition_of
from monitor.domains.known import Domains
from monitor.embedded.broker import Broker, broker
from monitor.embedded.postgres import postgres
from monitor.incidents.bookkeeping import Bookkeeping
from monitor.incidents.no_data import NoDataWatch
from monitor.incidents.rules import MonitorRules
from monitor.incidents.store import locked as locked_monitors
from monitor.result import Message
from monitor.result_log import ResultLog
from monitor.runtime.process.data_dir import locked
from monitor.runtime.progress import Availability, Progress, Watch
from monitor.runtime.tasks import Tasks
from monitor.runtime.text import HOUR_S
from monitor.storage.database import Database, StoreUnavailableError, server_of
from monitor.storage.expiry import KeptDays, expire
from monitor.storage.results import ResultStore
from monitor.uptime.store import sum_up_days

log = logging.getLogger(__name__)

_MAX_QUEUED = 1_000
_RESOURCES_S = 2.0  # of the grace, for closing what the stages used
_UPKEEP_S = HOUR_S
_UPKEEP_RETRY_S = 30.0
_EXPIRY_RETRY_S = 600.0  # each time, all may wait for two seconds


@dataclass(kw_only=True, slots=True)
class Pipeline:
    """Everything after the checks: put results into `queue`, and they are stored.

    `rules` say when results of a monitor make an incident. `watch` knows which stages are stalled.
    """

    config: Config
    queue: asyncio.Queue[Message | None]
    outbox: Outbox
    forwarder: Forwarder
    ingest: Ingest
    store: ResultStore
    rules: MonitorRules
    alerts: AlertStore
    domains: Domains
    grace_s: float
    result_log: ResultLog
    watch: Watch = field(default_factory=Watch)
    recent: RecentResults = field(default_factory=RecentResults)
    stages: Tasks = field(default_factory=Tasks)
    _beside: list[asyncio.Task[None]] = field(default_factory=list)
    _ends_at: float = float("inf")

    def follow(self, config: Config) -> None:
        self.config = config
        self.rules.follow(config.monitors)
        self.result_log.follow(config)

    @property
    def servers(self) -> tuple[Availability, ...]:
        """Kafka, and PostgreSQL as each stage that uses it found it."""
        return self.forwarder.availability, self.ingest.availability, self.alerts.availability

    def troubles(self) -> list[Trouble]:
        """Return what keeps this process from judging."""
        return troubles_of(self.watch, self.servers, time.time())

    def run_beside(self, name: str, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run it until the program ends; when it crashes, the program does."""
        self._beside.append(self.stages.start(name, coroutine))

    def end_beside(self) -> None:
        for task in self._beside:
            self.stages.end(task)

    def begin_grace(self) -> None:
        """Start the clock of `grace_s`, within which all stages have to end; the first call counts."""
        self._ends_at = min(self._ends_at, asyncio.get_running_loop().time() + self.grace_s)

    @property
    def left_s(self) -> float:
        """Seconds of the grace that the stages have left to hand on what they hold."""
        self.begin_grace()
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
        running = await _opened(config, resources)
        async with (
            running.stages,
            _sending_alerts(running, alerting=alerting),
            _storing_results(running),
        ):
            yield running


async def _servers(config: Config, resources: AsyncExitStack) -> tuple[str, str, Broker | None]:
    """Start the embedded servers that the configuration asks for.

    Return the addresses of PostgreSQL and Kafka, and the embedded broker if there is one.
    """
    database = config.pg_uri.get_secret_value()
    shown = public_url(database)
    if shown == MASK:  # all of it came from a file or a variable; errors name the server, too
        shown = server_of(database)
    if database == EMBEDDED:
        database = shown = await resources.enter_async_context(postgres(config.data_dir))
    kafka = config.kafka_bootstrap
    embedded = None
    if kafka == EMBEDDED:
        embedded = await resources.enter_async_context(broker(config.data_dir))
        kafka = embedded.bootstrap
        await ensure_topics(config, kafka)
        log.warning(
            "the embedded broker keeps its log in memory, and every user of this machine can read"
            " and write it: it is for trying out, not for real use"
        )
    log.info("database: %s", shown)
    log.info("broker: %s, topic %s", kafka, config.kafka_topic)
    return database, kafka, embedded


async def _opened(config: Config, resources: AsyncExitStack) -> Pipeline:
    """Open the servers, the outbox and the stores, and connect the stages; none of them runs yet."""
    uri, bootstrap, embedded = await _servers(config, resources)
    outbox = await open_outbox(config.data_dir / "outbox.sqlite", int(config.outbox_max_mb * 1e6))
    resources.push_async_callback(outbox.close)
    rules = MonitorRules(config.monitors)
    bookkeeping = Bookkeeping(rules, config.retention_days)
    # Connections of their own, so that results and alerts do not wait for each other.
    store = ResultStore(_database(uri, resources), bookkeeping.open_books)
    domains = Domains()
    alerts = AlertStore(_database(uri, resources), domains.of)
    queue: asyncio.Queue[Message | None] = asyncio.Queue(_MAX_QUEUED)
    forwarder = Forwarder(
        queue,
        outbox,
        config.kafka_topic,
        partial(started_producer, config, bootstrap),
        address=bootstrap,
        end_broker=embedded.kill if embedded else None,
    )
    watch = NoDataWatch(store.database, rules, partition_of)
    result_log = ResultLog()
    result_log.follow(config)
    ingest = Ingest(
        open_consumer=partial(consumer, config, bootstrap),
        save=store.save,
        set_aside=partial(set_aside, partial(producer, config, bootstrap), dead_topic(config)),
        on_stored=forwarder.stored,
        on_nothing=forwarder.nothing_fetched,
        on_dead=lambda letter: watch.cannot_store(letter.record.key, letter.error),
        look_for_no_data=watch.look,
        availability=Availability("PostgreSQL", server_of(uri)),
        kafka=Availability("Kafka", bootstrap),
        result_log=result_log,
    )
    if embedded:
        embedded.on_restart = partial(_begin_again, config, bootstrap, forwarder, ingest)
    return Pipeline(
        config=config,
        queue=queue,
        outbox=outbox,
        forwarder=forwarder,
        ingest=ingest,
        store=store,
        rules=rules,
        alerts=alerts,
        domains=domains,
        grace_s=config.shutdown_grace_s,
        result_log=result_log,
    )


async def _begin_again(config: Config, bootstrap: str, forwarder: Forwarder, ingest: Ingest) -> None:
    """Make the topic of an embedded broker that was started again, and send what is not stored once more.

    A client that asks for the topic earlier makes it too; two that make it at once have two, of one name.
    So it is deleted first.

    Raises:
        OSError: the broker is unavailable again.

    """
    ingest.topic_is_gone()
    await remake_topic(config, bootstrap)
    forwarder.begin_again()
    ingest.topic_is_made()


def _database(uri: str, resources: AsyncExitStack) -> Database:
    database = Database(uri)
    resources.push_async_callback(database.close)
    return database


@asynccontextmanager
async def _storing_results(running: Pipeline) -> AsyncIterator[None]:
    """Run the stages: the forwarder drains the queue into Kafka, the ingest inserts what Kafka has.

    On leaving, they end in this order, each as far as the grace allows.
    """
    stages = running.stages
    deadline = asyncio.Event()
    running.watch.add(*running.forwarder.progress, running.ingest.progress)
    watching = stages.start("the watch of the stages", running.watch.run())
    forwarding = stages.start("the forwarder", running.forwarder.run(deadline))
    ingesting = stages.start("the ingest", running.ingest.run())
    config, store = running.config, running.store
    kept = KeptDays(config.retention_days, config.retention_failures_days, config.retention_body_days)
    running.run_beside("the upkeep", _every_hour(partial(_keep_up, store), _UPKEEP_RETRY_S))
    running.run_beside("the expiry", _every_hour(partial(expire, store.database, kept), _EXPIRY_RETRY_S))
    yield
    asyncio.get_running_loop().call_later(running.left_s, deadline.set)
    await running.queue.put(None)
    await asyncio.wait([forwarding])
    running.ingest.stop.set()
    running.end_beside()
    await asyncio.wait([ingesting], timeout=running.left_s)
    stages.end(ingesting)
    stages.end(watching)


@asynccontextmanager
async def _sending_alerts(running: Pipeline, *, alerting: bool) -> AsyncIterator[None]:
    """Send alerts and heartbeats; on leaving, what is being sent is sent, as far as the grace allows."""
    stop = asyncio.Event()
    channels = Channels(lambda: running.config.alerts.channels)
    if alerting:
        own = send_own_trouble(running.troubles, lambda: running.config, channels)
        running.run_beside("the alerts of the program itself", own)
    else:
        stop.set()
    stages, progress = running.stages, Progress("the alerting")
    running.watch.add(progress)
    alerts = send_alerts(running.alerts, channels, lambda: running.config, stop, progress)
    sending = stages.start("the alerting", alerts)
    heartbeat = send_heartbeats(running.recent, running.alerts.database, lambda: running.config)
    beating = stages.start("the heartbeat", heartbeat)
    yield
    stages.end(beating)
    stop.set()
    await asyncio.wait([sending], timeout=running.left_s)
    stages.end(sending)


async def _every_hour(step: Callable[[], Awaitable[None]], retry_s: float) -> None:
    while True:
        try:
            await step()
            await asyncio.sleep(_UPKEEP_S)
        except StoreUnavailableError:
            await asyncio.sleep(retry_s)


async def _keep_up(store: ResultStore) -> None:
    """Make the next days' partitions, and sum up days that are over."""
    await store.maintain()
    await sum_up_days(store.database, locked_monitors)
