"""How true the times are: `python -m benchmarks.timing [--rates 100 500] [--readers 20 --listeners 200]`.

The site answers after 50 ms. Prints how far `response_time` is above that, and how
late checks start after their slots, in milliseconds; with readers, once without and once with people who
reload all pages and listen to what happens.
"""

import argparse
import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from benchmarks.running import ROOT, cpu_s, first_rows, program, site

DELAY_S = 0.05
SECONDS = 15
SETTLE_S = 3
QUERY = """
SELECT 1000 * (time - $1) AS error, 1000 * (timestamp - scheduled_at) AS late FROM health_data
WHERE timestamp BETWEEN $2 AND $3
"""


def quantiles(values: list[float]) -> str:
    ordered = sorted(values)
    p50, p99 = (ordered[int(len(ordered) * share)] for share in (0.5, 0.99))
    return f"p50 {p50:7.2f}   p99 {p99:7.2f}   max {ordered[-1]:7.2f}"


async def read(uri: str, since: float, until: float) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(uri)
    try:
        return list(await connection.fetch(QUERY, DELAY_S, since, until))
    finally:
        await connection.close()


def measure(rate: int, url: str, readers: int = 0, listeners: int = 0) -> None:
    monitors = [{"name": f"m{n}", "url": url, "interval_s": 1} for n in range(rate)]
    config = {"monitors": monitors, "max_checks_per_host": 1_000, "web_port": free_port()}
    with program(config) as (process, uri):
        asyncio.run(first_rows(uri, 1))
        time.sleep(rate / 50 + 1)
        with people(f"http://127.0.0.1:{config['web_port']}/", readers, listeners):
            time.sleep(SETTLE_S)
            since, cpu_since_s = time.time(), cpu_s(process)["program"]
            time.sleep(SECONDS)
            until, used_s = time.time(), cpu_s(process)["program"] - cpu_since_s
        time.sleep(2)
        checks = asyncio.run(read(uri, since, until))
    seen = f", {readers} readers and {listeners} listeners" if readers or listeners else ""
    print(f"{len(checks) / (until - since):7.1f} checks a second, asked for {rate}{seen}")
    print(f"  CPU of the program       {1e6 * used_s / len(checks):7.0f} us for a check, all in all")
    print(f"  response_time error, ms  {quantiles([check['error'] for check in checks])}")
    print(f"  start after slot, ms     {quantiles([check['late'] for check in checks])}")


@contextmanager
def people(url: str, readers: int, listeners: int) -> Iterator[None]:
    """Let them look at the pages."""
    if not (readers or listeners):
        yield
        return
    command = [sys.executable, "-m", "benchmarks.readers", url, str(readers), str(listeners)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE) as looking:
        yield
        assert looking.stdin  # noqa: S101 - for the type checker
        looking.stdin.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rates", type=int, nargs="+", default=[100, 500, 1_000], help="checks a second")
    arguments.add_argument("--readers", type=int, default=0, help="who reload a page every second")
    arguments.add_argument("--listeners", type=int, default=0, help="event streams")
    asked = arguments.parse_args()
    with site(DELAY_S) as url:
        for rate in asked.rates:
            measure(rate, url)
            if asked.readers or asked.listeners:
                measure(rate, url, asked.readers, asked.listeners)


if __name__ == "__main__":
    main()
