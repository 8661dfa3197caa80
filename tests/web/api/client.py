"""The API as its clients see it, over HTTP and on a real database."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec
import pytest
from yarl import URL

from monitor.config.model import Config
from monitor.incidents.bookkeeping import Bookkeeping
from monitor.incidents.rules import MonitorRules
from monitor.result import CheckResult, result_id
from monitor.sharing import Sharing
from monitor.storage.results import ResultStore
from monitor.web.running import CheckNow
from monitor.web.server import serving
from monitor.web.site import Site
from tests.postgres import result_store
from tests.web.visitor import running_on, shared_with

MONITORS = (
    {"name": "a/b", "url": "https://user:s3cret@ab.example/?token=s3cret", "group": "web"},
    {
        "name": "blog",
        "url": "https://blog.example/",
        "group": "web",
        "labels": {"team": "ink"},
        "runbook": "https://wiki.example/blog",
    },
    {"name": "new", "url": "https://new.example/"},
    {"name": "old", "url": "https://old.example/", "paused": True},
    {"name": "shop", "url": "https://shop.example/", "headers": {"X-Key": "s3cret"}},
)


@dataclass
class Answered:
    """An answer of the API."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def lines(self) -> list[str]:
        """The lines of a table."""
        return self.body.decode().split("\r\n")[:-1]


@dataclass
class Client:
    """Asks the API of a site; `url` is where its pages are."""

    url: str
    site: Site
    session: aiohttp.ClientSession
    headers: dict[str, str] = field(default_factory=dict)

    async def __call__(self, path: str, method: str = "GET", status: int = 200, **request: Any) -> Answered:
        """Ask; `path` begins below `/api/v1`, with its parameters."""
        return await self.ask(f"api/v1{path}", method, status, **request)

    async def ask(self, path: str, method: str = "GET", status: int = 200, **request: Any) -> Answered:
        url = URL(self.url + path, encoded=True)
        async with self.session.request(method, url, allow_redirects=False, **request) as response:
            answered = Answered(response.status, response.headers, await response.read())
        assert answered.status == status, answered.body
        return answered

    def check_now(self, check: CheckNow) -> None:
        """Let checks that are asked for be made so."""
        program = self.site.program
        program.started = replace(program.running, check_now=check)

    def share_with(self, *others: str) -> Sharing:
        """Let it be one of several processes that share their checks."""
        program, here = self.site.program, shared_with(*others)
        program.started = replace(program.running, sharing=here)
        return here

    async def refused(self, path: str, status: int, method: str = "GET", **request: Any) -> Any:
        """Ask, and return the problem."""
        answered = await self.ask(path.lstrip("/"), method, status, **request)
        assert answered.headers["Content-Type"] == "application/problem+json"
        problem = answered.json
        assert problem["status"] == status
        assert problem["type"] == "about:blank"
        return problem


Open = Callable[..., Any]


@pytest.fixture
async def open_api() -> AsyncIterator[Open]:
    """Serve a site with these settings; it has begun when it is given a store."""
    async with AsyncExitStack() as stack:

        async def start(store: ResultStore | None = None, **settings: Any) -> Client:
            config = Config.model_validate({"monitors": MONITORS, "web_port": 0, **settings})
            site = Site(config)
            (url,) = await stack.enter_async_context(
                serving(config, site.access, site.routes(), site.middlewares)
            )
            if store is not None:
                site.program.started = running_on(store.database, check_now=never)
            session = await stack.enter_async_context(aiohttp.ClientSession())
            return Client(url, site, session)

        yield start


@pytest.fixture
async def api(open_api: Open, store: ResultStore) -> Client:
    """The API of five monitors, with an empty database."""
    client: Client = await open_api(store)
    return client


async def never(name: str, within_s: float) -> CheckResult:
    raise AssertionError(name, within_s)


def found(monitor: str, scheduled_at: float, **changes: Any) -> CheckResult:
    result = CheckResult(
        timestamp=scheduled_at + 0.25,
        response_data="",
        response_status=200,
        response_time=0.5,
        id=result_id("here", monitor, scheduled_at),
        monitor=monitor,
        url="https://shop.example/",
        location="here",
        scheduled_at=scheduled_at,
        up=True,
    )
    return msgspec.structs.replace(result, **changes)


def failed(monitor: str, scheduled_at: float, **changes: Any) -> CheckResult:
    values = {"up": False, "response_status": 500, "reason": "status", "detail": "status 500", **changes}
    return found(monitor, scheduled_at, **values)


async def store_live(database: str, results: Sequence[CheckResult]) -> None:
    """Store results as they would have come: each a second after its slot."""
    clock = [0.0]
    store = result_store(database, Bookkeeping(MonitorRules(), 90, lambda: clock[0]))
    for result in sorted(results, key=lambda each: each.scheduled_at):
        clock[0] = result.scheduled_at + 1
        await store.save([result])
    await store.database.close()


def path_of(name: str) -> str:
    return f"/monitors/{quote(name, safe='')}"
