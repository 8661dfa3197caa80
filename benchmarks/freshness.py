"""Seconds until people see what happened: `python -m benchmarks.freshness [TIMES]`.

Prints the least, the median and the most of: from the start of the program, on a fresh machine, to its first
row; from a change of the configuration to a row of the new monitor; from the row of a failed check to the
event that the pages wait for.
"""

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any

import aiohttp
import asyncpg
from aiohttp import web

from benchmarks.running import configuration_of, first_rows, free_port, program


class Flipping:
    """A site that answers 200 and 500 in turns, as it is told."""

    def __init__(self) -> None:
        self.status = 200

    async def answer(self, _: web.Request) -> web.Response:
        return web.Response(status=self.status)


async def measure(times: int) -> dict[str, list[float]]:
    """Return the seconds of each kind."""
    site, port = Flipping(), free_port()
    app = web.Application()
    app.router.add_get("/", site.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    url = f"http://127.0.0.1:{port}/"
    found: dict[str, list[float]] = {}
    for _ in range(times):
        for what, seconds in (await _once(site, url)).items():
            found.setdefault(what, []).append(seconds)
    await runner.cleanup()
    return found


async def _once(site: Flipping, url: str) -> dict[str, float]:
    web_port = free_port()
    monitors = [{"name": "first", "url": url, "interval_s": 0.2, "failures_to_open": 1}]
    config: dict[str, Any] = {"monitors": monitors, "web_port": web_port}
    began = time.monotonic()
    with program(config) as (process, uri):
        await first_rows(uri, 1, look_s=0.02)
        started_s = time.monotonic() - began

        began = time.monotonic()
        monitors.append({"name": "second", "url": url, "interval_s": 60})
        path = configuration_of(process)
        path.write_text(json.dumps(json.loads(path.read_text()) | config))
        connection = await asyncpg.connect(uri)
        await _row(connection, "monitor = 'second'")
        taken_s = time.monotonic() - began

        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{web_port}/events") as events,
        ):
            await _event(events, b"hello")
            site.status = 500
            await _row(connection, "NOT up")
            began = time.monotonic()
            await _event(events, b"status")
            seen_s = time.monotonic() - began
        site.status = 200
        await connection.close()
    return {"start to first row": started_s, "change to row of the new": taken_s, "row to event": seen_s}


async def _row(connection: asyncpg.Connection, condition: str) -> None:
    query = f"SELECT EXISTS (SELECT FROM health_data WHERE {condition})"  # noqa: S608 - written here
    while not await connection.fetchval(query):  # noqa: ASYNC110 - a table has no events
        await asyncio.sleep(0.02)


async def _event(events: aiohttp.ClientResponse, kind: bytes) -> None:
    while b"event: " + kind not in await events.content.readline():
        pass


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    for what, seconds in asyncio.run(measure(int(arguments[0]) if arguments else 5)).items():
        least, median, most = min(seconds), statistics.median(seconds), max(seconds)
        print(f"{what:26} s: {least:6.2f} {median:6.2f} {most:6.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
