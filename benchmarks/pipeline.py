"""CPU time of a check in the whole pipeline, beside aiohttp alone: `python -m benchmarks.pipeline [RATE]`.

RATE monitors check one site on loopback, each once a second, over fresh HTTP connections.
"""

import asyncio
import subprocess
import sys
import time

from benchmarks.running import ROOT, cpu_s, first_rows, program, rows, site

SECONDS = 20


def measure_bare(url: str, rate: int) -> float:
    command = [sys.executable, "-m", "benchmarks.bare", url, str(rate), str(SECONDS)]
    return float(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)


def measure_program(url: str, rate: int) -> tuple[float, dict[str, float], float]:
    monitors = [{"name": f"m{n}", "url": url, "interval_s": 1} for n in range(rate)]
    config = {"monitors": monitors, "max_checks_per_host": 1_000}
    with program(config) as (process, uri):
        ramp_s = rate / 50
        asyncio.run(first_rows(uri, int(rate * ramp_s / 2)))
        time.sleep(ramp_s / 2)
        before, stored, began = cpu_s(process), asyncio.run(rows(uri)), time.monotonic()
        time.sleep(SECONDS)
        after, stored_after, ended = cpu_s(process), asyncio.run(rows(uri)), time.monotonic()
        memory_mb = process.memory_info().rss / 2**20
    checks = stored_after - stored
    return (
        checks / (ended - began),
        {name: (after[name] - before[name]) / checks * 1e6 for name in after},
        memory_mb,
    )


def main() -> None:
    rate = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    with site() as url:
        bare_us = measure_bare(url, rate)
        rate_seen, used_us, memory_mb = measure_program(url, rate)
    print(f"checks a second, stored      {rate_seen:8.1f}   (asked for: {rate})")
    for name, cpu_us in used_us.items():
        print(f"CPU us a check, {name:12s} {cpu_us:8.1f}")
    print(f"CPU us a check, all          {sum(used_us.values()):8.1f}")
    print(f"CPU us a request, bare loop  {bare_us:8.1f}")
    print(f"program / bare loop          {used_us['program'] / bare_us:8.2f}")
    print(f"memory of the program, MB    {memory_mb:8.1f}")


if __name__ == "__main__":
    main()
