"""The cost of `Probe.check` alone, beside bare aiohttp: the same requests in the same run, in turns.

`python -m benchmarks.checks [RATE] [SECONDS] [TURNS]` starts a site of its own and prints the CPU
microseconds of this process for each request.
"""

import asyncio
import subprocess
import sys
import time

import uvloop

from benchmarks.bare import bare
from monitor.config.model import Monitor
from monitor.probe.exchange.connector import Network
from monitor.probe.probe import Probe


async def probed(url: str, rate: float, seconds: float) -> float:
    """Return the CPU microseconds for one check."""
    async with Network(4) as network, asyncio.TaskGroup() as tasks:
        probes = [Probe(Monitor(name=f"site {each}", url=url), "here", network) for each in range(400)]
        await probes[0].check(0.0)  # makes what all share
        began, cpu = time.monotonic(), time.process_time()
        for count in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, began + count / rate - time.monotonic()))
            tasks.create_task(probes[count % len(probes)].check(float(count)))
    return (time.process_time() - cpu) / (rate * seconds) * 1e6


def main(rate: float = 400, seconds: float = 5, turns: float = 3) -> None:
    """Measure in turns."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.site"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as site:
        assert site.stdin is not None  # noqa: S101 - for the type checker
        assert site.stdout is not None  # noqa: S101 - the same
        url = f"http://127.0.0.1:{site.stdout.readline().strip()}/"
        for _ in range(int(turns)):
            for name, measure in (("bare aiohttp", bare), ("Probe.check", probed)):
                print(f"{name:12}  {uvloop.run(measure(url, rate, seconds)):4.0f} us")
        site.stdin.close()


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
