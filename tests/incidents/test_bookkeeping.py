"""What results come to, stored with them: states, incidents, changes, sums of hours."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from monitor.incidents.bookkeeping import Bookkeeping
from monitor.incidents.rules import Rules
from monitor.result import CheckResult
from monitor.storage.database import RefusedError, StoreUnavailableError
from monitor.storage.results import ResultStore
from tests.observing import RULES, SLOW_COUNTS, START, SameRules, check, checks, together
from tests.postgres import PostgresServer, result_store
from tests.storage.test_results import count, query

NOW = START + 86_400

RECOUNT = """
WITH result AS (
    SELECT monitor, location, scheduled_at AS start,
        CASE WHEN up IS NULL THEN 'unknown' WHEN NOT up THEN 'down'
            WHEN degraded THEN 'degraded' ELSE 'up' END AS status,
        least(scheduled_at + 180,
            lead(scheduled_at) OVER (PARTITION BY monitor, location ORDER BY scheduled_at)) AS stop
    FROM health_data WHERE monitor IS NOT NULL
), newest AS (
    SELECT monitor, location, max(scheduled_at) AS start FROM health_data GROUP BY 1, 2
), seconds AS (
    SELECT monitor, location, hour, status,
        sum(greatest(0, least(stop, (hour + 1) * 3600) - greatest(start, hour * 3600))) AS length_s
    FROM result, generate_series(floor(start / 3600)::int, floor((start + 180) / 3600)::int) AS hour
    WHERE (monitor, location, start) NOT IN (SELECT * FROM newest)
    GROUP BY 1, 2, 3, 4
), counts AS (
    SELECT monitor, location, floor(start / 3600)::int AS hour, status, count(*) AS checks
    FROM result GROUP BY 1, 2, 3, 4
)
SELECT monitor, location, hour, status, coalesce(length_s, 0) AS length_s, coalesce(checks, 0) AS checks
FROM seconds FULL JOIN counts USING (monitor, location, hour, status)
"""


def bookkeeping(now: float = NOW, rules: Rules = RULES, retention_days: float = 90) -> Bookkeeping:
    return Bookkeeping(SameRules(rules), retention_days, lambda: now)


@pytest.fixture
async def books(database: str) -> AsyncIterator[ResultStore]:
    opened = result_store(database, bookkeeping())
    yield opened
    await opened.database.close()


async def incidents(uri: str) -> list[tuple[Any, ...]]:
    rows = await query(
        uri, "SELECT kind, started_at, ended_at, past FROM health_incidents ORDER BY started_at, id"
    )
    return [(row[0], (row[1] - START) / 60, row[2] and (row[2] - START) / 60, row[3]) for row in rows]


async def changes(uri: str) -> list[tuple[Any, ...]]:
    rows = await query(uri, "SELECT kind, change, at FROM health_changes ORDER BY id")
    return [(row[0], row[1], (row[2] - START) / 60) for row in rows]


async def sums(uri: str) -> dict[Any, tuple[float, int]]:
    """Seconds and checks by monitor, location, hour and status, where there are any."""
    found = {}
    for row in await query(uri, "SELECT *, unknown AS unknowns FROM health_hours"):
        for status in ("up", "degraded", "down", "unknown"):
            seconds = 0 if status == "unknown" else row[f"{status}_s"]
            found[row["monitor"], row["location"], row["hour"], status] = (seconds, row[status])
    return {key: amounts for key, amounts in found.items() if max(amounts) > 1e-6}


async def recount(uri: str) -> dict[Any, tuple[float, int]]:
    """The same from the rows."""
    found = {}
    for row in await query(uri, RECOUNT):
        seconds = 0 if row["status"] == "unknown" else row["length_s"]
        found[tuple(row)[:4]] = (seconds, row["checks"])
    return {key: amounts for key, amounts in found.items() if max(amounts) > 1e-6}


async def assert_sums_are_right(uri: str) -> None:
    counted, recounted = await sums(uri), await recount(uri)
    assert counted.keys() == recounted.keys()
    for key, amounts in counted.items():
        assert amounts == pytest.approx(recounted[key], abs=1e-3), key


async def test_an_outage_is_an_incident_with_its_changes(database: str) -> None:
    for slot, result in enumerate(checks("+---++")):
        store = result_store(database, bookkeeping(result.timestamp + 1))
        assert await store.save([result]) == 1, slot
        await store.database.close()

    assert await incidents(database) == [("down", 1, 4, False)]
    assert await changes(database) == [("down", "opened", 3), ("down", "resolved", 4)]
    (opened, _) = await query(database, "SELECT * FROM health_changes ORDER BY id")
    assert (opened["reason"], opened["detail"]) == ("status", "status 500, expected 200-399")
    assert (opened["locations"], opened["quiet"]) == (["here"], False)
    assert opened["noticed_at"] == START + 181


async def test_an_incident_has_its_latest_reason_and_its_changes_the_others(database: str) -> None:
    for result in checks("---tt33-"):
        store = result_store(database, bookkeeping(result.timestamp + 1))
        await store.save([result])
        await store.database.close()
    store = result_store(database, bookkeeping(START + 790))
    await store.save([*checks("--tt--", first=8), *checks("+", monitor="other")])
    await store.database.close()

    (incident,) = await query(database, "SELECT reason, detail FROM health_incidents")
    assert tuple(incident) == ("status", "status 500, expected 200-399")
    rows = await query(database, "SELECT * FROM health_changes ORDER BY id")
    assert [(row["change"], (row["at"] - START) / 60, row["detail"][:10]) for row in rows] == [
        ("opened", 2, "status 500"),
        ("changed", 4, "no respons"),
        ("changed", 6, "status 503"),
        ("changed", 8, "status 500"),
        ("changed", 11, "no respons"),
        ("changed", 13, "status 500"),
    ]
    assert [row["decided_at"] is None for row in rows] == [True] + 5 * [False]
    assert (rows[1]["locations"], rows[1]["noticed_at"]) == (["here"], START + 241)


async def test_a_reason_that_changes_just_before_the_end_is_stored_before_it(database: str) -> None:
    for now, results in ((130, checks("---")), (370, checks("tt++", first=3))):
        store = result_store(database, bookkeeping(START + now))
        await store.save(results)
        await store.database.close()

    assert [change for _, change, _ in await changes(database)] == ["opened", "changed", "resolved"]
    (incident,) = await query(database, "SELECT reason FROM health_incidents")
    assert incident["reason"] == "response_timeout"


async def test_slow_checks_are_an_incident_that_down_replaces(database: str) -> None:
    for result in checks("~~~---++++"):
        store = result_store(database, bookkeeping(result.timestamp + 1, SLOW_COUNTS))
        await store.save([result])
        await store.database.close()

    assert await incidents(database) == [("degraded", 0, 3, False), ("down", 3, 6, False)]
    assert await changes(database) == [
        ("degraded", "opened", 2),
        ("degraded", "resolved", 3),
        ("down", "opened", 5),
        ("down", "resolved", 6),
    ]


async def test_an_outage_that_is_over_is_recorded_as_past(database: str, books: ResultStore) -> None:
    await books.save(checks("+---"))
    await books.save(checks("++---+++", first=4))

    assert await incidents(database) == [("down", 1, 4, True), ("down", 6, 9, True)]
    assert await changes(database) == [("down", "past", 4), ("down", "past", 9)]


async def test_the_state_of_a_monitor_can_be_read(database: str, books: ResultStore) -> None:
    await books.save(checks("+++") + checks("+---", monitor="b"))

    rows = await query(database, "SELECT monitor, status, last_at FROM health_states ORDER BY monitor")
    assert [tuple(row) for row in rows] == [("b", "down", START + 180), ("shop", "up", START + 120)]


async def test_rules_are_the_monitors_own(database: str) -> None:
    store = result_store(database, bookkeeping(START + 60, Rules(failures=1)))

    await store.save(checks("-"))

    assert await incidents(database) == [("down", 0, None, False)]
    await store.database.close()


async def test_a_result_that_comes_twice_counts_once(database: str, books: ResultStore) -> None:
    await books.save([check(0), check(0), check(1)])
    await books.save([check(0), check(1), check(2, "-"), check(2, "-")])

    assert sorted((await sums(database)).values()) == [(0, 1), (pytest.approx(120), 2)]


async def test_results_without_a_monitor_take_no_part(database: str, books: ResultStore) -> None:
    await books.save([msgspec.structs.replace(each, monitor="", location="") for each in checks("---")])

    assert await sums(database) == {}
    assert await query(database, "SELECT FROM health_states") == []


async def test_a_result_whose_day_may_have_been_dropped_counts_for_nothing(database: str) -> None:
    store = result_store(database, bookkeeping(retention_days=0.5))

    assert await store.save([check(0), check(1_000)]) == 2

    assert list((await sums(database)).values()) == [(0, 1)]
    await store.database.close()


async def test_a_refused_batch_leaves_nothing_behind(database: str, books: ResultStore) -> None:
    with pytest.raises(RefusedError):
        await books.save([*checks("+---++"), msgspec.structs.replace(check(9), response_data="a\0b")])

    for table in ("states", "incidents", "changes", "hours"):
        assert await query(database, f"SELECT FROM health_{table}") == []


async def test_response_times_are_counted_where_it_was_up(database: str, books: ResultStore) -> None:
    await books.save(checks("+~-?"))

    (row,) = await query(database, "SELECT response_times FROM health_hours")
    assert (sum(row[0]), row[0][36]) == (2, 2)


@pytest.mark.parametrize(("others", "kind"), [("a", "down"), ("abc", "partial")])
async def test_results_that_a_location_sends_hours_later_are_compared_with_the_others(
    database: str, books: ResultStore, others: str, kind: str
) -> None:
    await books.save(together(**dict.fromkeys(others, "+" * 20)))

    await books.save(checks("+---++++++", "late"))

    assert await incidents(database) == [(kind, 1, 4, True)]
    await assert_sums_are_right(database)


async def test_retries_weigh_as_much_as_the_time_that_they_stand_for(
    database: str, books: ResultStore
) -> None:
    retried = [check(1, "-"), check(1 + 5 / 60, "-"), check(1 + 10 / 60), check(1 + 15 / 60)]

    await books.save([check(0), *retried, check(2), check(3)])

    counted = {key[-1]: amounts for key, amounts in (await sums(database)).items()}
    assert {status: round(seconds, 3) for status, (seconds, _) in counted.items()} == {"up": 170, "down": 10}
    assert {status: checks for status, (_, checks) in counted.items()} == {"up": 5, "down": 2}
    await assert_sums_are_right(database)


async def test_a_restart_goes_on_from_what_is_stored(database: str) -> None:
    for signs, first in (("+--", 0), ("-", 3), ("+", 4), ("+", 5)):
        store = result_store(database)
        await store.save(checks(signs, first=first))
        await store.database.close()

    assert [row[0:3] for row in await incidents(database)] == [("down", 1, 4)]


def stream(seed: int) -> list[CheckResult]:
    """Five hours of three shops from two places, with outages, gaps and checks without network."""
    chance = random.Random(seed)  # noqa: S311 - the same streams each time
    found = []
    for monitor in ("a", "b", "c"):
        for location in ("here", "there"):
            signs = "".join(chance.choices("+-~? ", (20, 6, 3, 1, 1), k=100))
            signs = "".join(sign * chance.randint(1, 5) for sign in signs)[:300]
            found += checks(signs, location, monitor=monitor)
    return found


async def save_until_stored(store: ResultStore, batch: Sequence[CheckResult]) -> None:
    while True:
        try:
            await store.save(batch)
        except StoreUnavailableError:
            continue
        return


@pytest.mark.parametrize("disorder_s", [0, 600, 18_000])
async def test_sums_are_those_of_a_recount_after_duplicates_replays_disorder_and_crashes(
    database: str, postgres_server: PostgresServer, disorder_s: float
) -> None:
    results = stream(int(disorder_s))
    chance = random.Random(7)  # noqa: S311 - the same disorder each time
    results.sort(key=lambda each: each.scheduled_at + chance.uniform(0, disorder_s))
    batches = [results[start : start + 60] for start in range(0, len(results), 60)]
    replays = [chance.choice(batches[: number + 1]) for number in range(0, len(batches), 3)]
    stores = [result_store(database, bookkeeping()) for _ in range(2)]

    for number, batch in enumerate(batches):
        saving = [save_until_stored(store, batch) for store in stores]
        if number % 3 == 0:
            saving.append(save_until_stored(stores[0], replays[number // 3]))
        if number % 5 == 0:
            saving.append(asyncio.to_thread(postgres_server.disconnect, urlsplit(database).path[1:]))
        await asyncio.gather(*saving)

    assert await count(database) == len(results)
    await assert_sums_are_right(database)
    for store in stores:
        await store.database.close()


async def test_a_cancelled_save_counts_all_or_nothing(database: str, books: ResultStore) -> None:
    results = stream(1)
    for delay_s in (0.001, 0.004, 0.016):
        saving = asyncio.create_task(books.save(results))
        await asyncio.wait({saving}, timeout=delay_s)
        saving.cancel()
        await asyncio.gather(saving, return_exceptions=True)

    await books.save(results)

    await assert_sums_are_right(database)


async def test_processes_that_save_the_same_monitors_wait_for_each_other(database: str) -> None:
    stores = [result_store(database, bookkeeping()) for _ in range(4)]
    results = stream(3)
    shares = [results[number::4] for number in range(4)]

    for _ in range(3):
        new = await asyncio.gather(*(store.save(share) for store, share in zip(stores, shares, strict=True)))
        shares = shares[1:] + shares[:1]

    assert sum(new) == 0
    await assert_sums_are_right(database)
    for store in stores:
        await store.database.close()


async def test_two_processes_never_open_one_incident_twice(database: str) -> None:
    stores = [result_store(database, bookkeeping(START + 200)) for _ in range(4)]
    failing = [each for number in range(50) for each in checks("---", monitor=f"m{number}")]

    await asyncio.gather(
        *(store.save(failing[::step]) for store, step in zip(stores, (1, -1, 1, -1), strict=True))
    )

    assert len(await incidents(database)) == len(await changes(database)) == 50
    for store in stores:
        await store.database.close()
