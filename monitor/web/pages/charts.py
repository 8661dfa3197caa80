"""Charts as SVG, made on the server. Pure.

Colours and line widths come from the style sheet by class, so that they follow dark and light mode. What a
reader sees by pointing at a chart is in `<title>`: browsers show it without a script, screen readers read it.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import pairwise
from typing import Literal, NamedTuple

from markupsafe import Markup

from monitor.runtime.text import DAY_S, HOUR_S, MINUTE_S, duration

ChartState = Literal["up", "degraded", "down", "maintenance", "unknown"]

_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 8, 8, 24
_ROUND = (1, 2, 5, 10)
_MAX_TICKS = 8


class Bar(NamedTuple):
    """One period of time in a row of uptime bars; `label` describes it in words."""

    state: ChartState
    label: str


class ChartPoint(NamedTuple):
    """What was measured in the step that begins `at` (Unix seconds): seconds, or `None` for no value."""

    at: float
    values: tuple[float | None, ...]


class Shade(NamedTuple):
    """A part of the chart that is shaded, from `since` until `until`."""

    state: ChartState
    since: float
    until: float
    label: str


@dataclass(frozen=True, slots=True)
class Frame:
    """The time that a chart shows, the length of its steps, and its size in pixels."""

    since: float
    until: float
    step_s: float
    width: int = 800
    height: int = 220

    def x(self, at: float) -> float:
        """Return where an instant is, in pixels from the left; instants outside are at the edge."""
        share = (min(max(at, self.since), self.until) - self.since) / (self.until - self.since)
        return _LEFT + share * (self.width - _LEFT - _RIGHT)

    def y(self, value: float, top: float) -> float:
        """Return where a value is, in pixels from above; `top` is the largest value of the scale."""
        return _TOP + (1 - min(value, top) / top) * (self.height - _TOP - _BOTTOM)


@lru_cache(maxsize=200)
def uptime_bars(bars: tuple[Bar, ...], label: str) -> Markup:
    """Draw one bar for each period, the oldest first; the latest drawings are cached."""
    return Markup(
        '<svg class="bars" viewBox="0 0 {} 28" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>'
    ).format(
        max(1, 8 * len(bars) - 2), label, _joined(_bar(position, each) for position, each in enumerate(bars))
    )


@lru_cache(maxsize=10_000)
def _bar(position: int, shown: Bar) -> Markup:
    """Draw one bar; cached, since most monitors have the same bars."""
    return Markup('<path class="{}" d="M{} 0h6v28h-6z"><title>{}</title></path>').format(
        shown.state, 8 * position, shown.label
    )


def sparkline(values: Sequence[float | None], label: str) -> Markup:
    """Draw a small line of values, the oldest first, with a gap where there is none."""
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
    points: Sequence[ChartPoint], names: Sequence[str], shades: Iterable[Shade], frame: Frame
) -> Markup:
    """Draw a line for each of the named values, above the shades; pointing at a step shows its values."""
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
    return _chart("response times", points, names, shades, frame, top, lines)


def phases_chart(
    points: Sequence[ChartPoint], names: Sequence[str], shades: Iterable[Shade], frame: Frame
) -> Markup:
    """Draw a column for each step, in which the named parts are stacked."""
    top = _ceiling(sum(value or 0 for value in point.values) for point in points)
    columns = _joined(_columns(points, names, frame, top))
    return _chart("phases", points, names, shades, frame, top, columns)


def _columns(
    points: Sequence[ChartPoint], names: Sequence[str], frame: Frame, top: float
) -> Iterator[Markup]:
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
    points: Sequence[ChartPoint],
    names: Sequence[str],
    shades: Iterable[Shade],
    frame: Frame,
    top: float,
    drawing: Markup,
) -> Markup:
    shaded = list(shades)
    clock = _clock(frame)
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}{}{}</svg>').format(
        frame.width,
        frame.height,
        f"{what}, {clock(frame.since)} to {clock(frame.until)} UTC",
        _axes(frame, top),
        _joined(_shade(each, frame) for each in shaded),
        drawing if points else _no_data(frame),
        _joined(_moments(points, names, shaded, frame)),
    )


def _joined(parts: Iterable[Markup]) -> Markup:
    """Return the parts as one; they are escaped already, and `Markup.join` would look at each again."""
    return Markup("".join(parts))  # noqa: S704 - parts are safe already, by their type


def _shade(shade: Shade, frame: Frame) -> Markup:
    left, right = frame.x(shade.since), frame.x(shade.until)
    return _column(f"shade {shade.state}", left, max(1.0, right - left), frame, shade.label)


def _column(name: str, left: float, width: float, frame: Frame, title: str) -> Markup:
    """Draw a rectangle as high as the chart."""
    return Markup(
        '<rect class="{}" x="{:.1f}" y="{}" width="{:.1f}" height="{}"><title>{}</title></rect>'
    ).format(name, left, _TOP, width, frame.height - _TOP - _BOTTOM, title)


def _no_data(frame: Frame) -> Markup:
    return Markup(
        '<text class="nothing" x="{}" y="{}" text-anchor="middle">no data in this range</text>'
    ).format((_LEFT + frame.width - _RIGHT) / 2, frame.height / 2)


def _moments(
    points: Sequence[ChartPoint], names: Sequence[str], shades: Sequence[Shade], frame: Frame
) -> Iterator[Markup]:
    """Cover each step with a rectangle whose title has its values, and the labels of its shades."""
    clock = _clock(frame)
    for point in points:
        end = point.at + frame.step_s
        left, right = frame.x(point.at), frame.x(end)
        values = ", ".join(
            f"{name} {duration(value)}" for name, value in zip(names, point.values, strict=True)
        )
        labels = [shade.label for shade in shades if shade.since < end and shade.until > point.at]
        title = "; ".join((f"{clock(point.at)} UTC: {values}", *labels))
        yield _column("moment", left, max(0.5, right - left), frame, title)


def _axes(frame: Frame, top: float) -> Markup:
    marks = [
        Markup('<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>').format(
            _LEFT, frame.width - _RIGHT, frame.y(value, top), frame.y(value, top)
        )
        + Markup('<text x="{}" y="{:.1f}" text-anchor="end">{}</text>').format(
            _LEFT - 6, frame.y(value, top) + 4, duration(value) if value else "0"
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
    """Return round instants within the frame, not too near to its edges."""
    length = frame.until - frame.since
    steps = (10 * MINUTE_S, 30 * MINUTE_S, HOUR_S, 3 * HOUR_S, 6 * HOUR_S, DAY_S, 5 * DAY_S, 15 * DAY_S)
    step = next((step for step in steps if length / step <= _MAX_TICKS), 30 * DAY_S)
    first = math.ceil((frame.since + length / 20) / step)
    last = math.floor((frame.until - length / 20) / step)
    return [float(index * step) for index in range(first, last + 1)]


def _clock(frame: Frame) -> Callable[[float], str]:
    """Return what writes an instant as short as the frame allows."""
    form = "%d %b"
    if frame.until - frame.since <= DAY_S:
        form = "%H:%M"
    elif frame.step_s < DAY_S:
        form = "%d %b %H:%M"
    return lambda at: datetime.fromtimestamp(at, UTC).strftime(form)


def _gaps(points: Sequence[ChartPoint], position: int, frame: Frame) -> Iterator[tuple[float, float | None]]:
    """Yield each value in the middle of its step, and `None` where steps are missing between two points."""
    for point, after in pairwise((*points, None)):
        assert point is not None  # noqa: S101 - only the last one is
        yield frame.x(point.at + frame.step_s / 2), point.values[position]
        if after is not None and after.at - point.at > 1.5 * frame.step_s:
            yield frame.x(point.at + frame.step_s), None


def _line(dots: Iterable[tuple[float, float | None]], name: str) -> Markup:
    """Draw a line that is interrupted at each `None`; a dot between two gaps is a short dash."""
    runs: list[list[str]] = [[]]
    for x, y in dots:
        if y is None:
            runs.append([])
        else:
            runs[-1].append(f"{x:.1f} {y:.1f}")
    path = "".join("M" + "L".join(run) + ("h1" if len(run) == 1 else "") for run in runs if run)
    return Markup('<path class="line {}" d="{}"/>').format(name, path)


def _ceiling(values: Iterable[float | None]) -> float:
    """Return the largest value, rounded up to 1, 2 or 5 times a power of ten."""
    top = max((value for value in values if value is not None), default=0) or 1.0
    power = 10.0 ** math.floor(math.log10(top))
    return next(step * power for step in _ROUND if step * power >= top * 0.999)
