"""How much of a response a check holds at most, beside its body."""

import socket
import threading
import tracemalloc

import aiohttp
import pytest
from yarl import URL

from monitor.probe.exchange.exchange import MAX_COOKIES, MAX_COOKIES_LENGTH, _acceptable
from monitor.probe.exchange.request import MAX_LOCATION
from monitor.probe.exchange.wire import MAX_HEAD_LINES
from monitor.result import Reason
from tests.probe.exchange.test_wire import CHUNKED, read
from tests.sites import Check, Script, Serve, answer, flood, ok, read_request, redirect

MB = 1_000_000
TOO_MANY_LINES = "more than 2000 lines before the body"
NO_BODY = "more than 256 KiB that are no part of the body"


def again(*headers: str) -> bytes:
    return redirect("/again", *headers)


def cookies(connection: socket.socket, _: threading.Event) -> None:
    """Redirect for ever, each time with other cookies."""
    path = read_request(connection).split()[1]
    number = len(path)
    names = (f"Set-Cookie: a{number}b{each}={'c' * 80}" for each in range(1_900))
    connection.sendall(redirect(f"{path.decode()}x", *names))


SITES: dict[str, Script] = {
    "short headers": answer(again(*(1_900 * ["a: b"]))),
    "other names": answer(again(*(f"x{number}: y" for number in range(1_900)))),
    "long headers": answer(again(*(f"x{number}: {'y' * 980}" for number in range(250)))),
    "one header": answer(again(f"x: {'y' * 250_000}")),
    "cookies": cookies,
    "no headers": answer(again(*(1_900 * ["no header"]))),
    "interim responses": answer(10 * (b"HTTP/1.1 103 \r\n" + 180 * b"a: b\r\n" + b"\r\n") + again()),
    "short trailers": answer(CHUNKED + b"\r\n0\r\n" + 500_000 * b"a: b\r\n"),
    "long trailers": flood(CHUNKED + b"\r\n0\r\n", b"a: " + 60_000 * b"b" + b"\r\n"),
    "one trailer": flood(CHUNKED + b"\r\n0\r\na: ", 60_000 * b"b"),
    "extensions of a chunk": flood(CHUNKED + b"\r\n5;", 60_000 * b"b"),
}


@pytest.mark.parametrize("site", SITES)
async def test_a_check_holds_little_of(site: str, serve: Serve, check: Check) -> None:
    url = serve(SITES[site])
    await check(url)
    tracemalloc.start()

    result = await check(url, timeout_s=60)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert result.reason in (Reason.TOO_MANY_REDIRECTS, Reason.PROTOCOL_ERROR)
    assert peak < 4 * MB


@pytest.mark.parametrize("line", [b"a: b\r\n", b"a:\n", b"no header\r\n"])
async def test_a_head_may_have_as_many_lines_as_is_said(line: bytes) -> None:
    fits = await read([b"HTTP/1.1 200 OK\r\n" + (MAX_HEAD_LINES - 2) * line + b"\r\n"])
    too_many = await read([b"HTTP/1.1 200 OK\r\n" + (MAX_HEAD_LINES - 1) * line + b"\r\n"])

    assert (fits.status, too_many.status, too_many.trouble) == (
        200,
        None,
        f"more than {MAX_HEAD_LINES} lines before the body",
    )


async def test_lines_of_interim_responses_count() -> None:
    interim = b"HTTP/1.1 103 \r\n" + 500 * b"a: b\r\n" + b"\r\n"

    assert (await read([4 * interim + ok()])).trouble == TOO_MANY_LINES


@pytest.mark.parametrize(
    ("end", "part"), [(b"0\r\n", b"a: " + 1_000 * b"b" + b"\r\n"), (b"1;", 1_000 * b"x")]
)
async def test_what_is_no_part_of_a_body_ends(end: bytes, part: bytes) -> None:
    assert (await read([CHUNKED + b"\r\n1\r\na\r\n" + end, *(300 * [part])])).trouble == NO_BODY


async def test_what_is_no_part_of_a_body_may_come_again_and_again() -> None:
    chunk = b"1;" + 200_000 * b"x" + b"\r\na\r\n"

    result = await read([CHUNKED + b"\r\n", *(10 * [chunk[:100_000], chunk[100_000:]]), b"0\r\n\r\n"])

    assert (result.body, result.trouble) == (b"a" * 10, None)


@pytest.mark.parametrize(("more", "reason"), [(0, Reason.TOO_MANY_REDIRECTS), (1, Reason.PROTOCOL_ERROR)])
async def test_a_place_may_be_as_long_as_is_said(
    more: int, reason: Reason, serve: Serve, check: Check
) -> None:
    place = "/" + (MAX_LOCATION - 1 + more) * "x"

    assert (await check(serve(answer(redirect(place))), max_redirects=0)).reason == reason


async def test_cookies_are_kept_as_far_as_there_is_room() -> None:
    half = "c=" + (MAX_COOKIES_LENGTH // 2 - 2) * "d"
    many = (MAX_COOKIES + 1) * ["e=f"]
    new, jar, full = aiohttp.CookieJar(), aiohttp.CookieJar(), aiohttp.CookieJar()
    jar.update_cookies({"a": "b"})
    for host in range(MAX_COOKIES + 1):
        full.update_cookies({"a": "b"}, URL(f"http://{host}.test/"))

    assert _acceptable([half, half], new) == [half, half]
    assert _acceptable([half, f"{half}d", "e=f"], new) == [half]
    assert [len(_acceptable(many, each)) for each in (new, jar, full)] == [MAX_COOKIES, MAX_COOKIES - 1, 0]


async def test_a_host_of_very_many_digits_cannot_be_used(serve: Serve, check: Check) -> None:
    result = await check(serve(answer(redirect(f"http://{'1' * 200}.1/"))))

    assert (result.reason, result.redirects) == (Reason.PROTOCOL_ERROR, 1)
