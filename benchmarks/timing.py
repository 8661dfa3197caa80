"""The error of the times: `python -m benchmarks.timing [--rates 100 500] [--readers 20 --listeners 200]`.

The site answers after 50 ms. Prints how far `response_time` is above that, and how late checks start after
their slots, in milliseconds. With readers or listeners (see `benchmarks.readers`) it measures without and
with them in turns, and prints the change: `--rounds` of both, since machines are noisy.
"""

import argparse
import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import asyncpg

from benchmarks.running import ROOT, cpu_s, first_rows, free_port, program, site

DELAY_S = 0.05
SECONDS = 15
SETTLE_S = 3
QUERY = """
SELECT 1000 * (time - $1) AS error, 1000 * (timestamp - scheduled_at) AS late FROM health_data
WHERE timestamp BETWEEN $2 AND $3
"""


@dataclass
class Seen:
    """The measurements of one round, or of several."""

    errors_ms: list[float] = field(default_factory=list)
    late_ms: list[float] = field(default_factory=list)
    lasted_s: float = 0
    cpu_s: float = 0

    def __add__(self, other: "Seen") -> "Seen":
        return Seen(
            self.errors_ms + other.errors_ms,
            self.late_ms + other.late_ms,
            self.lasted_s + other.lasted_s,
            self.cpu_s + other.cpu_s,
        )

    def figures(self) -> dict[str, float]:
        """Return the lines of the table: what is measured, and its value."""
        count = len(self.errors_ms)
        return {
            "checks a second": count / self.lasted_s,
            "CPU of the program for a check, all in all, us": 1e6 * self.cpu_s / count,
            **quantiles("response_time error, ms", self.errors_ms),
            **quantiles("start after slot, ms", self.late_ms),
        }


def quantiles(what: str, values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    places = {"p50": int(len(ordered) * 0.5), "p99": int(len(ordered) * 0.99), "max": -1}
    return {f"{what}, {name}": ordered[place] for name, place in places.items()}


async def read(uri: str, since: float, until: float) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(uri)
    try:
        return list(await connection.fetch(QUERY, DELAY_S, since, until))
    finally:
        await connection.close()


def measure(rate: int, url: str, readers: int = 0, listeners: int = 0) -> Seen:
    monitors = [{"name": f"m{n}", "url": url, "interval_s": 1} for n in range(rate)]
    config = {"monitors": monitors, "max_checks_per_host": 1_000, "web_port": free_port()}
    with program(config) as (process, uri):
        asyncio.run(first_rows(uri, 1))
        time.sleep(rate / 50 + 1)
        with clients(f"http://127.0.0.1:{config['web_port']}/", readers, listeners):
            time.sleep(SETTLE_S)
            since, cpu_since_s = time.time(), cpu_s(process)["program"]
            time.sleep(SECONDS)
            until, used_s = time.time(), cpu_s(process)["program"] - cpu_since_s
        time.sleep(2)
        checks = asyncio.run(read(uri, since, until))
    return Seen(
        [check["error"] for check in checks], [check["late"] for check in checks], until - since, used_s
    )


@contextmanager
def clients(url: str, readers: int, listeners: int) -> Iterator[None]:
    """Run readers and listeners at the lowest priority: outside of a benchmark they have other processors."""
    if not (readers or listeners):
        yield
        return
    command = [
        "nice",
        "-n",
        "19",
        sys.executable,
        "-m",
        "benchmarks.readers",
        url,
        str(readers),
        str(listeners),
    ]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE) as looking:
        yield
        assert looking.stdin  # noqa: S101 - for the type checker
        looking.stdin.close()


def compare(rate: int, url: str, readers: int, listeners: int, rounds: int) -> None:
    """Measure without and with clients in turns; print both, and the change."""
    without, with_them = Seen(), Seen()
    for _ in range(rounds):
        without += measure(rate, url)
        with_them += measure(rate, url, readers, listeners)
    print(f"asked for {rate} a second; alone, then with {readers} readers and {listeners} listeners:")
    after = with_them.figures()
    for what, figure in without.figures().items():
        print(f"  {what:48} {figure:8.2f} {after[what]:8.2f}  {100 * (after[what] / figure - 1):+4.0f} %")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rates", type=int, nargs="+", default=[100, 500, 1_000], help="checks a second")
    arguments.add_argument("--readers", type=int, default=0, help="clients that load a page every second")
    arguments.add_argument("--listeners", type=int, default=0, help="clients with an event stream")
    arguments.add_argument("--rounds", type=int, default=3, help="of both, with readers or listeners")
    asked = arguments.parse_args()
    with site(DELAY_S) as url:
        for rate in asked.rates:
            if asked.readers or asked.listeners:
                compare(rate, url, asked.readers, asked.listeners, asked.rounds)
                continue
            print(f"asked for {rate} a second:")
            for what, figure in measure(rate, url).figures().items():
                print(f"  {what:48} {figure:8.2f}")


if __name__ == "__main__":
    main()
