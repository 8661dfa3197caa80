"""Charts as SVG, made on the server. Pure.

Colours and line widths come from the style sheet by class, so that they follow dark and light. What a reader
learns by pointing at a chart is in `<title>`: browsers show it without a script, screen readers say it.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import pairwise
from typing import Literal, NamedTuple

from markupsafe import Markup

from monitor.duration import spoken

State = Literal["up", "degraded", "down", "maintenance", "unknown"]

_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 8, 8, 24
_DAY_S = 86_400
_STEPS = (1, 2, 5, 10)
_MAX_TICKS = 8


class Bar(NamedTuple):
    """One span of time in a row of uptime bars; `label` says it in words."""

    state: State
    label: str


class Point(NamedTuple):
    """What was measured in the span of time that begins `at` (Unix seconds); seconds, null: nothing."""

    at: float
    values: tuple[float | None, ...]


class Span(NamedTuple):
    """A time to be shaded."""

    state: State
    since: float
    until: float
    label: str


@dataclass(frozen=True, slots=True)
class Frame:
    """The time that a chart shows and how large it is drawn."""

    since: float
    until: float
    step_s: float
    width: int = 800
    height: int = 220

    def x(self, at: float) -> float:
        """Place an instant."""
        share = (min(max(at, self.since), self.until) - self.since) / (self.until - self.since)
        return _LEFT + share * (self.width - _LEFT - _RIGHT)

    def y(self, value: float, top: float) -> float:
        """Place a value below `top`."""
        return _TOP + (1 - min(value, top) / top) * (self.height - _TOP - _BOTTOM)


@lru_cache(maxsize=200)
def uptime_bars(bars: tuple[Bar, ...], label: str) -> Markup:
    """Draw one bar for each span of time, oldest first; those of a moment ago are remembered."""
    return Markup(
        '<svg class="bars" viewBox="0 0 {} 28" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>'
    ).format(
        max(1, 8 * len(bars) - 2),
        label,
        _joined(_bar(position, each) for position, each in enumerate(bars)),
    )


@lru_cache(maxsize=10_000)
def _bar(position: int, shown: Bar) -> Markup:
    """Draw one; most monitors have the same."""
    return Markup('<path class="{}" d="M{} 0h6v28h-6z"><title>{}</title></path>').format(
        shown.state, 8 * position, shown.label
    )


def sparkline(values: Sequence[float | None], label: str) -> Markup:
    """Draw the course of some values, oldest first; a gap where there is none."""
    top = max((value for value in values if value is not None), default=0) or 1
    step = 120 / max(1, len(values) - 1)
    dots = [
        (step * position, None if value is None else 26 - 24 * value / top)
        for position, value in enumerate(values)
    ]
    return Markup('<svg class="spark" viewBox="0 0 120 28" role="img" aria-label="{}">{}</svg>').format(
        label, _line(dots, "p50")
    )


def response_chart(
    points: Sequence[Point], names: Sequence[str], spans: Iterable[Span], frame: Frame
) -> Markup:
    """Draw a line for each of the named values, over the shaded times; each moment tells its values."""
    top = _ceiling(value for point in points for value in point.values)
    lines = _joined(
        _line(
            [
                (x, None if value is None else frame.y(value, top))
                for x, value in _gaps(points, position, frame)
            ],
            name,
        )
        for position, name in enumerate(names)
    )
    return _chart("response times", points, names, spans, frame, top, lines)


def phases_chart(
    points: Sequence[Point], names: Sequence[str], spans: Iterable[Span], frame: Frame
) -> Markup:
    """Stack the named parts of each moment upon each other."""
    top = _ceiling(sum(value or 0 for value in point.values) for point in points)
    columns = _joined(_columns(points, names, frame, top))
    return _chart("phases", points, names, spans, frame, top, columns)


def _columns(points: Sequence[Point], names: Sequence[str], frame: Frame, top: float) -> Iterator[Markup]:
    for point in points:
        left, right = frame.x(point.at), frame.x(point.at + frame.step_s)
        base = 0.0
        for name, value in zip(names, point.values, strict=True):
            if value:
                upper, lower = frame.y(base + value, top), frame.y(base, top)
                yield Markup(
                    '<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>'
                ).format(name, left, upper, max(0.5, right - left), lower - upper)
                base += value


def _chart(
    what: str,
    points: Sequence[Point],
    names: Sequence[str],
    spans: Iterable[Span],
    frame: Frame,
    top: float,
    drawing: Markup,
) -> Markup:
    shaded = list(spans)
    shades = _joined(
        Markup(
            '<rect class="shade {}" x="{:.1f}" y="{}" width="{:.1f}" height="{}"><title>{}</title></rect>'
        ).format(
            span.state,
            frame.x(span.since),
            _TOP,
            max(1.0, frame.x(span.until) - frame.x(span.since)),
            frame.height - _TOP - _BOTTOM,
            span.label,
        )
        for span in shaded
    )
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}{}{}</svg>').format(
        frame.width,
        frame.height,
        f"{what}, {_clock(frame)(frame.since)} to {_clock(frame)(frame.until)} UTC",
        _axes(frame, top),
        shades,
        drawing if points else _nothing(frame),
        _joined(_moments(points, names, shaded, frame)),
    )


def _joined(parts: Iterable[Markup]) -> Markup:
    """Put drawn parts together, without looking for what has to be escaped in each again."""
    return Markup("".join(parts))  # noqa: S704 - parts are safe already, by their type


def _nothing(frame: Frame) -> Markup:
    return Markup(
        '<text class="nothing" x="{}" y="{}" text-anchor="middle">no data in this range</text>'
    ).format((_LEFT + frame.width - _RIGHT) / 2, frame.height / 2)


def _moments(
    points: Sequence[Point], names: Sequence[str], spans: Sequence[Span], frame: Frame
) -> Iterator[Markup]:
    """Cover each moment by what tells its values, and what it is shaded for."""
    clock = _clock(frame)
    for point in points:
        left, right = frame.x(point.at), frame.x(point.at + frame.step_s)
        values = ", ".join(f"{name} {spoken(value)}" for name, value in zip(names, point.values, strict=True))
        end = point.at + frame.step_s
        labels = [span.label for span in spans if span.since < end and span.until > point.at]
        yield Markup(
            '<rect class="moment" x="{:.1f}" y="{}" width="{:.1f}" height="{}"><title>{}</title></rect>'
        ).format(
            left,
            _TOP,
            max(0.5, right - left),
            frame.height - _TOP - _BOTTOM,
            "; ".join((f"{clock(point.at)} UTC: {values}", *labels)),
        )


def _axes(frame: Frame, top: float) -> Markup:
    marks = [
        Markup('<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>').format(
            _LEFT, frame.width - _RIGHT, frame.y(value, top), frame.y(value, top)
        )
        + Markup('<text x="{}" y="{:.1f}" text-anchor="end">{}</text>').format(
            _LEFT - 6, frame.y(value, top) + 4, spoken(value) if value else "0"
        )
        for value in (0.0, top / 2, top)
    ]
    clock = _clock(frame)
    marks += [
        Markup('<text x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
            frame.x(at), frame.height - 6, clock(at)
        )
        for at in _ticks(frame)
    ]
    return _joined(marks)


def _ticks(frame: Frame) -> list[float]:
    """Choose round times within the frame, away from its edges."""
    length = frame.until - frame.since
    steps = (600, 1_800, 3_600, 3 * 3_600, 6 * 3_600, _DAY_S, 5 * _DAY_S, 15 * _DAY_S)
    step = next((step for step in steps if length / step <= _MAX_TICKS), 30 * _DAY_S)
    first = math.ceil((frame.since + length / 20) / step)
    last = math.floor((frame.until - length / 20) / step)
    return [float(index * step) for index in range(first, last + 1)]


def _clock(frame: Frame) -> Callable[[float], str]:
    form = (
        "%H:%M"
        if frame.until - frame.since <= _DAY_S
        else "%d %b %H:%M"
        if frame.step_s < _DAY_S
        else "%d %b"
    )
    return lambda at: datetime.fromtimestamp(at, UTC).strftime(form)


def _gaps(points: Sequence[Point], position: int, frame: Frame) -> Iterator[tuple[float, float | None]]:
    """Yield each value in the middle of its span, and a gap where spans are missing between two points."""
    for point, after in pairwise((*points, None)):
        assert point is not None  # noqa: S101 - only the last one is
        yield frame.x(point.at + frame.step_s / 2), point.values[position]
        if after is not None and after.at - point.at > 1.5 * frame.step_s:
            yield frame.x(point.at + frame.step_s), None


def _line(dots: Iterable[tuple[float, float | None]], name: str) -> Markup:
    """Draw what lies between gaps; a lone dot is a short dash."""
    runs: list[list[str]] = [[]]
    for x, y in dots:
        if y is None:
            runs.append([])
        else:
            runs[-1].append(f"{x:.1f} {y:.1f}")
    path = "".join("M" + "L".join(run) + ("h1" if len(run) == 1 else "") for run in runs if run)
    return Markup('<path class="line {}" d="{}"/>').format(name, path)


def _ceiling(values: Iterable[float | None]) -> float:
    """Round the largest value up to 1, 2 or 5 times a power of ten."""
    top = max((value for value in values if value is not None), default=0) or 1.0
    power = 10.0 ** math.floor(math.log10(top))
    return next(step * power for step in _STEPS if step * power >= top * 0.999)
