"""Where the web server listens, and whom it answers."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from monitor.config.model import Config
from monitor.web.health import HealthPages
from monitor.web.server import WebError, serving
from tests.web.visitor import ANYWHERE, nobody_logs_in

TOKEN = "t0ken"  # noqa: S105
Served = Callable[..., AbstractAsyncContextManager[list[str]]]


@pytest.fixture
def served() -> Served:
    """Serve a page and the health pages with these settings."""

    @asynccontextmanager
    async def serve(**settings: Any) -> AsyncIterator[list[str]]:
        async def page(_: web.Request) -> web.Response:
            return web.Response(text="page")

        config = Config.model_validate({"monitors": (), "web_port": 0, **settings})
        async with serving(
            config, nobody_logs_in(config), [web.get("/", page), *HealthPages(list).routes()]
        ) as urls:
            yield urls

    return serve


async def status(url: str, **headers: str) -> int:
    async with aiohttp.ClientSession() as client, client.get(url, headers=headers) as response:
        return response.status


async def test_port_0_is_any_free_one_and_the_log_says_which(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    async with served() as (url,):
        assert await status(url) == 200

    assert caplog.messages == [f"web: {url}"]


async def test_without_a_port_there_is_no_server(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")

    async with served(web_port=None) as urls:
        assert urls == []

    assert caplog.messages == []


async def test_a_port_in_use_is_reported_in_one_line(served: Served) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        with pytest.raises(WebError, match=f"^web_host 127.0.0.1, web_port {port}: Address already in use$"):
            async with served(web_port=port, web_port_is_given=True):
                pass


async def test_a_default_port_that_is_in_use_gives_way_to_a_free_one(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        async with served(web_port=port) as (url,):
            assert await status(url) == 200

    assert f"web_port {port} is in use" in caplog.text


async def test_an_address_of_another_machine_is_reported_in_one_line(served: Served) -> None:
    reason = "Cannot assign requested address|could not bind on any address"  # of Python 3.11, of 3.13
    with pytest.raises(WebError, match=rf"^web_host 192\.0\.2\.1, web_port 0: ({reason})[^\n]*$"):
        async with served(web_host="192.0.2.1", web_token=TOKEN):
            pass


async def test_an_error_without_a_number_is_reported_in_its_words(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> None:
        raise OSError("could not bind on any address")  # as asyncio does from Python 3.13 on

    monkeypatch.setattr("monitor.web.server._listen", refuse)

    with pytest.raises(WebError, match=r"^web_host 127\.0\.0\.1, web_port 0: could not bind on any address$"):
        async with served():
            pass


async def test_a_host_that_has_no_address_is_reported_in_one_line(served: Served) -> None:
    with pytest.raises(WebError, match=r"^web_host no\.such\.invalid, web_port 0: \w[^\n]+$"):
        async with served(web_host="no.such.invalid", web_token=TOKEN):
            pass


async def test_with_a_token_only_whoever_has_it_is_answered(served: Served) -> None:
    async with served(web_token=TOKEN) as (url,):
        assert await status(url, Authorization="Bearer t0ken") == 200
        assert await status(url, Authorization="Bearer t0ken", Host="monitor.example") == 200
        assert await status(url) == 401
        assert await status(url, Authorization="Bearer other") == 401
        assert await status(url, Authorization="Bearer t0kén") == 401
        assert await status(f"{url}readyz") == 401
        assert await status(f"{url}nothing") == 401
        assert await status(f"{url}healthz") == 200


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "127.9.9.9:80", "[::1]:80"])
async def test_without_a_token_names_of_this_machine_are_answered(served: Served, host: str) -> None:
    async with served() as (url,):
        assert await status(url, Host=host) == 200


@pytest.mark.parametrize("host", ["rebound.example", "192.0.2.1", "x:y", "[", "", "localhost.example"])
async def test_without_a_token_other_names_are_not(served: Served, host: str) -> None:
    async with served() as (url,):
        assert await status(url, Host=host) == 421


async def test_a_request_that_names_no_host_is_not_answered(served: Served) -> None:
    async with served() as (url,):
        port = int(url.rstrip("/").rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        answer = await reader.read()
        writer.close()

    assert answer.startswith(b"HTTP/1.0 421 ")


async def test_ready_is_what_misses_nothing() -> None:
    missing: list[str] = []
    pages = HealthPages(lambda: missing)

    async with (
        serving(ANYWHERE, nobody_logs_in(ANYWHERE), pages.routes()) as (url,),
        aiohttp.ClientSession() as client,
    ):
        missing[:] = "Kafka has been unavailable for 3 s", "PostgreSQL has been unavailable for 4 s"
        async with client.get(f"{url}readyz") as response:
            assert (response.status, await response.text()) == (
                503,
                "Kafka has been unavailable for 3 s\nPostgreSQL has been unavailable for 4 s\n",
            )
        missing.clear()
        async with client.get(f"{url}readyz") as response:
            assert (response.status, await response.text()) == (200, "ok\n")
