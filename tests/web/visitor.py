"""What tests of the web server share: a site with monitors, and somebody who reads it."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import aiohttp
from yarl import URL

from monitor.alerts.store import AlertStore
from monitor.config.model import Config
from monitor.domains.known import Domains
from monitor.result import CheckResult, result_id
from monitor.runtime.text import DAY_S
from monitor.sharing import SHARDS, Sharing
from monitor.storage.database import Database
from monitor.storage.results import ResultStore
from monitor.web.clients.access import Access
from monitor.web.metrics.program import Measurement, Section
from monitor.web.queries import PageReader
from monitor.web.running import Running
from monitor.web.server import serving
from monitor.web.site import Site
from tests.sharing import fake_sharing

ANYWHERE = Config(monitors=(), web_port=0)
HTML = {"Accept": "text/html"}
TOKEN = "t0ken"  # noqa: S105


def nobody_logs_in(config: Config) -> Access:
    """Make what stands before the pages, where no test looks at the page to log in."""
    return Access(config, lambda onward, problem: f"{onward} {problem}")


def configured(*monitors: str | dict[str, Any], **settings: Any) -> Config:
    """Configure monitors, by name or by more than that."""
    written = [{"name": each} if isinstance(each, str) else each for each in monitors]
    every = tuple({"url": "https://shop.example/", **each} for each in written)
    return Config.model_validate({"monitors": every, "web_port": 0, "location": "here", **settings})


def result(monitor: str = "shop", ago_s: float = 60.0, **changes: Any) -> CheckResult:
    """Make the result of a slot that is so long ago."""
    at = round(time.time() - ago_s, 3)
    location = changes.pop("location", "here")
    known: dict[str, Any] = {
        "response_data": "",
        "response_status": 200,
        "response_time": 0.25,
        "url": "https://shop.example/",
        "up": True,
    }
    return CheckResult(
        timestamp=at,
        id=result_id(location, monitor, at),
        monitor=monitor,
        location=location,
        scheduled_at=at,
        **known | changes,
    )


def outage(monitor: str = "shop", ago_s: float = 300.0, checks: int = 4, **changes: Any) -> list[CheckResult]:
    """Make an outage that began so long ago, after one good result."""
    failed = {"up": False, "response_status": 503, "reason": "status", "detail": "status 503"} | changes
    bad = [result(monitor, ago_s - 60 * number, **failed) for number in range(checks)]
    return [result(monitor, ago_s + 60), *bad]


def flapping(monitor: str = "shop") -> list[CheckResult]:
    """Make four short outages within half an hour, the last one over."""
    failed = {"up": False, "response_status": 503, "reason": "status", "detail": "status 503"}
    signs = enumerate("---++" * 4)
    return [result(monitor, 1_200 - 60 * n, **(failed if sign == "-" else {})) for n, sign in signs]


class Answer(NamedTuple):
    status: int
    text: str
    headers: dict[str, str]


class Visitor:
    """Asks for pages; redirects are not followed, and cookies are kept as they come."""

    def __init__(self, client: aiohttp.ClientSession, url: str) -> None:
        self.url = url.rstrip("/")
        self.headers: dict[str, str] = {}
        self._client = client

    async def get(self, path: str, **headers: str) -> Answer:
        return await self._ask("GET", path, headers)

    async def post(self, path: str, **headers: str) -> Answer:
        return await self._ask("POST", path, headers)

    async def send(self, path: str, **form: str) -> Answer:
        return await self._ask("POST", path, {}, data=form)

    async def log_in(self, token: str, onward: str = "/", **headers: str) -> Answer:
        return await self._ask("POST", "/login", headers, data={"token": token, "next": onward})

    async def _ask(self, method: str, path: str, headers: dict[str, str], **more: Any) -> Answer:
        sent = {name.replace("_", "-"): text for name, text in (self.headers | headers).items()}
        url = URL(self.url + path, encoded=True)
        async with self._client.request(method, url, headers=sent, allow_redirects=False, **more) as response:
            text = await response.text(errors="replace")
            return Answer(response.status, text, dict(response.headers))


async def no_check(name: object, within_s: float) -> CheckResult:
    """Stand where the schedule is, where no check is asked for."""
    raise KeyError(name, within_s)


def shared_with(*others: str) -> Sharing:
    """Make what the process `here-1` knows, which shares its checks with others."""
    here = fake_sharing("here-1")
    names = ["here-1", *others]
    here.members = {name: [*range(place, SHARDS, len(names))] for place, name in enumerate(names)}
    here.own({number for number in range(SHARDS) if number % len(names) == 0}, SHARDS)
    return here


async def nothing_to_refresh() -> None:
    """Stand where counts are read, where no measurement is asked for."""


def running_on(database: Database, **parts: Any) -> Running:
    """Make a running program on this database, and with these parts of it."""
    running = Running(
        reader=PageReader(database),
        alerts=AlertStore(database),
        check_now=no_check,
        probe=no_check,
        probe_target=no_check,
        refresh=nothing_to_refresh,
        measure=lambda: [Section("Checks", [Measurement("", "Checks made.", 7)])],
        missing=list,
    )
    return replace(running, **parts)


def domains_of(config: Config, days: float | None, why: str | None = None) -> Domains:
    """Know that all domains expire in so many days, and a minute; or why that is not known."""
    domains, now = Domains(), time.time()
    domains.follow(config.monitors)
    for watched in domains.watched.values():
        watched.domain.learn(None if days is None else now + days * DAY_S + 60, now, now, why)
    return domains


@asynccontextmanager
async def site_of(
    config: Config,
    store: ResultStore | AlertStore | None = None,
    check_now: Any = no_check,
    seen: Iterable[CheckResult] = (),
    **parts: Any,
) -> AsyncIterator[Visitor]:
    """Serve the site; without a store, the program is still starting. `seen` are its process' own results."""
    site = Site(config)
    for each in seen:
        site.checks.observe(each)
    running = running_on(store.database, check_now=check_now, **parts) if store else None
    site.program.started = running
    events = asyncio.create_task(site.events.run(running.reader)) if running else None
    try:
        async with (
            serving(config, site.access, site.routes(), site.middlewares) as (url,),
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client,
        ):
            yield Visitor(client, url)
            site.events.end()
    finally:
        if events:
            events.cancel()
            await asyncio.wait([events])
