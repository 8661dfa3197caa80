"""How a monitor's response times went, in one of the ranges that its page offers. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from monitor.duration import spoken
from monitor.maintenance import Interval
from monitor.store_pages import Incident, Step
from monitor.uptime import HOUR_S, Sums, percentile
from monitor.web.charts import Frame, Point, Span, State
from monitor.web.history import DAY_H, ByPeriod, times

PHASES = ("resolve", "connect", "tls", "processing", "transfer")
_POINTS = 60
_STATES: dict[str, State] = {"down": "down", "partial": "degraded"}


class Range(NamedTuple):
    """How long it is, how long each of its steps, and what is read for it."""

    length_s: float
    step_s: float
    source: Literal["results", "hour", "day"]


RANGES = {
    "3h": Range(3 * HOUR_S, 3 * HOUR_S / _POINTS, "results"),
    "24h": Range(DAY_H * HOUR_S, HOUR_S, "hour"),
    "7d": Range(7 * DAY_H * HOUR_S, HOUR_S, "hour"),
    "30d": Range(30 * DAY_H * HOUR_S, DAY_H * HOUR_S, "day"),
    "90d": Range(90 * DAY_H * HOUR_S, DAY_H * HOUR_S, "day"),
}


def frame(asked: Range, now: float) -> Frame:
    """Choose what the charts show: whole steps, of which the last one is still going on."""
    until = (now // asked.step_s + 1) * asked.step_s
    return Frame(until - asked.length_s, until, asked.step_s)


def steps(periods: ByPeriod, step_s: float) -> list[Step]:
    """Make a step of each hour or day, and one of all of them at last."""
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
    """Take back what a bucket adds to the slowest in it."""
    return seconds if seconds is None or slowest is None else min(slowest, seconds)


def by_day(hours: ByPeriod) -> dict[int, list[Sums]]:
    """Put the hours of each day together."""
    days: defaultdict[int, list[Sums]] = defaultdict(list)
    for hour, sums in hours.items():
        days[hour // DAY_H] += sums
    return days


def lines(found: Iterable[Step]) -> list[Point]:
    """Take what the chart of response times shows."""
    return [Point(step.at, (step.p50, step.p95, step.slowest)) for step in found if step.at is not None]


def stacks(found: Iterable[Step]) -> list[Point]:
    """Take what the chart of phases shows."""
    return [Point(step.at, tuple(step.phases)) for step in found if step.at is not None]


def shades(incidents: Iterable[Incident], maintenance: Iterable[Interval], now: float) -> list[Span]:
    """Shade maintenance, and incidents above it; one that is open goes on until now."""
    return [
        *(Span("maintenance", since, until, "maintenance") for since, until in maintenance),
        *(_shade(now, incident) for incident in incidents if incident.kind != "flapping"),
    ]


def _shade(now: float, incident: Incident) -> Span:
    state = _STATES.get(incident.kind, "unknown")
    kind = incident.kind.replace("_", " ")
    if incident.ended_at is None:
        return Span(state, incident.started_at, now, kind)
    lasted_s = incident.ended_at - incident.started_at
    return Span(state, incident.started_at, incident.ended_at, f"{kind} for {spoken(lasted_s)}")
