"""Requests that cannot be read, and bugs that a client can reach as often as it likes."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest
from aiohttp import web
from multidict import CIMultiDict

from monitor.web.clients import requests
from monitor.web.clients.requests import Refusals, takes_coding
from monitor.web.server import serving
from monitor.web.site import Site
from tests.forwarding import until
from tests.web.raw import connected, request
from tests.web.visitor import ANYWHERE, TOKEN, configured, nobody_logs_in

FORM = "Content-Type: application/x-www-form-urlencoded"
MULTIPART = "Content-Type: multipart/form-data"
JSON = "Content-Type: application/json"
BEARER = f"Authorization: Bearer {TOKEN}"
LOGIN, API = "POST /login HTTP/1.1", "POST /api/v1/maintenance HTTP/1.1"


class Served(NamedTuple):
    url: str
    refusals: Refusals


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    config = configured("shop", web_token=TOKEN, data_dir=str(tmp_path))
    site = Site(config)
    async with serving(config, site.access, site.routes(), site.middlewares) as (url,):
        yield Served(url, site.access.refusals)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (request(LOGIN, FORM, body=b"token=\xff\xfe"), 400),
        (request(LOGIN, f"{FORM}; charset=nonsense", body=b"token=a"), 400),
        (request(LOGIN, f"{FORM}; charset=punycode", body=b"token=a"), 400),
        (request(LOGIN, FORM, body=b"a&" * 101), 400),
        (request(LOGIN, f"{MULTIPART}; boundary=x", body=b"--x\r\n"), 415),
        (request(LOGIN, MULTIPART, body=b"--x\r\n"), 415),
        (request(LOGIN, FORM, "Content-Encoding: gzip", body=b"no gzip"), 415),
        (request(LOGIN, FORM, "Content-Encoding: br", body=b"no brotli"), 415),
        (request(API, JSON, BEARER, "Content-Encoding: gzip", body=b"no gzip"), 415),
        (request(LOGIN, FORM, "Transfer-Encoding: chunked") + b"zz\r\n", 400),
        (request(LOGIN, FORM, "Transfer-Encoding: chunked", body=b"0\r\n\r\n"), 400),
        (request(LOGIN, FORM, body=b"a" * 65_537), 413),
        (request(LOGIN, "Content-Length: x"), 400),
        (request("GET * HTTP/1.1"), 400),
        (request("CONNECT a:b HTTP/1.1"), 400),
        (request("GET http://[/ HTTP/1.1"), 400),
        (request(LOGIN, "Expect: \xff", body=b"x"), 417),
        (request("GET / HTTP/9.9"), 400),
        (request(f"GET /{'a' * 9_000} HTTP/1.1"), 431),
        (request("GET / HTTP/1.1", f"X: {'a' * 9_000}"), 431),
        (request("GET / HTTP/1.1", *["X: a"] * 300), 400),
        (request("GET / HTTP/1.1", "Host: other"), 400),
        (request("GET / HTTP/1.1", "b a d"), 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    ],
)
async def test_what_cannot_be_read_gets_one_line_and_no_traceback(
    served: Served, caplog: pytest.LogCaptureFixture, sent: bytes, status: int
) -> None:
    caplog.set_level(logging.INFO, "monitor.web.clients.requests")

    async with connected(served.url) as client:
        client.send(sent)
        answer = await client.answer()

    assert answer.status == status
    assert len(answer.body) < 300
    assert answer.body.count(b"\n") <= 1
    assert served.refusals.requests >= 1
    (line,) = [each for each in caplog.records if each.name != "monitor.web.server"]
    assert line.getMessage().startswith("a request of 127.0.0.1 cannot be read: ")
    assert not line.exc_info


async def test_a_request_for_nothing_is_counted_and_no_bug(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(served.url) as client:
        client.send(b"CONNECT \r\n\r\n")
        assert (await client.answer()).status == 401
        assert await client.rest() == b""

    assert served.refusals.requests == 1
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize(
    ("header", "taken"),
    [
        ("gzip", True),
        ("deflate, GZIP ; Q=0.5", True),
        ("gzip;q=1.0", True),
        ("gzip;q=0.001", True),
        ("*", True),
        ("br;q=0, *", True),
        ("", False),
        ("identity", False),
        ("deflate, br", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("gzip;q=0, *", False),
        ("*;q=0", False),
        ("x-gzip-like", False),
    ],
)
def test_gzip_is_for_those_who_take_it(header: str, taken: bool) -> None:
    assert takes_coding(CIMultiDict({"Accept-Encoding": header}), "gzip") is taken


async def test_who_leaves_before_an_answer_begins_is_no_bug(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(20):
        async with connected(served.url) as client:
            client.send(request(LOGIN, "Content-Length: 9", "Expect: 100-continue"))
    async with connected(served.url) as client:
        client.send(request("GET /healthz HTTP/1.1"))
        assert (await client.answer()).status == 200

    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("path", ["a" * 5_000, "a%00b", "..%2fserver.py", "", "."])
async def test_files_are_only_those_that_pages_need(
    served: Served, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    async with connected(served.url) as client:
        client.send(request(f"GET /static/{path} HTTP/1.1"))

        assert (await client.answer()).status in (401, 404)

    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("line", [LOGIN, API])
async def test_a_client_that_leaves_within_its_body_is_no_bug(
    served: Served, caplog: pytest.LogCaptureFixture, line: str
) -> None:
    async with connected(served.url) as client:
        client.send(request(line, BEARER, "Content-Length: 9", "Expect: 100-continue") + b"{")
        await client.heading()

    await until(lambda: served.refusals.requests == 1, "counted")
    assert "Traceback" not in caplog.text


async def test_a_body_that_does_not_end_is_not_waited_for(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "BODY_S", 0.1)

    async with connected(served.url) as client:
        client.send(request(LOGIN, FORM, "Content-Length: 9") + b"token")

        assert await client.answer() == (408, b"no whole body within 0.1 s\n")
        assert await client.rest() == b""

    assert served.refusals.requests == 1


async def test_a_body_is_not_unpacked(served: Served) -> None:
    for encoding, status in (("identity", 303), ("gzip", 415)):
        async with connected(served.url) as client:
            body = f"token={TOKEN}".encode()
            client.send(request(LOGIN, FORM, f"Content-Encoding: {encoding}", body=body))

            assert (await client.answer()).status == status


async def test_a_form_is_read_whatever_its_charset_is_called(served: Served) -> None:
    async with connected(served.url) as client:
        for charset in ("", "; charset=UTF-8", "; charset=us-ascii"):
            client.send(request(LOGIN, FORM + charset, body=f"token={TOKEN}".encode()))

            assert (await client.answer()).status == 303

    assert served.refusals.requests == 0


async def test_the_broken_body_of_a_request_that_is_refused_is_no_bug(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(served.url) as client:
        client.send(request(API, "Transfer-Encoding: chunked"))
        assert (await client.answer()).status == 401

        client.send(b"zz\r\n")
        await client.rest()

    assert "Traceback" not in caplog.text


async def test_a_bug_is_logged_once_however_often_a_client_comes_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def broken(_: web.Request) -> web.Response:
        raise LookupError

    async def torn(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"begin")
        raise LookupError

    routes = [web.get("/broken/{name}", broken), web.get("/torn", torn)]
    async with serving(ANYWHERE, nobody_logs_in(ANYWHERE), routes) as (url,):
        for number in range(3):
            async with connected(url) as client:
                client.send(request(f"GET /broken/{number} HTTP/1.1"))
                assert await client.answer() == (500, b"a bug; the log of the program has more\n")
            async with connected(url) as client:
                client.send(request("GET /torn HTTP/1.1"))
                assert b"begin" in await client.rest()

    assert [each.getMessage() for each in caplog.records] == ["a bug: /broken/{name}", "a bug: /torn"]
    assert caplog.text.count("Traceback") == 2
