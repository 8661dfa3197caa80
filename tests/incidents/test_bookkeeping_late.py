"""What late results change of incidents: in the end they are as if all had come in time."""

import random
from collections import defaultdict
from collections.abc import Sequence

import asyncpg
import pytest

from monitor.incidents import store as store_incidents
from monitor.incidents.model import Change
from monitor.incidents.rules import Rules, Sample
from monitor.result import CheckResult
from tests.incidents.test_bookkeeping import assert_sums_are_right, bookkeeping, changes, incidents
from tests.observing import DEGRADED, DOWN, PARTIAL, RULES, START, check, checks, live, slot_of
from tests.postgres import result_store
from tests.storage.test_results import query

HOURS_LATE = 86_400.0


async def save(uri: str, *batches: Sequence[CheckResult], rules: Rules = RULES, late_s: float = 1) -> None:
    """Save each batch so long after the newest result by then was made."""
    newest = 0.0
    for batch in batches:
        newest = max(newest, *(result.timestamp for result in batch))
        store = result_store(uri, bookkeeping(newest + late_s, rules))
        await store.save(batch)
        await store.database.close()


@pytest.mark.parametrize(
    ("late_s", "is_past", "expected"),
    [
        (1, False, [("down", "opened", 3), ("down", "resolved", 4)]),
        (HOURS_LATE, True, [("down", "past", 4)]),
    ],
)
async def test_a_late_failure_makes_a_run_long_enough_whose_end_is_not_known(
    database: str, late_s: float, is_past: object, expected: object
) -> None:
    await save(database, checks("+- -+"), [check(2, "-")], [check(5)], late_s=late_s)

    assert await incidents(database) == [("down", 1, 4, is_past)]
    assert await changes(database) == expected
    await assert_sums_are_right(database)


async def test_a_late_pass_breaks_a_run(database: str) -> None:
    await save(database, checks("+- -"), [check(2)], [check(4, "-")], [check(5)])

    assert await incidents(database) == []


async def test_late_results_move_the_beginning_of_what_goes_on(database: str) -> None:
    await save(database, checks("+  ---"), [check(2, "-"), check(1, "-")])

    assert await incidents(database) == [("down", 1, None, False)]
    assert await changes(database) == [("down", "opened", 5)]


async def test_a_late_pass_ends_an_open_incident(database: str) -> None:
    await save(database, checks("+---- +"), [check(5)])

    assert await incidents(database) == [("down", 1, 5, False)]
    assert await changes(database) == [("down", "opened", 3), ("down", "resolved", 5)]


async def test_another_reason_in_the_past_of_an_outage_is_not_its_end(database: str) -> None:
    long = checks("+" + 70 * "t"), checks(10 * "-", first=71)

    await save(database, *long, [check(75.5, "-"), *checks("++", first=81)])

    assert await incidents(database) == [("down", 1, 81, False)]


async def test_an_alert_is_not_taken_back(database: str) -> None:
    await save(database, checks("+- --"), [check(2)])
    assert await incidents(database) == [("down", 1, None, False)]

    await save(database, checks("++", first=5))
    assert [row[:3] for row in await incidents(database)] == [("down", 1, 5)]


async def test_what_goes_on_after_an_alert_of_its_end_is_another_incident(database: str) -> None:
    await save(database, checks("+---"), checks("+ +", first=4))
    await save(database, [check(5, "-")], [check(7, "-")], checks("++", first=8))

    assert await incidents(database) == [("down", 1, 4, False), ("down", 4, 8, False)]
    assert [change for _, change, _ in await changes(database)] == ["opened", "resolved"] * 2


async def test_its_beginning_is_not_moved_before_that_end(database: str) -> None:
    await save(database, checks("+ ---"), checks("+ +", first=5), [check(6, "-")], [check(8, "-")])
    await save(database, [check(1, "-")], checks("++", first=9))

    assert [row[:3] for row in await incidents(database)] == [("down", 2, 5), ("down", 5, 9)]


async def test_two_incidents_that_late_results_join_stay_two(database: str) -> None:
    known = checks("---", first=1), checks("++", first=4), checks("---", first=6), checks("++", first=9)

    await save(database, *known, [check(4.5, "-")])

    assert [row[:3] for row in await incidents(database)] == [("down", 1, 4), ("down", 6, 9)]


async def test_one_that_goes_on_begins_where_the_one_ended_that_late_results_join_to_it(
    database: str,
) -> None:
    known = checks("---", first=1), checks("++", first=4), checks("---", first=6)

    await save(database, *known, [check(4.5, "-")], checks("++", first=9))

    assert [row[:3] for row in await incidents(database)] == [("down", 1, 4), ("down", 4, 9)]


async def test_an_outage_that_ended_for_want_of_results_gets_its_end_from_late_ones(database: str) -> None:
    rules = Rules(quorum=1)
    there = checks("+" * 13, "there"), checks("-------", first=2)
    known = sorted([*there[0], *there[1]], key=lambda result: result.scheduled_at)

    await save(database, *([each] for each in known), rules=rules)
    assert await incidents(database) == [("down", 2, 12, False)]

    await save(database, [check(10)], [check(11)], rules=rules)
    assert await incidents(database) == [("down", 2, 10, False)]


async def test_an_outage_goes_on_in_results_that_a_location_sends_later(database: str) -> None:
    there = checks("++----", "there"), checks(14 * "-", "there", first=6)
    live_on = checks("++", first=20), checks("---", "there", first=20), checks("++", "there", first=23)
    here = checks("+" * 20)

    await save(database, there[0], *([each] for each in here), there[1], *live_on)

    assert await incidents(database) == [("down", 2, 9, False), ("down", 9, 23, False)]


@pytest.mark.parametrize("ended", [15, 16, 18])
async def test_an_outage_is_found_in_results_that_a_location_sends_later(database: str, ended: int) -> None:
    there = checks("++++++", "there"), checks(f"++{(ended - 8) * '-'}".ljust(14, "+"), "there", first=6)

    await save(database, there[0], checks("+" * 20), there[1], rules=Rules(successes=1))

    assert await incidents(database) == [("down", 8, ended, True)]


async def test_nothing_is_opened_that_late_results_of_the_same_batch_end(database: str) -> None:
    late = [check(2, "-"), check(3, "-"), check(4)]

    await save(database, checks("--    -"), [*late, check(7, "-")], rules=Rules(failures=4, successes=1))

    assert await incidents(database) == [("down", 0, 4, True)]
    assert await changes(database) == [("down", "past", 4)]


async def test_a_late_outage_longer_than_the_first_look_back_has_its_own_beginning(database: str) -> None:
    outage = checks("-" * 400, first=1)
    batches = [outage[start : start + 40] for start in range(0, 400, 40)]

    await save(database, checks("+"), checks("++", first=401), *batches)

    assert await incidents(database) == [("down", 1, 401, True)]


async def test_an_incident_gets_the_times_of_late_results(database: str) -> None:
    await save(database, checks("+  ---   +++"), [check(2, "-")], [check(7)], [check(6, "-")])

    assert [row[:3] for row in await incidents(database)] == [("down", 2, 7)]
    assert len(await changes(database)) == 1


async def test_an_outage_that_began_just_when_the_look_back_does_keeps_its_beginning(database: str) -> None:
    in_time = checks("+" + 59 * "-" + "+"), checks("++", first=62)

    await save(database, *in_time, [check(61)])

    assert await incidents(database) == [("down", 1, 60, False)]


async def test_what_was_seen_from_fewer_locations_keeps_its_times(database: str) -> None:
    connection = await asyncpg.connect(database)
    for kind, started_at, at in ((PARTIAL, START + 60, START + 240), (DOWN, START + 120, START + 180)):
        change = Change("past", kind, at, started_at)
        await store_incidents.store_changes(connection, [("shop", change)], START + 300)
    await connection.close()

    assert await incidents(database) == [("partial", 1, 4, True)]


async def test_one_incident_becomes_two_when_late_results_passed_between(database: str) -> None:
    await save(database, checks("+---    ---+++"), checks("++", first=5), [check(4)])

    assert [row[:3] for row in await incidents(database)] == [("down", 1, 4), ("down", 8, 11)]


async def test_results_that_a_location_sends_hours_later_in_disorder_keep_their_times(database: str) -> None:
    there = [checks("+", "b"), checks("---", "b", first=1), checks("---", "b", first=5)]

    await save(database, checks("+" * 60, "a"), *there, [check(4, "-", "b"), check(8, "+", "b")])
    await save(database, checks("+" * 10, "b", first=9), late_s=HOURS_LATE)

    assert await incidents(database) == [("down", 1, 8, True)]
    await assert_sums_are_right(database)


ANY_RULES = [Rules(), Rules(failures=1, successes=1), Rules(sample=Sample(of=4, bad=3))]


@pytest.mark.parametrize("late_s", [1, HOURS_LATE])
@pytest.mark.parametrize(
    ("rules", "choice"), [*((rules, "+-+") for rules in ANY_RULES), (Rules(degraded=True), "+~+~-")]
)
async def test_in_any_order_incidents_are_those_of_results_in_time(
    database: str, rules: Rules, choice: str, late_s: float
) -> None:
    chance = random.Random(5)  # noqa: S311 - the same disorder each time
    streams, expected = [], {}
    for monitor in map(str, range(40)):
        signs = "".join(sign * chance.randint(3, 7) for sign in chance.choices(choice, k=6))
        results = checks(f"{signs}++++", monitor=monitor)
        _, shown = live(results, rules)
        expected[monitor] = [
            (each.kind, slot_of(each.started_at), slot_of(each.at))
            for each in shown
            if each.kind in (DOWN, DEGRADED) and each.change != "opened"
        ]
        longest_s = chance.choice([120, 300, 900, 3_000])
        delays = {result.id: chance.uniform(0, longest_s) for result in results}
        streams.append(sorted(results, key=lambda each: each.scheduled_at + delays[each.id]))
    batches = [
        [each for stream in streams for each in stream[start : start + 2]] for start in range(0, 60, 2)
    ]

    await save(database, *filter(None, batches), rules=rules, late_s=late_s)

    found = defaultdict(list)
    query_ = """
    SELECT monitor, kind, started_at, ended_at FROM health_incidents
    WHERE kind IN ('down', 'degraded') ORDER BY monitor, started_at
    """
    for monitor, kind, started_at, ended_at in await query(database, query_):
        found[monitor].append((kind, slot_of(started_at), ended_at and slot_of(ended_at)))
    assert found == {monitor: outages for monitor, outages in expected.items() if outages}
    await assert_sums_are_right(database)


@pytest.mark.parametrize("late", [1, 8])
@pytest.mark.parametrize("interval_s", [600, 3_600])
async def test_an_outage_of_rare_checks_is_found_whole_by_a_late_failure(
    database: str, interval_s: float, late: int
) -> None:
    step = 3 * interval_s / 60
    in_time = [check(step * number, "-" if 0 < number < 9 else "+") for number in range(60) if number != late]

    await save(database, in_time, [check(step * late, "-")], rules=Rules(interval_s=interval_s, failures=8))

    assert await incidents(database) == [("down", step, 9 * step, True)]
