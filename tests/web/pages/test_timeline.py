"""What happened, by day."""

from typing import NamedTuple

import pytest

from monitor.web.pages.timeline import by_day, roughly

DAY_S = 86_400


class Thing(NamedTuple):
    name: str
    at: float


def test_entries_are_grouped_by_day_the_newest_first() -> None:
    things = [Thing("a", 10), Thing("b", DAY_S - 1), Thing("c", DAY_S), Thing("d", 5 * DAY_S + 7)]

    grouped = by_day(things, "at")

    assert [(at, [each.name for each in day]) for at, day in grouped] == [
        (5 * DAY_S + 7, ["d"]),
        (DAY_S, ["c"]),
        (DAY_S - 1, ["b", "a"]),
    ]


def test_nothing_has_no_days() -> None:
    assert by_day([], "at") == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.4, "59 s"), (60, "1 min"), (119, "1 min"), (2_700 + 52, "45 min"), (90_061, "1 d 1 h")],
)
def test_how_long_something_lasts_has_no_seconds_after_the_first_minute(seconds: float, text: str) -> None:
    assert roughly(seconds) == text
