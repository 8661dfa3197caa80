"""The cost of the pages over a long history: `python -m benchmarks.history [MILLIONS OF ROWS] [MONITORS]`.

Fills an embedded PostgreSQL with 90 days and prints how it carries out each query of the pages. Then measures
how long each page takes, and for how long it holds up the event loop at most. The exit code is 1 if a query
reads a table or partitions that it does not need.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import uvloop

from benchmarks.ingest import results
from monitor.config.model import Config, Monitor
from monitor.embedded.postgres import postgres
from monitor.incidents.bookkeeping import Bookkeeping
from monitor.incidents.rules import MonitorRules
from monitor.runtime.process.data_dir import locked
from monitor.storage.database import Database
from monitor.storage.results import ResultStore
from monitor.web.pages.content.history import DAY_H, DAYS, bounds
from monitor.web.pages.content.states import PAGE_ROWS
from monitor.web.queries import PageReader, Place
from monitor.web.server import serving
from monitor.web.site import Site
from tests.web.visitor import running_on

DAY_S = 86_400
_TRIES = 7
HOURS_DAYS = 9  # whose hours the pages may read
MOST_DAYS = 3  # that a query of single results may touch
_LOOK_FOR = ("Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Heap Scan")
_WHOLE = {"health_states"}  # one row a monitor, read whole

_ROWS = """
INSERT INTO health_data (
    timestamp, data, status, time, result_id, monitor, url, location, scheduled_at, up, degraded, connect_s,
    processing_s, transfer_s, redirects, http_version, ip, body_bytes, body_truncated)
SELECT at + 0.01, '', 200, 0.05 + 0.1 * random(), gen_random_uuid(), 'm' || (n % $3), 'https://shop.example/',
       'here', at, true, false, 0.01, 0.03, 0.001, 0, '1.1', '192.0.2.1', 512, false
FROM (SELECT n, $1::float8 + 86400.0 * n / $2 AS at FROM generate_series(0, $2::int - 1) AS n) AS slots
"""

_SUMS = """
INSERT INTO health_{table} (
    monitor, location, {period}, up_s, degraded_s, down_s, maintenance_s, up, degraded, down, unknown,
    response_times, slowest_s, resolve_s, connect_s, tls_s, processing_s, transfer_s)
SELECT 'm' || n, 'here', period, {length_s}, 0, 0, 0, 60, 0, 0, 0, array_fill(1, ARRAY[64]),
       1, 0.1, 0.1, 0.1, 1, 0.1
FROM generate_series(0, $1 - 1) AS n, generate_series($2::int, $3::int - 1) AS period
ON CONFLICT DO NOTHING
"""

_STATES = """
INSERT INTO health_states (monitor, status, last_at, health)
SELECT 'm' || n, CASE n % 50 WHEN 0 THEN 'down' ELSE 'up' END, $2, '{}' FROM generate_series(0, $1 - 1) AS n
ON CONFLICT (monitor) DO UPDATE SET status = excluded.status
"""

_INCIDENTS = """
WITH made AS (
    INSERT INTO health_incidents (monitor, kind, started_at, noticed_at, ended_at, reason, detail, locations)
    SELECT 'm' || n, 'down', $2::float8 - 86400.0 * day, $2 - 86400.0 * day,
           CASE WHEN day > 0 OR n % 50 > 0 THEN $2 - 86400.0 * day + 600 END, 'status', 'status 503', '{here}'
    FROM generate_series(0, $1 - 1) AS n, generate_series(0, 80, 8) AS day RETURNING *
)
INSERT INTO health_changes (incident_id, monitor, kind, change, at, noticed_at, reason, detail)
SELECT id, monitor, kind, 'opened', started_at, noticed_at, reason, detail FROM made
"""

_ACKNOWLEDGED = """
INSERT INTO health_acknowledgements (incident_id, at, who, why)
SELECT id, noticed_at, 'Ada', 'on it' FROM health_incidents WHERE id % 2 = 0
"""


async def fill(database: Database, rows: int, monitors: int) -> None:
    """Store rows that are spread over 90 days, and the sums, states and incidents of the monitors."""
    today = int(time.time() // DAY_S)
    await ResultStore(database, Bookkeeping(MonitorRules(), 90).open_books).save(
        [each for day in range(DAYS) for each in _of_day(today - day)]
    )
    for day in range(today - DAYS + 1, today + 1):
        async with database.transaction() as connection:
            await connection.execute(_ROWS, float(day * DAY_S), rows // DAYS, monitors)
    hours = (today - HOURS_DAYS + 1) * DAY_H, (today + 1) * DAY_H
    hourly = _SUMS.format(table="hours", period="hour", length_s=3_600)
    daily = _SUMS.format(table="days", period="day", length_s=DAY_S)
    async with database.transaction() as connection:
        await connection.execute("SET LOCAL statement_timeout = 0")
        await connection.execute(hourly, monitors, *hours, timeout=600)
        await connection.execute(daily, monitors, today - DAYS, today, timeout=600)
        await connection.execute(_STATES, monitors, time.time())
        await connection.execute(_INCIDENTS, monitors, time.time() - 600)
        await connection.execute(_ACKNOWLEDGED)
    async with database.transaction() as connection:
        await connection.execute("SET LOCAL statement_timeout = 0")
        await connection.execute("ANALYZE", timeout=600)


def _of_day(day: int) -> Iterator[Any]:
    """Yield one result: storing it makes the partition of its day."""
    (made,) = results(1)
    at = float(day * DAY_S)
    yield msgspec.structs.replace(made, scheduled_at=at, id=type(made.id)(int=day))


class Explained(PageReader):
    """Reads for the pages, and keeps PostgreSQL's plan of each query in `plans`, by what was `asked`."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.plans: dict[str, list[dict[str, Any]]] = {}
        self.asked = ""

    async def _rows(self, query: str, *arguments: Any) -> Sequence[Any]:
        (row,) = await super()._rows(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}", *arguments)
        (plan,) = msgspec.json.decode(row[0])
        self.plans.setdefault(self.asked, []).append(plan["Plan"])
        return await super()._rows(query, *arguments)


async def ask_all(reader: Explained, names: list[str]) -> None:
    """Make each query that the pages make."""
    now = time.time()
    span = bounds(now)
    asked = {
        "statuses": reader.statuses(),
        "states": reader.states(names),
        "latest": reader.latest(names, now - DAY_S),
        "days": reader.days(names, span.first_day, span.first_hour, span.end_hour),
        "beginning of the week": reader.hours(names, *span.week_hours),
        "hours": reader.sums(names, "hour", span.end_hour - DAY_H, span.end_hour),
        "course by the hour": reader.sums(names[:1], "hour", span.end_hour - 7 * DAY_H, span.end_hour),
        "course by results": reader.course(names[0], now - 3 * 3_600, now, 180),
        "results": reader.results(names[0], now - DAY_S, Place(), 50),
        "incidents of one": reader.incidents(names[:1], now - DAY_S, now),
        "incidents of all": reader.incidents(None, 0, now),
        "incident": reader.incident(1),
        "last change": reader.last_change(),
        "changes": reader.changes_after(0),
    }
    for reader.asked, reading in asked.items():
        await reading


def read_by(plan: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each table that a plan has read, and how; steps that were not carried out are left out."""
    if plan["Node Type"] in _LOOK_FOR and plan["Actual Loops"]:
        yield plan["Relation Name"], plan["Node Type"]
    for part in plan.get("Plans", ()):
        yield from read_by(part)


def mistakes(read: Iterable[tuple[str, str]]) -> list[str]:
    """Return what a query has read without need."""
    found = list(read)
    days = {table for table, _ in found if table.startswith("health_data_2")}
    wrong = [
        f"{how} of {table}"
        for table, how in found
        if how == "Seq Scan" and table not in _WHOLE and table != "health_data_original"
    ]
    return wrong + ([f"{len(days)} days of results"] if len(days) > MOST_DAYS else [])


async def answer_times(database: Database, names: list[str]) -> None:
    """Print how long each page takes when it is made anew."""
    monitors = tuple(Monitor(name=name, url="https://shop.example/") for name in names)
    config = Config(monitors=monitors, web_port=0)
    site = Site(config)
    site.program.started = running_on(database)
    async with (
        serving(config, site.access, site.routes(), site.middlewares) as (url,),
        aiohttp.ClientSession() as client,
    ):
        for path in (
            "",
            "?q=m1",
            "?page=3",
            "monitors/m1?range=3h",
            "monitors/m1?range=24h",
            "monitors/m1?range=90d",
            "incidents",
            "incidents/1",
            "pipeline",
            "status",
            "status/rss",
            "api/v1/monitors",
            "api/v1/monitors/m1/results?limit=1000",
            "api/v1/incidents",
        ):
            took, turns, length = [], [], 0
            for _ in range(_TRIES):
                site.follow(config)
                began = time.perf_counter()
                length = len(await read(client, url + path))
                took.append(1000 * (time.perf_counter() - began))
            for _ in range(_TRIES):
                site.follow(config)
                turning = asyncio.create_task(longest_turn())
                await read(client, url + path)
                turning.cancel()
                turns.append(1000 * await turning)
            print(
                f"/{path:40} {min(took):5.0f} ms at best, {max(took):5.0f} at worst, {length // 1000:4} kB,"
                f" {min(turns):6.2f} ms of the processor at most in one turn of the loop"
            )


async def read(client: aiohttp.ClientSession, url: str) -> bytes:
    async with client.get(url) as response:
        return await response.read()


async def longest_turn() -> float:
    """Return the most CPU seconds of one turn of the loop, once cancelled."""
    longest_s = 0.0
    with suppress(asyncio.CancelledError):
        while True:
            began = time.thread_time()
            await asyncio.sleep(0)
            longest_s = max(longest_s, time.thread_time() - began)
    return longest_s


async def main(millions: float, monitors: int) -> bool:
    """Fill a database, explain its queries and time the pages; return whether no query reads without need."""
    names = [f"m{n}" for n in range(monitors)]
    async with AsyncExitStack() as resources:
        folder = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="whm-")), "d")
        resources.enter_context(locked(folder))
        database = Database(await resources.enter_async_context(postgres(folder)))
        resources.push_async_callback(database.close)
        began = time.monotonic()
        await fill(database, int(millions * 1e6), monitors)
        print(f"{millions:g} million rows, {monitors} monitors, in {time.monotonic() - began:.0f} s")
        reader = Explained(database)
        await ask_all(reader, names[:PAGE_ROWS])
        wrong = False
        for asked, plans in reader.plans.items():
            found = mistakes(each for plan in plans for each in read_by(plan))
            took_ms = sum(plan["Actual Total Time"] for plan in plans)
            wrong = wrong or bool(found)
            print(f"{asked:22} {took_ms:8.1f} ms  {'; '.join(found) or 'by index'}")
        await answer_times(database, names)
    return not wrong


if __name__ == "__main__":
    figures = [float(each) for each in sys.argv[1:]] or [10.0]
    sys.exit(not uvloop.run(main(figures[0], int(figures[1]) if len(figures) > 1 else 2_000)))
