"""How many locations make a monitor down."""

from typing import Any

import pytest

from monitor.incidents.course import Recheck, observe, retrace, status
from monitor.incidents.model import Health
from monitor.incidents.rules import Rules
from monitor.result import CheckResult
from tests.observing import (
    DOWN,
    PARTIAL,
    START,
    check,
    checks,
    in_slots,
    live,
    together,
)


def test_half_of_the_locations_rounded_up_make_a_monitor_down() -> None:
    _, changed = live(together(a="-----------", b="+++++++++++", c="++++++-----"))

    assert in_slots(changed) == [
        ("opened", PARTIAL, 0, 2),
        ("resolved", PARTIAL, 0, 6),
        ("opened", DOWN, 6, 8),
    ]
    assert changed[0].locations == ("a",)
    assert changed[2].locations == ("a", "c")
    assert [each.quiet for each in changed] == [False, True, False]


def test_locations_that_agree_within_an_interval_are_never_partial() -> None:
    _, changed = live(together(a="---+++++", b="++++++++", c="+---+++++"))

    assert in_slots(changed) == [("opened", DOWN, 1, 3), ("resolved", DOWN, 1, 3)]


def test_one_of_two_locations_is_half() -> None:
    assert in_slots(live(together(a="+++", b="---"))[1]) == [("opened", DOWN, 0, 2)]


def test_a_quorum_may_be_given() -> None:
    rules = Rules(quorum=3)

    assert in_slots(live(together(a="-----", b="-----", c="+++++"), rules)[1]) == [("opened", PARTIAL, 0, 2)]
    assert in_slots(live(together(a="---", b="---", c="---"), rules)[1]) == [("opened", DOWN, 0, 2)]


def test_no_more_locations_are_needed_than_there_are() -> None:
    assert in_slots(live(checks("---"), Rules(quorum=3))[1]) == [("opened", DOWN, 0, 2)]


def test_an_incident_that_fewer_locations_see_goes_on_as_partial() -> None:
    _, changed = live(together(a="--------", b="---++", c="+++++++"))

    assert in_slots(changed) == [
        ("opened", DOWN, 0, 2),
        ("resolved", DOWN, 0, 3),
        ("opened", PARTIAL, 3, 4),
    ]


def test_an_incident_never_begins_before_the_one_that_it_follows() -> None:
    _, changed = live(together(a="---------", b="---++++++", c="+++++   ", d="++++++++"), Rules(quorum=2))

    assert in_slots(changed)[-1] == ("opened", PARTIAL, 3, 4)
    _, changed = live(together(a="-------------", b="---+++++", c="+++++++"))
    assert in_slots(changed)[-2:] == [("resolved", PARTIAL, 3, 10), ("opened", DOWN, 10, 10)]


def test_a_location_that_stops_reporting_does_not_count() -> None:
    _, changed = live(together(a="-----", b="+++++++++", c="+++++++++"))

    assert in_slots(changed) == [("opened", PARTIAL, 0, 2), ("resolved", PARTIAL, 0, 8)]


def test_a_new_location_whose_first_checks_fail_does_not_end_an_outage() -> None:
    health, changed = live([*checks("-----", "old"), *checks("-----++", "new", first=7)])

    assert in_slots(changed) == [("opened", DOWN, 0, 2), ("resolved", DOWN, 0, 12)]
    assert health.outage is None


def test_a_location_that_comes_back_after_hours_and_fails_does_not_end_an_outage_either() -> None:
    _, changed = live(
        [*checks("+++", "b"), *checks("+++---", "a", first=200), *checks("---", "b", first=208)]
    )

    assert in_slots(changed) == [("opened", DOWN, 203, 205)]


@pytest.mark.parametrize(("slot", "unproven"), [(99, False), (37, False), (36, True)])
def test_a_late_pass_decides_how_a_new_location_is_unless_it_is_hours_old(slot: int, unproven: bool) -> None:
    health, _ = live([check(100, "-")])

    health, *_ = observe(health, [check(slot)], Rules(), START + 6_060)

    assert health.locations["here"].unproven == unproven


def test_a_new_location_whose_first_checks_fail_is_no_reason_for_partial() -> None:
    _, changed = live(together(a="------++", b="   --+  "), Rules(quorum=2))

    assert in_slots(changed)[:2] == [("opened", DOWN, 0, 2), ("resolved", DOWN, 0, 5)]
    assert [each.kind for each in changed[:2]] == [DOWN, DOWN]


def test_a_location_without_network_does_not_count() -> None:
    _, changed = live(together(a="-----????", b="+++++++++", c="+++++++++"))

    assert in_slots(changed) == [("opened", PARTIAL, 0, 2), ("resolved", PARTIAL, 0, 8)]


def test_results_of_a_location_that_is_hours_behind_do_not_count_now() -> None:
    health, _ = live(together(a="+++++++++"))

    late, new, _, _, rechecks, _ = observe(health, checks("---", "b"), Rules(), START + 540)

    assert (new, rechecks) == ([], [])
    assert late.locations["b"].down


def test_an_outage_that_a_location_shows_hours_later_needs_a_recheck() -> None:
    health, _ = live(together(a="+++++++++++++"))

    observed = observe(health, checks("+---++", "b"), Rules(), START + 780)

    assert observed.changes == []
    assert observed.rechecks == [Recheck(START + 60, START + 240)]


def test_the_past_of_all_locations_shows_what_late_results_add() -> None:
    def past(results: list[CheckResult]) -> list[Any]:
        return in_slots(retrace(Health(), results, Rules())[1])

    assert past(together(a="+---++++++", b="++++++++++", c="+---++++++")) == [("past", DOWN, 1, 4)]
    assert past(checks("+----")) == []
    assert past(checks("---++" * 4)) == [("past", DOWN, 5 * outage, 5 * outage + 3) for outage in range(4)]


@pytest.mark.parametrize(
    ("locations", "word"),
    [
        ({}, "unknown"),
        ({"a": "+++"}, "up"),
        ({"a": "---"}, "down"),
        ({"a": "--"}, "unknown"),
        ({"a": "+--"}, "up"),
        ({"a": "--~"}, "degraded"),
        ({"a": "+~", "b": "++", "c": "++"}, "up"),
        ({"a": "+~", "b": "+~", "c": "++"}, "degraded"),
        ({"a": "---", "b": "+++", "c": "+++"}, "partial"),
        ({"a": "????"}, "unknown"),
        ({"a": "+??"}, "up"),
        ({"a": "+????"}, "unknown"),
        ({"a": "+~     ", "b": "+++++++"}, "up"),
    ],
)
def test_a_monitor_is_in_one_state(locations: dict[str, str], word: str) -> None:
    assert status(live(together(**locations))[0], Rules()) == word
