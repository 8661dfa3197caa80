"""Charts as SVG, made on the server. Pure.

Colours and line widths come from the style sheet by class, so that they follow dark and light mode. What a
reader sees by pointing at a chart is in `<title>`: browsers show it without a script. A drawing is as wide as
its place; its texts are not in it, so that they keep their size.
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

_WIDTH, _HEIGHT = 1_000, 180  # of the drawing, in units of its own
_ROUND = (1, 2, 5, 10)
_MAX_TICKS = 5
_NO_VALUE = "no good check"  # "no data" is said of a monitor of which no result comes
_EDGE = 1 / 12  # of the width: nearer to an edge there is no room for the text of a tick
_WEEK_S = 7 * DAY_S
_MONDAY_S = 4 * DAY_S  # 1970 began on a Thursday
_STEPS = (10 * MINUTE_S, 30 * MINUTE_S, HOUR_S, 3 * HOUR_S, 6 * HOUR_S, DAY_S, 2 * DAY_S, _WEEK_S)


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
    """The time that a chart shows, and the length of its steps."""

    since: float
    until: float
    step_s: float

    def share(self, at: float) -> float:
        """Return how much of the time is before an instant, from 0 to 1."""
        return (min(max(at, self.since), self.until) - self.since) / (self.until - self.since)

    def x(self, at: float) -> float:
        """Return where an instant is, from the left; instants outside are at the edge."""
        return self.share(at) * _WIDTH

    def y(self, value: float, top: float) -> float:
        """Return where a value is, from above; `top` is the largest value of the scale."""
        return (1 - min(value, top) / top) * _HEIGHT

    @property
    def is_of_days(self) -> bool:
        """Whether the steps are days in UTC, which the reader's zone does not change."""
        return self.step_s >= DAY_S


@lru_cache(maxsize=200)
def uptime_bars(bars: tuple[Bar, ...], label: str, first_hour: int | None = None) -> Markup:
    """Draw one bar for each period, the oldest first; the latest drawings are cached.

    Bars of hours begin with `first_hour`, counted since 1970: pages show them in the reader's time zone.
    """
    hours = Markup("") if first_hour is None else Markup(' data-since="{}"').format(first_hour * HOUR_S)
    return Markup(
        '<svg class="bars" viewBox="0 0 {} 28" preserveAspectRatio="none" role="img" aria-label="{}"{}>'
        "{}</svg>"
    ).format(
        max(1, 8 * len(bars) - 1),
        label,
        hours,
        _joined(_bar(position, each) for position, each in enumerate(bars)),
    )


@lru_cache(maxsize=10_000)
def _bar(position: int, shown: Bar) -> Markup:
    """Draw one bar; cached, since most monitors have the same bars."""
    return Markup('<path class="{}" d="M{} 0h7v28h-7z"><title>{}</title></path>').format(
        shown.state, 8 * position, shown.label
    )


def sparkline(values: Sequence[float | None], label: str, first_hour: int) -> Markup:
    """Draw a small line of values, one for each hour from `first_hour` on, with a gap where there is none."""
    top = max((value for value in values if value is not None), default=0) or 1
    step = 120 / max(1, len(values) - 1)
    dots = [
        (step * position, None if value is None else 26 - 24 * value / top)
        for position, value in enumerate(values)
    ]
    return Markup(
        '<svg class="spark" viewBox="0 0 120 28" role="img" aria-label="{}" data-since="{}" data-values="{}">'
        "{}</svg>"
    ).format(
        label,
        first_hour * HOUR_S,
        "|".join(_NO_VALUE if value is None else duration(value) for value in values),
        _line(dots, "p50"),
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
        for position, name in reversed(list(enumerate(names)))  # the first one is above the others
    )
    return _chart("response times", points, names, shades, frame, top, lines)


class Layer(NamedTuple):
    """One of the parts that are stacked; `style` is the class of its colour."""

    name: str
    style: str


def stacked_chart(
    what: str, points: Sequence[ChartPoint], layers: Sequence[Layer], shades: Iterable[Shade], frame: Frame
) -> Markup:
    """Draw a column for each step, in which the parts are stacked."""
    top = _ceiling(sum(value or 0 for value in point.values) for point in points)
    columns = _joined(_columns(points, [layer.style for layer in layers], frame, top))
    return _chart(what, points, [layer.name for layer in layers], shades, frame, top, columns)


def _columns(
    points: Sequence[ChartPoint], styles: Sequence[str], frame: Frame, top: float
) -> Iterator[Markup]:
    for point in points:
        left, right = frame.x(point.at), frame.x(point.at + frame.step_s)
        base = 0.0
        for style, value in zip(styles, point.values, strict=True):
            if value:
                upper, lower = frame.y(base + value, top), frame.y(base, top)
                yield Markup(
                    '<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>'
                ).format(style, left, upper, max(0.5, right - left), lower - upper)
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
    drawn = Markup(
        '<svg class="plot" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">'
        "{}{}{}{}</svg>"
    ).format(
        _WIDTH,
        _HEIGHT,
        f"{what}, {clock(frame.since)} to {clock(frame.until)} UTC",
        _grid(),
        _joined(_shade(each, frame) for each in shaded),
        drawing,
        _joined(_moments(points, names, shaded, frame)),
    )
    is_known = any(value is not None for point in points for value in point.values)
    nothing = Markup("") if is_known else Markup('<p class="nothing">No good check in this range.</p>')
    return Markup('<div class="chart">{}{}{}{}</div>').format(_scale(top), drawn, _times(frame), nothing)


def _joined(parts: Iterable[Markup]) -> Markup:
    """Return the parts as one; they are escaped already, and `Markup.join` would look at each again."""
    return Markup("".join(parts))  # noqa: S704 - parts are safe already, by their type


def _shade(shade: Shade, frame: Frame) -> Markup:
    left, right = frame.x(shade.since), frame.x(shade.until)
    return _column(f"shade {shade.state}", left, max(1.0, right - left), shade.label)


def _column(name: str, left: float, width: float, title: str, at: float | None = None) -> Markup:
    """Draw a rectangle as high as the chart; pages show `at` in the reader's zone."""
    instant = Markup("") if at is None else Markup(' data-at="{:.0f}"').format(at)
    return Markup(
        '<rect class="{}"{} x="{:.1f}" y="0" width="{:.1f}" height="{}"><title>{}</title></rect>'
    ).format(name, instant, left, width, _HEIGHT, title)


def _moments(
    points: Sequence[ChartPoint], names: Sequence[str], shades: Sequence[Shade], frame: Frame
) -> Iterator[Markup]:
    """Cover each step with a rectangle whose title has its values, and the labels of its shades."""
    clock = _clock(frame)
    for point in points:
        end = point.at + frame.step_s
        left, right = frame.x(point.at), frame.x(end)
        known = zip(names, point.values, strict=True)
        values = ", ".join(f"{name} {duration(value)}" for name, value in known if value is not None)
        labels = [shade.label for shade in shades if shade.since < end and shade.until > point.at]
        title = "; ".join((f"{clock(point.at)} UTC: {values or _NO_VALUE}", *labels))
        yield _column("moment", left, max(0.5, right - left), title, None if frame.is_of_days else point.at)


def _grid() -> Markup:
    return _joined(
        Markup('<line class="grid" x1="0" x2="{}" y1="{}" y2="{}"/>').format(_WIDTH, y, y)
        for y in (0, _HEIGHT // 2, _HEIGHT)
    )


def _scale(top: float) -> Markup:
    """Name the values of the grid's lines, from above."""
    return Markup('<p class="scale" aria-hidden="true">{}</p>').format(
        _joined(
            Markup("<span>{}</span>").format(duration(value) if value else "0") for value in (top, top / 2, 0)
        )
    )


def _times(frame: Frame) -> Markup:
    """Name a few instants below the chart; pages move those of hours to round ones of the reader's zone."""
    step_s, ticks = _ticks(frame)
    form = "%d %b" if step_s >= DAY_S else "%H:%M"
    moved = Markup("")
    if not frame.is_of_days:
        moved = Markup(' data-since="{:.0f}" data-until="{:.0f}" data-step="{:.0f}"').format(
            frame.since, frame.until, min(step_s, DAY_S)
        )
    return Markup('<svg class="times" aria-hidden="true"{}>{}</svg>').format(
        moved,
        _joined(
            Markup('<text x="{:.2f}%" y="15" text-anchor="middle" data-at="{:.0f}">{}</text>').format(
                100 * frame.share(at), at, datetime.fromtimestamp(at, UTC).strftime(form)
            )
            for at in ticks
        ),
    )


def _ticks(frame: Frame) -> tuple[float, list[float]]:
    """Return the time between two ticks, and their instants: round ones, not too near to the edges."""
    length_s = frame.until - frame.since
    first, last = frame.since + _EDGE * length_s, frame.until - _EDGE * length_s
    step_s = next((step_s for step_s in _STEPS if length_s / step_s <= _MAX_TICKS), None)
    if step_s is None:
        days = (
            datetime.fromtimestamp(day * DAY_S, UTC)
            for day in range(math.ceil(first / DAY_S), int(last / DAY_S) + 1)
        )
        return 30 * DAY_S, [day.timestamp() for day in days if day.day == 1]
    begin = _MONDAY_S if step_s == _WEEK_S else 0
    indexes = range(math.ceil((first - begin) / step_s), math.floor((last - begin) / step_s) + 1)
    return step_s, [float(begin + index * step_s) for index in indexes]


def _clock(frame: Frame) -> Callable[[float], str]:
    """Return what writes an instant as short as the frame allows."""
    form = "%d %b"
    if frame.until - frame.since <= DAY_S:
        form = "%H:%M"
    elif not frame.is_of_days:
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
    path = "".join("M" + "L".join(run) + ("h8" if len(run) == 1 else "") for run in runs if run)
    return Markup('<path class="line {}" d="{}"/>').format(name, path)


def _ceiling(values: Iterable[float | None]) -> float:
    """Return the largest value, rounded up to 1, 2 or 5 times a power of ten."""
    top = max((value for value in values if value is not None), default=0) or 1.0
    power = 10.0 ** math.floor(math.log10(top))
    return next(step * power for step in _ROUND if step * power >= top * 0.999)
