"""Slow checks in a row as an incident, where the rules ask for it."""

import msgspec
import pytest

from monitor.incidents.course import observe, status
from monitor.incidents.location import LocationState, Slowness
from monitor.incidents.model import Health, Kind
from monitor.incidents.no_data import end_unchecked
from monitor.incidents.rules import Rules, Sample
from tests.observing import (
    DEGRADED,
    DOWN,
    FLAPPING,
    PARTIAL,
    RULES,
    SLOW_COUNTS,
    START,
    check,
    checks,
    in_slots,
    live,
    together,
)


def changes(signs: str, rules: Rules = SLOW_COUNTS) -> list[tuple[str, Kind, float, float]]:
    return in_slots(live(checks(signs), rules)[1])


def test_three_slow_checks_in_a_row_open_an_incident_as_of_the_first() -> None:
    _, (opened,) = live(checks("+~~+~~~~"), SLOW_COUNTS)

    assert in_slots([opened]) == [("opened", DEGRADED, 4, 6)]
    assert (opened.reason, opened.detail) == (None, "took 2 s, degraded after 1 s")
    assert opened.locations == ("here",)


def test_two_fast_checks_in_a_row_resolve_it_as_of_the_first() -> None:
    assert changes("~~~+~++") == [("opened", DEGRADED, 0, 2), ("resolved", DEGRADED, 0, 5)]


def test_thresholds_are_the_monitors_own() -> None:
    assert changes("~+", Rules(failures=1, successes=1, degraded=True)) == [
        ("opened", DEGRADED, 0, 0),
        ("resolved", DEGRADED, 0, 1),
    ]


@pytest.mark.parametrize("signs", ["~~-~~", "+--~~", "~~--~~--"])
def test_a_failed_check_is_not_slow(signs: str) -> None:
    assert changes(signs) == []


def test_a_failed_check_is_not_fast() -> None:
    assert changes("~~~+-+-+") == [("opened", DEGRADED, 0, 2)]
    assert changes("~~~+-++") == [("opened", DEGRADED, 0, 2), ("resolved", DEGRADED, 0, 5)]


def test_a_check_that_shows_nothing_of_the_site_changes_nothing() -> None:
    assert changes("~~?~?+?+") == [("opened", DEGRADED, 0, 3), ("resolved", DEGRADED, 0, 5)]


def test_slow_checks_on_both_sides_of_a_long_gap_are_not_in_a_row() -> None:
    _, changed = live([*checks("~~"), *checks("~~", first=100)], SLOW_COUNTS)

    assert changed == []


def test_down_replaces_it_and_it_comes_back() -> None:
    _, changed = live(checks("~~~---~~~++"), SLOW_COUNTS)

    assert in_slots(changed) == [
        ("opened", DEGRADED, 0, 2),
        ("resolved", DEGRADED, 0, 3),
        ("opened", DOWN, 3, 5),
        ("resolved", DOWN, 3, 6),
        ("opened", DEGRADED, 6, 7),
        ("resolved", DEGRADED, 6, 9),
    ]
    assert [each.quiet for each in changed] == [False, True, False, False, False, False]


def test_down_and_slow_are_over_at_the_same_time() -> None:
    assert changes("~~~---++")[-2:] == [("opened", DOWN, 3, 5), ("resolved", DOWN, 3, 6)]


def test_slow_after_down_begins_anew() -> None:
    assert changes("---~~~") == [
        ("opened", DOWN, 0, 2),
        ("resolved", DOWN, 0, 3),
        ("opened", DEGRADED, 3, 5),
    ]


def test_bad_results_among_the_last_ones_do_not_make_it_slow() -> None:
    rules = Rules(sample=Sample(of=5, bad=4), degraded=True)

    assert changes("+---+", rules) == []
    assert changes("~~~++", rules) == [("opened", DEGRADED, 0, 2), ("resolved", DEGRADED, 0, 3)]


def test_it_is_no_change_between_up_and_down() -> None:
    health, changed = live(checks("~~~++" * 8), SLOW_COUNTS)

    assert {each.kind for each in changed} == {DEGRADED}
    assert health.turned_at == ()


def test_it_is_quiet_while_the_monitor_flaps() -> None:
    _, changed = live(checks("---++" * 4 + "~~~++"), SLOW_COUNTS)

    assert in_slots(changed)[-2:] == [("opened", DEGRADED, 20, 22), ("resolved", DEGRADED, 20, 23)]
    assert [each.quiet for each in changed[-2:]] == [True, True]
    assert FLAPPING in {each.kind for each in changed}


def test_one_that_is_over_when_its_results_come_is_past() -> None:
    _, new, *_ = observe(Health(), checks("+~~~++"), SLOW_COUNTS, START + 86_400)

    assert in_slots(new) == [("past", DEGRADED, 1, 4)]


def test_an_old_one_that_goes_on_is_opened_with_the_first_news_of_it() -> None:
    replayed, none, *_ = observe(Health(), checks("~~~"), SLOW_COUNTS, START + 86_400)
    _, new, *_ = observe(replayed, [check(1_440, "~")], SLOW_COUNTS, START + 86_400)
    _, over, *_ = observe(replayed, checks("++", first=1_439), SLOW_COUNTS, START + 86_400)

    assert none == []
    assert in_slots(new) == [("opened", DEGRADED, 0, 2)]
    assert in_slots(over) == [("past", DEGRADED, 0, 1_439)]


def test_slow_news_does_not_open_an_old_outage() -> None:
    failed, _, *_ = observe(Health(), checks("---"), SLOW_COUNTS, START + 86_400)
    _, new, *_ = observe(failed, [check(1_440, "~")], SLOW_COUNTS, START + 86_400)

    assert new == []


def test_it_ends_when_nobody_wants_to_know_it_any_more() -> None:
    health, _ = live(checks("~~~"), SLOW_COUNTS)

    _, changed = live(checks("~", first=3), RULES, health)

    assert in_slots(changed) == [("resolved", DEGRADED, 0, 3)]


def test_it_ends_when_nobody_checks_any_more() -> None:
    rested, ended = end_unchecked(live(checks("~~~"), SLOW_COUNTS)[0], START + 720)

    assert in_slots(ended) == [("resolved", DEGRADED, 0, 12)]
    assert live(checks("~~", first=20), SLOW_COUNTS, rested)[1] == []


@pytest.mark.parametrize(
    ("locations", "expected", "word"),
    [
        ({"a": "~~~+"}, [("opened", DEGRADED, 0, 2)], "degraded"),
        ({"a": "~~~", "b": "+++", "c": "+++"}, [], "up"),
        ({"a": "~~~ ", "b": "+~~~", "c": "++++"}, [("opened", DEGRADED, 1, 3)], "degraded"),
        ({"a": "~~~~~", "b": "~~~~~", "c": "-----"}, [("opened", DEGRADED, 0, 2)], "partial"),
        ({"a": "------", "b": "~~~~~~", "c": "++++++"}, [("opened", PARTIAL, 0, 2)], "partial"),
    ],
)
def test_half_of_the_locations_make_a_monitor_degraded(
    locations: dict[str, str], expected: list[object], word: str
) -> None:
    health, changed = live(together(**locations), SLOW_COUNTS)

    assert in_slots(changed)[: len(expected)] == expected
    assert status(health, SLOW_COUNTS) == word


def test_slowness_survives_the_database() -> None:
    state = LocationState(
        1.5, 2.5, "degraded", slowness=Slowness(slow=True, since=1.0, streak=1, streak_at=1.5)
    )

    assert msgspec.json.decode(msgspec.json.encode(state), type=LocationState) == state
    assert b"slow" not in msgspec.json.encode(LocationState(1.5, 2.5, "up"))
