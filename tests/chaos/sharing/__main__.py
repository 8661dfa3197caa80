"""Stop, start, kill, freeze and cut off the processes of one location; prove that each slot is checked once.

`python -m tests.chaos.sharing [--seconds 600] [--seed N] [--brokers 3] [--short] [FAULT ...]`
"""

import argparse
import asyncio
import random
import re
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.apache_kafka import resolve
from tests.chaos.clock import Clock
from tests.chaos.cluster import Cluster, Network
from tests.chaos.sharing.account import Change, account, attributed, between, doubled
from tests.chaos.sharing.changes import FAULTS, PLANNED, SHORT
from tests.chaos.sharing.incidents import wrong_incidents
from tests.chaos.sharing.location import LOCATION, Location
from tests.chaos.sharing.messages import Message, messages
from tests.chaos.sharing.report import Outcome, report
from tests.chaos.sharing.site import FailingSite
from tests.chaos.stored import incidents, rows
from tests.postgres import PostgresServer
from tests.program import Program, until

MONITORS = 600
INTERVAL_S = 10.0
PROCESSES = 3
START_S = 180.0
SETTLED_S = 15.0
CALM_S = 20.0
SHORT_S = 60.0
HAND_OVER = "checks are shared; "
_CONNECTIONS = 60


def options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.sharing")
    parser.add_argument("--seconds", type=float, default=600, help="0: each fault once")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    parser.add_argument("--brokers", type=int, default=3, help="of Apache Kafka (3)")
    parser.add_argument("--short", action="store_true", help="as long as CI may take")
    parser.add_argument("--clocks", action="store_true", help="three seconds apart")
    parser.add_argument("--logs", type=Path, help="a folder for what the processes print")
    parser.add_argument("faults", nargs="*", metavar="FAULT", help=f"by default all: {', '.join(FAULTS)}")
    chosen = parser.parse_args(argv)
    if chosen.short:
        chosen.seconds = SHORT_S
    chosen.faults = chosen.faults or (SHORT if chosen.short else list(FAULTS))
    return chosen


async def change_things(location: Location, names: Sequence[str], seconds: float) -> list[Change]:
    """Do all of it in a random order, again and again until the time is over; no seconds: once."""
    done: list[Change] = []
    ends = time.monotonic() + seconds
    while not done or time.monotonic() < ends:
        for name in location.chance.sample(list(names), len(names)):
            if done and seconds and time.monotonic() >= ends:
                break
            fault = FAULTS[name]
            done.append(Change(name, time.time(), fault in PLANNED))
            print(f"{time.strftime('%H:%M:%S')} {name}", flush=True)
            await fault(location)
            print(f"{time.strftime('%H:%M:%S')}   mended", flush=True)
            await asyncio.sleep(CALM_S)
    return done


async def build(stack: AsyncExitStack, seed: int, brokers: int) -> tuple[Location, FailingSite, str]:
    """Start Kafka, proxies before it for each process, PostgreSQL and the site; return the URI, too."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    folders = [
        Path(stack.enter_context(TemporaryDirectory(prefix="whm-", dir="/tmp"))) for _ in range(PROCESSES + 1)
    ]
    resolve()
    kafka = await asyncio.to_thread(Cluster, folders[-1], brokers, PROCESSES)
    stack.callback(kafka.kill)
    await asyncio.to_thread(kafka.start)
    networks = [Network(kafka.brokers, place) for place in range(PROCESSES)]
    for network in networks:
        stack.push_async_callback(network.stop)
        await network.start()
    postgres = PostgresServer()
    stack.callback(postgres.remove)
    await asyncio.to_thread(postgres.start, f"max_connections={_CONNECTIONS}")
    postgres.sql("CREATE DATABASE chaos")
    site = FailingSite(random.Random(chance.random()))  # noqa: S311
    port = await site.start()
    stack.push_async_callback(site.stop)

    def config_of(place: int, version: int) -> dict[str, Any]:
        monitors = [
            {"name": f"m{n}", "url": f"http://127.0.0.1:{port}/m{n}", "interval_s": INTERVAL_S}
            for n in range(MONITORS)
        ]
        monitors[version % MONITORS]["timeout_s"] = 9.0
        return {
            "pg_uri": postgres.uri("chaos"),
            "kafka_bootstrap": kafka.proxied(place),
            "location": LOCATION,
            "max_checks_per_host": 1_000,
            "shutdown_grace_s": 10,
            "monitors": monitors,
        }

    programs = [Program(folder, {}) for folder in folders[:-1]]
    for program in programs:
        stack.callback(program.end)
    location = Location(programs, networks, kafka, chance, config_of)
    location.write()
    return location, site, postgres.uri("chaos")


def set_clocks(location: Location) -> None:
    """Let clocks differ: the first is 1.5 s late, the last 1.5 s early."""
    for program, offset_s in zip(location.programs, (-1.5, 0, 1.5), strict=True):
        clock = Clock(program.folder)
        clock.set(offset_s)
        program.script = clock.script("main")


async def judged(
    site: FailingSite, sent: Sequence[Message], uri: str, changes: Sequence[Change], ends_at: float
) -> Outcome:
    """Hold what the site was asked for, and what is stored, against the slots."""
    named = {(each.monitor, each.number): each.slot for each in sent if each.number is not None}
    asked = attributed(site.answered, named, INTERVAL_S)
    stored = await rows(uri)
    slots = [(row.monitor, row.slot) for row in stored]
    return Outcome(
        account(site.answered, INTERVAL_S, asked, slots, changes, ends_at),
        sum(each.at >= changes[0].began_at and between(each.monitor, INTERVAL_S, each) for each in asked),
        doubled(slots),
        wrong_incidents(stored, await incidents(uri)),
    )


def keep_logs(location: Location, sent: Sequence[Message], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results").write_text("".join(f"{each}\n" for each in sorted(sent, key=itemgetter(0, 2))))
    for place, program in enumerate(location.programs):
        (folder / f"{place}.log").write_text(program.printed())


def hand_overs(location: Location) -> int:
    return sum(len(re.findall(HAND_OVER, program.printed())) for program in location.programs)


async def main(argv: Sequence[str]) -> int:
    chosen = options(argv)
    print(f"seed {chosen.seed}", flush=True)
    async with AsyncExitStack() as stack:
        sent: list[Message] = []
        location, site, uri = await build(stack, chosen.seed, chosen.brokers)
        try:
            if chosen.clocks:
                set_clocks(location)
            await location.start_all()
            await asyncio.to_thread(until, lambda: len(site.answered) == MONITORS, "all are checked", START_S)
            await location.until_joined()
            await asyncio.sleep(SETTLED_S)
            failing = asyncio.create_task(site.fail_now_and_then())
            changes = await change_things(location, chosen.faults, chosen.seconds)
            ends_at = time.time()
            await asyncio.sleep(SETTLED_S)
            failing.cancel()
            for place in location.running:
                await location.stop(place)
            sent = await messages(location.kafka.bootstrap)
            outcome = await judged(site, sent, uri, changes, ends_at)
            outcome.tracebacks = sum(each.printed().count("Traceback") for each in location.programs)
            measured = {
                "hand-overs, as each process saw them": hand_overs(location),
                "SIGTERM to exit, s, at most": round(max(location.exits_s), 1),
                "from its start to its first shards, s, at most": round(max(location.joins_s), 1),
                "outages of the site": site.outages_so_far,
                "time, s": round(ends_at - changes[0].began_at),
            }
        finally:
            if chosen.logs:
                keep_logs(location, sent, chosen.logs)
    report(f"seed {chosen.seed}", outcome, measured)
    return 1 if outcome.broken else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was started is ended
    sys.exit(asyncio.run(main(sys.argv[1:])))
