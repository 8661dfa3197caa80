"""How many locations make a monitor down."""

import pytest

from monitor.incidents.course import status
from monitor.incidents.rules import Rules
from tests.observing import (
    DOWN,
    PARTIAL,
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


def test_a_new_location_whose_first_checks_fail_is_no_reason_for_partial() -> None:
    _, changed = live(together(a="------++", b="   --+  "), Rules(quorum=2))

    assert in_slots(changed)[:2] == [("opened", DOWN, 0, 2), ("resolved", DOWN, 0, 5)]
    assert [each.kind for each in changed[:2]] == [DOWN, DOWN]


def test_a_location_without_network_does_not_count() -> None:
    _, changed = live(together(a="-----????", b="+++++++++", c="+++++++++"))

    assert in_slots(changed) == [("opened", PARTIAL, 0, 2), ("resolved", PARTIAL, 0, 8)]


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
