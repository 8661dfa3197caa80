"""What the checks of each monitor found: the latest result, and exact counts of all.

A check only pays for counting its result. The text is made when somebody asks for it.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable

import msgspec

from monitor.config.checks import metric_label
from monitor.config.model import Monitor
from monitor.result import CheckResult, Reason
from monitor.runtime.event_loop import in_pieces
from monitor.runtime.histogram import Buckets
from monitor.uptime.sums import status_of
from monitor.web.metrics import blackbox
from monitor.web.metrics.exposition import Family, MetricsText, labels

CHECKED_AT = "website_health_last_check_timestamp_seconds"
CHECKS = "website_health_checks_total"
FAILURES = "website_health_check_failures_total"
REASONS = "website_health_reasons_total"
DURATION = "website_health_check_duration_seconds"
PHASE_DURATION = "website_health_check_phase_duration_seconds"

_FAMILIES = (
    *blackbox.FAMILIES,
    Family(CHECKED_AT, "gauge", "When the latest check started, in unixtime."),
    Family(CHECKS, "counter", "All checks, by what they found."),
    Family(FAILURES, "counter", "All checks that were not up, by reason; a series begins with its first."),
    Family(REASONS, "counter", "All checks of all monitors that were not up, by reason, from 0 on."),
    Family(DURATION, "histogram", "How long all checks took."),
    Family(PHASE_DURATION, "histogram", "How long each phase of all checks took, where it ran."),
)
_RESULTS = ("up", "degraded", "down", "unknown")
_DURATION_BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_PHASE_BOUNDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class _MonitorMetrics:
    """What the checks of one monitor found."""

    def __init__(self, monitor: Monitor, common: str) -> None:
        self.monitor = monitor
        self.common = common
        self._latest: CheckResult | None = None
        self._results = dict.fromkeys(_RESULTS, 0)
        self._reasons: Counter[str] = Counter()
        self._duration = Buckets(_DURATION_BOUNDS)
        self._phases: dict[str, Buckets] = {}

    def observe(self, result: CheckResult) -> None:
        self._latest = msgspec.structs.replace(result, response_data="", evidence=None)
        self._results[status_of(up=result.up, degraded=result.degraded)] += 1
        if result.reason is not None:
            self._reasons[result.reason] += 1
        self._duration.observe(result.response_time)
        for phase in blackbox.PHASES:
            seconds = getattr(result.phases, phase)
            if seconds is not None:
                if phase not in self._phases:
                    self._phases[phase] = Buckets(_PHASE_BOUNDS)
                self._phases[phase].observe(seconds)

    def write(self, page: MetricsText) -> None:
        monitor, latest, common = self.monitor, self._latest, self.common
        if latest is not None:
            page.add([(CHECKED_AT, "", latest.timestamp)], common)
            if latest.up is not None:
                json_asked = bool(monitor.expect.json)
                page.add(blackbox.samples(latest, monitor.timeout_s, json_asked=json_asked), common)
        page.add(((CHECKS, f'result="{result}"', count) for result, count in self._results.items()), common)
        page.add(((FAILURES, f'reason="{reason}"', count) for reason, count in self._reasons.items()), common)
        page.add_histogram(DURATION, self._duration, common)
        for phase, buckets in self._phases.items():
            page.add_histogram(PHASE_DURATION, buckets, f'{common},phase="{phase}"')


class CheckMetrics:
    """The metrics of all monitors that are checked."""

    def __init__(self, location: str) -> None:
        self._location = location
        self._by_monitor: dict[str, _MonitorMetrics] = {}
        self._reasons = Counter[str](dict.fromkeys(Reason, 0))

    def follow(self, monitors: Iterable[Monitor]) -> None:
        """Keep the metrics of these monitors, without those that are paused; drop all others."""
        checked = [monitor for monitor in monitors if not monitor.paused]
        names = sorted({name for monitor in checked for name in monitor.labels})
        before, self._by_monitor = self._by_monitor, {}
        for monitor in checked:
            common = self._labels(monitor, names)
            metrics = before.get(monitor.name) or _MonitorMetrics(monitor, common)
            metrics.monitor, metrics.common = monitor, common
            self._by_monitor[monitor.name] = metrics

    def observe(self, result: CheckResult) -> None:
        """Count the result, unless its monitor was removed."""
        metrics = self._by_monitor.get(result.monitor)
        if metrics is not None:
            metrics.observe(result)
            if result.reason is not None:
                self._reasons[result.reason] += 1

    async def parts(self, openmetrics: bool) -> list[bytes]:
        """Return all series as text; the event loop runs other tasks in between."""
        page = MetricsText(_FAMILIES)
        async for metrics in in_pieces(list(self._by_monitor.values())):
            metrics.write(page)
        samples = ((REASONS, f'reason="{reason}"', count) for reason, count in self._reasons.items())
        page.add(samples, labels(location=self._location))
        parts = []
        for part in page.parts(openmetrics=openmetrics):
            parts.append(part)
            await asyncio.sleep(0)
        return parts

    def _labels(self, monitor: Monitor, names: Iterable[str]) -> str:
        own = {metric_label(name): monitor.labels.get(name, "") for name in names}
        return labels(monitor=monitor.name, group=monitor.group or "", location=self._location, **own)
