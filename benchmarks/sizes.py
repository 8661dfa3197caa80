"""The bytes of a result in PostgreSQL, with its indexes: `python -m benchmarks.sizes [ROWS]`.

Fills an embedded PostgreSQL with a day of each kind of result, through the program's own store, in the order
in which checks make them. Then removes bodies and moves failed results, and prints what is left and how long
that took, beside an UPDATE that removes the same bodies. Last, the bytes of an hour and of a day in the sums.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from benchmarks.running import ROOT
from monitor.embedded.postgres import postgres
from monitor.incidents.bookkeeping import Bookkeeping
from monitor.incidents.rules import MonitorRules
from monitor.result import (
    Attempt,
    Certificate,
    CheckResult,
    DnsAnswer,
    Evidence,
    Phases,
    Reason,
    Tls,
    result_id,
)
from monitor.runtime.process.data_dir import locked
from monitor.runtime.text import DAY_S
from monitor.storage.database import Database
from monitor.storage.expiry import KeptDays, expire
from monitor.storage.partitions import DATA, FAILURES, name_of
from monitor.storage.results import ResultStore
from monitor.uptime.store import sum_up_days

MONITORS = 100
BATCH = 1_000
BODIES = 50  # that are different

_TLS = Tls(
    "TLS 1.3",
    "TLS_AES_256_GCM_SHA384",
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "CN=shop.example",
    "CN=R11,O=Let's Encrypt,C=US",
    "shop.example, www.shop.example",
    "04a1b2c3d4e5f60718293a4b5c6d7e8f9012",
    1_800_000_000.0,
)
_EVIDENCE = Evidence(
    {"Content-Type": "text/html; charset=utf-8", "Date": "Fri, 27 Nov 2026 02:00:00 GMT", "Server": "nginx"},
    "",
    dns=(DnsAnswer("shop.example", ("192.0.2.1", "192.0.2.2"), 60, "192.0.2.53:53"),),
    addresses=(Attempt("192.0.2.1", "connected"),),
    certificates=tuple(
        Certificate(digits * 32, subject, "CN=R11,O=Let's Encrypt,C=US", 1_790_000_000.0, 1_800_000_000.0)
        for digits, subject in (("9f", "CN=shop.example"), ("a3", "CN=R11,O=Let's Encrypt,C=US"))
    ),
)

_SIZE = """
SELECT pg_total_relation_size($1::text::regclass) AS whole, pg_indexes_size($1::text::regclass) AS indexes
"""


@cache
def body(length: int, number: int) -> str:
    """Return a part of the program's own pages, styles and scripts, which are like those of others."""
    files = sorted([*ROOT.glob("monitor/web/templates/*.html"), *ROOT.glob("monitor/web/static/page.*")])
    text = "".join(path.read_text("utf-8") for path in files)
    first = number * len(text) // BODIES
    return ((text[first:] + text[:first]) * (1 + length // len(text)))[:length]


def passed(length: int, number: int) -> dict[str, Any]:
    return {"response_data": body(length, number % BODIES) if length else ""}


def failed(length: int, number: int) -> dict[str, Any]:
    return passed(length, number) | {
        "up": False,
        "reason": Reason.STATUS,
        "detail": "status 503, expected 200-399",
        "response_status": 503,
        "evidence": msgspec.structs.replace(_EVIDENCE, body=body(1_024, number % BODIES)),
    }


KINDS = (
    ("up, no body", passed, 0),
    ("up, 5 kB", passed, 5_000),
    ("up, 64 kB", passed, 65_536),
    ("down, 5 kB", failed, 5_000),
)


def results(day: int, count: int, kind: Any, length: int) -> Iterator[CheckResult]:
    """Yield so many results of a day, in the order of their slots."""
    for number in range(count):
        name, at = f"shop {number % MONITORS} of Example", day * DAY_S + DAY_S * number / count
        made = CheckResult(
            timestamp=at + 0.001,
            response_data="",
            response_status=200,
            response_time=0.1234567,
            id=result_id("vienna", name, at),
            monitor=name,
            url=f"https://shop-{number % MONITORS}.example/health",
            location="vienna",
            scheduled_at=at,
            up=True,
            phases=Phases(resolve=0.01, connect=0.02, tls=0.03, processing=0.05, transfer=0.01),
            http_version="1.1",
            ip="192.0.2.1",
            body_bytes=length,
            certificate_expires_at=1_800_000_000.0,
            tls=_TLS,
        )
        yield msgspec.structs.replace(made, **kind(length, number))


async def fill(database: Database, days: list[int], count: int) -> None:
    """Store a day of each kind, the oldest first."""
    store = ResultStore(database, Bookkeeping(MonitorRules(), 90).open_books)
    for (_, kind, length), day in zip(KINDS, days, strict=True):
        batch = []
        for result in results(day, count, kind, length):
            batch.append(result)
            if len(batch) == BATCH:
                await store.save(batch)
                batch = []


async def size_of(database: Database, table: str, rows: int, what: str) -> None:
    """Print the bytes a row, and of how many indexes take."""
    (size,) = await database.fetch(_SIZE, table)
    print(f"{what:36}{size['whole'] / rows:8.0f}{size['indexes'] / rows:8.0f}")


async def took(removing: Any, rows: int, what: str) -> None:
    """Print how long a row takes."""
    began = time.perf_counter()
    await removing
    print(f"{what:36}{1e6 * (time.perf_counter() - began) / rows:8.1f} us a row")


async def updated(database: Database, table: str) -> None:
    """Remove bodies in the way that the program does not."""
    async with database.transaction() as connection:
        await connection.execute("SET LOCAL statement_timeout = 0")
        await connection.execute(f"UPDATE {table} SET data = NULL", timeout=3_600)  # noqa: S608 - written here


async def main(count: int) -> None:
    """Fill a database and print sizes."""
    async with AsyncExitStack() as resources:
        folder = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="whm-")), "d")
        resources.enter_context(locked(folder))
        database = Database(await resources.enter_async_context(postgres(folder)))
        resources.push_async_callback(database.close)
        newest = int(time.time() // DAY_S) - 3
        days = list(range(newest - len(KINDS) + 1, newest + 1))
        await fill(database, days, count)
        print(f"{f'bytes, of {count} rows each':36}{'a row':>8}{'indexes':>8}")
        for (what, _, _), day in zip(KINDS, days, strict=True):
            await size_of(database, name_of(DATA, day), count, what)
        source = name_of(DATA, days[1])
        async with database.transaction() as connection:
            await connection.execute(f"CREATE TABLE copied (LIKE {source} INCLUDING INDEXES)")
            copying = f"INSERT INTO copied SELECT * FROM {source}"  # noqa: S608 - written here
            await connection.execute(copying, timeout=600)
        await took(updated(database, "copied"), count, "5 kB bodies, by UPDATE")
        await size_of(database, "copied", count, "5 kB bodies, after UPDATE")
        bodied = count * (len(KINDS) - 1)
        await took(expire(database, KeptDays(90, 90, 1)), bodied, "bodies removed by the program")
        for (what, _, _), day in zip(KINDS, days, strict=True):
            await size_of(database, name_of(DATA, day), count, f"{what}, body removed")
        await took(
            expire(database, KeptDays(2, 90, None)), count * len(KINDS), "day dropped, failed ones kept"
        )
        await size_of(database, name_of(FAILURES, days[-1]), count, "down, in health_failures")
        await sum_up_days(database, locked_none)
        for table in ("health_hours", "health_days"):
            ((rows,),) = await database.fetch(f"SELECT count(*) FROM {table}")  # noqa: S608 - written here
            await size_of(database, table, rows, f"a row of {table}")


async def locked_none(_connection: Any, _monitors: Any) -> None:
    """Nobody else is here."""


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000))
