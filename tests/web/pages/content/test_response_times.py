"""How response times went."""

from itertools import pairwise

import pytest

from monitor.config.model import Monitor
from monitor.config.steps.step import Step
from monitor.uptime.sums import BUCKETS, Sums, bucket
from monitor.web.pages.content.response_times import (
    RANGES,
    by_day,
    frame_of,
    phase_points,
    response_points,
    shades_of,
    step_layers,
    step_points,
    steps_of,
)
from monitor.web.queries import Incident, IncidentKind

HOUR_S = 3_600


def sums(seconds: float, checks: int) -> Sums:
    counts = [0] * BUCKETS
    counts[bucket(seconds)] = checks
    return Sums(up=checks, response_times=counts, slowest_s=seconds, connect_s=checks * seconds / 2)


def incident(kind: IncidentKind, since: float, until: float | None) -> Incident:
    return Incident(1, "shop", kind, since, since, until, False, None, None, ())  # noqa: FBT003


def test_steps_beside_each_other_have_different_colours_and_are_in_their_order() -> None:
    steps = tuple(Step(name=str(number), url="http://shop.example/") for number in range(20))
    monitor = Monitor(name="shop", url="http://shop.example/", steps=steps)

    layers = step_layers(monitor, RANGES["24h"])
    (point,) = step_points({60.0: {"1": 0.5, "other": 9.0, "0": 0.25}}, layers)

    assert [layer.name for layer in layers] == [step.name for step in steps]
    assert all(one.style != other.style for one, other in pairwise(layers))
    assert (point.at, point.values) == (60.0, (0.25, 0.5, *[None] * 18))
    assert step_layers(monitor, RANGES["7d"]) == []


@pytest.mark.parametrize("name", RANGES)
def test_a_range_ends_with_the_step_that_goes_on(name: str) -> None:
    now = 1_790_000_001.0

    shown = frame_of(RANGES[name], now, 60.0)

    assert shown.until - shown.step_s <= now < shown.until
    assert shown.until - shown.since == RANGES[name].length_s
    assert shown.since % shown.step_s == 0


@pytest.mark.parametrize(
    ("name", "interval_s", "step_s"),
    [("3h", 60, 180), ("3h", 600, 600), ("3h", 90_000, 10_800), ("24h", 7_200, 3_600)],
)
def test_steps_of_results_are_no_shorter_than_the_interval(
    name: str, interval_s: float, step_s: float
) -> None:
    assert frame_of(RANGES[name], 1_790_000_001.0, interval_s).step_s == step_s


def test_each_hour_is_a_step_and_all_of_them_are_one_more() -> None:
    first, second, whole = steps_of({8: [sums(0.4, 1)], 7: [sums(0.1, 2), sums(0.1, 1)]}, HOUR_S)

    assert (first.at, second.at, whole.at) == (7 * HOUR_S, 8 * HOUR_S, None)
    assert first.p50 == pytest.approx(0.1, rel=0.19)
    assert second.slowest == whole.slowest == 0.4
    assert first.phases == [0.0, pytest.approx(0.05), 0.0, 0.0, 0.0]
    assert whole.p99 == pytest.approx(0.4, rel=0.19)
    assert whole.p99 is not None
    assert whole.p99 <= whole.slowest


def test_hours_make_days() -> None:
    early, late, other = sums(0.1, 1), sums(0.2, 1), sums(0.4, 1)

    assert by_day({48: [early], 71: [late], 72: [other]}) == {2: [early, late], 3: [other]}


def test_charts_show_the_steps_and_not_their_sum() -> None:
    found = steps_of({7: [sums(0.1, 1)]}, HOUR_S)

    assert (
        [point.at for point in response_points(found)]
        == [point.at for point in phase_points(found)]
        == [7 * HOUR_S]
    )


def test_where_nothing_was_up_nothing_is_measured() -> None:
    (whole,) = steps_of({}, HOUR_S)

    assert whole == (None, None, None, None, None, [None] * 5)


def test_maintenance_and_incidents_are_shaded_until_they_end_or_until_now() -> None:
    since = 1_790_000_000.0

    spans = shades_of(
        [
            incident("down", since, None),
            incident("partial", since, since + 120),
            incident("degraded", since, since + 120),
            incident("no_data", since, since + 60),
            incident("flapping", since, None),
        ],
        [(since - 60, since + 60)],
        since + 300,
    )

    assert [tuple(span) for span in spans] == [
        ("maintenance", since - 60, since + 60, "maintenance"),
        ("down", since, since + 300, "down"),
        ("degraded", since, since + 120, "partial for 2 min"),
        ("degraded", since, since + 120, "degraded for 2 min"),
        ("unknown", since, since + 60, "no data for 1 min"),
    ]
