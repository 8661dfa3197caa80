"""Break everything at random and prove that nothing is lost.

`python -m tests.chaos [--minutes 10] [--seed N] [--brokers 3] [--alone | --short] [FAULT ...]`
"""

import argparse
import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.apache_kafka import resolve
from tests.chaos.account import Account, Row, account
from tests.chaos.clock import Clock
from tests.chaos.cluster import Cluster, Network
from tests.chaos.disk import Disk
from tests.chaos.faults import FAULTS, NEED_BROKERS, NEED_DISKS, SHORT, can_mix
from tests.chaos.incidents import Comparison, compare
from tests.chaos.report import Recovery, measures, report
from tests.chaos.starvation import Starvation
from tests.chaos.steps import steps
from tests.chaos.stored import accepted, incidents, lateness, rows
from tests.chaos.watched import stalls
from tests.chaos.world import DRAIN_S, World
from tests.postgres import PostgresServer
from tests.program import Program, until

MONITORS = 200
CALM_S = 5.0
SHORT_S = 150.0  # with the start and the end of the run less than five minutes
APART_S = 5.0
CONNECTIONS = 40
STALL_S = 0.1
LONG = 20


def options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--minutes", type=float, default=10, help="0: each fault once")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    parser.add_argument("--brokers", type=int, default=3, help="of Apache Kafka (3)")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--alone", action="store_true", help="one fault at a time")
    how.add_argument("--short", action="store_true", help="one of each kind, as long as CI may take")
    parser.add_argument("faults", nargs="*", metavar="FAULT", help=f"by default all: {', '.join(FAULTS)}")
    return parser.parse_args(argv)


def faults(chosen: argparse.Namespace) -> list[str]:
    """Choose those that this machine can do; print which it cannot."""
    names = chosen.faults or (SHORT if chosen.short else list(FAULTS))
    impossible: set[str] = set()
    if os.getuid() != 0 and NEED_DISKS & set(names):
        print("full disks are left out: only root can mount them")
        impossible |= NEED_DISKS
    if chosen.brokers < 3:
        impossible |= NEED_BROKERS
    return [name for name in names if name not in impossible]


def schedule(chance: random.Random, names: Sequence[str], *, mix: bool) -> Iterator[tuple[str, ...]]:
    """Yield each fault once, in a random order, as far as possible two at a time where they may `mix`."""
    left = chance.sample(list(names), len(names))
    while left:
        first = left.pop()
        second = next((name for name in left if can_mix(first, name)), None) if mix else None
        if second is None:
            yield (first,)
        else:
            left.remove(second)
            yield first, second


async def break_things(world: World, names: Sequence[str], seconds: float, *, mix: bool) -> list[Recovery]:
    """Do all of it, again and again, until the time is over; once where there are no seconds."""
    recoveries: list[Recovery] = []
    ends = time.monotonic() + seconds
    while not recoveries or time.monotonic() < ends:
        for together in schedule(world.chance, names, mix=mix):
            if recoveries and seconds and time.monotonic() >= ends:
                break
            title = " + ".join(together)
            print(f"{time.strftime('%H:%M:%S')} {title}", flush=True)
            began = time.monotonic()
            async with asyncio.TaskGroup() as group:
                for position, name in enumerate(together):
                    delay_s = position * world.chance.uniform(0, APART_S)
                    group.create_task(after(delay_s, name, world))
            mended = time.monotonic()
            recoveries.append(Recovery(title, mended - began, await world.caught_up()))
            print(f"         recovered after {recoveries[-1].recovered_s:.1f} s", flush=True)
            await asyncio.sleep(CALM_S)
    return recoveries


async def after(delay_s: float, name: str, world: World) -> None:
    await asyncio.sleep(delay_s)
    await FAULTS[name](world)


async def drain(world: World) -> tuple[Account, Comparison, int]:
    """Stop checking, wait until the rows no longer change; return the accounts and what was accepted."""
    await asyncio.to_thread(world.program.stop)
    taken = accepted(world.program.folder / "d/outbox.sqlite")
    world.program.write(config(world, [{"name": "drain", "url": "http://127.0.0.1:9/", "interval_s": 3_600}]))
    await asyncio.to_thread(world.program.start)
    ends = time.monotonic() + DRAIN_S
    while True:
        result = judged(world, await rows(world.uri))
        if not result.lost or time.monotonic() > ends:
            break
        await asyncio.sleep(2)
    await asyncio.to_thread(world.program.stop)
    stored = [row for row in await rows(world.uri) if row.monitor != "drain"]
    compared = compare(world.site.outages, world.site.answered, stored, await incidents(world.uri))
    return judged(world, stored), compared, taken


def judged(world: World, stored: Sequence[Row]) -> Account:
    return account(world.site.answered, stored, world.kills, world.deleted, world.site.outages)


def config(world: World, monitors: list[dict[str, Any]], location: str = "chaos") -> dict[str, Any]:
    return {
        "pg_uri": world.uri,
        "kafka_bootstrap": world.kafka.proxied(),
        "location": location,
        "share_checks": False,  # each request is to have a row; after a kill, some slots would be asked twice
        "log_level": "warning",
        "max_checks_per_host": 1_000,
        "monitors": monitors,
    }


async def main(argv: Sequence[str]) -> int:
    chosen = options(argv)
    names = faults(chosen)
    print(f"seed {chosen.seed}", flush=True)
    async with AsyncExitStack() as stack:
        world = await build(stack, chosen.seed, chosen.brokers, set(names))
        await check_sites(world)
        try:
            seconds = SHORT_S if chosen.short else chosen.minutes * 60
            async with world.outages.running():
                recoveries = await break_things(world, names, seconds, mix=not chosen.alone)
        except BaseException:
            print(world.program.printed()[-20_000:])
            raise
        result, compared, taken = await drain(world)
        late = await lateness(world.uri)
        await world.site.stop()
        stuck, long = stalls(world.program.folder / "stalls"), steps(world.program.folder / "stalls.steps")
        holds = result.holds and not compared.wrong and "Traceback" not in world.program.printed()
        if not holds:
            print(world.program.printed()[-20_000:])
    for stall in stuck[-5:]:
        if stall.own_s > STALL_S:
            print(stall, *stall.stack, sep="\n")
    print(*long[-LONG:], sep="\n")
    report(f"seed {chosen.seed}", result, compared, taken, recoveries, late | measures(stuck, long))
    return 0 if holds else 1


async def check_sites(world: World) -> None:
    """Start the site and the program; return when results of all monitors arrive."""
    port = await world.site.start()
    # Every other one by its name, so that DNS is part of it.
    hosts = ("127.0.0.1", "localhost")
    monitors = [
        {"name": f"m{n}", "url": f"http://{hosts[n % 2]}:{port}/m{n}", "interval_s": 1, "ip_family": 4}
        for n in range(MONITORS)
    ]
    world.program.write(config(world, monitors))
    elsewhere = [{"name": "elsewhere", "url": "http://127.0.0.1:9/", "interval_s": 60}]
    world.second.write(config(world, elsewhere, location="elsewhere"))
    await asyncio.to_thread(world.program.start)
    await asyncio.to_thread(until, lambda: len(world.site.answered) == MONITORS, "all are checked", DRAIN_S)
    await world.caught_up()


def remove(postgres: PostgresServer, disks: dict[str, Disk]) -> None:
    """Stop the server, if it runs, before its disk goes."""
    if (postgres.directory / "cluster/postmaster.pid").exists():
        postgres.stop()
    for disk in disks.values():
        disk.unmount()
    postgres.remove()


async def build(stack: AsyncExitStack, seed: int, brokers: int, names: set[str]) -> World:
    """Start Kafka, proxies before it and PostgreSQL; make two programs, not started."""
    with_disks = bool(NEED_DISKS & names)
    folders = [Path(stack.enter_context(TemporaryDirectory(prefix="whm-", dir="/tmp"))) for _ in range(3)]
    resolve()
    kafka = await asyncio.to_thread(Cluster, folders[0], brokers)
    stack.callback(kafka.kill)
    await asyncio.to_thread(kafka.start)
    network = Network(kafka.brokers)
    stack.push_async_callback(network.stop)
    await network.start()
    postgres = PostgresServer()
    disks = {}
    if with_disks:
        disks["outbox"] = Disk(folders[1] / "d", 256)
        disks["postgres"] = Disk(postgres.directory / "small", 2_048, postgres.user or "root")
    stack.callback(remove, postgres, disks)
    await asyncio.to_thread(postgres.start, f"max_connections={CONNECTIONS}")
    if with_disks:
        postgres.sql(f"CREATE TABLESPACE small LOCATION '{postgres.directory}/small'")
    postgres.sql(f"CREATE DATABASE chaos {'TABLESPACE small' if with_disks else ''}")
    program, second, clock = Program(folders[1], {}), Program(folders[2], {}), Clock(folders[1])
    program.script = clock.script("tests.chaos.watched", str(folders[1] / "stalls"))
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    starvation = stack.enter_context(Starvation(program))
    world = World(program, second, kafka, network, postgres, "chaos", chance, clock, starvation, disks=disks)
    stack.callback(world.program.end)
    stack.callback(world.second.end)
    return world


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was started is ended
    sys.exit(asyncio.run(main(sys.argv[1:])))
