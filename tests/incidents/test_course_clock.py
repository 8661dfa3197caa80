"""Incidents of a process whose clock is set: it numbers its results as they are made."""

from collections.abc import Iterable

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from monitor.incidents.course import observe
from monitor.incidents.location import in_order
from monitor.incidents.model import Health
from monitor.incidents.rules import Rules
from monitor.result import CheckResult
from tests.observing import DOWN, RULES, SLOW_COUNTS, START, check, in_slots, live, made

LATER = START + 86_400


def past(results: Iterable[CheckResult]) -> list[tuple[float, float]]:
    _, changes, *_ = observe(Health(), in_order(results), RULES, LATER)
    assert {each.change for each in changes} <= {"past"}
    return [(start, end) for _, kind, start, end in in_slots(changes) if kind is DOWN]


def test_results_of_a_clock_that_was_ahead_do_not_disturb_an_outage_at_their_slots() -> None:
    ahead = made((0, "+++"), (30, "++++"), (7, "+" * 20 + "-------" + "+++"))

    assert past(ahead) == [(27, 34)]


def test_results_of_a_clock_that_was_behind_do_not_disturb_an_outage_at_their_slots() -> None:
    behind = made((20, "+++-----+++"), (24, "++++"), (35, "++++"))

    assert past(behind) == [(23, 28)]


def test_an_outage_is_one_though_the_clock_is_set_back_in_it() -> None:
    assert past(made((0, "+++--"), (-10, "---++"))) == [(-10, -7)]


def test_an_outage_that_was_opened_ends_though_the_clock_is_set_back() -> None:
    health, opened = live(made((100, "+++----")))
    _, changes, *_ = observe(health, made((0, "--++"), process="b"), RULES, LATER)
    assert changes == []  # of another process: late

    going_on = [msgspec.structs.replace(each, number=each.number + 7) for each in made((0, "--++"))]
    _, changes, *_ = observe(health, going_on, RULES, LATER)

    assert in_slots(opened) == [("opened", DOWN, 103, 105)]
    assert in_slots(changes) == [("resolved", DOWN, 0, 2)]


def test_failures_before_and_after_the_clock_is_set_back_are_in_a_row() -> None:
    health, changes, *_ = observe(Health(), made((100, "++-"), (0, "--")), RULES, START + 60)

    assert in_slots(changes) == [("opened", DOWN, 0, 1)]
    assert health.locations["here"].since == START


def test_late_results_of_a_process_change_nothing_that_goes_on() -> None:
    results = made((0, "---+++"))
    health, _, *_ = observe(Health(), results[3:], RULES, START + 360)

    again, changes, superseded, late, rechecks, _ = observe(health, results[:3], RULES, START + 400)

    assert (again, changes, superseded) == (health, [], [])
    assert late == results[:3]
    assert len(rechecks) == 3


def test_messages_that_were_sent_again_are_in_the_order_in_which_they_were_made() -> None:
    results = made((0, "++"), (-10, "+++"))

    assert in_order(results[2:] + results[:2]) == results


def test_locations_go_by_their_slots() -> None:
    there = [check(slot + 0.5, location="there") for slot in range(3)]

    merged = in_order(made((0, "+++")) + there)

    assert [each.location for each in merged] == ["here", "there"] * 3


STRETCHES = st.lists(
    st.tuples(st.integers(-300, 300), st.text("++++---~~?", min_size=1, max_size=30)), min_size=1, max_size=5
)


ANY_RULES = [Rules(), Rules(failures=1, successes=1), Rules(failures=2, degraded=True)]


@given(STRETCHES, st.sampled_from(ANY_RULES), st.integers(0, 150))
def test_however_the_clock_is_set_batches_do_not_matter(
    stretches: list[tuple[float, str]], rules: Rules, cut: int
) -> None:
    results = made(*stretches)
    once = observe(Health(), results, rules, LATER)

    first = observe(Health(), results[:cut], rules, LATER)
    stored = msgspec.json.decode(msgspec.json.encode(first.health), type=Health)
    second = observe(stored, results[cut:], rules, LATER)

    assert second.health == once.health
    assert first.changes + second.changes == once.changes
    assert first.superseded + second.superseded == once.superseded
    assert first.late + second.late == once.late


@given(STRETCHES, st.sampled_from([RULES, SLOW_COUNTS]))
def test_however_the_clock_is_set_incidents_have_a_length(
    stretches: list[tuple[float, str]], rules: Rules
) -> None:
    _, changes, *_ = observe(Health(), made(*stretches), rules, LATER)

    assert all(each.started_at <= each.at for each in changes)
