"""The same proof for the embedded broker and database: a broker that starts again has forgotten everything.

What the storing side wants next is then beyond the end of the new log.
`python -m tests.chaos.embedded [--minutes 2] [--seed N]`
"""

import argparse
import asyncio
import random
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.chaos.account import FORGIVEN_S, Account, account
from tests.chaos.incidents import Comparison, compare
from tests.chaos.outages import Outages
from tests.chaos.report import Recovery, measures, report
from tests.chaos.site import Site
from tests.chaos.starvation import Starvation
from tests.chaos.steps import steps
from tests.chaos.stored import accepted, caught_up, incidents, lateness, rows
from tests.chaos.watched import stalls
from tests.program import Program, until

MONITORS = 200
FAULTS = ("kill_broker", "kill_postgres", "kill_both", "kill_program", "stop_program")
SERVERS = {"kill_broker": ("tansu",), "kill_postgres": ("postgres",), "kill_both": ("tansu", "postgres")}
LIMIT_S = 120.0


def break_it(name: str, program: Program, starvation: Starvation, kills: list[tuple[float, float]]) -> None:
    """Do it; what was ended is started again, by the program or here."""
    if name == "kill_program":
        span_s = starvation.span_s(FORGIVEN_S)
        program.kill()
        killed_at = time.time()
        kills.append((killed_at - span_s, killed_at))
        program.start()
    elif name == "stop_program":
        assert program.stop() == 0
        program.start()
    else:
        for server in program.process.children():
            if server.name().startswith(SERVERS[name]):
                server.kill()


def config(monitors: list[dict[str, Any]], level: str = "warning") -> dict[str, Any]:
    return {"location": "chaos", "log_level": level, "max_checks_per_host": 1_000, "monitors": monitors}


async def break_in_turns(
    program: Program,
    uri: str,
    site: Site,
    starvation: Starvation,
    chance: random.Random,
    minutes: float,
    kills: list[tuple[float, float]],
) -> AsyncIterator[Recovery]:
    """Break everything in random order, again and again; each time, wait until all results are stored."""
    ends = time.monotonic() + minutes * 60
    while time.monotonic() < ends:
        for name in chance.sample(FAULTS, len(FAULTS)):
            print(f"{time.strftime('%H:%M:%S')} {name}", flush=True)
            began = time.monotonic()
            await asyncio.to_thread(break_it, name, program, starvation, kills)
            lasted_s = time.monotonic() - began
            recovered_s = await caught_up(uri, site.answered, program, LIMIT_S)
            yield Recovery(name, lasted_s, recovered_s)
            await asyncio.sleep(chance.uniform(0, 5))


async def drain(
    program: Program, uri: str, site: Site, kills: list[tuple[float, float]]
) -> tuple[Account, Comparison]:
    """Stop checking, and wait until all is stored, and a little longer for what should not be."""
    program.write(config([{"name": "drain", "url": "http://127.0.0.1:9/", "interval_s": 3_600}]))
    ends = time.monotonic() + LIMIT_S
    while True:
        await asyncio.sleep(5)
        stored = [row for row in await rows(uri) if row.monitor != "drain"]
        result = account(site.answered, stored, kills, outages=site.outages)
        if not result.lost or time.monotonic() > ends:
            return result, compare(site.outages, site.answered, stored, await incidents(uri))


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.embedded")
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    return parser.parse_args(argv)


async def main(argv: Sequence[str]) -> int:
    chosen = arguments(argv)
    chance = random.Random(chosen.seed)  # noqa: S311 - repeatable, not secret
    kills: list[tuple[float, float]] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="whm-", dir="/tmp")))
        site = Site()
        url = f"http://127.0.0.1:{await site.start()}"
        monitors = [{"name": f"m{n}", "url": f"{url}/m{n}", "interval_s": 1} for n in range(MONITORS)]
        program = Program(folder, config(monitors, "info"))
        program.script = ("-m", "tests.chaos.watched", str(folder / "stalls"))
        stack.callback(program.end)
        starvation = stack.enter_context(Starvation(program))
        await asyncio.to_thread(program.start)
        uri = await asyncio.to_thread(program.database)
        program.write(config(monitors))
        await asyncio.to_thread(until, lambda: len(site.answered) == MONITORS, "all are checked")
        await caught_up(uri, site.answered, program, LIMIT_S)
        rounds = break_in_turns(program, uri, site, starvation, chance, chosen.minutes, kills)
        async with Outages(site, random.Random(chance.random())).running():  # noqa: S311
            recoveries = [recovery async for recovery in rounds]
        result, compared = await drain(program, uri, site, kills)
        late = await lateness(uri)
        await asyncio.to_thread(program.stop)
        taken = accepted(folder / "d/outbox.sqlite") - 1  # without the drain's own
        stuck, long = stalls(folder / "stalls"), steps(folder / "stalls.steps")
        holds = result.holds and not compared.wrong and "Traceback" not in program.printed()
        if not holds:
            print(program.printed()[-20_000:])
    report(f"embedded, seed {chosen.seed}", result, compared, taken, recoveries, late | measures(stuck, long))
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
