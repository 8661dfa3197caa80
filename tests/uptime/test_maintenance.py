"""When maintenance windows are open: those of the configuration, and those that people make."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.alerts.decision import decide
from monitor.config.alerts import Maintenance
from monitor.runtime.text import DAY_S
from monitor.uptime.maintenance import (
    LONGEST_S,
    MadeWindow,
    MadeWindows,
    Windows,
    intervals,
    mistakes,
    open_until,
)
from tests.alerting import NOW, alerted, change, incident, monitor, plan, situation


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def window(**given: Any) -> Maintenance:
    return Maintenance.model_validate(given)


def opens(maintenance: Maintenance, since: str, until: str, time_zone: str = "UTC") -> list[tuple[str, str]]:
    found = intervals([maintenance], at(since), at(until))
    zone = ZoneInfo(time_zone)
    return [
        (f"{datetime.fromtimestamp(start, zone):%a %d %H:%M}", f"{datetime.fromtimestamp(end, zone):%H:%M}")
        for start, end in found
    ]


def test_a_window_is_open_from_its_start_and_not_at_its_end() -> None:
    once = Windows([window(starts_at="2026-12-01T02:00:00+01:00", ends_at="2026-12-01T03:00:00+01:00")])

    assert not once.open_at(at("2026-12-01T00:59:59Z"))
    assert once.open_at(at("2026-12-01T01:00:00Z"))
    assert once.open_at(at("2026-12-01T01:59:59Z"))
    assert not once.open_at(at("2026-12-01T02:00:00Z"))


def test_without_windows_none_is_open() -> None:
    assert not Windows([]).open_at(at("2026-12-01T00:59:59Z"))


def test_weekly_windows_come_on_their_days() -> None:
    weekly = window(weekly=["sat", "wed"], at="23:30", duration_s=3600)

    assert opens(weekly, "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z") == [
        ("Wed 25 23:30", "00:30"),
        ("Sat 28 23:30", "00:30"),
    ]
    assert opens(weekly, "2026-11-26T00:00:00Z", "2026-11-27T00:00:00Z") == [("Thu 26 00:00", "00:30")]


def test_cron_windows_keep_to_the_clock_on_the_wall_when_it_is_set() -> None:
    cron = window(cron="0 6 * * *", duration_s=1800, time_zone="Europe/Berlin")

    found = opens(cron, "2027-03-27T00:00:00Z", "2027-03-29T12:00:00Z", "Europe/Berlin")

    assert found == [("Sat 27 06:00", "06:30"), ("Sun 28 06:00", "06:30"), ("Mon 29 06:00", "06:30")]


def test_a_window_in_the_hour_that_is_skipped_or_repeated_comes_once() -> None:
    cron = window(cron="30 2 * * *", duration_s=600, time_zone="Europe/Berlin")

    for day in ("2027-03-28", "2026-10-25"):
        assert len(opens(cron, f"{day}T00:00:00+01:00", f"{day}T12:00:00+01:00")) == 1


def test_windows_that_touch_are_one() -> None:
    found = intervals(
        [
            window(cron="0 * * * *", duration_s=3600),
            window(starts_at="2026-12-01T02:30:00Z", ends_at="2026-12-01T03:30:00Z"),
        ],
        at("2026-12-01T02:00:00Z"),
        at("2026-12-01T04:00:00Z"),
    )

    assert found == [(at("2026-12-01T02:00:00Z"), at("2026-12-01T04:00:00Z"))]


@pytest.mark.parametrize(
    ("now", "made", "until"),
    [
        ("2026-12-01T00:59:59Z", [], None),
        ("2026-12-01T01:00:00Z", [], "2026-12-02T03:00:00Z"),
        ("2026-12-01T01:30:00Z", [("2026-12-02T03:00:00Z", "2026-12-02T04:00:00Z")], "2026-12-02T04:00:00Z"),
        ("2026-12-01T01:30:00Z", [("2026-12-02T03:00:01Z", "2026-12-02T04:00:00Z")], "2026-12-02T03:00:00Z"),
        ("2026-12-01T00:30:00Z", [("2026-12-01T00:00:00Z", "2026-12-01T01:00:00Z")], "2026-12-02T03:00:00Z"),
        ("2026-12-01T00:30:00Z", [("2026-12-01T00:00:00Z", "2026-12-01T00:30:00Z")], None),
    ],
)
def test_windows_without_a_gap_are_open_until_the_last_of_them_ends(
    now: str, made: list[tuple[str, str]], until: str | None
) -> None:
    configured = Windows([window(starts_at="2026-12-01T01:00:00Z", ends_at="2026-12-02T03:00:00Z")])
    spans = [(at(start), at(end)) for start, end in made]

    assert open_until(configured, spans, at(now)) == (until and at(until))


def test_a_window_without_an_end_is_looked_at_for_a_month() -> None:
    always = Windows([window(cron="0 * * * *", duration_s=3600)])

    assert open_until(always, [], 0.0) == LONGEST_S


WINDOWS = st.sampled_from(
    [
        window(cron="*/7 3-9 * * *", duration_s=200, time_zone="America/New_York"),
        window(weekly=["mon", "fri"], at="22:15", duration_s=9000, time_zone="Australia/Lord_Howe"),
        window(cron="0 0 1 * *", duration_s=200_000),
        window(starts_at="2026-10-01T02:30:00Z", ends_at="2026-11-10T03:30:00Z"),
    ]
)


@settings(deadline=None)
@given(
    maintenance=st.lists(WINDOWS, max_size=3),
    moments=st.lists(st.floats(at("2026-09-25T00:00:00Z"), at("2026-12-05T00:00:00Z")), max_size=20),
)
def test_what_is_kept_from_earlier_answers_changes_no_answer(
    maintenance: list[Maintenance], moments: list[float]
) -> None:
    windows = Windows(maintenance)

    for moment in moments:
        expected = bool(intervals(maintenance, moment, moment + 0.001))
        assert windows.open_at(moment) == expected == Windows(maintenance).open_at(moment)


def test_eight_days_are_kept_and_no_more() -> None:
    asked: list[float] = []

    def made(start: float, _end: float) -> list[tuple[float, float]]:
        asked.append(start / DAY_S)
        return []

    windows = Windows([], made)

    for day in (*range(8), *range(8), 8, 0):
        assert not windows.open_at(day * DAY_S)

    assert asked == [*range(8), 8, 0]


@settings(deadline=None)
@given(
    maintenance=st.lists(WINDOWS, max_size=3),
    start=st.floats(at("2026-09-25T00:00:00Z"), at("2026-11-20T00:00:00Z")),
    length_s=st.floats(-DAY_S, 10 * DAY_S),
)
def test_a_stretch_of_time_is_cut_at_midnight_and_none_of_it_is_lost(
    maintenance: list[Maintenance], start: float, length_s: float
) -> None:
    whole: list[tuple[float, float]] = []

    for opens, closes in Windows(maintenance).within(start, start + length_s):
        touches = whole and whole[-1][1] == opens
        whole[-1:] = [(whole[-1][0], closes)] if touches else [*whole[-1:], (opens, closes)]

    assert whole == (intervals(maintenance, start, start + length_s) if length_s > 0 else [])


@pytest.mark.parametrize("seconds", [0.0, 1.0, DAY_S])
def test_parts_add_up_however_they_are_cut(seconds: float) -> None:
    maintenance = [
        window(cron="*/7 3-9 * * *", duration_s=200),
        window(weekly="fri", at="22:15", duration_s=9000),
    ]
    since, until = at("2026-11-25T00:00:00Z"), at("2026-12-05T00:00:00Z")
    cut = since + DAY_S + seconds

    def total(start: float, end: float) -> float:
        return sum(stop - begin for begin, stop in intervals(maintenance, start, end))

    assert total(since, cut) + total(cut, until) == pytest.approx(total(since, until))


SHOP, BLOG, LONE = monitor("shop", group="web"), monitor("blog", group="web"), monitor("lone")


def made(of: tuple[str | None, str | None], start: float = NOW - 60, end: float = NOW + 60) -> MadeWindow:
    return MadeWindow(int(start), *of, start, end, NOW, "Ada", "a new disk")


OF_SHOP, OF_WEB, OF_ALL = made(("shop", None)), made((None, "web")), made((None, None))


@pytest.mark.parametrize(
    ("window", "of"),
    [(OF_SHOP, ["shop"]), (OF_WEB, ["shop", "blog"]), (OF_ALL, ["shop", "blog", "lone"])],
)
def test_a_window_is_of_a_monitor_of_a_group_or_of_all(window: MadeWindow, of: list[str]) -> None:
    windows = MadeWindows([window])

    assert [each.name for each in (SHOP, BLOG, LONE) if windows.of(each) == [window]] == of
    assert [each.name for each in (SHOP, BLOG, LONE) if windows.scopes(each)] == of
    assert [each.name for each in (SHOP, BLOG, LONE) if windows.open_at(each, NOW)] == of


def test_a_window_of_all_counts_once_for_a_monitor_without_a_group() -> None:
    assert MadeWindows([OF_ALL]).of(LONE) == [OF_ALL]


def test_a_made_window_is_open_from_its_start_and_not_at_its_end() -> None:
    windows = MadeWindows([OF_SHOP])

    states = [windows.open_at(SHOP, at) for at in (NOW - 61, NOW - 60, NOW + 59, NOW + 60)]
    assert states == [False, True, True, False]


def test_windows_come_by_their_starts() -> None:
    later, earlier = made(("shop", None), NOW + 5), made((None, None), NOW - 5)

    assert MadeWindows([later, earlier]).of(SHOP) == [earlier, later]


def test_they_are_united_with_those_of_the_configuration() -> None:
    nightly = monitor("shop", maintenance={"cron": "0 2 * * *", "duration_s": 3_600}).maintenance
    people = [(2.5 * 3_600, 3.5 * 3_600), (5.0 * 3_600, 6.0 * 3_600), (-DAY_S, -DAY_S / 2)]

    windows = Windows(nightly, lambda _since, _until: people)

    expected = [(7_200.0, 12_600.0), (18_000.0, 21_600.0)]
    assert intervals(nightly, 0, DAY_S, people) == expected
    assert list(windows.within(0, DAY_S - 1)) == expected
    assert [windows.open_at(hour * 3_600) for hour in (1, 3, 4, 5, 6)] == [False, True, False, True, False]


def test_windows_of_people_alone_are_open_too() -> None:
    assert Windows((), lambda _since, _until: [(1, 2)]).open_at(1)


def test_of_a_stretch_only_what_may_be_open_in_it_is_looked_at() -> None:
    long_ago, longest, now, next_one = (
        made(("shop", None), start, end)
        for start, end in (
            (NOW - LONGEST_S - 9, NOW - LONGEST_S),
            (NOW - LONGEST_S, NOW),
            (NOW, NOW + 9),
            (NOW + 60, NOW + 70),
        )
    )
    windows = MadeWindows([next_one, now, longest, long_ago])

    assert windows.within(SHOP, NOW, NOW + 60) == [(each.since_at, each.until_at) for each in (longest, now)]
    assert windows.within(LONE, NOW, NOW + 60) == []


@pytest.mark.parametrize(
    ("since", "until", "wrong"),
    [
        (0, 1, []),
        (-60, 1, []),
        (366 * DAY_S, 366 * DAY_S + LONGEST_S, []),
        (-61, 1, ["since"]),
        (366 * DAY_S + 1, 366 * DAY_S + 2, ["since"]),
        (0, 0, ["until"]),
        (-1, 0, ["until"]),
        (5, 5, ["until"]),
        (0, LONGEST_S + 1, ["until"]),
        (-99, LONGEST_S, ["since", "until"]),
    ],
)
def test_a_window_is_of_the_future_and_not_too_long(since: float, until: float, wrong: list[str]) -> None:
    assert [name for name, _ in mistakes(NOW + since, NOW + until, NOW)] == wrong


def test_nobody_is_alerted_until_it_ends() -> None:
    known = plan(SHOP, channels=("mail",))
    opened, windows = change(incident()), MadeWindows([OF_WEB])

    during = decide(known, situation(opened, made_windows=windows))
    after = decide(known, situation(opened, now=NOW + 60, made_windows=windows))

    assert (during.deliveries, during.decided) == ([], set())
    assert [each.alert.title for each in after.deliveries] == ["shop is down"]


def test_it_stops_reminders() -> None:
    known = plan(monitor("shop", notify={"remind_every_s": 600}), channels=("mail",))
    down = incident(started_at=NOW - 7_000, noticed_at=NOW - 6_900)

    def titles(*windows: MadeWindow) -> list[str]:
        now = situation(incidents=(down,), notified={1: alerted("mail")}, made_windows=MadeWindows(windows))
        return [each.alert.title for each in decide(known, now).deliveries]

    assert len(titles()) == 1
    assert titles(OF_SHOP) == []
