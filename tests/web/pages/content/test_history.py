"""A monitor's past, from its sums."""

from datetime import UTC, datetime

import pytest

from monitor.uptime.sums import BUCKETS, Sums, bucket
from monitor.web.pages.content.charts import Bar
from monitor.web.pages.content.history import History, added, bar, bounds, times
from monitor.web.queries import Seconds

NOW = datetime(2026, 11, 25, 15, 30, tzinfo=UTC).timestamp()
TODAY = int(NOW // 86_400)
HOUR = int(NOW // 3_600)
UP, DOWN = Seconds(up_s=3_600, locations=1), Seconds(down_s=3_600, locations=1)
NOTHING = Seconds()


def test_the_windows_end_now_and_begin_on_whole_hours_or_days() -> None:
    span = bounds(NOW)

    assert span.first_day == TODAY - 89
    assert span.first_hour == 24 * (TODAY - 1)
    assert span.end_hour == HOUR + 1
    assert span.week_hours == (HOUR + 1 - 168, 24 * (TODAY - 6))


def test_each_window_has_its_share() -> None:
    days = {TODAY - 89: DOWN, TODAY - 29: DOWN, TODAY - 6: UP, TODAY: UP}
    hours = {HOUR: [Sums(up_s=1_800)], HOUR - 23: [Sums(up_s=1_800), Sums(down_s=1_200)]}

    history = History(NOW, days, DOWN, hours)

    assert [each[:2] for each in history.uptime()] == [
        (0.75, "24 h"),
        (2 / 3, "7 d"),
        (2 / 3, "30 d"),
        (0.5, "90 d"),
    ]
    assert History(NOW, {}, NOTHING, {}).uptime() == [
        (None, "24 h", None),
        (None, "7 d", None),
        (None, "30 d", None),
        (None, "90 d", None),
    ]


@pytest.mark.parametrize(
    ("known", "of_s"),
    [
        (Seconds(up_s=30, locations=1), 30),
        (Seconds(up_s=0.5, locations=1), 1),
        (Seconds(up_s=3_599, locations=1), 59 * 60),
        (Seconds(up_s=20_000, maintenance_s=6_000, locations=2), 3 * 3_600),
        (Seconds(up_s=3.5 * 86_400, locations=1), 3 * 86_400),
        (Seconds(up_s=6.2 * 86_400, locations=1), 6 * 86_400),
        (Seconds(up_s=6.4 * 86_400, locations=1), None),
    ],
)
def test_an_uptime_says_of_how_much_data_it_is_if_that_is_less_than_its_time(
    known: Seconds, of_s: float | None
) -> None:
    _, week, month, _ = History(NOW, {TODAY: known}, NOTHING, {}).uptime()

    assert week.known_s == of_s
    assert month.known_s is not None


@pytest.mark.parametrize(
    ("days_ago", "is_short"), [([], True), ([0, 1], True), ([2], False), ([0, 9], False)]
)
def test_a_history_of_less_than_two_days_is_short(days_ago: list[int], is_short: bool) -> None:
    history = History(NOW, {TODAY - ago: UP for ago in days_ago}, NOTHING, {})

    assert history.is_short == is_short


def test_bars_are_in_the_order_of_time_and_end_today() -> None:
    history = History(NOW, {TODAY: UP, TODAY - 89: DOWN}, NOTHING, {HOUR: [Sums(up_s=1)]})

    days, hours = list(history.day_bars()), list(history.hour_bars())

    assert (len(days), len(hours)) == (90, 24)
    assert days[0] == Bar("down", "28 Aug: 0.00 % up, 1 h down")
    assert days[1] == Bar("unknown", "29 Aug: no data")
    assert days[-1] == Bar("up", "25 Nov: 100 % up")
    assert hours[-1] == Bar("up", "25 Nov 15:00: 100 % up")
    assert hours[0] == Bar("unknown", "24 Nov 16:00: no data")
    assert (history.first_day, history.first_hour) == ("28 Aug", HOUR - 23)


@pytest.mark.parametrize(
    ("seconds", "state"),
    [
        (Seconds(up_s=95, down_s=5, locations=1), "degraded"),
        (Seconds(up_s=94, down_s=6, locations=1), "down"),
        (Seconds(up_s=95, degraded_s=5, locations=1), "up"),
        (Seconds(up_s=94, degraded_s=6, locations=1), "degraded"),
        (Seconds(up_s=1, maintenance_s=2, locations=1), "maintenance"),
        (Seconds(up_s=2, maintenance_s=1, locations=1), "up"),
    ],
)
def test_a_bar_s_colour_shows_the_worst_that_matters(seconds: Seconds, state: str) -> None:
    assert bar(seconds, "").state == state


def test_down_time_is_that_of_one_location_on_average() -> None:
    assert bar(Seconds(up_s=600, down_s=600, locations=2), "now").label == "now: 50.00 % up, 5 min down"


def test_the_median_is_of_all_locations() -> None:
    counts = [0] * BUCKETS
    counts[bucket(0.2)] = 3
    history = History(NOW, {}, NOTHING, {HOUR: [Sums(response_times=counts)], HOUR - 2: [Sums(), Sums()]})

    *_, before_last, _, last = history.medians()

    assert last == pytest.approx(0.2, rel=0.19)
    assert before_last is None
    assert times([Sums(response_times=counts)] * 2)[bucket(0.2)] == 6


def test_nothing_adds_up_to_nothing() -> None:
    assert added([]) == NOTHING
    assert NOTHING.uptime is None
