"""What late results change of outages that began long before them, or that nobody watched any more."""

from collections.abc import Sequence

import msgspec
import pytest

from monitor.incidents.model import Health
from monitor.incidents.no_data import look_for_no_data
from monitor.incidents.rules import Rules
from monitor.result import CheckResult
from monitor.storage.database import Database
from tests.incidents.test_bookkeeping import assert_sums_are_right, changes, incidents
from tests.incidents.test_bookkeeping_late import HOURS_LATE, save
from tests.observing import START, check, checks, together
from tests.storage.test_results import query


async def spans(uri: str) -> list[tuple[object, ...]]:
    return [row[:3] for row in await incidents(uri)]


async def health(uri: str) -> Health:
    (row,) = await query(uri, "SELECT health FROM health_states")
    return msgspec.json.decode(row["health"], type=Health)


async def unwatched(uri: str, slot: float) -> None:
    """Look when nobody checks the monitor any more."""
    database = Database(uri)
    await look_for_no_data(database, {}, {}, lambda _: True, START + 60 * slot, {})
    await database.close()


async def test_an_outage_of_one_that_passes_now_and_then_goes_on_from_before(database: str) -> None:
    here = checks("+---" + "+-" * 46 + " -", "a")
    there = checks("+" * 70 + "---++" + "+" * 23, "b")
    known = sorted([*here, *there], key=lambda result: result.scheduled_at)

    await save(database, known[:8], known[8:], [check(96, "+", "a")], rules=Rules(quorum=1))

    assert await spans(database) == [("down", 1, None)]
    assert (await health(database)).locations["a"].down


@pytest.mark.parametrize(("end", "ended_at"), [("", None), ("++", 90)])
async def test_an_outage_keeps_a_beginning_from_before(database: str, end: str, ended_at: object) -> None:
    known = checks("+---" + "+-" * 40 + "---- -" + end)

    await save(database, known[:4], known[4:], [check(88, "-")])

    assert await spans(database) == [("down", 1, ended_at)]


async def test_an_outage_keeps_a_beginning_from_before_a_gap(database: str) -> None:
    await save(database, checks("+---"), checks("--- +", first=600), [check(603)])

    assert await spans(database) == [("down", 1, 603)]


async def test_an_outage_that_another_location_took_over_keeps_its_beginning(database: str) -> None:
    known = together(a="-" * 100 + "+" * 15, b="+" * 95 + "-" * 20)

    await save(database, known[:6], known[6:], [check(96.5, "-", "a")], rules=Rules(quorum=1))

    assert await spans(database) == [("down", 0, None)]


async def test_a_partial_outage_from_before_stays_partial(database: str) -> None:
    known = together(a="-" * 115, b="+" * 115, c="+" * 115)

    await save(database, *([each] for each in known[:15]), known[15:], [check(96.5, "-", "a")])

    assert await spans(database) == [("partial", 0, None)]


async def test_a_location_that_stopped_reporting_does_not_count_later(database: str) -> None:
    known = together(gone="---", here="+" * 200)
    await save(database, *([each] for each in known[:20]), known[20:], rules=Rules(quorum=1))

    await save(database, [check(150.5, "-", "here")], rules=Rules(quorum=1), late_s=3_000)

    assert await spans(database) == [("down", 0, 6)]


async def test_a_location_that_stopped_reporting_does_not_share_what_goes_on(database: str) -> None:
    rules = Rules(quorum=2)
    known = together(gone="+++", here="-" * 200)
    await save(database, *([each] for each in known[:20]), known[20:], rules=rules)
    before = await spans(database)

    await save(database, [check(150.5, "-", "here")], rules=rules, late_s=3_000)

    assert await spans(database) == before
    await save(database, [check(201)], [check(200)], rules=rules)
    assert await spans(database) == [*before[:-1], ("down", 6, 200)]


@pytest.mark.parametrize(("slot", "expected"), [(600, [("down", 1, 600)]), (3_000, [])])
async def test_results_later_than_a_day_change_nothing_that_came_since(
    database: str, slot: float, expected: object
) -> None:
    await save(database, checks("+"), checks("++", first=slot), checks("---", first=1))

    assert await spans(database) == expected


async def test_results_before_a_pause_do_not_count_after_it(database: str) -> None:
    await save(database, checks("+---"))
    await unwatched(database, 10)

    await save(database, checks("+ +", first=30), [check(31, "-")])

    assert await spans(database) == [("down", 1, 10)]
    assert not (await health(database)).locations["here"].down


@pytest.mark.parametrize("is_first", [True, False])
async def test_late_results_from_before_a_pause_open_nothing(database: str, *, is_first: bool) -> None:
    await save(database, checks("+---"))
    await unwatched(database, 10)
    late, since = [check(2.5, "-")], checks("++", first=30)

    await save(database, *((late, since) if is_first else (since, late)))

    assert await spans(database) == [("down", 1, 10)]
    assert [change for _, change, _ in await changes(database)] == ["opened", "resolved"]


async def test_late_results_from_before_a_pause_show_outages_before_it(database: str) -> None:
    await save(database, checks("++   +++"))
    await save(database, checks("---", first=9))
    await unwatched(database, 20)

    await save(database, checks("---", first=2), late_s=HOURS_LATE)

    assert await spans(database) == [("down", 2, 5), ("down", 9, 20)]


PARTLY = together(a="+-----", b="+++- -", c="++++++")


@pytest.mark.parametrize(
    ("late", "expected"),
    [
        ([], [("partial", "opened")]),
        ([check(3.5, "+", "a"), check(3.7, "+", "a")], [("partial", "opened"), ("partial", "resolved")]),
    ],
)
async def test_an_incident_that_was_opened_as_partial_is_resolved(
    database: str, late: Sequence[CheckResult], expected: object
) -> None:
    rules = Rules(quorum=2)
    await save(database, *([each] for each in PARTLY), rules=rules)

    await save(database, [check(6, "-", "b"), check(4, "+", "b"), *late], rules=rules)

    assert [change[:2] for change in await changes(database)] == expected
    assert await query(database, "SELECT FROM health_changes WHERE quiet") == []


async def test_nothing_ends_before_it_began(database: str) -> None:
    await save(database, checks("+---"), checks("+ +", first=4), [check(5, "-"), check(6.5, "-")])
    assert await spans(database) == [("down", 1, 4), ("down", 4, None)]

    await save(database, [check(3.5)], late_s=200)

    assert await spans(database) == [("down", 1, 3.5), ("down", 4, 4)]
    assert [at for _, _, at in await changes(database)] == [3, 4, 4, 4]


async def test_an_escalation_that_was_earlier_leaves_no_hole(database: str) -> None:
    rules = Rules(quorum=2)
    known = together(a="+----------", b="++++  -----")
    await save(database, *([each] for each in known), rules=rules)
    assert await spans(database) == [("partial", 1, 6), ("down", 6, None)]

    await save(database, [check(4, "-", "b"), check(5, "-", "b")], rules=rules, late_s=310)

    assert await spans(database) == [("partial", 1, 4), ("down", 4, None)]
    await assert_sums_are_right(database)


async def test_a_late_pass_does_not_open_what_failed_long_ago(database: str) -> None:
    await save(database, checks("+- -"), [check(2, "-")], late_s=7_200)

    await save(database, [check(125, "?")], [check(124)])

    assert await incidents(database) == []
    assert (await health(database)).outage


async def test_old_failures_open_nothing_without_newer_ones(database: str) -> None:
    await save(database, checks("+- -"), [check(2, "-")], late_s=7_200)
    await save(database, [check(2.5, "-")], late_s=7_440)

    assert await incidents(database) == []
    assert (await health(database)).outage
