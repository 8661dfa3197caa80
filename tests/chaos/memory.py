"""Prove that memory stays bounded: 500 checks a second, bodies of 64 KiB, Kafka unavailable, then PostgreSQL.

`python -m tests.chaos.memory [--minutes 10] [--other-minutes 1]`; Kafka is unavailable for `--minutes`.
"""

import argparse
import asyncio
import random
import string
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from tests.apache_kafka import ApacheKafka, resolve
from tests.chaos.watched import stalls
from tests.postgres import PostgresServer
from tests.program import Program

MONITORS = 500
BODY_BYTES = 64 << 10
LIMIT_MB = 300
STALL_S = 0.1
# Text of no pattern, so that nothing can make it smaller.
BODY = "".join(random.Random(1).choices(string.ascii_letters + string.digits, k=BODY_BYTES)).encode()  # noqa: S311
ANSWER = (
    b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
)


@dataclass
class Phase:
    """What one part of the run showed; each second's memory in MB."""

    name: str
    seconds: float = 0
    answered: int = 0
    rss_mb: list[float] = field(default_factory=list)
    outbox_mb: float = 0
    stuck_s: float = 0


class LargeSite:
    """Answers every request with the body, and counts."""

    def __init__(self) -> None:
        self.answered = 0

    async def start(self) -> str:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0, backlog=2048)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(ANSWER)
            await writer.drain()
            self.answered += 1
        except (OSError, asyncio.IncompleteReadError):
            pass  # the program was ended in the middle of its request
        finally:
            writer.close()


async def watch(name: str, program: Program, site: LargeSite, seconds: float) -> Phase:
    phase = Phase(name)
    began, answered = time.monotonic(), site.answered
    outbox = program.folder / "d"
    while (elapsed := time.monotonic() - began) < seconds:
        await asyncio.sleep(1)
        phase.rss_mb.append(program.process.memory_info().rss / 1e6)
        phase.outbox_mb = sum(file.stat().st_size for file in outbox.glob("outbox.sqlite*")) / 1e6
        if len(phase.rss_mb) % 15 == 0:
            print(f"{name} {elapsed:.0f} s: {phase.rss_mb[-1]:.0f} MB, {phase.outbox_mb:.0f} MB", flush=True)
    report = program.folder / "stalls"
    phase.stuck_s = max((stall.own_s for stall in stalls(report)), default=0)
    if phase.stuck_s > STALL_S:
        print("the event loop was here:", *stalls(report)[-1].stack, sep="\n")
    report.unlink(missing_ok=True)
    phase.seconds = time.monotonic() - began
    phase.answered = site.answered - answered
    return phase


def report(phases: Sequence[Phase]) -> None:
    columns = ("phase", "s", "checks/s", "memory at its end, MB", "at most, MB", "outbox at its end, MB")
    table = Table(*columns, "event loop stuck, ms")
    for phase in phases:
        rate = phase.answered / phase.seconds
        memory = (phase.rss_mb[-1], max(phase.rss_mb), phase.outbox_mb)
        numbers = (phase.seconds, rate, *memory, phase.stuck_s * 1_000)
        table.add_row(phase.name, *(f"{number:.0f}" for number in numbers))
    Console(width=120).print(table)


async def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.memory")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--other-minutes", type=float, default=1)
    chosen = parser.parse_args(argv)
    other_s = chosen.other_minutes * 60
    with ExitStack() as after:
        folders = [Path(after.enter_context(TemporaryDirectory(prefix="whm-", dir="/tmp"))) for _ in range(2)]
        resolve()
        kafka = ApacheKafka(folders[0])
        after.callback(kafka.kill)
        postgres = PostgresServer()
        after.callback(postgres.remove)
        await asyncio.to_thread(postgres.start)
        site = LargeSite()
        url = await site.start()
        config = {
            "pg_uri": postgres.uri(),
            "kafka_bootstrap": kafka.bootstrap("PLAINTEXT"),
            "log_level": "warning",
            "max_checks_per_host": 1_000,
            "outbox_max_mb": 50_000,
            "monitors": [{"name": f"m{n}", "url": f"{url}/m{n}", "interval_s": 1} for n in range(MONITORS)],
        }
        program = Program(folders[1], config)
        program.script = ("-m", "tests.chaos.watched", str(folders[1] / "stalls"))
        after.callback(program.end)
        await asyncio.to_thread(program.start)
        phases = [await watch("Kafka unavailable", program, site, chosen.minutes * 60)]
        await asyncio.to_thread(kafka.start)
        phases.append(await watch("Kafka back", program, site, other_s))
        await asyncio.to_thread(postgres.kill)
        phases.append(await watch("PostgreSQL unavailable", program, site, other_s))
        await asyncio.to_thread(postgres.start)
        phases.append(await watch("PostgreSQL back", program, site, other_s))
        await asyncio.to_thread(program.end)
        await asyncio.sleep(1)  # until the site has noticed
    report(phases)
    return 0 if max(max(phase.rss_mb) for phase in phases) < LIMIT_MB else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
