"""Maintenance windows in the sums of hours, and in what is read from them."""

import random
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from monitor.cli import report
from monitor.config.alerts import Maintenance
from monitor.config.model import Config, Monitor
from monitor.incidents.bookkeeping import Bookkeeping
from monitor.incidents.rules import Rules
from monitor.incidents.store import locked
from monitor.runtime.text import HOUR_S
from monitor.storage.results import ResultStore
from monitor.uptime.maintenance import Windows
from monitor.uptime.report import ReportRow
from monitor.uptime.store import sum_up_days
from tests.incidents.test_bookkeeping import NOW, save_until_stored, stream
from tests.observing import START, SameRules, checks, once
from tests.postgres import result_store
from tests.storage.test_results import query

NIGHT = once(START + 90, START + 210)
OFTEN = Maintenance(cron="*/7 * * * *", duration_s=100)

# Each second by itself: what the last result was, unless a window is open.
RECOUNT = """
WITH result AS (
    SELECT monitor, location, scheduled_at::int AS start,
        CASE WHEN NOT up THEN 'down_s' WHEN degraded THEN 'degraded_s' ELSE 'up_s' END AS spent,
        least(scheduled_at + 180,
            lead(scheduled_at) OVER (PARTITION BY monitor, location ORDER BY scheduled_at))::int AS stop,
        lead(scheduled_at) OVER (PARTITION BY monitor, location ORDER BY scheduled_at) IS NULL AS newest,
        up IS NULL AS nothing
    FROM health_data
), seconds AS (
    SELECT monitor, location, second / 3600 AS hour, CASE WHEN (
        second / 60 % 60 % 7 * 60 + second % 60 < 100 OR second >= $1 AND second < $2
    ) AND monitor <> 'c' THEN 'maintenance_s' ELSE spent END AS spent
    FROM result, generate_series(start, stop - 1) AS second WHERE NOT newest AND NOT nothing
)
SELECT monitor, location, hour, spent, count(*) AS length_s FROM seconds GROUP BY 1, 2, 3, 4
"""


def store_with(database: str, *windows: Maintenance, now: float = NOW) -> ResultStore:
    rules = Rules(windows=Windows(windows) if windows else None)
    return result_store(database, Bookkeeping(SameRules(rules), 90, lambda: now))


async def seconds(database: str) -> list[float]:
    """Seconds up, degraded, down and in maintenance, of everything."""
    (row,) = await query(
        database, "SELECT sum(up_s), sum(degraded_s), sum(down_s), sum(maintenance_s) FROM health_hours"
    )
    return [round(each, 6) for each in row]


@pytest.mark.parametrize("disorder_s", [0, 18_000])
async def test_sums_are_those_of_a_recount_whenever_results_come(database: str, disorder_s: float) -> None:
    results = stream(5)
    chance = random.Random(7)  # noqa: S311 - the same disorder each time
    results.sort(key=lambda each: each.scheduled_at + chance.uniform(0, disorder_s))
    window = (START + 7_777, START + 9_999)
    rules = Rules(windows=Windows([OFTEN, once(*window)]))
    store = result_store(database, Bookkeeping(SameRules(rules, but="c"), 90, lambda: NOW))

    for start in range(0, len(results), 60):
        await save_until_stored(store, results[max(0, start - 20) : start + 60])
    await store.database.close()

    recounted = {tuple(row)[:4]: row["length_s"] for row in await query(database, RECOUNT, *window)}
    counted = {
        (row["monitor"], row["location"], row["hour"], spent): row[spent]
        for row in await query(database, "SELECT * FROM health_hours")
        for spent in ("up_s", "degraded_s", "down_s", "maintenance_s")
        if row[spent] > 1e-6
    }
    assert {monitor for monitor, _, _, spent in counted if spent == "maintenance_s"} == {"a", "b"}
    assert counted == pytest.approx(recounted)
    checked = "SELECT sum(up + degraded + down + unknown) FROM health_hours"
    assert tuple((await query(database, checked))[0]) == (len(results),)


async def test_a_window_that_comes_or_goes_later_does_not_change_the_past(database: str) -> None:
    for windows, first, expected in (
        ([NIGHT], 0, [90, 0, 0, 90]),
        ([], 4, [330, 0, 0, 90]),
        ([once(START, START + 450)], 8, [540, 0, 0, 120]),
    ):
        store = store_with(database, *windows)
        await store.save(checks("++++", first=first))
        await store.database.close()
        assert await seconds(database) == expected


async def reported(database: str, folder: Path, *windows: dict[str, Any], since: float = START) -> ReportRow:
    shop = Monitor.model_validate({"name": "shop", "url": "https://a.example/", "maintenance": windows})
    config = Config(monitors=(shop,), pg_uri=SecretStr(database), data_dir=folder)
    (row,) = await report(config, since, since + 1)
    return row


async def test_a_report_leaves_maintenance_out_of_uptime(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_with(database, NIGHT)
    await store.save(checks("+----+~?"))

    row = await reported(database, tmp_path)

    assert (row.checks, row.incidents) == (8, 1)
    assert row.uptime == pytest.approx((60 + 120) / (60 + 30 + 90 + 120))
    assert row.maintenance == pytest.approx(120 / HOUR_S)
    assert row.no_data == pytest.approx(1 - 420 / HOUR_S)

    monkeypatch.setattr("monitor.uptime.store.HOURS_KEPT_D", 0)
    await sum_up_days(store.database, locked)
    await store.database.close()
    assert await query(database, "SELECT FROM health_hours") == []
    (day,) = await query(database, "SELECT maintenance_s, down_s FROM health_days")
    assert tuple(day) == (120, 120)


async def test_time_that_the_newest_result_covers_in_a_window_is_maintenance(
    database: str, tmp_path: Path
) -> None:
    store = store_with(database)
    await store.save(checks("-"))
    await store.database.close()

    window = {"starts_at": "2026-11-18T12:07:40+01:00", "ends_at": "2026-11-18T12:08:40+01:00"}
    row = await reported(database, tmp_path, window)
    before = await reported(database, tmp_path, window, since=START - HOUR_S)

    assert row.uptime == 0
    assert row.maintenance == pytest.approx(60 / HOUR_S)
    assert row.no_data == pytest.approx(1 - 180 / HOUR_S)
    assert (before.maintenance, before.no_data) == (0, 1)
