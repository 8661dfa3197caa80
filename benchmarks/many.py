"""Many monitors with a long interval: `python -m benchmarks.many [COUNT] [INTERVAL_S]`; default 2,000, 60 s.

Prints how late checks start after their slots, whether every monitor was checked in
every interval, and the program's memory between checks.
"""

import asyncio
import sys
import time

import asyncpg

from benchmarks.running import first_rows, program, site
from benchmarks.timing import quantiles

QUERY = """
SELECT monitor, count(*) AS checks, array_agg(1000 * (timestamp - scheduled_at)) AS late
FROM health_data WHERE scheduled_at >= $1 AND scheduled_at < $2 GROUP BY monitor
"""
INTERVALS = 2


async def read(uri: str, since: float, until: float) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(uri)
    try:
        return list(await connection.fetch(QUERY, since, until))
    finally:
        await connection.close()


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    interval_s = float(sys.argv[2]) if len(sys.argv) > 2 else 60.0
    with site() as url:
        monitors = [{"name": f"m{n}", "url": url, "interval_s": interval_s} for n in range(count)]
        with program({"monitors": monitors}) as (process, uri):
            asyncio.run(first_rows(uri, 1))
            time.sleep(count / 50 + 1)
            since = time.time()
            time.sleep(INTERVALS * interval_s)
            memory_mb = process.memory_info().rss / 2**20
            time.sleep(2)
            checked = asyncio.run(read(uri, since, since + INTERVALS * interval_s))
    seen = {row["monitor"]: row["checks"] for row in checked}
    whole = sum(checks == INTERVALS for checks in seen.values())
    print(f"monitors checked in each of {INTERVALS} intervals  {whole} of {count}")
    for what, late_ms in quantiles(
        "start after slot, ms", [late for row in checked for late in row["late"]]
    ).items():
        print(f"{what}  {late_ms:.2f}")
    print(f"memory of the program, MB  {memory_mb:.1f}")


if __name__ == "__main__":
    main()
