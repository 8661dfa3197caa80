"""What results that come late change of what was said."""

from collections.abc import Sequence

import msgspec

from monitor.health import Change, Health
from monitor.hindsight import look_back, stretch
from monitor.incident import observe
from monitor.result import CheckResult
from monitor.standing import Rules
from tests.observing import (
    DOWN,
    FLAPPING,
    HEALTHY,
    PARTIAL,
    RULES,
    START,
    check,
    checks,
    live,
    made,
    together,
    told,
)

HOUR_S = 3_600.0


def late(
    known: Sequence[CheckResult],
    coming: Sequence[CheckResult],
    rules: Rules,
    now: float,
) -> tuple[Health, list[Change]]:
    """Know some results in time, then look back when others come."""
    health, _ = live(known, rules)
    stored = sorted([*known, *coming], key=lambda result: result.scheduled_at)
    stored = [msgspec.structs.replace(result, process="", number=0) for result in stored]
    return look_back(observe(health, coming, rules, now), stretch(START - HOUR_S, stored, rules), rules, now)


def test_what_a_quorum_does_not_share_is_not_told_before_it_is_certain() -> None:
    rules = Rules(quorum=2)
    known = together(a="++- -", b="+++++")

    health, changes = late(known, [check(3, "-", "a")], rules, START + 241)

    assert health.outage
    assert (health.outage.kind, health.outage.started_at) == (PARTIAL, START + 120)
    assert health.outage.heard_at == START + 241
    assert changes == []
    _, changes = live([check(5, "+", "b"), check(6, "-", "a")], rules, health)
    assert told(changes) == [("opened", PARTIAL, 2, 4)]


def test_what_was_told_as_partial_stays_so_until_a_result_in_time_says_otherwise() -> None:
    rules = Rules(quorum=2)
    known = together(a="+-----", b="+++- -", c="++++++")

    health, changes = late(known, [check(4, "-", "b")], rules, START + 301)

    assert health.outage
    assert (health.outage.kind, changes) == (PARTIAL, [])
    assert not health.locations["b"].down


def test_an_outage_that_nobody_told_of_stays_where_the_look_back_does_not_reach() -> None:
    now = START + 86_400
    old = observe(HEALTHY, [*checks("---"), check(200, "-"), check(202, "-")], RULES, now).health
    observed = observe(old, [check(201)], RULES, now)

    health, _ = look_back(observed, stretch(START + 60 * 190, checks("-+-", first=200), RULES), RULES, now)

    assert old.outage
    assert not old.outage.told
    assert health.outage == old.outage


def test_a_stretch_that_is_too_short_does_not_say_how_a_location_stands() -> None:
    known = together(a="-----", b="+" * 60)
    health, _ = live(known)
    observed = observe(health, [check(3.5, "+", "a")], RULES, START + 3_600)
    stored = sorted([*known[6:], check(3.5, "+", "a")], key=lambda result: result.scheduled_at)

    seen = stretch(START + 180, stored, RULES)

    assert not seen.health.locations["a"].down
    assert look_back(observed, seen, RULES, START + 3_600)[0].locations["a"].down


def test_an_outage_is_told_with_its_own_kind() -> None:
    health, changes = late(checks("+- -"), [check(2, "-")], RULES, START + 181)

    assert health.outage
    assert health.outage.told
    assert health.turned_at == (START + 60,)
    assert told(changes) == [("opened", DOWN, 1, 3)]


def test_what_is_older_than_all_that_is_stored_keeps_its_beginning() -> None:
    known = checks("-----")
    observed = observe(live(known)[0], [check(3.5, "-")], RULES, START + 300)
    stored = [known[3], check(3.5, "-"), known[4]]

    health, changes = look_back(observed, stretch(START - HOUR_S, stored, RULES), RULES, START + 300)

    assert health.outage
    assert (health.outage.started_at, changes) == (START, [])


def test_flapping_is_not_told_again_by_an_outage_of_then() -> None:
    seen = stretch(START, checks("+---++"), RULES)

    assert [seen.retells(Change("past", kind, START, START + 90)) for kind in (DOWN, FLAPPING)] == [
        False,
        False,
    ]
    assert [seen.retells(Change("past", kind, START + 90, START)) for kind in (DOWN, FLAPPING)] == [
        True,
        False,
    ]
    assert not seen.retells(Change("past", DOWN, START + 60, START))
    assert not seen.retells(Change("past", DOWN, START + 300, START + 240))


def test_slots_do_not_tell_how_it_is_where_a_clock_was_set_back() -> None:
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


def test_what_was_never_counted_says_nothing_of_the_present() -> None:
    health, _ = live(checks("+- -"))
    observed = observe(health, [check(2, "-")], RULES, START + 181)
    uncounted = stretch(START - HOUR_S, together(here="+---", there="-"), RULES)

    assert look_back(observed, uncounted, RULES, START + 181) == (health, [])
