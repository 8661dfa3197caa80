"""How long the steps of the latest check took, and which of them its other metrics are of. Pure."""

from collections.abc import Iterator

from monitor.config.model import Monitor
from monitor.probe.steps.request import settings_of
from monitor.result import CheckResult
from monitor.web.metrics.exposition import Family, MetricSample, labels

DURATION = "website_health_step_duration_seconds"
FAMILY = Family(DURATION, "gauge", "How long each step of the latest check took.")


def samples(result: CheckResult) -> Iterator[MetricSample]:
    """Return a sample for each step that ran."""
    for step in result.steps or ():
        yield DURATION, labels(step=step.name), step.seconds


def shown(result: CheckResult, monitor: Monitor) -> Monitor:
    """Return the monitor with the settings of the step that the result is of; it keeps its steps."""
    if not result.steps:
        return monitor
    name = next((step.name for step in result.steps if step.reason), result.steps[-1].name)
    settings = (settings_of(monitor, step) for step in monitor.steps if step.name == name)
    return monitor.model_copy(update={**next(settings, {}), "steps": monitor.steps})
