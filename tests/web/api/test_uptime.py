"""The API's account of uptime, against what was stored."""

import time
from typing import Any
from urllib.parse import urlsplit

import pytest

from monitor.incidents.bookkeeping import Bookkeeping
from monitor.incidents.rules import MonitorRules
from monitor.incidents.store import locked
from monitor.storage.results import ResultStore
from monitor.uptime.store import _SUMS, sum_up_days
from monitor.web.api.uptime import bounds_of
from tests.postgres import PostgresServer, result_store
from tests.storage.test_results import query
from tests.web.api.client import Client, failed, found

HOUR_S = 3_600
DAY_S = 86_400
NOON = 20_000 * DAY_S + 12 * HOUR_S
SHARES = ("up_share", "degraded_share", "down_share", "maintenance_share", "unknown_share")


def hour_of(ago: int) -> int:
    """The beginning of the hour that was so many hours ago."""
    return (int(time.time()) // HOUR_S - ago) * HOUR_S


async def fill(store: ResultStore, begin: int) -> None:
    """Store an hour of the shop: 40 minutes up, 10 degraded, 10 down, and what ends it."""
    results = [found("shop", begin + 60 * minute, response_time=0.1) for minute in range(40)]
    results += [
        found("shop", begin + 60 * minute, degraded=True, response_time=2) for minute in range(40, 50)
    ]
    results += [failed("shop", begin + 60 * minute) for minute in range(50, 60)]
    await store.save([*results, found("shop", begin + HOUR_S), found("shop", begin + HOUR_S + 60)])


async def test_a_stretch_is_accounted_for(api: Client, store: ResultStore) -> None:
    begin = hour_of(30)
    await fill(store, begin)

    uptime = (await api(f"/monitors/shop/uptime?since={begin + 5}&until={begin + HOUR_S - 5}")).json

    assert uptime["since_at"] == begin
    assert uptime["until_at"] == begin + HOUR_S
    assert [uptime[share] for share in SHARES] == pytest.approx([4 / 6, 1 / 6, 1 / 6, 0, 0])
    assert uptime["uptime"] == pytest.approx(5 / 6)
    checks = [uptime[f"checks{which}"] for which in ("", "_up", "_degraded", "_down", "_unknown")]
    assert checks == [60, 40, 10, 10, 0]
    kinds = ("down", "partial", "degraded", "no_data")
    assert [uptime[f"incidents_{kind}"] for kind in kinds] == [1, 0, 0, 0]
    assert uptime["p50_s"] == pytest.approx(0.1, rel=0.2)
    assert uptime["p95_s"] == pytest.approx(2, rel=0.2)
    assert uptime["slowest_s"] == 2


async def test_incidents_are_those_of_the_hours_that_are_accounted_for(
    api: Client, store: ResultStore
) -> None:
    begin = hour_of(30)
    await fill(store, begin)

    uptime = (await api(f"/monitors/shop/uptime?since={begin}&until={begin + 1}")).json

    assert (uptime["checks_down"], uptime["incidents_down"]) == (10, 1)


async def test_what_no_result_speaks_for_is_unknown(api: Client, store: ResultStore) -> None:
    begin = hour_of(30)
    await fill(store, begin)

    uptime = (await api(f"/monitors/shop/uptime?since={begin - HOUR_S}&until={begin + HOUR_S}")).json

    assert sum(uptime[share] for share in SHARES) == pytest.approx(1)
    assert uptime["unknown_share"] == pytest.approx(1 / 2)
    assert uptime["uptime"] == pytest.approx(5 / 6)


async def test_a_day_until_now_is_the_default(api: Client) -> None:
    uptime = (await api("/monitors/new/uptime")).json

    assert uptime["since_at"] % HOUR_S == 0
    assert uptime["until_at"] == pytest.approx(time.time(), abs=30)
    assert DAY_S - 30 < uptime["until_at"] - uptime["since_at"] < DAY_S + HOUR_S + 30
    assert (uptime["uptime"], uptime["unknown_share"], uptime["checks"]) == (None, 1, 0)
    assert (uptime["p99_s"], uptime["slowest_s"]) == (None, None)


async def test_all_monitors_page_by_page(api: Client) -> None:
    first = (await api("/uptime?limit=3")).json
    second = (await api(f"/uptime?limit=3&cursor={first['next']}")).json

    assert [each["monitor"] for each in first["uptimes"]] == ["a/b", "blog", "new"]
    assert [each["monitor"] for each in second["uptimes"]] == ["old", "shop"]
    assert second["next"] is None


async def test_chosen_monitors_as_a_table(api: Client, store: ResultStore) -> None:
    begin = hour_of(30)
    await fill(store, begin)

    answered = await api(
        f"/uptime?monitor=shop&monitor=a/b&monitor=none&since={begin}&until={begin + HOUR_S}&format=csv"
    )

    head, first, second = (line.split(",") for line in answered.lines)
    assert head[:4] == ["monitor", "since_at", "until_at", "uptime"]
    assert (first[0], first[3]) == ("a/b", "")
    assert second[0] == "shop"
    assert float(second[3]) == pytest.approx(5 / 6)


async def test_days_and_hours_add_up_to_the_same(api: Client, database: str) -> None:
    store = result_store(database, Bookkeeping(MonitorRules(), 90, time.time))
    begin = (int(time.time()) // DAY_S - 20) * DAY_S
    results = [found("shop", begin + HOUR_S * hour, response_time=0.2) for hour in range(20 * 24)]
    await store.save(results)
    where = f"since={begin + 5 * HOUR_S}&until={begin + 19 * DAY_S + 7 * HOUR_S}"

    before = (await api(f"/monitors/shop/uptime?{where}")).json
    await sum_up_days(store.database, locked)
    after = (await api(f"/monitors/shop/uptime?{where}")).json
    await store.database.close()

    assert after["checks"] == 19 * 24 + 7 - 5
    assert after["up_share"] == pytest.approx(180 / HOUR_S)
    assert after["p50_s"] == pytest.approx(0.2, rel=0.2)
    assert before["checks"] < after["checks"]


@pytest.mark.parametrize(
    ("since", "until", "stretch"),
    [
        (NOON - 60, NOON + 1, (480_011, 480_013, 20_001, 20_001)),
        (NOON - 5 * DAY_S, NOON, (479_892, 480_012, 19_996, 19_996)),
        (NOON - 8 * DAY_S, NOON, (479_820, 480_012, 19_993, 19_993)),
        (NOON - 9 * DAY_S, NOON, (479_796, 480_012, 19_992, 19_993)),
        (NOON - 30 * DAY_S, NOON - 20 * DAY_S, (479_292, 479_532, 19_971, 19_980)),
        (NOON - 500 * DAY_S, NOON - 450 * DAY_S, (19_500 * 24, 19_551 * 24, 19_500, 19_551)),
        (NOON - 400 * DAY_S, NOON, (19_600 * 24, 480_012, 19_600, 19_993)),
        (NOON + DAY_S, NOON + 2 * DAY_S, (480_036, 480_060, 20_002, 20_002)),
        (-DAY_S, 0, (-24, 0, -1, 0)),
    ],
)
def test_long_past_days_are_read_as_days(since: float, until: float, stretch: tuple[int, ...]) -> None:
    assert bounds_of(since, until, NOON) == (stretch[:2], stretch[2:])


@pytest.mark.parametrize("path", ["/monitors/shop/uptime", "/uptime"])
@pytest.mark.parametrize(
    ("since", "until"), [(-62_135_596_800, 253_402_300_799), ("9999-01-01", "9999-02-01")]
)
async def test_any_stretch_will_do(api: Client, path: str, since: Any, until: Any) -> None:
    answered = (await api(f"{path}?since={since}&until={until}")).json

    (uptime, *_) = answered.get("uptimes", [answered])
    assert uptime["unknown_share"] == 1


async def test_what_is_not_there_or_not_allowed(api: Client) -> None:
    await api.refused("/api/v1/monitors/none/uptime", 404)
    problem = await api.refused("/api/v1/uptime?monitor=a%00b&since=x&until=y&format=xml", 400)

    assert [each["parameter"] for each in problem["errors"]] == ["monitor", "since", "until", "format"]


async def test_a_long_stretch_reads_few_rows(
    store: ResultStore, postgres_server: PostgresServer, database: str
) -> None:
    del store
    today = int(time.time()) // DAY_S
    zeros = "array_fill(0, ARRAY[64])"
    columns = "up_s, degraded_s, down_s, maintenance_s, up, degraded, down, unknown"
    rest = "slowest_s, resolve_s, connect_s, tls_s, processing_s, transfer_s"
    values = "0, 0, 0, 0, 1, 0, 0, 0"
    name = urlsplit(database).path.lstrip("/")
    for table, period, first in (("hours", "hour", today * 24 - 2_400), ("days", "day", today - 100)):
        end = today * 24 if period == "hour" else today
        insert = (
            f"INSERT INTO health_{table} (monitor, location, {period}, {columns}, response_times, {rest})"  # noqa: S608
            f" SELECT 'm' || m, 'here', p, {values}, {zeros}, 0, 0, 0, 0, 0, 0"
            f" FROM generate_series(1, 20) m, generate_series({first}, {end}) p"
        )
        postgres_server.sql(insert, name)
    postgres_server.sql("ANALYZE health_hours, health_days", name)
    hours, days = bounds_of((today - 90) * DAY_S, (today + 1) * DAY_S, today * DAY_S + 1)
    plan = await query(database, f"EXPLAIN (ANALYZE, FORMAT TEXT) {_SUMS}", ["m7"], *hours, *days)

    text = "\n".join(row[0] for row in plan)
    assert "Seq Scan" not in text
