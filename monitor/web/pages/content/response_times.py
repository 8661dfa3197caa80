"""A monitor's response times and phases, in one of the time ranges that its page offers. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from monitor.config.model import Monitor
from monitor.runtime.text import DAY_S, HOUR_S, duration
from monitor.uptime.maintenance import Interval
from monitor.uptime.sums import Sums, percentile
from monitor.web.pages.content.charts import ChartPoint, ChartState, Frame, Layer, Shade
from monitor.web.pages.content.history import DAY_H, ByPeriod, times
from monitor.web.queries import Incident, Step

PHASES = ("resolve", "connect", "tls", "processing", "transfer")
PHASE_LAYERS = tuple(Layer(phase, phase) for phase in PHASES)
_COLOURS = ("step1", "step2", "step3", "step4", "step5", "step6", "step7")
_POINTS = 60
_STATES: dict[str, ChartState] = {"down": "down", "partial": "degraded", "degraded": "degraded"}


class Range(NamedTuple):
    """The length of a range, the length of its steps, and what is read for it."""

    length_s: float
    step_s: float
    source: Literal["results", "hour", "day"]


RANGES = {
    "3h": Range(3 * HOUR_S, 3 * HOUR_S / _POINTS, "results"),
    "24h": Range(DAY_S, HOUR_S, "hour"),
    "7d": Range(7 * DAY_S, HOUR_S, "hour"),
    "30d": Range(30 * DAY_S, DAY_S, "day"),
    "90d": Range(90 * DAY_S, DAY_S, "day"),
}


def range_of(asked: str | None) -> str:
    """Return the name of the range that is asked for, by default a day."""
    return asked if asked in RANGES else "24h"


def frame_of(asked: Range, now: float, interval_s: float) -> Frame:
    """Return the frame of the charts: whole steps; the last one still goes on at `now`.

    Steps of single results are no shorter than the monitor's interval: lines would break between them.
    """
    step_s = asked.step_s
    if asked.source == "results":
        step_s = min(max(step_s, interval_s), asked.length_s)
    until = (now // step_s + 1) * step_s
    return Frame(until - asked.length_s, until, step_s)


def steps_of(periods: ByPeriod, step_s: float) -> list[Step]:
    """Return a step for each hour or day, in their order, and at the end one for all of them."""
    every = [each for sums in periods.values() for each in sums]
    made = [_step(period * step_s, periods[period]) for period in sorted(periods)]
    return [*made, _step(None, every)]


def _step(at: float | None, sums: Sequence[Sums]) -> Step:
    counts = times(sums)
    measured = sum(each.up + each.degraded for each in sums)
    phases = [
        sum(getattr(each, f"{phase}_s") for each in sums) / measured if measured else None for phase in PHASES
    ]
    slowest = max((each.slowest_s for each in sums), default=0) or None
    p50, p95, p99 = (_at_most(slowest, percentile(counts, share)) for share in (0.5, 0.95, 0.99))
    return Step(at, p50, p95, p99, slowest, phases)


def _at_most(slowest: float | None, seconds: float | None) -> float | None:
    """Return the percentile, but no more than the slowest response: a bucket's upper end may be above it."""
    return seconds if seconds is None or slowest is None else min(slowest, seconds)


def by_day(hours: ByPeriod) -> dict[int, list[Sums]]:
    days: defaultdict[int, list[Sums]] = defaultdict(list)
    for hour, sums in hours.items():
        days[hour // DAY_H] += sums
    return days


def response_points(found: Iterable[Step]) -> list[ChartPoint]:
    return [ChartPoint(step.at, (step.p50, step.p95, step.slowest)) for step in found if step.at is not None]


def phase_points(found: Iterable[Step]) -> list[ChartPoint]:
    return [ChartPoint(step.at, tuple(step.phases)) for step in found if step.at is not None]


def step_layers(monitor: Monitor, asked: Range) -> list[Layer]:
    """Return the layers of the steps of a check; none for a long range: only single results have steps.

    Beside each other, two have different colours.
    """
    steps = monitor.steps if asked.length_s <= DAY_S else ()
    return [Layer(step.name, _COLOURS[position % len(_COLOURS)]) for position, step in enumerate(steps)]


def step_points(found: Mapping[float, Mapping[str, float]], layers: Sequence[Layer]) -> list[ChartPoint]:
    return [ChartPoint(at, tuple(times.get(layer.name) for layer in layers)) for at, times in found.items()]


def shades_of(incidents: Iterable[Incident], maintenance: Iterable[Interval], now: float) -> list[Shade]:
    """Return the shades of maintenance, and above them those of incidents; an open one goes on until now."""
    return [
        *(Shade("maintenance", since, until, "maintenance") for since, until in maintenance),
        *(_shade(now, incident) for incident in incidents if incident.kind != "flapping"),
    ]


def _shade(now: float, incident: Incident) -> Shade:
    state = _STATES.get(incident.kind, "unknown")
    kind = incident.kind.replace("_", " ")
    if incident.ended_at is None:
        return Shade(state, incident.started_at, now, kind)
    lasted_s = incident.ended_at - incident.started_at
    return Shade(state, incident.started_at, incident.ended_at, f"{kind} for {duration(lasted_s)}")
