"""Results that come after newer ones, of locations that were cut off, and of clocks that are wrong."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.incidents.course import Observed, observe
from monitor.incidents.model import Health
from monitor.incidents.rules import Rules
from monitor.result import CheckResult
from tests.observing import (
    DEGRADED,
    DOWN,
    PARTIAL,
    RULES,
    SLOW_COUNTS,
    START,
    check,
    checks,
    in_slots,
    live,
    slot_of,
    together,
)

CLOCKS = st.lists(
    st.tuples(st.integers(-300, 300), st.text("++++---~~?", min_size=1, max_size=30)), min_size=1, max_size=5
)


def after(health: Health, results: list[CheckResult], slot: float, rules: Rules = RULES) -> Observed:
    """Observe results at a slot, whenever they were made."""
    return observe(health, results, rules, START + 60 * slot)


def test_a_late_result_changes_no_incident() -> None:
    before, _ = live(checks("+--", first=5))

    observed = after(before, [*checks("---"), check(6.5)], 8)

    assert (observed.health, observed.changes, observed.superseded) == (before, [], [])
    assert observed.late == [*checks("---"), check(6.5)]


def test_a_location_that_lags_by_seconds_counts() -> None:
    here, there = checks("+" * 10, "here"), checks("+++------++", "there")
    arriving = [*here[:2], *(each for pair in zip(here[2:], there, strict=False) for each in pair)]
    health, changed = Health(), []

    for result in arriving:
        health, new, *_ = after(health, [result], slot_of(here[-1].scheduled_at) + 1)
        changed += in_slots(new)

    assert changed == [("opened", DOWN, 3, 5)]


@pytest.mark.parametrize(
    ("others", "rules", "kind"),
    [("a", RULES, DOWN), ("abc", RULES, PARTIAL), ("a", Rules(quorum=2), PARTIAL)],
)
def test_an_outage_of_a_location_that_was_cut_off_is_past(others: str, rules: Rules, kind: object) -> None:
    health, _ = live(together(**dict.fromkeys(others, "+" * 20)), rules)

    observed = after(health, checks("+---++++--", "cut off"), 20, rules)

    assert in_slots(observed.changes) == [("past", kind, 1, 4)]
    assert observed.changes[0].reason == "status"
    assert observed.changes[0].locations == ("cut off",)
    assert (observed.health.outage, observed.health.alone) == (None, {})


def test_what_a_location_that_was_cut_off_saw_goes_on_in_the_next_batch() -> None:
    health, _ = live(checks("+" * 20, "a"))

    for result in checks("+---+", "cut off"):
        health, none, *_ = after(health, [result], 20)
        health = msgspec.json.decode(msgspec.json.encode(health), type=Health)
        assert none == []

    assert in_slots(after(health, [check(5, "+", "cut off")], 20).changes) == [("past", DOWN, 1, 4)]


def test_slow_and_failed_checks_of_a_location_that_was_cut_off_are_outages_of_their_own() -> None:
    health, _ = live(checks("+" * 30, "a"), SLOW_COUNTS)

    observed = after(health, checks("+~~~---++~~~++", "cut off"), 30, SLOW_COUNTS)

    assert in_slots(observed.changes) == [
        ("past", DEGRADED, 1, 4),
        ("past", DOWN, 4, 7),
        ("past", DEGRADED, 9, 12),
    ]


def test_too_few_slow_locations_that_were_cut_off_are_no_outage() -> None:
    health, _ = live(together(a="+" * 20, b="+" * 20), SLOW_COUNTS)

    assert after(health, checks("+~~~++", "cut off"), 20, SLOW_COUNTS).changes == []


def test_an_outage_that_goes_on_when_its_location_has_caught_up_began_when_it_did() -> None:
    health, _ = live(checks("+" * 20, "a"))

    observed = after(health, checks("++" + "-" * 18, "cut off"), 19)

    assert in_slots(observed.changes) == [("opened", DOWN, 2, 16)]
    assert observed.health.alone == {}


def test_an_outage_that_ends_as_its_location_catches_up_is_past() -> None:
    health, _ = live(checks("+" * 20, "a"))

    observed = after(health, checks("++" + "-" * 13 + "+" * 5, "cut off"), 20)

    assert in_slots(observed.changes) == [("past", DOWN, 2, 15)]


def test_what_all_locations_saw_while_none_could_send_is_one_outage() -> None:
    results = together(a="++---+++", b="++---+++", c="++++++++")

    assert in_slots(after(Health(), results, 1_440).changes) == [("past", DOWN, 2, 5)]


def test_a_result_of_the_future_is_never_the_newest() -> None:
    future = check(1_000_000)

    observed = after(live(checks("+++"))[0], [future, check(3, "-")], 3)

    assert observed.ahead == [future]
    assert observed.health.last_at == START + 180
    assert after(observed.health, [check(4)], 3).ahead == []  # a clock may be a little ahead
    assert after(observed.health, [check(4.1)], 3).ahead


def test_a_location_whose_clock_is_ahead_does_not_hide_the_others() -> None:
    health = after(Health(), [check(120, "+", "ahead")], 0, Rules(quorum=1)).health

    assert in_slots(live(checks("---"), Rules(quorum=1), health)[1]) == [("opened", DOWN, 0, 2)]


def test_after_the_clock_of_this_machine_was_ahead_results_count_as_before() -> None:
    ahead, opened = live(checks("++---", first=1_000))

    _, changed = live(checks("+++---++"), health=ahead)

    assert in_slots(opened) == [("opened", DOWN, 1_002, 1_004)]
    assert [each[:2] for each in in_slots(changed)] == [
        ("resolved", DOWN),
        ("opened", DOWN),
        ("resolved", DOWN),
    ]
    assert in_slots(changed)[1:] == [("opened", DOWN, 3, 5), ("resolved", DOWN, 3, 6)]


def test_a_partial_outage_of_when_the_clock_was_ahead_can_be_opened() -> None:
    rules = Rules(quorum=2)
    ahead, none = live(together(a="---", b="+++"), rules)
    assert in_slots(none) == [("opened", PARTIAL, 0, 2)] or none == []

    health, *_ = after(ahead, [], -1_000, rules)

    assert health.locations == {}


def test_a_clock_that_is_behind_delays_an_incident_but_does_not_hide_it() -> None:
    behind_s = 7_200
    health, opened = Health(), []
    for result in checks("------"):
        health, new, *_ = observe(health, [result], RULES, result.timestamp + behind_s)
        opened += in_slots(new)

    assert opened == [("opened", DOWN, 0, 2)]


@given(CLOCKS, st.sampled_from([RULES, SLOW_COUNTS]), st.integers(-300, 600))
def test_however_the_clock_is_set_incidents_have_a_length(
    stretches: list[tuple[float, str]], rules: Rules, now: float
) -> None:
    health = Health()
    for first, signs in stretches:
        health, changes, *_ = after(health, checks(signs, first=first), now + first, rules)
        assert all(each.started_at <= each.at for each in changes)
