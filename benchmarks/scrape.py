"""What a scrape of many monitors costs: `python -m benchmarks.scrape [MONITORS]`; default 10,000.

Prints for sites without and with TLS, without and with histograms, and without and with gzip: the MB of the
answer; the milliseconds until the client, another process, had all of it; the server's CPU time for it; and
by how much its event loop was late at worst. Of ten scrapes: the median; of the lateness also the maximum.
"""

import asyncio
import random
import statistics
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from ipaddress import IPv4Address
from itertools import product
from multiprocessing import get_context
from uuid import UUID

import uvloop

from monitor.config.model import Config, MetricsHistograms, Monitor
from monitor.result import CheckResult, Phases, Tls
from monitor.runtime.process.event_loop import shorten_pauses
from monitor.web.server import serving
from monitor.web.site import Site

SCRAPES = 10
GROUPS = 20
HISTOGRAMS: tuple[MetricsHistograms, ...] = ("none", "monitor")
TICK_S = 0.001
ALONE_S = 2.0
EXPIRES_AT = 1_900_000_000.0


class Lag:
    """By how much a timer of this event loop was late at worst."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._worst_s = 0.0
        self._wait()

    def taken_ms(self) -> float:
        """Return the worst one since the last call."""
        worst_s, self._worst_s = self._worst_s, 0.0
        return 1_000 * worst_s

    def _wait(self) -> None:
        self._loop.call_later(TICK_S, self._tick, time.monotonic() + TICK_S)

    def _tick(self, due_at: float) -> None:
        self._worst_s = max(self._worst_s, time.monotonic() - due_at)
        self._wait()


def scrape(url: str, encoding: str) -> tuple[float, int]:
    """Return the seconds until the whole answer was there, and its bytes."""
    request = urllib.request.Request(url, headers={"Accept-Encoding": encoding})  # noqa: S310 - our own
    began = time.monotonic()
    with urllib.request.urlopen(request) as response:  # noqa: S310
        size = len(response.read())
    return time.monotonic() - began, size


def results(monitors: Sequence[Monitor], *, encrypted: bool) -> Iterator[CheckResult]:
    chance = random.Random(7)  # noqa: S311 - the same each time
    now = time.time()
    for number, monitor in enumerate(monitors):
        connect_s, tls_s, processing_s = (chance.lognormvariate(-4, 0.5) for _ in range(3))
        yield CheckResult(
            timestamp=now - 60 * chance.random(),
            response_data="",
            response_status=200,
            response_time=0.001 + connect_s + tls_s + processing_s,
            id=UUID(int=number),
            monitor=monitor.name,
            url=monitor.public_url,
            location="here",
            scheduled_at=now,
            up=True,
            phases=Phases(0.0005, connect_s, tls_s if encrypted else None, processing_s, 0.0005),
            http_version="1.1",
            ip=str(IPv4Address("198.18.0.0") + number),
            body_bytes=1_256,
            content_length=1_256,
            certificate_expires_at=EXPIRES_AT if encrypted else None,
            tls=_tls(monitor.name) if encrypted else None,
        )


def _tls(name: str) -> Tls:
    host = f"{name}.example"
    issuer = "CN=Example Authority R3,O=Example Authority,C=US"
    return Tls(
        "TLS 1.3", "TLS_AES_256_GCM_SHA384", "5f" * 32, f"CN={host}", issuer, host, "04" * 16, EXPIRES_AT
    )


def configuration(count: int, by: MetricsHistograms) -> Config:
    monitors = tuple(
        Monitor(name=f"m{number}", url=f"https://m{number}.example/", group=f"group {number % GROUPS}")
        for number in range(count)
    )
    return Config(monitors=monitors, location="here", web_port=0, metrics_histograms=by)


async def measure(url: str, encoding: str, lag: Lag, pool: ProcessPoolExecutor) -> str:
    loop = asyncio.get_running_loop()
    took_ms, late_ms, size = [], [], 0
    began_s = time.process_time()
    for _ in range(SCRAPES):
        lag.taken_ms()
        seconds, size = await loop.run_in_executor(pool, scrape, url, encoding)
        took_ms.append(1_000 * seconds)
        late_ms.append(lag.taken_ms())
    cpu_ms = 1_000 * (time.process_time() - began_s) / SCRAPES
    took, late = statistics.median(took_ms), statistics.median(late_ms)
    return f"{encoding:8} {size / 1e6:6.1f} {took:6.0f} {cpu_ms:6.0f} {late:6.1f} {max(late_ms):6.1f}"


async def serve(count: int, pool: ProcessPoolExecutor) -> None:
    lag = Lag()
    await asyncio.sleep(ALONE_S)
    print(f"{count} monitors; event loop late without a scrape, ms: {lag.taken_ms():.1f}")
    print(f"{'sites':6}{'histograms':11}{'encoding':10} MB     ms    CPU   late    max")
    for encrypted, by in product((False, True), HISTOGRAMS):
        config = configuration(count, by)
        site = Site(config)
        for result in results(config.monitors, encrypted=encrypted):
            site.checks.observe(result)
        shorten_pauses()
        async with serving(config, site.access, site.routes(), site.middlewares) as (url,):
            for encoding in ("identity", "gzip"):
                figures = await measure(f"{url}metrics", encoding, lag, pool)
                print(f"{'https' if encrypted else 'http':5} {by:10} {figures}", flush=True)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        pool.submit(time.time).result()
        uvloop.run(serve(count, pool))


if __name__ == "__main__":
    main()
