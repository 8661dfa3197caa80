from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from monitor.web.pages.content.charts import (
    Bar,
    ChartPoint,
    Frame,
    Layer,
    Shade,
    response_chart,
    sparkline,
    stacked_chart,
    uptime_bars,
)

HOUR_S = 3_600.0
DAY = Frame(since=0.0, until=24 * HOUR_S, step_s=HOUR_S)
NAMES = ("p50", "p95", "max")
TLS = Layer("tls", "tls")


def drawn(chart: Markup, tag: str, name: str | None = None) -> list[ET.Element]:
    """Find the elements of this kind and class."""
    found = ET.fromstring(chart).iter(tag)  # noqa: S314 - made by us
    return [each for each in found if name is None or name in each.attrib.get("class", "").split()]


def titles(chart: Markup, name: str) -> list[str]:
    return [each.findtext("title") or "" for each in drawn(chart, "rect", name)]


def path(chart: Markup, name: str) -> str:
    (line,) = drawn(chart, "path", name)
    return line.attrib["d"]


def test_each_bar_has_its_state_and_its_time() -> None:
    chart = uptime_bars((Bar("up", "1 Nov: 100 % up"), Bar("down", "2 Nov: 3 % up")), "90 days")

    bars = [(each.attrib["class"], each.findtext("title")) for each in drawn(chart, "path")]
    assert bars == [("up", "1 Nov: 100 % up"), ("down", "2 Nov: 3 % up")]


def test_a_sparkline_has_a_gap_where_nothing_is_known() -> None:
    assert path(sparkline([0.1, 0.2, None, 0.2], "response time", 1), "p50").count("M") == 2


def test_a_sparkline_has_its_values_for_the_page() -> None:
    chart = sparkline([0.1, None, 1.5], "response time", 1)

    assert 'data-since="3600" data-values="100 ms|no good check|1.5 s"' in chart


@pytest.mark.parametrize("values", [[], [None], [0.0, 0.0]])
def test_a_sparkline_of_nothing_is_no_mistake(values: list[float | None]) -> None:
    assert drawn(sparkline(values, "response time", 1), "path")


def test_each_moment_shows_its_values() -> None:
    chart = response_chart([ChartPoint(6 * HOUR_S, (0.1, 1.5, None))], NAMES, [], DAY)

    assert titles(chart, "moment") == ["06:00 UTC: p50 100 ms, p95 1.5 s"]


def test_a_moment_of_an_outage_shows_that_too() -> None:
    points = [ChartPoint(hour * HOUR_S, (None, None, None)) for hour in (5, 6, 12)]

    chart = response_chart(points, NAMES, [Shade("down", 6 * HOUR_S, 12 * HOUR_S, "down for 6 h")], DAY)

    assert titles(chart, "moment") == [
        "05:00 UTC: no good check",
        "06:00 UTC: no good check; down for 6 h",
        "12:00 UTC: no good check",
    ]


def test_a_chart_without_data_says_so() -> None:
    assert "No good check in this range." in response_chart([], NAMES, [], DAY)
    assert "No good check in this range." in stacked_chart("phases", [], [], [], DAY)
    assert "No good check in this range." in stacked_chart(
        "phases", [ChartPoint(0.0, (None,))], [TLS], [], DAY
    )
    assert "No good check" not in stacked_chart("phases", [ChartPoint(0.0, (0.1,))], [TLS], [], DAY)


def test_a_line_breaks_where_spans_of_time_are_missing() -> None:
    points = [ChartPoint(hour * HOUR_S, (0.1, 0.1, 0.1)) for hour in (1, 2, 5, 6)]

    assert path(response_chart(points, NAMES, [], DAY), "p95").count("M") == 2


def test_higher_values_are_drawn_higher_and_later_ones_further_right() -> None:
    points = [ChartPoint(0.0, (0.1, 0.1, 0.1)), ChartPoint(HOUR_S, (0.4, 0.1, 0.1))]

    first, second = path(response_chart(points, NAMES, [], DAY), "p50").removeprefix("M").split("L")

    (x1, y1), (x2, y2) = (map(float, dot.split()) for dot in (first, second))
    assert x1 < x2
    assert y1 > y2


def test_where_all_are_the_same_the_median_is_seen() -> None:
    chart = response_chart([ChartPoint(0.0, (0.1, 0.1, 0.1))], NAMES, [], DAY)

    assert [each.attrib["class"] for each in drawn(chart, "path")] == ["line max", "line p95", "line p50"]


def test_an_outage_is_shaded_from_its_beginning_to_its_end() -> None:
    chart = response_chart([], NAMES, [Shade("down", 6 * HOUR_S, 12 * HOUR_S, "down for 6 h")], DAY)

    (shade,) = drawn(chart, "rect", "shade")
    assert titles(chart, "shade") == ["down for 6 h"]
    assert float(shade.attrib["width"]) == pytest.approx(DAY.x(12 * HOUR_S) - DAY.x(6 * HOUR_S), abs=0.1)


def test_layers_stand_upon_each_other() -> None:
    layers = (Layer("look <up>", "resolve"), Layer("connect", "connect"), TLS)

    chart = stacked_chart("phases", [ChartPoint(0.0, (0.5, None, 0.25))], layers, [], DAY)

    (lower,), (upper,) = drawn(chart, "rect", "resolve"), drawn(chart, "rect", "tls")
    assert float(upper.attrib["y"]) + float(upper.attrib["height"]) == pytest.approx(
        float(lower.attrib["y"]), abs=0.1
    )
    assert not drawn(chart, "rect", "connect")
    assert titles(chart, "moment") == ["00:00 UTC: look <up> 500 ms, tls 250 ms"]


@pytest.mark.parametrize(
    ("days", "step_s", "marks"),
    [
        (0.125, 60, ["01:00", "02:00"]),
        (1, 900, ["06:00", "12:00", "18:00"]),
        (7, 3_600, ["03 Jan", "05 Jan", "07 Jan"]),
        (30, 86_400, ["05 Jan", "12 Jan", "19 Jan", "26 Jan"]),
        (90, 86_400, ["01 Feb", "01 Mar"]),
    ],
)
def test_the_axis_has_a_few_round_times(days: float, step_s: float, marks: list[str]) -> None:
    chart = response_chart([], NAMES, [], Frame(0.0, days * 86_400, step_s))

    assert [each.text for each in drawn(chart, "text")] == marks


@pytest.mark.parametrize(("frame", "is_moved"), [(DAY, True), (Frame(0.0, 30 * 86_400, 86_400), False)])
def test_pages_move_hours_to_the_reader_s_zone_but_not_days(frame: Frame, is_moved: bool) -> None:
    chart = response_chart([ChartPoint(6 * HOUR_S, (0.1, 0.1, 0.1))], NAMES, [], frame)

    (times,), (moment,) = drawn(chart, "svg", "times"), drawn(chart, "rect", "moment")
    assert ("data-step" in times.attrib) == is_moved
    assert moment.attrib.get("data-at") == ("21600" if is_moved else None)


def test_bars_of_hours_say_when_the_first_one_was() -> None:
    bars = (Bar("up", "1 Jan 01:00: 100 % up"),)

    assert 'data-since="3600"' in uptime_bars(bars, "24 hours", 1)
    assert "data-since" not in uptime_bars(bars, "90 days")


@pytest.mark.parametrize(
    ("value", "scale"),
    [
        (0.013, ["20 ms", "10 ms", "0"]),
        (0.5, ["500 ms", "250 ms", "0"]),
        (1.2, ["2 s", "1 s", "0"]),
        (7.0, ["10 s", "5 s", "0"]),
    ],
)
def test_the_scale_ends_at_a_round_value(value: float, scale: list[str]) -> None:
    chart = response_chart([ChartPoint(0.0, (value, value, value))], NAMES, [], DAY)

    assert [each.text for each in drawn(chart, "span")] == scale


@given(st.text())
def test_no_label_can_leave_the_chart(label: str) -> None:
    label = "".join(character for character in label if character.isprintable())

    chart = response_chart([], NAMES, [Shade("down", 0.0, 9.0, f"<b>&{label}")], DAY)

    assert titles(chart, "shade") == [f"<b>&{label}"]
