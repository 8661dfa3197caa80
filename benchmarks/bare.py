"""The cost of aiohttp alone: the same requests on the same event loop, with nothing recorded.

`python -m benchmarks.bare URL RATE SECONDS [CA_FILE]` prints the CPU microseconds for each request, over a
fresh connection. With TLS it trusts only CA_FILE.
"""

import asyncio
import ssl
import sys
import time

import aiohttp
import uvloop


async def fetch(session: aiohttp.ClientSession, url: str) -> None:
    async with session.get(url) as response:
        await response.read()


async def bare(url: str, rate: float, seconds: float, ca_file: str | None = None) -> float:
    context = ssl.create_default_context(cafile=ca_file)
    connector = aiohttp.TCPConnector(force_close=True, limit=0, ssl=context)
    async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as tasks:
        began, cpu = time.monotonic(), time.process_time()
        for count in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, began + count / rate - time.monotonic()))
            tasks.create_task(fetch(session, url))
    return (time.process_time() - cpu) / (rate * seconds) * 1e6


if __name__ == "__main__":
    print(uvloop.run(bare(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), *sys.argv[4:])))
