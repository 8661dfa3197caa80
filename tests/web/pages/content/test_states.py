from typing import Any

import pytest

from monitor.alerts.store import Silence
from monitor.web.orders import Orders
from monitor.web.pages.content.states import (
    PAGE_ROWS,
    Banner,
    Filter,
    MonitorStatus,
    ShownState,
    banner_of,
    page_of,
    seen,
)
from tests.web.metrics.test_blackbox import result

ANY = Filter()
HANDLED = Orders(maintenance_until_at=1.0)


def state(name: str, status: MonitorStatus = "up", group: str = "", **more: Any) -> ShownState:
    return ShownState(name, f"https://{name}.example/", group, more.pop("labels", {}), status, **more)


def names(states: list[ShownState], wanted: Filter = ANY, number: int = 1) -> list[str]:
    return [each.name for _, rows in page_of(states, wanted, number).groups for each in rows]


def test_the_worst_comes_first() -> None:
    statuses: tuple[MonitorStatus, ...] = ("up", "paused", "unknown", "down", "degraded")

    assert names([state(status, status) for status in statuses]) == [
        "down",
        "degraded",
        "unknown",
        "up",
        "paused",
    ]


def test_handled_trouble_comes_after_other_trouble_and_before_what_is_well() -> None:
    shown = [
        state("down-handled", "down", orders=HANDLED),
        state("up-handled", "up", orders=HANDLED),
        state("resting", "paused", orders=HANDLED),
        state("degraded", "degraded"),
        state("unknown", "unknown"),
    ]

    assert names(shown) == ["degraded", "unknown", "down-handled", "up-handled", "resting"]


def test_troubles_of_all_groups_come_first_and_then_the_group_with_the_worst() -> None:
    page = page_of(
        [
            state("a", group="blog"),
            state("b", "down", group="shop"),
            state("c", group="shop"),
            state("d"),
            state("e", "unknown", since_at=1.0),
            state("f", "degraded", group="blog"),
            state("g", "unknown", group="shop"),
            state("h", "down", group="mail", orders=HANDLED),
        ],
        ANY,
        1,
    )

    assert [(group, [each.name for each in rows]) for group, rows in page.groups] == [
        (None, ["b", "f", "e"]),
        ("shop", ["g", "c"]),
        ("mail", ["h"]),
        ("blog", ["a"]),
        ("", ["d"]),
    ]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Filter("SHO"), ["shop"]),
        (Filter("example web"), ["shop"]),
        (Filter("team=web"), ["shop"]),
        (Filter("blog.example"), ["blog"]),
        (Filter("news"), ["blog"]),
        (Filter(state="down"), ["blog"]),
        (Filter(label="team=web"), ["shop"]),
        (Filter(label="team=we"), []),
        (Filter("shop", "down"), []),
    ],
)
def test_a_filter_admits_what_has_all_that_is_asked_for(wanted: Filter, found: list[str]) -> None:
    states = [state("shop", labels={"team": "web"}), state("blog", "down", group="news")]

    assert names(states, wanted) == found


def test_pages_follow_each_other_and_a_number_too_high_is_the_last() -> None:
    states = [state(f"m{number:03}") for number in range(PAGE_ROWS + 1)]

    assert names(states)[-1] == "m049"
    assert names(states, number=2) == names(states, number=9) == ["m050"]
    assert names(states, number=-1) == names(states)
    assert page_of(states, Filter(), 2).pages == 2
    assert page_of([], Filter(), 1).pages == 1


@pytest.mark.parametrize(
    ("states", "banner"),
    [
        ([], Banner("unknown", "Nothing is monitored", None)),
        ([state("a", "paused")], Banner("unknown", "Nothing is monitored", None)),
        ([state("a")], Banner("up", "The monitor is up", None)),
        (
            [state("a"), state("b"), state("c", "paused")],
            Banner("up", "All 2 monitors are up", None),
        ),
        (
            [
                state("b", "down", since_at=7.0),
                state("a", "down", since_at=5.0),
                state("c", "degraded"),
            ],
            Banner("down", "2 of 3 monitors are down: a, b", 5.0),
        ),
        (
            [state("a", "degraded", since_at=5.0), state("b", "unknown")],
            Banner("degraded", "1 of 2 monitors is degraded: a", 5.0),
        ),
        ([state("a", "unknown")], Banner("unknown", "a is in an unknown state", None)),
    ],
)
def test_one_line_says_whether_all_is_well(states: list[ShownState], banner: Banner) -> None:
    assert banner_of(states) == banner


def test_a_long_list_of_names_is_cut() -> None:
    text = banner_of([state("h"), *(state(name, "down") for name in "abcdefg")]).text

    assert text == "7 of 8 monitors are down: a, b, c, d, e and 2 more"


def test_a_banner_of_all_has_no_names() -> None:
    assert banner_of([state(name, "down") for name in "ab"], "service").text == "All 2 services are down"
    assert banner_of([state("a", "down")]).text == "a is down"
    assert banner_of([state("a", "down"), state("b", "paused")]).text == "a is down"


def test_handled_trouble_is_counted_by_what_is_ordered() -> None:
    silence = Silence("c", 2.0, 1.0, "Ada", "moving")
    shown = [
        state("a", "down", orders=HANDLED),
        state("b", "partial", orders=HANDLED._replace(silence=silence)),
        state("c", "degraded", orders=Orders(silence=silence)),
        state("d", "up", orders=HANDLED),
        state("e"),
        state("f", "paused"),
    ]

    handled = Banner("maintenance", "2 of 5 monitors are up, 2 are in maintenance, 1 is silenced", None)
    assert banner_of(shown) == handled
    assert banner_of([*shown, state("g", "degraded")]).text == "1 of 6 monitors is degraded: g"
    assert banner_of([state("d", "up", orders=HANDLED)]).text == "The monitor is up"


@pytest.mark.parametrize(
    ("last", "changes", "shown"),
    [
        (
            ("up", 5.0, None),
            {"up": False, "reason": "status", "detail": "status 500"},
            ("down", None, "status 500", 6.0),
        ),
        (("down", 5.0, 2.0), {"up": False, "detail": "gone"}, ("down", 2.0, "gone", 6.0)),
        (("down", 7.0, 2.0), {}, ("down", 2.0, "old", 7.0)),
        (("unknown", None, None), {"degraded": True}, ("degraded", None, "", 6.0)),
        (("paused", None, None), {}, ("paused", None, "old", None)),
    ],
)
def test_what_is_known_without_a_database_is_the_newest_of_what_was_read_and_checked(
    last: tuple[MonitorStatus, float | None, float | None],
    changes: dict[str, Any],
    shown: tuple[str, float | None, str, float | None],
) -> None:
    status, seen_at, since_at = last
    before = state("shop", status, seen_at=seen_at, since_at=since_at, why="old")

    found = seen(before, result(scheduled_at=6.0, **changes))

    assert (found.status, found.since_at, found.why, found.seen_at) == shown
    assert seen(before, None) == before
