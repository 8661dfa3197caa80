"""Break everything at random and prove that nothing is lost.

`python -m tests.chaos [--minutes 10] [--seed N] [FAULT ...]`
"""

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import asyncpg
from rich.console import Console
from rich.table import Table

from tests.apache_kafka import ApacheKafka, resolve
from tests.chaos.account import Account, Row, account
from tests.chaos.faults import FAULTS, World
from tests.chaos.site import Site
from tests.postgres import PostgresServer
from tests.program import Program

MONITORS = 200
CALM_S = 5.0
DRAIN_S = 180.0


@dataclass
class Recovery:
    fault: str
    lasted_s: float
    recovered_s: float


def options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    parser.add_argument("faults", nargs="*", metavar="FAULT", help=f"by default all: {', '.join(FAULTS)}")
    return parser.parse_args(argv)


async def rows(uri: str) -> list[Row]:
    connection = await asyncpg.connect(uri)
    try:
        stored = await connection.fetch(
            "SELECT monitor, data, up, reason FROM health_data WHERE location = 'chaos' ORDER BY id"
        )
    finally:
        await connection.close()
    return [Row(row["monitor"], _number(row["data"]), row["up"], row["reason"]) for row in stored]


def _number(body: str) -> int | None:
    _, _, number = body.partition(" ")
    return int(number) if number.isdigit() else None


async def newest(uri: str) -> float:
    try:
        connection = await asyncpg.connect(uri, timeout=5)
        try:
            return float(await connection.fetchval("SELECT max(timestamp) FROM health_data", timeout=5) or 0)
        finally:
            await connection.close()
    except (OSError, asyncpg.PostgresError):
        return 0.0


async def caught_up(uri: str, instant: float, limit_s: float) -> float:
    """Wait until a result of after this instant is stored; give the seconds that it took."""
    began = time.monotonic()
    while await newest(uri) <= instant:
        if time.monotonic() - began > limit_s:
            raise TimeoutError(f"nothing of after {instant} is stored after {limit_s} s")
        await asyncio.sleep(0.2)
    return time.monotonic() - began


async def break_things(world: World, names: Sequence[str], seconds: float) -> list[Recovery]:
    uri = world.postgres.uri(world.database)
    recoveries = []
    ends = time.monotonic() + seconds
    schedule: list[str] = []
    while time.monotonic() < ends:
        if not schedule:
            schedule = world.chance.sample(list(names), len(names))
        name = schedule.pop()
        print(f"{time.strftime('%H:%M:%S')} {name}", flush=True)
        began = time.monotonic()
        await FAULTS[name](world)
        mended = time.monotonic()
        recovered_s = await caught_up(uri, time.time(), DRAIN_S)
        recoveries.append(Recovery(name, mended - began, recovered_s))
        await asyncio.sleep(CALM_S)
    return recoveries


async def drain(world: World, site: Site) -> Account:
    """Stop checking, and wait until the rows do not change any more."""
    await asyncio.to_thread(world.program.stop)
    uri = world.postgres.uri(world.database)
    world.program.write(config(world, [{"name": "drain", "url": "http://127.0.0.1:9/", "interval_s": 3_600}]))
    await asyncio.to_thread(world.program.start)
    ends = time.monotonic() + DRAIN_S
    while True:
        result = account(site.answered, await rows(uri), world.kills)
        if not result.lost or time.monotonic() > ends:
            break
        await asyncio.sleep(2)
    await asyncio.to_thread(world.program.stop)
    return account(site.answered, [row for row in await rows(uri) if row.monitor != "drain"], world.kills)


def config(world: World, monitors: list[dict[str, Any]], location: str = "chaos") -> dict[str, Any]:
    return {
        "pg_uri": world.postgres.uri(world.database),
        "kafka_bootstrap": world.kafka.bootstrap("PLAINTEXT"),
        "location": location,
        "log_level": "warning",
        "max_checks_per_host": 1_000,
        "monitors": monitors,
    }


def report(result: Account, recoveries: Sequence[Recovery], seed: int) -> None:
    table = Table(title=f"seed {seed}")
    table.add_column("what")
    table.add_column("number", justify="right")
    for what, number in (
        ("requests answered", result.answered),
        ("rows", result.rows),
        ("lost", len(result.lost)),
        ("in the last 100 ms before a SIGKILL", result.forgiven),
        ("doubled", len(result.doubled)),
        ("out of order", result.disordered),
        ("wrongly down", len(result.wrongly_down)),
        ("largest gap in checking, s", round(result.largest_gap_s, 2)),
    ):
        table.add_row(what, str(number))
    faults = Table("fault", "lasted, s", "recovered after, s")
    for each in recoveries:
        faults.add_row(each.fault, f"{each.lasted_s:.1f}", f"{each.recovered_s:.1f}")
    console = Console(width=100)
    console.print(faults)
    console.print(table)
    for what, examples in (("lost", result.lost), ("doubled", result.doubled), ("down", result.wrongly_down)):
        if examples:
            console.print(f"{what}, for example: {examples[:5]}")


async def main(argv: Sequence[str]) -> int:
    chosen = options(argv)
    print(f"seed {chosen.seed}", flush=True)
    with ExitStack() as after:
        folders = [Path(after.enter_context(TemporaryDirectory(prefix="whm-", dir="/tmp"))) for _ in range(3)]
        resolve()
        kafka = ApacheKafka(folders[0])
        after.callback(kafka.kill)
        await asyncio.to_thread(kafka.start)
        postgres = PostgresServer()
        after.callback(postgres.remove)
        await asyncio.to_thread(postgres.start)
        postgres.sql("CREATE DATABASE chaos")
        site = Site()
        url = await site.start()
        world = World(
            Program(folders[1], {}),
            Program(folders[2], {}),
            kafka,
            postgres,
            "chaos",
            random.Random(chosen.seed),  # noqa: S311 - repeatable, not secret
        )
        after.callback(world.program.end)
        after.callback(world.second.end)
        monitors = [{"name": f"m{n}", "url": f"{url}/m{n}", "interval_s": 1} for n in range(MONITORS)]
        world.program.write(config(world, monitors))
        elsewhere = [{"name": "elsewhere", "url": "http://127.0.0.1:9/", "interval_s": 60}]
        world.second.write(config(world, elsewhere, location="elsewhere"))
        await asyncio.to_thread(world.program.start)
        await caught_up(postgres.uri("chaos"), time.time() + MONITORS / 50, DRAIN_S)
        recoveries = await break_things(world, chosen.faults or list(FAULTS), chosen.minutes * 60)
        result = await drain(world, site)
        await site.stop()
        trouble = "Traceback" in world.program.printed()
        if trouble:
            print(world.program.printed()[-5_000:])
    report(result, recoveries, chosen.seed)
    return 0 if result.holds and not trouble else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
