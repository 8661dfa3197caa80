"""What results that come late change of the incidents that are known."""

from collections.abc import Sequence
from operator import attrgetter

import msgspec

from monitor.incidents.course import observe
from monitor.incidents.late_results import correct, retrace_stored
from monitor.incidents.model import Change, Episode, Health
from monitor.incidents.rules import Rules
from monitor.result import CheckResult
from monitor.runtime.text import HOUR_S
from tests.observing import (
    DOWN,
    FLAPPING,
    HEALTHY,
    PARTIAL,
    RULES,
    START,
    check,
    checks,
    in_slots,
    live,
    made,
    slot_of,
    together,
)

SLOT = attrgetter("scheduled_at")


def late(
    known: Sequence[CheckResult],
    coming: Sequence[CheckResult],
    rules: Rules,
    now: float,
) -> tuple[Health, list[Change]]:
    """Know some results in time, then look back when others come."""
    health, _ = live(known, rules)
    stored = sorted([*known, *coming], key=SLOT)
    stored = [msgspec.structs.replace(result, process="", number=0) for result in stored]
    seen = retrace_stored(START - HOUR_S, stored, health, rules)
    return correct(health, observe(health, coming, rules, now), seen, rules, now)


def test_a_partial_outage_is_not_opened_before_it_is_certain() -> None:
    rules = Rules(quorum=2)
    known = together(a="++- -", b="+++++")

    health, changes = late(known, [check(3, "-", "a")], rules, START + 241)

    assert health.outage
    assert (health.outage.kind, health.outage.started_at) == (PARTIAL, START + 120)
    assert health.outage.observed_at == START + 241
    assert changes == []
    _, changes = live([check(5, "+", "b"), check(6, "-", "a")], rules, health)
    assert in_slots(changes) == [("opened", PARTIAL, 2, 4)]


def test_a_late_failure_turns_partial_into_down() -> None:
    rules = Rules(quorum=2)
    known = together(a="+-----", b="+++- -", c="++++++")

    health, changes = late(known, [check(4, "-", "b")], rules, START + 301)

    assert health.outage
    assert (health.outage.kind, health.outage.was_opened) == (DOWN, True)
    assert health.locations["b"].down
    assert in_slots(changes) == [("resolved", PARTIAL, 1, 3), ("opened", DOWN, 3, 5), ("past", PARTIAL, 1, 3)]
    assert [each.quiet for each in changes] == [True, False, False]  # it goes on as another


def test_an_open_outage_stays_down_when_late_results_show_a_partial_one() -> None:
    rules = Rules(quorum=2)
    known = together(a="+-----", b="+--  -", c="++++++")

    health, changes = late(known, [check(3, "+", "b"), check(4, "+", "b")], rules, START + 301)

    assert health.outage
    assert (health.outage.kind, changes) == (DOWN, [])
    assert health.locations["b"].down


def test_an_outage_that_was_not_opened_goes_on_from_before_the_look_back() -> None:
    now = START + 86_400
    old = observe(HEALTHY, [*checks("---"), check(200, "-"), check(202, "-")], RULES, now).health
    seen = retrace_stored(START + 60 * 190, checks("-+-", first=200), old, RULES)

    health, changes = correct(old, observe(old, [check(201)], RULES, now + 60), seen, RULES, now + 60)

    assert old.outage
    assert not old.outage.was_opened
    assert (health.outage, changes) == (old.outage, [])


def test_a_stretch_that_is_too_short_does_not_show_how_a_location_is() -> None:
    known = together(a="-----", b="+" * 60)
    health, _ = live(known)
    observed = observe(health, [check(3.5, "+", "a")], RULES, START + 3_600)
    stored = sorted([*known[6:], check(3.5, "+", "a")], key=SLOT)

    seen = retrace_stored(START + 180, stored, HEALTHY, RULES)

    assert not seen.health.locations["a"].down
    assert correct(health, observed, seen, RULES, START + 3_600)[0].locations["a"].down


def test_an_outage_is_opened_with_its_own_kind() -> None:
    health, changes = late(checks("+- -"), [check(2, "-")], RULES, START + 181)

    assert health.outage
    assert health.outage.was_opened
    assert health.turned_at == (START + 60,)
    assert in_slots(changes) == [("opened", DOWN, 1, 3)]


def test_an_outage_that_old_and_new_results_make_together_is_opened_at_once() -> None:
    _, changes = late(checks("+-"), [check(0.5, "-"), check(10, "-")], RULES, START + 601)

    assert in_slots(changes) == [("opened", DOWN, 0.5, 10)]


def test_what_was_opened_stays_opened_where_late_results_agree() -> None:
    rules = Rules(quorum=2)
    known = together(a="---", b="+++", c="+++")

    health, changes = late(known, [check(4, "-", "a"), check(1.5, "+", "b")], rules, START + 241)

    assert health.outage
    assert in_slots(changes) == [("opened", PARTIAL, 0, 2)]


def test_what_was_opened_is_not_where_late_results_see_another_kind() -> None:
    rules = Rules(quorum=2)
    known = together(a="  --", b="+---", c="++++")
    coming = [check(4, "-", "a"), check(1.5, "+", "b"), check(2.5, "+", "b")]

    health, changes = late(known, coming, rules, START + 241)

    assert health.outage
    assert (health.outage.kind, changes) == (PARTIAL, [])


def test_what_happens_while_it_flaps_is_quiet() -> None:
    flapping = Episode(FLAPPING, START - 600, START, START, was_opened=True)
    for signs, coming, words, now in (
        ("+- -", check(2, "-"), ["opened"], START + 181),
        ("+---- +", check(5), ["resolved", "past"], START + 361),
    ):
        before = msgspec.structs.replace(live(checks(signs))[0], flapping=flapping)
        seen = retrace_stored(START - HOUR_S, sorted([*checks(signs), coming], key=SLOT), before, RULES)

        health, changes = correct(before, observe(before, [coming], RULES, now), seen, RULES, now)

        assert [(each.change, each.quiet) for each in changes] == [(word, True) for word in words]
        assert health.flapping == flapping


def test_what_is_not_an_outage_goes_its_own_way() -> None:
    before, _ = live(checks("+- -"))
    ended = Change("resolved", FLAPPING, START, START - 600)
    observed = observe(before, [check(2, "-")], RULES, START + 181)._replace(changes=[ended])
    seen = retrace_stored(START - HOUR_S, checks("+---"), before, RULES)

    assert in_slots(correct(before, observed, seen, RULES, START + 181)[1]) == [
        ("resolved", FLAPPING, -10, 0),
        ("opened", DOWN, 1, 3),
    ]


def test_flapping_is_not_opened_again_by_an_outage_of_then() -> None:
    seen = retrace_stored(START, checks("+---++"), HEALTHY, RULES)

    assert [seen.has(Change("past", kind, START, START + 90)) for kind in (DOWN, FLAPPING)] == [
        False,
        False,
    ]
    assert [seen.has(Change("past", kind, START + 90, START)) for kind in (DOWN, FLAPPING)] == [
        True,
        False,
    ]
    assert not seen.has(Change("past", DOWN, START + 60, START))
    assert not seen.has(Change("past", DOWN, START + 300, START + 240))


def test_slots_do_not_show_how_it_is_where_a_clock_was_set_back() -> None:
    results = made((10, "---"), (0, "+-++"))
    coming = results.pop(4)

    health, changes = late(results, [coming], RULES, START + 200)

    assert (health.outage, changes) == (None, [])


def test_one_location_whose_clock_was_set_back_is_enough() -> None:
    rules = Rules(quorum=1)
    results = made((10, "---"), (0, "+-++"))
    coming = results.pop(4)
    known = [*checks("+" * 14, "there"), *results]

    health, changes = late(known, [coming], rules, START + 800)

    assert health.locations["there"].at == START + 780
    assert (health.outage, changes) == (None, [])


def test_what_was_never_counted_does_not_count_now() -> None:
    health, _ = live(checks("+- -"))
    observed = observe(health, [check(2, "-")], RULES, START + 181)
    uncounted = retrace_stored(START - HOUR_S, together(here="+---", there="-"), health, RULES)

    assert correct(health, observed, uncounted, RULES, START + 181) == (health, [])


def test_what_was_never_counted_may_show_the_past_once() -> None:
    health, _ = live(checks("---", first=6))
    observed = observe(health, [check(7.5, "-")], RULES, START + 600)
    known = Change("past", DOWN, START + 240, START + 60)
    uncounted = retrace_stored(START - HOUR_S, together(here="+---++---++", there="-"), health, RULES)

    _, changes = correct(health, observed._replace(changes=[known]), uncounted, RULES, START + 600)

    assert in_slots(changes) == [("past", DOWN, 1, 4)]  # of what is open nothing


def test_a_location_that_was_never_up_stays_unknown_when_the_look_back_begins_inside_an_outage() -> None:
    rules = Rules(quorum=1, failures=5)
    known = together(a="+" + "-" * 50, b=" " * 36 + "- -")
    health, _ = live(known, rules)
    coming = check(37, "-", "b")
    stored = sorted([*known[21:], coming], key=SLOT)

    seen = retrace_stored(START + 60 * 20, stored, health, rules)
    health, _ = correct(health, observe(health, [coming], rules, START + 3_001), seen, rules, START + 3_001)

    assert health.locations["b"].streak == 3
    assert health.locations["b"].unproven
    assert not health.locations["a"].unproven


def test_late_results_that_fill_a_long_gap_prove_a_location_though_the_last_of_them_failed() -> None:
    rules = Rules(quorum=1, failures=70)
    known = together(a="+" + "-" * 200, b="+" + " " * 199 + "-")

    health, _ = late(known, checks("+" * 131 + "-" * 68, "b", first=1), rules, START + 12_001)

    assert live(known, rules)[0].locations["b"].unproven
    assert not health.locations["b"].unproven


def test_a_late_failure_moves_the_beginning_of_an_outage_that_was_opened() -> None:
    health, changes = late(checks("+ ---"), [check(1, "-")], RULES, START + 301)

    assert health.outage
    assert health.outage.started_at == START + 60
    assert in_slots(changes) == [("moved", DOWN, 1, 4)]


def test_an_outage_that_begins_with_the_look_back_goes_on() -> None:
    health, _ = live(checks("+---"))

    seen = retrace_stored(START + 60, checks("---", first=1), health, RULES)

    assert (seen.health.outage, seen.outages) == (health.outage, [])


def test_a_look_back_begins_with_how_each_location_was_then() -> None:
    rules = Rules(quorum=1)
    known = together(a="-" * 16, b="-----++---------", c="------------+++++")
    health, _ = live(known, rules)

    seen = retrace_stored(
        START + 60 * 11, [each for each in known if SLOT(each) >= START + 660], health, rules
    )

    found = {name: (state.down, slot_of(state.since)) for name, state in seen.health.locations.items()}
    assert found == {"a": (True, 0), "b": (True, 7), "c": (False, 12)}


def test_a_location_that_does_not_report_any_more_has_no_part_in_a_look_back() -> None:
    rules = Rules(quorum=2)
    health, _ = live(together(a="------", b="---"), rules)

    seen = retrace_stored(START + 300, checks("-++", "a", first=5), health, rules)

    assert seen.health.locations.keys() == {"a"}
    assert seen.health.outage is None
    assert in_slots(seen.outages) == [("resolved", DOWN, 0, 6)]


def test_what_was_never_counted_may_show_what_ended_where_the_open_outage_begins() -> None:
    health, _ = live(checks("---", first=6))
    observed = observe(health, [check(7.5, "-")], RULES, START + 600)
    uncounted = retrace_stored(START - HOUR_S, together(here="+-----++", there="-"), health, RULES)

    _, changes = correct(health, observed, uncounted, RULES, START + 600)

    assert in_slots(changes) == [("past", DOWN, 1, 6)]
