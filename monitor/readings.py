"""What the whole program says of itself to Prometheus: read where it is, when somebody asks."""

import platform
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from monitor.alert_counts import AlertCounts, Waiting
from monitor.buckets import Buckets
from monitor.config import Config
from monitor.follow import Following
from monitor.loop_lag import LoopLag
from monitor.pipeline import Pipeline
from monitor.schedule import Schedule

VERSION = "0.1.0"
_PREFIX = "website_health_"


class _Read(Collector):
    """Makes a collector of a function."""

    def __init__(self, read: Callable[[], Iterator[Metric]]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        return self._read()


class Readings:
    """The registry; the parts of the program are added as they come up."""

    def __init__(self, lag: LoopLag) -> None:
        self._refresh: list[Callable[[], Awaitable[None]]] = []
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.registry.register(_Read(lambda: _program(lag)))

    def add_pipeline(self, running: Pipeline) -> None:
        """Tell of the way from the queue to the table."""
        self._refresh.append(running.counts.look)
        self.registry.register(_Read(lambda: _pipeline(running)))
        self.registry.register(_Read(lambda: _alerts(running.config, running.alerts.counts)))

    async def refresh(self) -> None:
        """Look at what has to be waited for, shortly, before the registry is read."""
        for look in self._refresh:
            await look()

    def add_schedule(self, schedule: Schedule, following: Following) -> None:
        """Tell of the checks' timing, and of the configuration."""
        self.registry.register(_Read(lambda: _schedule(schedule)))
        self.registry.register(_Read(lambda: _configuration(following)))


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(_PREFIX + name, text, value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(_PREFIX + name, text, value)


def _histogram(name: str, text: str, buckets: Buckets) -> Metric:
    return HistogramMetricFamily(_PREFIX + name, text, list(buckets.cumulative()), buckets.total)


def _program(lag: LoopLag) -> Iterator[Metric]:
    info = GaugeMetricFamily(f"{_PREFIX}build_info", "Which program this is.", labels=("version", "python"))
    info.add_metric((VERSION, platform.python_version()), 1)
    yield info
    yield _histogram(
        "event_loop_lag_seconds", "By how much timers of the event loop come too late.", lag.lag_s
    )


def _pipeline(running: Pipeline) -> Iterator[Metric]:
    forwarder, outbox, counts = running.forwarder, running.outbox, running.counts
    oldest_at = forwarder.oldest_unacknowledged_at
    age_s = 0.0 if oldest_at is None else max(0.0, time.time() - oldest_at)
    yield _gauge("queue_depth", "Results on their way to the outbox.", running.queue.qsize())
    yield _gauge("outbox_rows", "Results in the outbox.", outbox.rows)
    yield _gauge("outbox_bytes", "Bytes of the results in the outbox.", outbox.bytes)
    yield _counter("outbox_dropped", "Results lost because the outbox was full.", outbox.dropped)
    yield _gauge(
        "oldest_unacknowledged_age_seconds", "Age of the oldest result that Kafka has not taken.", age_s
    )
    yield _counter("forwarder_sent", "Results that Kafka has acknowledged.", forwarder.sent)
    yield _counter("forwarder_retries", "Times that sending failed and was tried again.", forwarder.retried)
    for server in (running.kafka, running.postgresql):
        name = server.name.lower()
        yield _gauge(
            f"{name}_up",
            f"Whether {server.name} took what it was sent last.",
            server.unavailable_since_at is None,
        )
    yield _gauge("stalled_stages", "Stages that make no progress.", len(running.watch.stalled()))
    yield _gauge(
        "consumer_lag", "Results that were in Kafka at the last fetch and are not taken.", counts.lag
    )
    yield _counter("rows_stored", "Results that became a row.", counts.stored)
    yield _counter("rows_duplicate", "Results that had their row already.", counts.duplicates)
    yield _counter("dead_letters", "Messages set aside because they cannot be stored.", counts.dead_letters)
    yield _gauge(
        "last_save_timestamp_seconds", "When PostgreSQL last took results, in unixtime.", counts.saved_at
    )
    yield _histogram("check_to_row_seconds", "From the end of a check to its row.", counts.delay_s)


def _alerts(config: Config, counts: AlertCounts) -> Iterator[Metric]:
    for name, text, counted in (
        ("alerts_sent", "Alerts that their channel took.", counts.sent),
        ("alerts_failed", "Alerts that will never be told: refused for good, or given up.", counts.failed),
        ("alert_attempts_failed", "Attempts to tell an alert that failed.", counts.failed_attempts),
    ):
        counter = CounterMetricFamily(_PREFIX + name, text, labels=("channel",))
        for channel in config.alerts.channels.keys() | counted.keys():
            counter.add_metric((channel,), counted[channel])
        yield counter
    waiting = counts.waiting
    if waiting is not None:
        yield from _waiting({**dict.fromkeys(config.alerts.channels, Waiting()), **waiting})


def _waiting(waiting: Mapping[str, Waiting]) -> Iterator[Metric]:
    count = GaugeMetricFamily(
        f"{_PREFIX}alerts_waiting", "Alerts that are to be told, of all processes.", labels=("channel",)
    )
    age_s = GaugeMetricFamily(
        f"{_PREFIX}oldest_waiting_alert_age_seconds",
        "Age of the oldest alert that is to be told.",
        labels=("channel",),
    )
    for channel, facts in waiting.items():
        count.add_metric((channel,), facts.number)
        age_s.add_metric((channel,), facts.age_s(time.time()))
    yield count
    yield age_s


def _schedule(schedule: Schedule) -> Iterator[Metric]:
    yield _histogram("slot_lateness_seconds", "How late checks start after their slots.", schedule.lateness_s)
    yield _counter("slots_skipped", "Slots without a check because the last one still ran.", schedule.skipped)
    yield _counter("own_troubles", "Checks that this machine could not make.", schedule.own_troubles)


def _configuration(following: Following) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "config_last_reload_successful",
        "Whether the configuration file was valid when it was last read.",
        following.last_successful,
    )
    yield GaugeMetricFamily(
        "config_last_reload_success_timestamp_seconds",
        "When a valid configuration was last read, in unixtime.",
        following.taken_at,
    )
