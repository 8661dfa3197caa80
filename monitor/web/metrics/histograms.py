"""How long checks took: histograms of each monitor, or none at all.

Those of one monitor are up to 69 series, three times as many as all its other ones.
"""

from msgspec.structs import astuple

from monitor.config.model import MetricsHistograms
from monitor.result import CheckResult, Phases
from monitor.runtime.histogram import Buckets
from monitor.web.metrics.exposition import Family, MetricsText

DURATION = "website_health_check_duration_seconds"
PHASE_DURATION = "website_health_check_phase_duration_seconds"
FAMILIES = (
    Family(DURATION, "histogram", "How long all checks took."),
    Family(PHASE_DURATION, "histogram", "How long each phase of all checks took, where it ran."),
)

_DURATION_BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_PHASE_BOUNDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_PHASES = Phases.__struct_fields__
_MAX_MONITORS = 500  # with "auto"


def are_kept(wanted: MetricsHistograms, monitors: int) -> bool:
    """Return whether there are histograms, with so many monitors in the configuration."""
    return wanted == "monitor" or (wanted == "auto" and monitors <= _MAX_MONITORS)


class Durations:
    """How long the checks of one monitor took."""

    def __init__(self) -> None:
        self._duration = Buckets(_DURATION_BOUNDS)
        self._phases = [Buckets(_PHASE_BOUNDS) for _ in _PHASES]

    def observe(self, result: CheckResult) -> None:
        self._duration.observe(result.response_time)
        for buckets, seconds in zip(self._phases, astuple(result.phases), strict=True):
            if seconds is not None:
                buckets.observe(seconds)

    def write(self, page: MetricsText, common: str) -> None:
        """Add all its series; they have the labels `common`."""
        page.add_histogram(DURATION, self._duration, common)
        for phase, buckets in sorted(zip(_PHASES, self._phases, strict=True)):
            if any(buckets.counts):
                page.add_histogram(PHASE_DURATION, buckets, f'{common},phase="{phase}"')
