"""What tests of the pages in a browser share: a site with monitors in each state."""

import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple

import pytest

from monitor.alerts.store import AlertStore
from monitor.config.model import Config
from monitor.probe.evidence import TEXT_LENGTH
from monitor.result import Attempt, Certificate, DnsAnswer, Evidence, Hop, Phases
from monitor.storage.database import Database
from monitor.uptime.maintenance import MadeWindow
from tests.browsing import Window, chromium, window
from tests.postgres import save
from tests.web.visitor import configured, outage, result, site_of

HOSTILE = "</title></script><script>alert(1)</script><img src=x onerror=alert(2)>\"'{{7*7}}"
TOOK = Phases(0.01, 0.02, 0.03, 0.1, 0.01)


def world() -> Config:
    return configured(
        {"name": "fine", "group": "shop", "labels": {"team": "web"}},
        {"name": "gone", "group": "shop"},
        {"name": "slow", "degraded_after_s": 1},
        {"name": "resting", "paused": True},
        "new",
        {
            "name": HOSTILE,
            "url": "https://shop.example/?q=<script>alert(3)</script>",
            "labels": {"a": HOSTILE},
        },
        status_page={"title": "Our things", "announcement": HOSTILE},
        alerts={"channels": {HOSTILE: "json://127.0.0.1:9/", "w" * 200: "json://127.0.0.1:9/"}},
    )


class World(NamedTuple):
    """The site, a browser, and what is stored."""

    database: Database
    url: str
    browser: Any

    def window(self, **options: Any) -> AbstractAsyncContextManager[Window]:
        return window(self.browser, self.url, **options)


@pytest.fixture
async def here(alert_store: AlertStore) -> AsyncIterator[World]:
    store, now = alert_store, time.time()
    evidence = Evidence(
        {HOSTILE: HOSTILE, "Server": "x"},
        HOSTILE,
        dns=(DnsAnswer(HOSTILE, (HOSTILE,), 60, HOSTILE), DnsAnswer(HOSTILE, error=HOSTILE)),
        addresses=(Attempt(HOSTILE, HOSTILE),),
        hops=(Hop(HOSTILE, 302, HOSTILE), Hop("http://a.test/" + "a" * TEXT_LENGTH, None, None)),
        certificates=(Certificate("5f" * 32, HOSTILE, HOSTILE, 0.0, 1.0), Certificate("5f" * 32)),
    )
    past = [result("fine", 1_200 * number, phases=TOOK) for number in range(1, 60)]
    slow = [result("slow", 60 * number, degraded=True, response_time=2.5) for number in range(1, 4)]
    hostile = outage(HOSTILE, evidence=evidence, detail=HOSTILE, ip="192.0.2.1")
    await save(store.database, [*past, *slow, *outage("gone"), *hostile])
    for start in (now - 60, now + 3_600):
        await store.make_maintenance(MadeWindow(0, None, "shop", start, start + 600, now, HOSTILE, HOSTILE))
    async with chromium() as browser, site_of(world(), store) as visitor:
        yield World(store.database, visitor.url, browser)
