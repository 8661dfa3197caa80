"""How true the times are: `python -m benchmarks.timing`.

The site answers after 50 ms. Prints how far `response_time` is above that, and how
late checks start after their slots, in milliseconds.
"""

import asyncio
import time

import asyncpg

from benchmarks.running import first_rows, program, site

DELAY_S = 0.05
SECONDS = 15
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


def measure(rate: int, url: str) -> None:
    monitors = [{"name": f"m{n}", "url": url, "interval_s": 1} for n in range(rate)]
    with program({"monitors": monitors, "max_checks_per_host": 1_000}) as (_, uri):
        asyncio.run(first_rows(uri, 1))
        time.sleep(rate / 50 + 1)
        since = time.time()
        time.sleep(SECONDS)
        until = time.time()
        time.sleep(2)
        checks = asyncio.run(read(uri, since, until))
    print(f"{len(checks) / (until - since):7.1f} checks a second, asked for {rate}")
    print(f"  response_time error, ms  {quantiles([check['error'] for check in checks])}")
    print(f"  start after slot, ms     {quantiles([check['late'] for check in checks])}")


def main() -> None:
    with site(DELAY_S) as url:
        for rate in (100, 500, 1_000):
            measure(rate, url)


if __name__ == "__main__":
    main()
