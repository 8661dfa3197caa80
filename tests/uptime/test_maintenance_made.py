"""Windows that people make: of what they are, and which they may make."""

import pytest

from monitor.alerts.decision import decide
from monitor.uptime.maintenance import LONGEST_S, MadeWindow, MadeWindows, Windows, intervals, mistakes
from tests.alerting import NOW, alerted, change, incident, monitor, plan, situation

DAY_S = 86_400
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


def test_a_window_is_open_from_its_start_and_not_at_its_end() -> None:
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

    assert windows.within(SHOP, NOW, NOW + 60) == [longest[3:5], now[3:5]]
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
