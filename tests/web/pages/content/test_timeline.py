"""What happened, by day."""

from typing import Any, NamedTuple

import pytest

from monitor.web.pages.content.timeline import by_day, public_sentence, roughly, sentence
from monitor.web.queries import Incident

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


@pytest.mark.parametrize(
    ("kind", "now", "then"),
    [
        ("down", "shop is down", "shop was down"),
        ("partial", "shop is down from some locations", "shop was down from some locations"),
        ("no_data", "No data from shop", "There was no data from shop"),
        ("flapping", "shop is flapping", "shop was flapping"),
    ],
)
def test_an_incident_is_a_sentence(kind: Any, now: str, then: str) -> None:
    texts = [
        sentence(
            Incident(1, "shop", kind, 1, 2, ended_at, past=False, reason=None, detail=None, locations=())
        )
        for ended_at in (None, 5.0)
    ]

    assert texts == [now, then]


def test_customers_read_other_words() -> None:
    incident = Incident(1, "shop", "flapping", 1, 2, None, past=False, reason=None, detail=None, locations=())

    assert public_sentence(incident) == "shop is unstable"


def test_nothing_has_no_days() -> None:
    assert by_day([], "at") == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.4, "59 s"), (60, "1 min"), (119, "1 min"), (2_700 + 52, "45 min"), (90_061, "1 d 1 h")],
)
def test_how_long_something_lasts_has_no_seconds_after_the_first_minute(seconds: float, text: str) -> None:
    assert roughly(seconds) == text
