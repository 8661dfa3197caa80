"""How many connections there may be, and how long each may keep the server waiting."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple

import pytest
from aiohttp import web

from monitor.runtime.process import resources
from monitor.web.clients import connections
from monitor.web.clients.connections import max_connections
from monitor.web.clients.requests import Refusals
from monitor.web.server import serving
from tests.forwarding import until
from tests.program import Start
from tests.test_main import DOWN
from tests.web.raw import RawClient, connected, request
from tests.web.visitor import TOKEN, configured, nobody_logs_in

GET = request("GET / HTTP/1.1")
HALF = b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "
BIG = b"." * 30_000_000


class Served(NamedTuple):
    url: str
    refusals: Refusals
    asked: list[web.RequestHandler]
    answers: asyncio.Event


Serve = Callable[..., AbstractAsyncContextManager[Served]]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Serve a page, a large one, and one that waits for `answers`, on four connections."""
    monkeypatch.setattr(resources, "file_limit", lambda: 16)

    @asynccontextmanager
    async def served(**settings: Any) -> AsyncIterator[Served]:
        config = configured("shop", **settings)
        access = nobody_logs_in(config)
        asked: list[web.RequestHandler] = []
        answers = asyncio.Event()

        async def page(_: web.Request) -> web.Response:
            return web.Response(text="page")

        async def slow(_: web.Request) -> web.Response:
            asked.append(_.protocol)
            await answers.wait()
            return web.Response(text="slow")

        async def big(request: web.Request) -> web.Response:
            asked.append(request.protocol)
            return web.Response(body=BIG)

        routes = [web.get("/", page), web.get("/slow", slow), web.get("/big", big)]
        async with serving(config, access, routes) as (url,):
            yield Served(url, access.refusals, asked, answers)

    return served


async def are_open(clients: list[RawClient]) -> list[bool]:
    """Return which of them are answered, once they have sent the rest of their request."""
    for client in clients:
        client.send(b"\r\n\r\n")
    return [bool(await client.rest()) for client in clients]


HALF_AND_LAST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: "


async def test_at_the_limit_of_all_the_longest_wait_for_a_request_ends(serve: Serve) -> None:
    async with serve(trusted_proxies="127.0.0.1") as served, AsyncExitStack() as stack:
        clients = []
        for _ in range(6):
            clients.append(await stack.enter_async_context(connected(served.url)))
            clients[-1].send(HALF_AND_LAST)
        await until(lambda: served.refusals.connections == 2, "two are closed")

        assert await are_open(clients) == [False, False, True, True, True, True]


async def test_one_client_has_half_of_the_connections_at_most(serve: Serve) -> None:
    async with serve() as served, AsyncExitStack() as stack:
        clients = []
        for _ in range(3):
            clients.append(await stack.enter_async_context(connected(served.url)))
            clients[-1].send(HALF_AND_LAST)
        await until(lambda: served.refusals.connections == 1, "one is closed")

        assert await are_open(clients) == [False, True, True]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have one loopback address")
async def test_no_client_gives_way_to_another_that_has_too_many(serve: Serve) -> None:
    async with serve() as served, connected(served.url, "127.0.0.2") as other, AsyncExitStack() as stack:
        other.send(HALF_AND_LAST)
        clients = []
        for _ in range(3):
            clients.append(await stack.enter_async_context(connected(served.url)))
            clients[-1].send(HALF_AND_LAST)
        await until(lambda: served.refusals.connections == 1, "one is closed")

        assert await are_open([other, *clients]) == [True, False, True, True]


async def test_a_client_that_waits_makes_no_room_for_another_beyond_its_own_limit(serve: Serve) -> None:
    async with serve() as served, connected(served.url) as first, connected(served.url) as second:
        for client in (first, second):
            client.send(request("GET /slow HTTP/1.1"))
        await until(lambda: len(served.asked) == 2, "both are asked")

        async with connected(served.url) as third:
            third.send(GET)
            assert await third.rest() == b""
        assert served.refusals.connections == 1

        served.answers.set()
        assert [(await each.answer()).body for each in (first, second)] == [b"slow", b"slow"]
        async with connected(served.url) as fourth:
            fourth.send(GET)
            assert (await fourth.answer()).body == b"page"
        assert await first.rest() == b""


@pytest.mark.parametrize("body", [b"", b"x"])
async def test_who_sends_no_whole_body_gives_way(serve: Serve, body: bytes) -> None:
    async with serve() as served, connected(served.url) as first, connected(served.url) as second:
        for client in (first, second):
            client.send(request("GET / HTTP/1.1", "Content-Length: 2", "Expect: 100-continue") + body)
            await client.heading()

        async with connected(served.url) as third:
            third.send(GET)
            assert (await third.answer()).body == b"page"
        assert await first.rest() == b""

        second.send(b"xx"[len(body) :])
        assert (await second.answer()).body == b"page"
        assert served.refusals.connections == 1


async def test_a_body_that_comes_after_its_answer_changes_nothing(serve: Serve) -> None:
    async with serve(web_token=TOKEN) as served, connected(served.url) as first:
        first.send(request("GET / HTTP/1.1", "Content-Length: 2"))
        assert (await first.answer()).status == 401
        first.send(b"xx")

        async with connected(served.url) as second, connected(served.url) as third:
            for client in (second, third):
                client.send(GET)
                assert (await client.answer()).status == 401
            assert await first.rest() == b""

        assert served.refusals.connections == 1


async def test_who_takes_no_answer_gives_way(serve: Serve) -> None:
    async with serve() as served, connected(served.url) as first, connected(served.url) as second:
        for client in (first, second):
            client.send(request("GET /big HTTP/1.1"))
        await until(
            lambda: len(served.asked) == 2 and all(each.writing_paused for each in served.asked), "both wait"
        )

        async with connected(served.url) as third:
            third.send(GET)
            assert (await third.answer()).body == b"page"

        assert len(await first.rest()) < len(BIG)
        assert (await second.answer()).body == BIG


async def test_a_connection_that_ends_makes_room(serve: Serve) -> None:
    async with serve() as served:
        for _ in range(9):
            async with connected(served.url) as client:
                client.send(request("GET / HTTP/1.1", "Connection: close"))
                assert (await client.answer()).status == 200
                assert await client.rest() == b""

        assert served.refusals.connections == 0


async def test_half_a_request_is_not_waited_for(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(connections, "HEAD_S", 0.1)

    async with serve() as served:
        async with connected(served.url) as client:
            client.send(HALF)
            assert await client.rest() == b""
        async with connected(served.url) as client:
            client.send(GET)
            await client.answer()
            client.send(HALF)
            assert await client.rest() == b""

        assert served.refusals.requests == 2
        assert "a request of 127.0.0.1 cannot be read: no whole head within 0.1 s" in caplog.messages


async def test_a_head_that_comes_a_byte_at_a_time_is_not_waited_for(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 0.5)

    async with serve() as served, connected(served.url) as client, asyncio.TaskGroup() as group:

        async def drip() -> None:
            client.send(HALF)
            while True:
                client.send(b"x")
                await asyncio.sleep(0.01)

        dripping = group.create_task(drip())
        assert await client.rest() == b""
        dripping.cancel()


async def test_no_request_at_all_is_not_waited_for_either(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve() as served:
        monkeypatch.setattr(connections, "HEAD_S", 0.1)
        async with connected(served.url) as client:
            assert await client.rest() == b""
        monkeypatch.setattr(connections, "HEAD_S", 60)
        monkeypatch.setattr(connections, "IDLE_S", 0.1)
        async with connected(served.url) as client:
            client.send(GET)
            await client.answer()
            assert await client.rest() == b""

        assert served.refusals.requests == 0


async def test_a_client_that_takes_no_answer_is_left(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SEND_S", 0.1)

    async with serve() as served, connected(served.url) as client:
        client.send(request("GET /big HTTP/1.1"))
        await until(lambda: served.asked and served.asked[0].transport is None, "left")

        assert len(await client.rest()) < len(BIG)


async def test_a_client_that_takes_its_time_gets_the_whole_answer(serve: Serve) -> None:
    async with serve() as served, connected(served.url) as client:
        client.send(request("GET /big HTTP/1.1"))
        await until(lambda: served.asked and served.asked[0].writing_paused, "the client is slower")

        assert (await client.answer()).body == BIG
        client.send(GET)
        assert (await client.answer()).body == b"page"


def test_the_web_server_has_a_quarter_of_the_file_handles(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for limit in (65_536, 8_000, 1_024, 8):
        monkeypatch.setattr(resources, "file_limit", lambda limit=limit: limit)
        found.append(max_connections())

    assert found == [2_000, 2_000, 256, 4]


def test_checks_go_on_whatever_clients_leave_half_done(program: Start) -> None:
    monitor = program(
        monitors=[{"name": "shop", "url": DOWN, "interval_s": 0.2}],
        pg_uri="postgresql://127.0.0.1:9/x",
        kafka_bootstrap="127.0.0.1:9",
        share_checks=False,
        shutdown_grace_s=1,
    )
    limit = "import resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))"
    monitor.script = ("-c", f"{limit}; from monitor import cli; sys.exit(cli.main(sys.argv[1:]))")
    monitor.start()
    port = int(monitor.prints(r"web: http://127\.0\.0\.1:(\d+)/")[1])
    url = f"http://127.0.0.1:{port}/"

    async def flood() -> None:
        async with AsyncExitStack() as stack:
            for _ in range(300):
                (await stack.enter_async_context(connected(url))).send(HALF)
            before = monitor.printed().count("Message produced")
            await asyncio.to_thread(monitor.prints, "Message produced", before + 10)
            async with connected(url) as client:
                client.send(request("GET /healthz HTTP/1.1"))
                assert await client.answer() == (200, b"ok\n")

    asyncio.run(flood())

    assert "too many connections: one of 127.0.0.1 is closed" in monitor.printed()
    assert "Too many open files" not in monitor.printed()
    assert monitor.stop() == 0
