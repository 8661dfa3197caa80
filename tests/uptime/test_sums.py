"""The time that results cover: shares that add to 1, whatever the order in which results come."""

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import astuple
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.runtime.text import HOUR_S
from monitor.uptime.sums import (
    BUCKETS,
    CountedAs,
    Shares,
    Status,
    Sums,
    UptimePoint,
    bucket,
    percentile,
    shares,
    split_at_hours,
    status_of,
    time_covered,
)

HOUR = 488_888
START = HOUR * HOUR_S


def points(signs: str, step_s: float = 60, reach_s: float = 180, start: float = START) -> list[UptimePoint]:
    statuses: dict[str, Status] = {"+": "up", "~": "degraded", "-": "down", "?": "unknown"}
    slots = (start + step_s * position for position in range(len(signs)))
    return [UptimePoint(at, statuses[sign], at + reach_s) for at, sign in zip(slots, signs, strict=True)]


def seconds_by_hour(points: Iterable[UptimePoint]) -> dict[tuple[int, CountedAs], float]:
    """Add up the time that each point covers until the next; `points` are in the order of `at`."""
    seconds: dict[tuple[int, CountedAs], float] = defaultdict(float)
    for point, after in pairwise(points):
        for hour, counted_as, length_s in time_covered(point, after.at, None):
            seconds[hour, counted_as] += length_s
    return seconds


POINTS = st.lists(
    st.builds(
        lambda at, status, reach_s: UptimePoint(START + at / 8, status, START + at / 8 + reach_s),
        st.integers(0, 80_000),
        st.sampled_from(["up", "degraded", "down", "unknown"]),
        st.sampled_from([1.0, 180.0, 9_000.0]),
    ),
    max_size=30,
    unique_by=lambda point: point.at,
).map(sorted)


@pytest.mark.parametrize(
    ("up", "degraded", "status"),
    [(True, False, "up"), (True, True, "degraded"), (False, True, "down"), (None, True, "unknown")],
)
def test_a_result_has_one_status(up: bool | None, degraded: bool, status: Status) -> None:
    assert status_of(up, degraded) == status


def test_a_result_covers_the_time_until_the_next_one() -> None:
    assert seconds_by_hour(points("++-~+")) == {(HOUR, "up"): 120, (HOUR, "down"): 60, (HOUR, "degraded"): 60}


def test_the_last_result_is_not_yet_counted() -> None:
    assert seconds_by_hour(points("-")) == {}


def test_a_result_covers_three_intervals_at_most() -> None:
    assert seconds_by_hour(points("+-", step_s=1_000)) == {(HOUR, "up"): 180}


def test_a_check_that_shows_nothing_of_the_site_ends_the_time_of_the_one_before() -> None:
    assert seconds_by_hour(points("+?+")) == {(HOUR, "up"): 60}


def test_time_is_cut_at_full_hours() -> None:
    assert split_at_hours(START - 60, START + HOUR_S + 1) == [(HOUR - 1, 60), (HOUR, HOUR_S), (HOUR + 1, 1)]
    assert split_at_hours(START, START + HOUR_S) == [(HOUR, HOUR_S)]
    assert split_at_hours(START, START) == []
    assert split_at_hours(START + 1, START) == []


@given(POINTS, st.data())
def test_a_stream_that_is_cut_in_two_gives_the_same_account(
    stream: list[UptimePoint], draw: st.DataObject
) -> None:
    cut = draw.draw(st.integers(0, len(stream)))

    first, second = seconds_by_hour(stream[:cut]), seconds_by_hour(stream[max(0, cut - 1) :])

    whole = {key: first.get(key, 0) + second.get(key, 0) for key in first | second}
    assert whole == pytest.approx(seconds_by_hour(stream))


@given(POINTS)
def test_a_stream_that_comes_twice_gives_the_same_account(stream: list[UptimePoint]) -> None:
    assert seconds_by_hour(sorted(stream * 2)) == pytest.approx(seconds_by_hour(stream))


@given(POINTS)
def test_results_cover_no_more_time_than_there_was(stream: list[UptimePoint]) -> None:
    seconds = seconds_by_hour(stream)

    for hour in {hour for hour, _ in seconds}:
        assert sum(length_s for (at, _), length_s in seconds.items() if at == hour) <= HOUR_S + 1e-6
    assert not any(status == "unknown" for _, status in seconds)


@given(
    st.lists(st.builds(Sums, *[st.floats(0, 1e6)] * 4), max_size=4),
    st.floats(0, 1e7),
)
def test_shares_add_to_one(sums: list[Sums], window_s: float) -> None:
    found = shares(sums, window_s)

    parts = (found.up, found.degraded, found.down, found.maintenance, found.unknown)
    assert sum(parts) == pytest.approx(1)
    assert min(parts) >= 0
    assert found.uptime is None or 0 <= found.uptime <= 1


def test_no_data_is_neither_up_nor_down() -> None:
    assert shares([], 3_600) == Shares(0, 0, 0, 0, 1)
    assert shares([Sums()], 3_600) == Shares(0, 0, 0, 0, 1)
    assert shares([Sums()], 0).uptime is None


def test_shares_of_several_locations_are_their_mean() -> None:
    found = shares([Sums(up_s=50, degraded_s=50), Sums(down_s=50, maintenance_s=25)], 100)

    assert found == Shares(0.25, 0.25, 0.25, 0.125, 0.125)
    assert found.uptime == pytest.approx(2 / 3)


def test_all_results_are_checks() -> None:
    assert Sums(up=1, degraded=2, down=4, unknown=8).checks == 15


def test_without_results_all_sums_are_zero() -> None:
    assert astuple(Sums()) == (*[0] * 8, (0,) * 64, *[0] * 6)


def test_every_response_time_has_a_bucket() -> None:
    times = [0.0, 0.001, 0.0011, 0.1, 1.0, 46.0, 1e9]

    assert [bucket(time_s) for time_s in times] == [0, 0, 1, 27, 40, 62, 63]


@given(
    st.lists(st.floats(0.001, 46), min_size=1, max_size=200),
    st.sampled_from([0.0, 0.5, 0.95, 0.99, 1.0]),
)
def test_a_percentile_is_right_within_a_fifth(times: list[float], share: float) -> None:
    histogram = [0] * BUCKETS
    for time_s in times:
        histogram[bucket(time_s)] += 1

    found = percentile(histogram, share)

    exact = sorted(times)[max(0, math.ceil(share * len(times)) - 1)]
    assert found is not None
    assert exact / 1.2 < found < exact * 1.2


def test_no_answers_have_no_percentile() -> None:
    assert percentile([0] * BUCKETS, 0.5) is None


@given(st.permutations(points("+-+~-+?+-", step_s=100)))
def test_a_late_result_takes_from_its_predecessor_what_is_its_own(shuffled: list[UptimePoint]) -> None:
    stream = sorted(shuffled)
    known: list[UptimePoint] = []
    account: dict[tuple[int, CountedAs], float] = {}

    for late in shuffled:
        before = seconds_by_hour(sorted(known))
        known.append(late)
        for key, seconds in seconds_by_hour(sorted(known)).items():
            account[key] = account.get(key, 0) + seconds
        for key, seconds in before.items():
            account[key] -= seconds

    assert {key: seconds for key, seconds in account.items() if seconds} == pytest.approx(
        seconds_by_hour(stream)
    )
