"""Damaged requests to the web server: there is no bug, and the next client is answered."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import strategies as st

from monitor.web.server import serving
from monitor.web.site import Site
from tests.fuzz.damage import ODD_NUMBERS, damage
from tests.postgres import result_store
from tests.web.raw import connected, request
from tests.web.visitor import TOKEN, configured, running_on

_QUIET_S = 0.05  # in which an answer begins, if there is one
_BEARER = f"Authorization: Bearer {TOKEN}"
_FORM = "Content-Type: application/x-www-form-urlencoded"
_JSON = "Content-Type: application/json"
_PATHS = (
    *(
        "/",
        "/status?page=1",
        "/status/rss",
        "/incidents?since=2026-01-01&state=open",
        "/incidents/1",
        "/pipeline",
    ),
    *(
        "/monitors/shop?range=7d",
        "/badges/shop/uptime.svg",
        "/events",
        "/healthz",
        "/metrics",
        "/login?next=/x",
    ),
    *(
        "/probe?target=shop",
        "/static/page.css",
        "/api/v1/monitors",
        "/api/v1/incidents?limit=1",
        "*",
        "a:443",
    ),
)
_HEADERS = (
    *(
        "Accept: text/html",
        "Accept: application/openmetrics-text;version=1.0.0",
        "Accept-Encoding: gzip;q=0.5",
    ),
    *(
        "Connection: close",
        "Connection: Upgrade\r\nUpgrade: websocket",
        "Expect: 100-continue",
        "Host: other",
    ),
    *(
        "Cookie: website_health_session=9999999999.ab.cd",
        "Last-Event-ID: 5",
        "Range: bytes=0-5",
        "If-Match: *",
    ),
    *("If-Modified-Since: Thu, 31 Dec 2020 23:59:59 GMT", "If-Range: Thu, 31 Dec 2020 23:59:59 GMT", _BEARER),
    *("Origin: http://a.test", "Sec-Fetch-Site: cross-site", "X-Forwarded-For: 192.0.2.1, 10.0.0.1", _BEARER),
    *("X-Prometheus-Scrape-Timeout-Seconds: 1.5", "Transfer-Encoding: chunked", "Content-Encoding: gzip"),
    *(f"Last-Event-ID: {number}" for number in ODD_NUMBERS),
)
_POSTS = (
    ("/login", _FORM, b"token=x&next=%2Fpipeline"),
    ("/login", "Content-Type: multipart/form-data; boundary=x", b"--x\r\n\r\n\r\n--x--\r\n"),
    ("/logout", _FORM, b""),
    ("/monitors/shop/maintenance", _FORM, b"who=a&why=b&hours=2&scope=monitor&since=2026-01-01T00:00:00Z"),
    ("/incidents/1/silence", _FORM, b"who=a&why=b&hours=2"),
    ("/api/v1/maintenance", _JSON, b'{"who": "a", "why": "b", "until": 4000000000, "all": true}'),
    ("/api/v1/monitors/shop/check", _JSON, b""),
)


@st.composite
def _written(draw: st.DrawFn) -> bytes:
    headers = draw(st.lists(st.sampled_from(_HEADERS), max_size=4))
    if draw(st.booleans()):
        method = draw(st.sampled_from(("GET", "GET", "HEAD", "OPTIONS", "CONNECT")))
        return request(f"{method} {draw(st.sampled_from(_PATHS))} HTTP/1.1", *headers)
    path, kind, body = draw(st.sampled_from(_POSTS))
    return request(f"POST {path} HTTP/1.1", kind, *headers, body=body)


@st.composite
def _requests(draw: st.DrawFn) -> tuple[bytes, ...]:
    """Some requests on one connection, in packets."""
    source = draw(st.randoms(use_true_random=False))
    whole = b"".join(
        damage(each, source) if source.random() < 0.7 else each
        for each in draw(st.lists(_written(), min_size=1, max_size=3))
    )
    places = sorted(source.randrange(len(whole) + 1) for _ in range(draw(st.integers(0, 3))))
    return tuple(whole[a:b] for a, b in zip([0, *places], [*places, len(whole)], strict=True))


requests = _requests()


class Requests:
    """A client of the web server, which counts what it sends."""

    def __init__(self, url: str, site: Site) -> None:
        self.sent = 0
        self.refusals = site.access.refusals
        self._url = url
        self._bugs: list[tuple[str, BaseException | None]] = []
        self.refusals.log_bug = lambda where, error: self._bugs.append((where, error))  # type: ignore[method-assign]

    async def send(self, packets: tuple[bytes, ...]) -> None:
        """Send the packets and leave: there must be no bug, and the next client must be answered."""
        self.sent += 1
        async with connected(self._url) as client:
            for packet in packets:
                client.send(packet)
                await asyncio.sleep(0)
            with suppress(
                TimeoutError, asyncio.IncompleteReadError, ConnectionError, asyncio.LimitOverrunError
            ):
                async with asyncio.timeout(_QUIET_S):
                    await client.rest()
        async with connected(self._url) as client:
            client.send(request("GET /healthz HTTP/1.1"))
            assert await client.answer() == (200, b"ok\n")
        bugs, self._bugs[:] = [*self._bugs], []
        assert not bugs, bugs


@asynccontextmanager
async def asking(database: str) -> AsyncIterator[Requests]:
    """Run the web server."""
    store = result_store(database)
    with TemporaryDirectory() as folder:
        config = configured("shop", web_token=TOKEN, data_dir=str(Path(folder)))
        site = Site(config)
        running = running_on(store.database)
        site.program.started = running
        events = asyncio.create_task(site.events.run(running.reader))
        try:
            async with serving(config, site.access, site.routes(), site.middlewares) as (url,):
                yield Requests(url, site)
                site.events.end()
        finally:
            events.cancel()
            await asyncio.wait([events])
            await store.database.close()
