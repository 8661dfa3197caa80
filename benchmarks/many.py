"""Many monitors with a long interval, checked by one process, and by several of one location.

`python -m benchmarks.many [COUNT] [INTERVAL_S] [--processes 1 3]`; by default 2,000 monitors at 60 s, by one
process with embedded servers. With `--processes` it needs Java and Maven: they share Apache Kafka and
PostgreSQL. Prints how late checks start after their slots, whether every monitor was checked once in every
interval, what a check costs, and the memory of each process between checks.
"""

import argparse
import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import asyncpg
import psutil

from benchmarks.running import cpu_s, first_rows, program, site
from benchmarks.timing import quantiles
from tests.apache_kafka import ApacheKafka, resolve
from tests.postgres import PostgresServer

QUERY = """
SELECT monitor, count(*) AS checks, array_agg(1000 * (timestamp - scheduled_at)) AS late
FROM health_data WHERE scheduled_at >= $1 AND scheduled_at < $2 GROUP BY monitor
"""
INTERVALS = 2
STORED_S = 2.0


class Measured(NamedTuple):
    """What some processes did together."""

    memory_mb: Sequence[float]
    used_s: float
    """CPU seconds of all."""
    rows: Sequence[asyncpg.Record]

    @property
    def whole(self) -> int:
        """How many monitors were checked once in each interval."""
        return sum(row["checks"] == INTERVALS for row in self.rows)

    @property
    def late_ms(self) -> dict[str, float]:
        return quantiles("start after slot, ms", [late for row in self.rows for late in row["late"]])

    @property
    def cpu_us(self) -> float:
        checks: int = sum(row["checks"] for row in self.rows)
        return 1e6 * self.used_s / checks


async def read(uri: str, since: float, until: float) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(uri)
    try:
        return list(await connection.fetch(QUERY, since, until))
    finally:
        await connection.close()


def measure(processes: Sequence[psutil.Process], uri: str, settle_s: float, interval_s: float) -> Measured:
    """Measure processes that have begun, once they have settled."""
    asyncio.run(first_rows(uri, 1))
    time.sleep(settle_s)  # until a start costs no more
    since, used_s = time.time(), sum(cpu_s(each)["program"] for each in processes)
    time.sleep(INTERVALS * interval_s)  # what is measured
    used_s = sum(cpu_s(each)["program"] for each in processes) - used_s
    memory_mb = [each.memory_info().rss / 2**20 for each in processes]
    time.sleep(STORED_S)  # the last results are on their way to the rows
    rows = asyncio.run(read(uri, since, since + INTERVALS * interval_s))
    return Measured(memory_mb, used_s, rows)


def alone(config: dict[str, Any], settle_s: float, interval_s: float) -> Measured:
    with program(config) as (process, uri):
        return measure([process], uri, settle_s, interval_s)


@contextmanager
def servers() -> Iterator[tuple[str, PostgresServer]]:
    """Run Apache Kafka and PostgreSQL; yield Kafka's address, and the server."""
    resolve()
    with TemporaryDirectory(prefix="whm-kafka-") as folder, ExitStack() as ended:
        kafka, postgres = ApacheKafka(Path(folder)), PostgresServer()
        ended.callback(postgres.remove)
        ended.callback(kafka.kill)
        kafka.start()
        postgres.start()
        yield kafka.bootstrap("PLAINTEXT"), postgres


def together(count: int, config: dict[str, Any], interval_s: float) -> Measured:
    """Let so many processes share the checks, on servers of their own."""
    with servers() as (kafka, postgres), ExitStack() as ended:
        shared = {"location": "many", "pg_uri": postgres.uri(), "kafka_bootstrap": kafka}
        started = [ended.enter_context(program(config | shared)) for _ in range(count)]
        return measure([process for process, _ in started], postgres.uri(), interval_s, interval_s)


def show(title: str, measured: Measured, count: int) -> None:
    print(f"{title}: checked once in each of {INTERVALS} intervals  {measured.whole} of {count}")
    for what, late_ms in measured.late_ms.items():
        print(f"{what}  {late_ms:.2f}")
    print(f"CPU of a check, us  {measured.cpu_us:.0f}")
    print(f"memory of each process, MB  {', '.join(f'{each:.1f}' for each in measured.memory_mb)}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.many")
    parser.add_argument("count", type=int, nargs="?", default=2_000)
    parser.add_argument("interval_s", type=float, nargs="?", default=60.0)
    parser.add_argument("--processes", type=int, nargs="+", default=[], help="so many share the checks")
    asked = parser.parse_args()
    count, interval_s = asked.count, asked.interval_s
    with site() as url:
        monitors = [{"name": f"m{n}", "url": url, "interval_s": interval_s} for n in range(count)]
        config = {"monitors": monitors}
        if not asked.processes:
            show("one process", alone(config, count / 50 + 1, interval_s), count)
        costs = []
        for number in asked.processes:
            measured = together(number, config, interval_s)
            show(f"processes: {number}", measured, count)
            costs.append(measured.cpu_us)
        if len(costs) > 1:
            print(
                f"a check costs {costs[-1] / costs[0]:.2f} times as much with {asked.processes[-1]} processes"
            )


if __name__ == "__main__":
    main()
