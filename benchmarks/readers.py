"""Clients that read the pages all the time: `python -m benchmarks.readers URL READERS LISTENERS`.

Each reader loads one page a second, all pages in turn; each listener keeps an event stream open. Runs until
its standard input ends, then prints how many pages were read, and how long each took.
"""

import asyncio
import itertools
import sys
import time

import aiohttp
import uvloop

PATHS = ("", "?q=m1", "monitors/m1?range=3h", "monitors/m2?range=24h", "incidents", "pipeline", "status")
PAUSE_S = 1.0


async def read(client: aiohttp.ClientSession, url: str, number: int, took_s: list[float]) -> None:
    await asyncio.sleep(number * PAUSE_S / 20)
    for path in itertools.islice(itertools.cycle(PATHS), number % len(PATHS), None):
        began = time.monotonic()
        async with client.get(url + path) as response:
            await response.read()
            assert response.status == 200, f"{path}: {response.status}"  # noqa: S101
        took_s.append(time.monotonic() - began)
        await asyncio.sleep(PAUSE_S)


async def listen(client: aiohttp.ClientSession, url: str) -> None:
    async with client.get(f"{url}events") as response:
        async for _ in response.content:
            pass


async def look(url: str, readers: int, listeners: int) -> None:
    took_s: list[float] = []
    limits = aiohttp.ClientTimeout(total=None)
    connections = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=limits, connector=connections) as client:
        looking = [asyncio.create_task(read(client, url, number, took_s)) for number in range(readers)]
        looking += [asyncio.create_task(listen(client, url)) for _ in range(listeners)]
        ended = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
        done, _ = await asyncio.wait([ended, *looking], return_when=asyncio.FIRST_COMPLETED)
        for each in done:
            each.result()
        for each in looking:
            each.cancel()
        await asyncio.wait(looking)
    ordered = sorted(took_s)
    p50, p99 = (1_000 * ordered[int(len(ordered) * share)] for share in (0.5, 0.99))
    print(f"  {len(ordered)} pages for {readers} readers, ms  p50 {p50:7.2f}   p99 {p99:7.2f}", flush=True)


if __name__ == "__main__":
    uvloop.run(look(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
