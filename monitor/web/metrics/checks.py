"""What the checks of each monitor found: the latest result, and exact counts of all.

A check only pays for counting its result. The text is made when somebody asks for it.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from typing import NamedTuple, TypeVar

import msgspec

from monitor.config.checks import metric_label
from monitor.config.model import MetricsHistograms, Monitor
from monitor.domains.known import Domain, expiry_of
from monitor.result import CheckResult, Reason
from monitor.sharing import SHARDS, shard_of
from monitor.uptime.sums import status_of
from monitor.web.metrics import blackbox, histograms, steps
from monitor.web.metrics.exposition import Family, MetricSample, MetricsText, labels
from monitor.web.metrics.histograms import Durations, are_kept
from monitor.web.orders import NO_ORDERS, Orders

DOMAIN_EXPIRY = Family(
    "website_health_domain_expiry_timestamp_seconds",
    "gauge",
    "When the registration of the domain expires, in unixtime.",
)
CHECKED_AT = "website_health_last_check_timestamp_seconds"
CHECKS = "website_health_checks_total"
IN_MAINTENANCE = "website_health_in_maintenance"
SILENCED = "website_health_silenced"
FAILURES = "website_health_check_failures_total"
REASONS = "website_health_reasons_total"

_FAMILIES = (
    *blackbox.FAMILIES,
    Family(CHECKED_AT, "gauge", "When the latest check started, in unixtime."),
    DOMAIN_EXPIRY,
    Family(IN_MAINTENANCE, "gauge", "Whether the monitor is in maintenance."),
    Family(SILENCED, "gauge", "Whether the alerts about the monitor are silenced."),
    Family(CHECKS, "counter", "All checks, by what they found."),
    Family(FAILURES, "counter", "All checks that were not up, by reason; a series begins with its first."),
    Family(REASONS, "counter", "All checks of all monitors that were not up, by reason, from 0 on."),
    steps.FAMILY,
    *histograms.FAMILIES,
)
_RESULTS = ("up", "degraded", "down", "unknown")
_COUNTS = tuple((CHECKS, labels(result=result)) for result in _RESULTS)
_TOGETHER = 100  # monitors that are written at once, in a millisecond at most

T = TypeVar("T")


class _MonitorMetrics:
    """What the checks of one monitor found."""

    def __init__(self, monitor: Monitor, common: str) -> None:
        self.monitor = monitor
        self.shard = shard_of(monitor.name)
        self.common = common
        self.latest: CheckResult | None = None
        self._results = dict.fromkeys(_RESULTS, 0)
        self._reasons: Counter[str] = Counter()
        self.durations: Durations | None = None

    def observe(self, result: CheckResult) -> None:
        self.latest = msgspec.structs.replace(result, response_data="", evidence=None)
        self._results[status_of(up=result.up, degraded=result.degraded)] += 1
        if result.reason is not None:
            self._reasons[result.reason] += 1
        if self.durations is not None:
            self.durations.observe(result)

    def counts(self) -> Iterable[int]:
        """Return the values of `_COUNTS`."""
        return self._results.values()

    def failures(self) -> Iterable[MetricSample]:
        return [(FAILURES, f'reason="{reason}"', count) for reason, count in self._reasons.items()]


class _Latest(NamedTuple):
    """The latest check of a monitor, and the labels of its series."""

    common: str
    monitor: Monitor
    result: CheckResult


class CheckMetrics:
    """The metrics of all monitors that are checked.

    `orders` returns what is ordered about a monitor at an instant, `domain_of` what is known of its domain.
    `own_shards` returns those of which this process makes the checks: it shows no latest check of the others,
    as another process has a later one.
    """

    def __init__(
        self,
        location: str,
        orders: Callable[[str, float], Orders] = lambda *_: NO_ORDERS,
        domain_of: Callable[[str], Domain | None] = lambda _: None,
    ) -> None:
        self._domain_of = domain_of
        self.own_shards: Callable[[], Collection[int]] = lambda: range(SHARDS)
        self._location = location
        self._orders = orders
        self._by_monitor: dict[str, _MonitorMetrics] = {}
        self._reasons = Counter[str](dict.fromkeys(Reason, 0))

    def follow(self, monitors: Sequence[Monitor], wanted: MetricsHistograms = "auto") -> None:
        """Keep the metrics of these monitors, without those that are paused; drop all others.

        Histograms that were not kept before begin with 0.
        """
        checked = [monitor for monitor in monitors if not monitor.paused]
        names = sorted({name for monitor in checked for name in monitor.labels})
        kept = are_kept(wanted, len(monitors))
        before, self._by_monitor = self._by_monitor, {}
        for monitor in checked:
            common = self._labels(monitor, names)
            metrics = before.get(monitor.name) or _MonitorMetrics(monitor, common)
            metrics.monitor, metrics.common = monitor, common
            metrics.durations = (metrics.durations or Durations()) if kept else None
            self._by_monitor[monitor.name] = metrics

    def observe(self, result: CheckResult) -> None:
        """Count the result, unless its monitor was removed."""
        metrics = self._by_monitor.get(result.monitor)
        if metrics is not None:
            metrics.observe(result)
            if result.reason is not None:
                self._reasons[result.reason] += 1

    def latest(self, monitor: str) -> CheckResult | None:
        """Return the newest result of a monitor, without its body."""
        metrics = self._by_monitor.get(monitor)
        return None if metrics is None else metrics.latest

    async def parts(self, openmetrics: bool) -> AsyncIterator[bytes]:
        """Yield all series as text, by metric; the event loop runs other tasks in between."""
        async for page in self._pages():
            for part in page.parts(openmetrics=openmetrics):
                yield part
                await asyncio.sleep(0)

    async def _pages(self) -> AsyncIterator[MetricsText]:
        """Yield pages with some metrics each; the latest checks are on all of them those of the beginning."""
        monitors = list(self._by_monitor.values())
        own = self.own_shards()
        checked = [
            _Latest(each.common, each.monitor, each.latest)
            for each in monitors
            if each.latest and each.shard in own
        ]
        latest = [each for each in checked if each.result.up is not None]
        yield await _page(checked, _write_checked_at)
        yield await _page(checked, self._write_domains)
        yield await _page(latest, _write_gauges)
        yield await _page(latest, _write_phases)
        yield await _page(latest, _write_tls)
        yield await _page([each for each in latest if each.result.steps], _write_steps)
        yield await _page(monitors, self._write_orders)
        yield await _page(monitors, _write_counts)
        yield await _page(monitors, _write_durations)
        page = MetricsText(_FAMILIES)
        samples = ((REASONS, f'reason="{reason}"', count) for reason, count in self._reasons.items())
        page.add(samples, labels(location=self._location))
        yield page

    def _write_domains(self, checked: Sequence[_Latest], page: MetricsText) -> None:
        now = time.time()
        for each in checked:
            page.add(domain_samples(self._domain_of(each.monitor.name), now), each.common)

    def _write_orders(self, monitors: Sequence[_MonitorMetrics], page: MetricsText) -> None:
        now = time.time()
        every = [self._orders(each.monitor.name, now) for each in monitors]
        rows = [(int(each.maintenance_until_at is not None), int(each.silence is not None)) for each in every]
        page.add_rows([(IN_MAINTENANCE, ""), (SILENCED, "")], [each.common for each in monitors], rows)

    def _labels(self, monitor: Monitor, names: Iterable[str]) -> str:
        own = {metric_label(name): monitor.labels.get(name, "") for name in names}
        return labels(monitor=monitor.name, group=monitor.group or "", location=self._location, **own)


def domain_samples(domain: Domain | None, now: float) -> Sequence[MetricSample]:
    """Return the sample of a domain; none while it is not known when it expires."""
    expires_at = expiry_of(domain, now)
    return [] if expires_at is None else [(DOMAIN_EXPIRY.name, "", expires_at)]


async def _page(things: Sequence[T], write: Callable[[Sequence[T], MetricsText], None]) -> MetricsText:
    page = MetricsText(_FAMILIES)
    for first in range(0, len(things), _TOGETHER):
        write(things[first : first + _TOGETHER], page)
        await asyncio.sleep(0)
    return page


def _write_checked_at(latest: Sequence[_Latest], page: MetricsText) -> None:
    rows = [(each.result.timestamp,) for each in latest]
    page.add_rows([(CHECKED_AT, "")], [each.common for each in latest], rows)


def _write_gauges(latest: Sequence[_Latest], page: MetricsText) -> None:
    gauges = [
        blackbox.gauges(each.result, steps.shown(each.result, each.monitor), each.monitor.timeout_s)
        for each in latest
    ]
    columns = [(name, "") for name in gauges[0]]
    page.add_rows(columns, [each.common for each in latest], [each.values() for each in gauges])


def _write_phases(latest: Sequence[_Latest], page: MetricsText) -> None:
    rows = [blackbox.phases(each.result) for each in latest]
    page.add_rows(blackbox.PHASE_COLUMNS, [each.common for each in latest], rows)


def _write_tls(latest: Sequence[_Latest], page: MetricsText) -> None:
    for each in latest:
        page.add(blackbox.tls_labels(each.result), each.common)


def _write_steps(latest: Sequence[_Latest], page: MetricsText) -> None:
    for each in latest:
        page.add(steps.samples(each.result), each.common)


def _write_counts(monitors: Sequence[_MonitorMetrics], page: MetricsText) -> None:
    page.add_rows(_COUNTS, [each.common for each in monitors], [each.counts() for each in monitors])
    for each in monitors:
        page.add(each.failures(), each.common)


def _write_durations(monitors: Sequence[_MonitorMetrics], page: MetricsText) -> None:
    for each in monitors:
        if each.durations is not None:
            each.durations.write(page, each.common)
