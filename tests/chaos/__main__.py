"""Break everything at random and prove that nothing is lost.

`python -m tests.chaos [--minutes 10] [--seed N] [FAULT ...]`
"""

import argparse
import asyncio
import os
import random
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import asyncpg
from rich.console import Console
from rich.table import Table

from tests.apache_kafka import ApacheKafka, resolve
from tests.chaos.account import Account, Row, account
from tests.chaos.disk import Disk
from tests.chaos.faults import FAULTS
from tests.chaos.site import Site
from tests.chaos.world import World
from tests.postgres import PostgresServer
from tests.program import Program
from tests.tcp_proxy import TcpProxy

MONITORS = 200
CALM_S = 5.0
DRAIN_S = 180.0
DISK_FAULTS = {"fill_outbox_disk", "fill_postgres_disk"}


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
        result = account(site.answered, await rows(uri), world.kills, world.deleted)
        if not result.lost or time.monotonic() > ends:
            break
        await asyncio.sleep(2)
    await asyncio.to_thread(world.program.stop)
    stored = [row for row in await rows(uri) if row.monitor != "drain"]
    return account(site.answered, stored, world.kills, world.deleted)


async def lateness(uri: str) -> dict[str, float]:
    """How long after its slot a check started: what stalls of the event loop look like from outside."""
    connection = await asyncpg.connect(uri)
    try:
        late = await connection.fetchrow(
            "SELECT percentile_disc(0.999) WITHIN GROUP (ORDER BY timestamp - scheduled_at) AS most,"
            " max(timestamp - scheduled_at) AS worst FROM health_data WHERE location = 'chaos'"
        )
    finally:
        await connection.close()
    return {
        "99.9 % of the checks started after their slot within, s": round(late["most"], 3),
        "the latest, s": round(late["worst"], 3),
    }


def config(world: World, monitors: list[dict[str, Any]], location: str = "chaos") -> dict[str, Any]:
    return {
        "pg_uri": world.postgres.uri(world.database),
        "kafka_bootstrap": f"127.0.0.1:{world.kafka.proxy_port}",
        "location": location,
        "log_level": "warning",
        "max_checks_per_host": 1_000,
        "monitors": monitors,
    }


def report(result: Account, recoveries: Sequence[Recovery], late: dict[str, float], seed: int) -> None:
    table = Table(title=f"seed {seed}")
    table.add_column("what")
    table.add_column("number", justify="right")
    for what, number in (
        ("requests answered", result.answered),
        ("rows", result.rows),
        ("lost", len(result.lost)),
        ("in the last 100 ms before a SIGKILL", result.forgiven),
        ("deleted in Kafka before they were read", result.deleted),
        ("doubled", len(result.doubled)),
        ("out of order", result.disordered),
        ("wrongly down", len(result.wrongly_down)),
        ("largest gap in checking, s", round(result.largest_gap_s, 2)),
        *late.items(),
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
    names = chosen.faults or list(FAULTS)
    if os.getuid() != 0 and DISK_FAULTS & set(names):
        print("full disks are left out: only root can mount them")
        names = [name for name in names if name not in DISK_FAULTS]
    print(f"seed {chosen.seed}", flush=True)
    async with AsyncExitStack() as after:
        world = await build(after, chosen.seed, with_disks=bool(DISK_FAULTS & set(names)))
        site = Site()
        url = await site.start()
        monitors = [{"name": f"m{n}", "url": f"{url}/m{n}", "interval_s": 1} for n in range(MONITORS)]
        world.program.write(config(world, monitors))
        elsewhere = [{"name": "elsewhere", "url": "http://127.0.0.1:9/", "interval_s": 60}]
        world.second.write(config(world, elsewhere, location="elsewhere"))
        await asyncio.to_thread(world.program.start)
        uri = world.postgres.uri("chaos")
        await caught_up(uri, time.time() + MONITORS / 50, DRAIN_S)
        try:
            recoveries = await break_things(world, names, chosen.minutes * 60)
        except BaseException:
            print(world.program.printed()[-20_000:])
            raise
        result = await drain(world, site)
        late = await lateness(uri)
        await site.stop()
        trouble = "Traceback" in world.program.printed()
        if trouble or not result.holds:
            print(world.program.printed()[-20_000:])
    report(result, recoveries, late, chosen.seed)
    return 0 if result.holds and not trouble else 1


def remove(postgres: PostgresServer, disks: dict[str, Disk]) -> None:
    """Stop the server, if it runs, before its disk goes."""
    if (postgres.directory / "cluster/postmaster.pid").exists():
        postgres.stop()
    for disk in disks.values():
        disk.unmount()
    postgres.remove()


async def build(after: AsyncExitStack, seed: int, *, with_disks: bool) -> World:
    """Start Kafka, a proxy before it and PostgreSQL; make two programs, not started."""
    folders = [Path(after.enter_context(TemporaryDirectory(prefix="whm-", dir="/tmp"))) for _ in range(3)]
    resolve()
    kafka = ApacheKafka(folders[0])
    after.callback(kafka.kill)
    await asyncio.to_thread(kafka.start)
    proxy = TcpProxy(kafka.proxy_port, kafka.port("PROXIED"))
    after.push_async_callback(proxy.stop)
    await proxy.start()
    postgres = PostgresServer()
    disks = {}
    if with_disks:
        disks["outbox"] = Disk(folders[1] / "d", 256)
        disks["postgres"] = Disk(postgres.directory / "small", 2_048, postgres.user or "root")
    after.callback(remove, postgres, disks)
    await asyncio.to_thread(postgres.start)
    if with_disks:
        postgres.sql(f"CREATE TABLESPACE small LOCATION '{postgres.directory}/small'")
    postgres.sql(f"CREATE DATABASE chaos {'TABLESPACE small' if with_disks else ''}")
    world = World(
        Program(folders[1], {}),
        Program(folders[2], {}),
        kafka,
        proxy,
        postgres,
        "chaos",
        random.Random(seed),  # noqa: S311 - repeatable, not secret
        disks,
    )
    after.callback(world.program.end)
    after.callback(world.second.end)
    return world


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
