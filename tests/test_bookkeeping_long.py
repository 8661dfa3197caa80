"""What late results change of outages that began long before them, or that nobody watched any more."""

from collections.abc import Sequence

import msgspec
import pytest

from monitor.health import Health
from monitor.result import CheckResult
from monitor.standing import Rules
from monitor.store import Store
from tests.observing import START, check, checks, together
from tests.test_bookkeeping import assert_sums_are_right, bookkeeping, changes, incidents
from tests.test_bookkeeping_late import HOURS_LATE, save
from tests.test_store import query


async def spans(uri: str) -> list[tuple[object, ...]]:
    return [row[:3] for row in await incidents(uri)]


async def health(uri: str) -> Health:
    (row,) = await query(uri, "SELECT health FROM health_states")
    return msgspec.json.decode(row["health"], type=Health)


async def unwatched(uri: str, slot: float) -> None:
    """Look when nobody checks the monitor any more."""
    store = Store(uri, bookkeeping(START + 60 * slot))
    await store.look_for_silence({}, {}, lambda _: True, START + 60 * slot)
    await store.close()


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


async def test_results_before_a_pause_say_nothing_of_the_time_after_it(database: str) -> None:
    await save(database, checks("+---"))
    await unwatched(database, 10)

    await save(database, checks("+ +", first=30), [check(31, "-")])

    assert await spans(database) == [("down", 1, 10)]
    assert not (await health(database)).locations["here"].down


async def test_late_results_from_before_a_pause_open_nothing(database: str) -> None:
    await save(database, checks("+---"))
    await unwatched(database, 10)

    await save(database, [check(2.5, "-")], checks("++", first=30))

    assert await spans(database) == [("down", 1, 10)]
    assert [change for _, change, _ in await changes(database)] == ["opened", "resolved"]


async def test_late_results_from_before_a_pause_tell_of_outages_before_it(database: str) -> None:
    await save(database, checks("++   +++"))
    await save(database, checks("---", first=9))
    await unwatched(database, 20)

    await save(database, checks("---", first=2), late_s=HOURS_LATE)

    assert await spans(database) == [("down", 2, 5), ("down", 9, 20)]


PARTLY = together(a="+-----", b="+++- -", c="++++++")


@pytest.mark.parametrize(
    ("late", "told"),
    [
        ([], [("partial", "opened")]),
        ([check(3.5, "+", "a"), check(3.7, "+", "a")], [("partial", "opened"), ("partial", "resolved")]),
    ],
)
async def test_what_was_told_as_partial_is_told_to_be_over(
    database: str, late: Sequence[CheckResult], told: object
) -> None:
    rules = Rules(quorum=2)
    await save(database, *([each] for each in PARTLY), rules=rules)

    await save(database, [check(6, "-", "b"), check(4, "+", "b"), *late], rules=rules)

    assert [change[:2] for change in await changes(database)] == told
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


async def test_old_failures_do_not_open_what_nothing_newer_speaks_of(database: str) -> None:
    await save(database, checks("+- -"), [check(2, "-")], late_s=7_200)
    await save(database, [check(2.5, "-")], late_s=7_440)

    assert await incidents(database) == []
    assert (await health(database)).outage
