"""What the program measures of itself: one list, for `/metrics` and for the page of the pipeline.

Values are read where they are, when somebody asks.
"""

import platform
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from monitor.alerts.counts import AlertCounts, Waiting
from monitor.config.model import Config
from monitor.pipeline import Pipeline
from monitor.reload import Reload
from monitor.runtime.histogram import Buckets
from monitor.runtime.process.event_loop import LoopLag
from monitor.runtime.text import duration
from monitor.schedule import Schedule
from monitor.sharing import Sharing
from monitor.version import VERSION
from monitor.web.clients.requests import Refusals


class Measurement(NamedTuple):
    """One value.

    The name says what it is, as Prometheus wants it: `_total` is a counter, `_seconds` a duration, and
    `_timestamp_seconds` an instant (Unix seconds). One without a name is only for the page.
    """

    name: str
    text: str
    value: float | bool | Buckets | None
    """`None`: not known at the moment."""
    channel: str = ""
    """Of alerts: the channel that it is about."""

    @property
    def label(self) -> str:
        """The text for the page, which shows averages of histograms, and how long ago instants are."""
        text = self.text.removesuffix(".").removesuffix(", in unixtime")
        if isinstance(self.value, Buckets):
            return f"{text}, on average"
        return text

    @property
    def shown(self) -> str:
        """The value, for a person."""
        value = self.value.mean if isinstance(self.value, Buckets) else self.value
        if isinstance(value, bool):
            return "yes" if value else "no"
        if self.name.endswith("_timestamp_seconds"):
            return f"{duration(max(0.0, time.time() - value))} ago" if value else "-"
        if self.name.endswith("_seconds"):
            return duration(value or None)
        return "-" if value is None else f"{value:,}"


class Section(NamedTuple):
    """Measurements that belong together; without a title, they are only for Prometheus."""

    title: str
    measurements: Sequence[Measurement]


def measurements(
    pipeline: Pipeline, schedule: Schedule, reload: Reload, sharing: Sharing | None
) -> list[Section]:
    """Return all measurements, in the order in which results go."""
    return [
        Section("Checks", _checks(schedule)),
        _sharing(sharing),
        Section("Outbox and Kafka", _outbox_and_kafka(pipeline)),
        Section("PostgreSQL", _postgresql(pipeline)),
        *_alerts(pipeline.config, pipeline.alerts.counts),
        Section("Program", _program(pipeline, reload)),
    ]


def web_server(refusals: Refusals) -> Section:
    """Return what the web server did not answer with a page."""
    return Section(
        "",
        [
            Measurement(
                "website_health_web_requests_unreadable_total",
                "Requests that the web server could not read.",
                refusals.requests,
            ),
            Measurement(
                "website_health_web_connections_refused_total",
                "Connections that the web server closed because there were too many.",
                refusals.connections,
            ),
        ],
    )


def registry(lag: LoopLag, measure: Callable[[], Iterable[Section]]) -> CollectorRegistry:
    """Return the metrics of the process, of its event loop, and of what `measure` returns."""
    made = CollectorRegistry()
    ProcessCollector(registry=made)
    made.register(_Read(lambda: (*_process(lag), *_metrics(measure()))))
    return made


class _Read(Collector):
    """Makes a collector of a function."""

    def __init__(self, read: Callable[[], Iterable[Metric]]) -> None:
        self._read = read

    def collect(self) -> Iterable[Metric]:
        return self._read()


def _checks(schedule: Schedule) -> list[Measurement]:
    return [
        Measurement("", "Checks made.", schedule.checks),
        Measurement(
            "website_health_slots_skipped_total",
            "Slots without a check because the last one still ran.",
            schedule.skipped,
        ),
        Measurement(
            "website_health_slot_lateness_seconds",
            "How late checks start after their slots.",
            schedule.lateness_s,
        ),
        Measurement(
            "website_health_own_troubles_total",
            "Checks that this machine could not make.",
            schedule.own_troubles,
        ),
    ]


def _sharing(sharing: Sharing | None) -> Section:
    members, own, taken_over = (
        (len(sharing.members), len(sharing.own_shards()), sharing.taken_over) if sharing else (None,) * 3
    )
    return Section(
        "Shared checks" if sharing else "",  # dashboards and rules find the names even so
        [
            Measurement("website_health_members", "Processes that share the checks.", members),
            Measurement("website_health_shards", "Shards of monitors, of 64, that this process checks.", own),
            Measurement(
                "website_health_slots_taken_over_total",
                "Checks that were made late because another process may have missed them.",
                taken_over,
            ),
        ],
    )


def _outbox_and_kafka(pipeline: Pipeline) -> list[Measurement]:
    forwarder, outbox = pipeline.forwarder, pipeline.outbox
    oldest_at = forwarder.oldest_unacknowledged_at
    age_s = 0.0 if oldest_at is None else max(0.0, time.time() - oldest_at)
    return [
        Measurement(
            "website_health_queue_depth", "Results on their way to the outbox.", pipeline.queue.qsize()
        ),
        Measurement("website_health_outbox_rows", "Results in the outbox.", outbox.rows),
        Measurement("website_health_outbox_bytes", "Bytes of the results in the outbox.", outbox.bytes),
        Measurement(
            "website_health_outbox_dropped_total", "Results lost because the outbox was full.", outbox.dropped
        ),
        Measurement(
            "website_health_oldest_unacknowledged_age_seconds",
            "Age of the oldest result that Kafka has not taken.",
            age_s,
        ),
        Measurement(
            "website_health_forwarder_sent_total", "Results that Kafka has acknowledged.", forwarder.sent
        ),
        Measurement(
            "website_health_forwarder_retries_total",
            "Times that sending failed and was tried again.",
            forwarder.retried,
        ),
        Measurement(
            "website_health_kafka_up",
            "Whether Kafka took what it was sent last.",
            forwarder.availability.unavailable_since_at is None,
        ),
    ]


def _postgresql(pipeline: Pipeline) -> list[Measurement]:
    counts = pipeline.ingest.counts
    return [
        Measurement(
            "website_health_consumer_lag",
            "Results that were in Kafka at the last fetch and are not taken.",
            counts.lag,
        ),
        Measurement("website_health_rows_stored_total", "Results that became a row.", counts.stored),
        Measurement(
            "website_health_rows_duplicate_total", "Results that had their row already.", counts.duplicates
        ),
        Measurement(
            "website_health_dead_letters_total",
            "Messages set aside because they cannot be stored.",
            counts.dead_letters,
        ),
        Measurement(
            "website_health_check_to_row_seconds", "From the end of a check to its row.", counts.delay_s
        ),
        Measurement(
            "website_health_last_save_timestamp_seconds",
            "When PostgreSQL last took results, in unixtime.",
            counts.saved_at,
        ),
        Measurement(
            "website_health_postgresql_up",
            "Whether PostgreSQL took what it was sent last.",
            pipeline.ingest.availability.unavailable_since_at is None,
        ),
    ]


def _alerts(config: Config, counts: AlertCounts) -> Iterator[Section]:
    known = counts.waiting
    counted = (*counts.sent, *counts.failed, *counts.failed_attempts, *(known or ()))
    channels = dict.fromkeys((*config.alerts.channels, *counted))
    if not channels:  # dashboards and rules find the names even so
        yield Section("", [each._replace(value=None) for each in _alerts_to("", counts, None)])
    for channel in channels:
        waiting = None if known is None else known.get(channel, Waiting())
        yield Section(f"Alerts to {channel}", _alerts_to(channel, counts, waiting))


def _alerts_to(channel: str, counts: AlertCounts, waiting: Waiting | None) -> list[Measurement]:
    return [
        Measurement(
            "website_health_alerts_waiting",
            "Alerts that wait to be sent, of all processes.",
            waiting and waiting.number,
            channel,
        ),
        Measurement(
            "website_health_oldest_waiting_alert_age_seconds",
            "Age of the oldest alert that waits to be sent.",
            waiting and waiting.age_s(time.time()),
            channel,
        ),
        Measurement(
            "website_health_alerts_sent_total",
            "Alerts that their channel took.",
            counts.sent[channel],
            channel,
        ),
        Measurement(
            "website_health_alert_attempts_failed_total",
            "Attempts to send an alert that failed.",
            counts.failed_attempts[channel],
            channel,
        ),
        Measurement(
            "website_health_alerts_failed_total",
            "Alerts that will never be sent: they were given up.",
            counts.failed[channel],
            channel,
        ),
    ]


def _program(pipeline: Pipeline, reload: Reload) -> list[Measurement]:
    return [
        Measurement(
            "website_health_stalled_stages", "Stages that make no progress.", len(pipeline.watch.stalled())
        ),
        Measurement(
            "config_last_reload_successful",
            "Whether the configuration file was valid when it was last read.",
            reload.last_successful,
        ),
        Measurement(
            "blackbox_exporter_config_last_reload_successful",
            "The same, for rules that were made for blackbox_exporter.",
            reload.last_successful,
        ),
        Measurement(
            "config_last_reload_success_timestamp_seconds",
            "When a valid configuration was last read, in unixtime.",
            reload.taken_at,
        ),
    ]


def _process(lag: LoopLag) -> Iterator[Metric]:
    info = GaugeMetricFamily(
        "website_health_build_info", "Which program this is.", labels=("version", "python")
    )
    info.add_metric((VERSION, platform.python_version()), 1)
    yield info
    yield HistogramMetricFamily(
        "website_health_event_loop_lag_seconds",
        "By how much timers of the event loop come too late.",
        list(lag.lag_s.cumulative()),
        lag.lag_s.total,
    )


def _metrics(sections: Iterable[Section]) -> Iterator[Metric]:
    """Yield the families in the order of their first measurement, also those of which no value is known."""
    families: dict[str, list[Measurement]] = {}
    for each in (each for section in sections for each in section.measurements if each.name):
        families.setdefault(each.name, []).append(each)
    return map(_family, families.values())


def _family(members: Sequence[Measurement]) -> Metric:
    name, text, value, *_ = members[0]
    if isinstance(value, Buckets):
        return HistogramMetricFamily(name, text, list(value.cumulative()), value.total)
    labels = ["channel"] if members[0].channel else []
    kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
    family = kind(name, text, labels=labels)
    for each in members:
        if isinstance(each.value, int | float):
            family.add_metric([getattr(each, label) for label in labels], each.value)
    return family
