"""What a response is made of, however it arrives, and the bounds of what comes before it."""

import asyncio
import socket
import threading
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from monitor.config.model import Monitor
from monitor.probe.exchange.request import Configured, Request
from monitor.probe.exchange.wire import MAX_HEAD_BYTES, MAX_INTERIM, Wire, mended
from monitor.probe.failures import Failed
from monitor.result import Reason
from tests.probe.test_probe import checks
from tests.sites import Authority, Check, Serve, answer, flood, ok, read_request

HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
TOO_MANY = "more than 10 interim responses (1xx) before the final one"


@pytest.mark.parametrize("interim", [HINTS, CONTINUE])
async def test_a_few_interim_responses_are_skipped(interim: bytes, serve: Serve, check: Check) -> None:
    result = await check(serve(answer(MAX_INTERIM * interim, ok(b"hello"))))

    assert (result.up, result.response_status, result.response_data) == (True, 200, "hello")


async def test_one_more_is_too_many(serve: Serve, check: Check) -> None:
    result = await check(serve(answer((MAX_INTERIM + 1) * HINTS, ok(b"hello"))))

    assert (result.reason, result.detail, result.response_status) == (Reason.PROTOCOL_ERROR, TOO_MANY, None)


async def test_each_response_on_a_kept_connection_may_have_some(serve: Serve) -> None:
    def script(connection: socket.socket, _: threading.Event) -> None:
        while read_request(connection):
            connection.sendall(MAX_INTERIM * HINTS + ok(b"hello"))

    results = await checks(serve(script), 3, reuse_connection=True)

    assert [result.up for result in results] == [True, True, True]
    assert results[-1].phases.connect is None


@pytest.mark.parametrize("part", [HINTS, 20_000 * CONTINUE])
async def test_interim_responses_for_ever_end_the_check(part: bytes, serve: Serve, check: Check) -> None:
    result = await check(serve(flood(b"", part)), timeout_s=60)

    assert (result.reason, result.detail) == (Reason.PROTOCOL_ERROR, TOO_MANY)


async def test_so_do_those_of_a_proxy(serve: Serve, check: Check) -> None:
    result = await check("https://site.test/", proxy=serve(flood(b"", HINTS)), timeout_s=60)

    assert (result.reason, result.detail) == (Reason.PROTOCOL_ERROR, TOO_MANY)


async def test_a_head_of_many_long_headers_is_too_long(serve: Serve, check: Check) -> None:
    headers = b"".join(b"X-%d: %s\r\n" % (number, 1_000 * b"y") for number in range(500))

    result = await check(serve(answer(b"HTTP/1.1 200 OK\r\n" + headers + b"\r\n", b"hello")))

    assert (result.reason, result.detail) == (Reason.PROTOCOL_ERROR, "more than 256 KiB before the body")


async def test_one_long_header_is_none_too_long(serve: Serve, check: Check) -> None:
    result = await check(serve(answer(ok(b"hello", f"X: {200_000 * 'y'}"))))

    assert (result.up, result.response_data) == (True, "hello")


async def test_a_long_head_is_none_too_long(serve: Serve, check: Check) -> None:
    headers = [f"X-{number}: {1_000 * 'y'}" for number in range(200)]

    result = await check(serve(answer(ok(MAX_HEAD_BYTES * b"z", *headers))))

    assert (result.up, result.body_bytes) == (True, MAX_HEAD_BYTES)


def asked(method: str = "GET") -> Request:
    monitor = Monitor(name="site", url="http://site.test/", method=method)
    return Configured(monitor).first


class Pipe(asyncio.Transport):
    """A transport that sends nowhere; what is received is put into the wire by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.ended = asyncio.Event()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += bytes(data)

    def pause_reading(self) -> None:
        """Stop nothing: nothing comes by itself."""

    def resume_reading(self) -> None:
        """Begin nothing."""

    def is_closing(self) -> bool:
        return self.ended.is_set()

    def abort(self) -> None:
        self.ended.set()


class Read(NamedTuple):
    """What was read of a response."""

    status: int | None
    headers: list[tuple[str, str]]
    body: bytes
    trouble: str | None


def connected() -> tuple[Wire, Pipe]:
    wire, pipe = Wire(asyncio.get_running_loop()), Pipe()
    wire.connection_made(pipe)
    return wire, pipe


async def read(parts: list[bytes], method: str = "GET", *, reset: bool = False) -> Read:
    """Return what a wire makes of a response that comes in these parts, until the connection ends."""
    wire, pipe = connected()
    asking = asyncio.ensure_future(wire.ask(asked(method)))
    await asyncio.sleep(0)
    for part in parts:
        wire.data_received(part)
    wire.connection_lost(ConnectionResetError() if reset else None)
    status, headers, body = None, [], b""
    try:
        message = await asking
        status, headers = message.code, list(message.headers.items())
        while part := await wire.more():
            body += part
    except Failed as failed:
        return Read(status, headers, body, failed.detail)
    finally:
        wire.abort()
    assert pipe.sent.startswith(method.encode())
    return Read(status, headers, body, None)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
RESPONSES = [
    ok(b"hello"),
    b"HTTP/1.0 200 OK\r\n\r\nhello",
    b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
    b"\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    CHUNKED + b"\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
    2 * HINTS + ok(b"hello"),
    # What browsers accept, too:
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello",
    CHUNKED + b"Content-Length: 99\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ok(b"hello") + b"and more",
    ok(b"hello") + ok(b"again"),
    CHUNKED + b"\r\n5\r\nhello\r\n0\r\n\r\n and more",
    b"HTTP/1.1 200 OK\r\n" + 600 * b"X: y\r\n" + b"Content-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nA B: c\r\n: none\r\nno colon\r\nA(b): c\r\nContent-Length: 5\r\n\r\nhello",
]


@pytest.mark.parametrize("response", RESPONSES, ids=str)
async def test_a_response_is_read(response: bytes) -> None:
    result = await read([response])

    assert (result.status, result.body, result.trouble) == (200, b"hello", None)


@pytest.mark.parametrize(
    ("response", "method"),
    [
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", "GET"),
        (b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\nhello", "GET"),
        (ok(b"hello"), "HEAD"),
    ],
)
async def test_a_response_without_a_body_has_none_whatever_follows(response: bytes, method: str) -> None:
    result = await read([response], method)

    assert (result.body, result.trouble) == (b"", None)


DAMAGED = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    CHUNKED + b"\r\n1\r\nhello\r\n",
    ok(b"hello")[:-1],
    CHUNKED + b"\r\n5\r\nhello\r\n",
    b"HTTP/1.1 200 OK\r\nX: ",
    (MAX_INTERIM + 1) * HINTS + ok(b"hello"),
]


@settings(max_examples=200, deadline=None)
@given(response=st.sampled_from(RESPONSES + DAMAGED), places=st.lists(st.integers(0, 400), max_size=6))
def test_it_does_not_matter_how_a_response_is_split(response: bytes, places: list[int]) -> None:
    cuts = [0, *sorted(place % (len(response) + 1) for place in places), len(response)]
    parts = [response[a:b] for a, b in pairwise(cuts) if a < b]

    whole, split = asyncio.run(read([response])), asyncio.run(read(parts))

    assert split._replace(body=b"") == whole._replace(body=b"") or whole.trouble is not None
    if whole.trouble is None:
        assert split.body == whole.body
    assert (split.trouble is None) == (whole.trouble is None)


async def test_a_head_that_is_refused_and_does_not_end_is_no_http() -> None:
    result = await read([b"HTTP/1.1 200 OK\rContent-Length: 5\r\rhello"])

    assert (result.trouble or "").startswith("not valid HTTP: Expected LF after CR")


async def test_a_body_that_a_reset_ends_is_not_complete() -> None:
    result = await read([b"HTTP/1.1 200 OK\r\n\r\nhello"], reset=True)

    assert result.trouble == "the connection was closed in the middle of the body"


@pytest.mark.parametrize("size", [100, 4_000, 60_000])
@pytest.mark.parametrize("secure", [False, True])
async def test_a_large_body_is_whole_although_its_connection_ends_at_once(
    secure: bool, size: int, serve: Serve, check: Check, authority: Authority
) -> None:
    count = 600_000 // size
    chunks = count * (b"%x\r\n%s\r\n" % (size, size * b"x"))
    tls = authority.server("127.0.0.1") if secure else None
    url = serve(answer(CHUNKED + b"\r\n" + chunks + b"0\r\n\r\n"), tls)

    results = [await check(url, ca_file=authority.file, timeout_s=60) for _ in range(5)]

    assert [(each.reason, each.body_bytes) for each in results] == 5 * [(None, count * size)]


async def test_tiny_chunks_are_parsed_in_several_turns() -> None:
    wire, _ = connected()
    wire.data_received(CHUNKED + b"\r\n" + 50_000 * b"1\r\n.\r\n" + b"0\r\n\r\n")
    await wire.ask(asked())

    parts = []
    while part := await wire.more():
        parts.append(len(part))

    assert sum(parts) == 50_000
    assert max(parts) < 20_000
    wire.abort()


async def test_a_complete_response_stays_complete_after_a_reset() -> None:
    assert (await read([ok(b"hello")], reset=True)).trouble is None


async def test_what_comes_before_the_request_is_a_part_of_the_response() -> None:
    wire, _ = connected()

    wire.data_received(ok(b"hello"))

    assert (await wire.ask(asked())).code == 200
    assert await wire.more() == b"hello"
    wire.abort()


async def test_a_connection_that_is_asked_nothing_holds_little() -> None:
    wire, pipe = connected()

    wire.data_received(bytes(MAX_HEAD_BYTES + 1))

    assert pipe.is_closing()


async def test_a_kept_connection_on_which_something_came_is_not_used_again() -> None:
    wire, pipe = connected()
    wire.data_received(ok(b"hello"))
    await wire.ask(asked())
    assert wire.reusable
    wire.keep(60)

    wire.data_received(b"HTTP/1.1 408 Too late\r\n\r\n")

    assert not wire.resume()
    assert pipe.is_closing()


@pytest.mark.parametrize(("more", "status"), [(0, 200), (1, None)])
async def test_a_head_may_be_as_long_as_is_said(more: int, status: int | None) -> None:
    frame = b"HTTP/1.1 200 OK\r\nX: %s\r\n\r\n"
    head = frame % ((MAX_HEAD_BYTES - len(frame) + len(b"%s") + more) * b"y")

    assert (await read([head])).status == status


async def test_a_connection_whose_response_is_not_read_to_its_end_is_not_fit_for_another() -> None:
    wire, _ = connected()
    wire.data_received(ok(b"hello")[:-1])
    await wire.ask(asked())
    early = wire.reusable

    wire.data_received(b"o")

    assert (early, wire.reusable) == (False, True)
    wire.abort()


@pytest.mark.parametrize("method", ["HEAD", "CONNECT"])
async def test_what_has_no_body_is_complete_with_its_head(method: str) -> None:
    wire, _ = connected()
    wire.data_received(b"HTTP/1.1 200 OK\r\n\r\n")
    await wire.ask(asked(method))

    async with asyncio.timeout(60):
        assert await wire.more() == b""
    wire.abort()


async def test_a_kept_connection_that_is_closed_is_watched_no_more() -> None:
    wire, _ = connected()
    wire.keep(3_600)
    closing = wire._closing

    wire.abort()

    assert closing is not None
    assert closing.cancelled()


async def test_a_kept_connection_is_closed_when_nobody_asks_it() -> None:
    wire, pipe = connected()
    wire.data_received(ok(b"hello"))
    await wire.ask(asked())

    wire.keep(0)
    await pipe.ended.wait()

    assert not wire.resume()


async def test_a_connection_that_is_lost_already_is_asked_nothing() -> None:
    wire, pipe = connected()
    wire.connection_lost(None)

    with pytest.raises(Failed, match="closed before a response"):
        await wire.ask(asked())

    assert pipe.sent == b""


async def test_what_is_no_http_is_so_on_a_lost_connection_too() -> None:
    wire, _ = connected()
    wire.data_received(b"SSH-2.0-OpenSSH_9.2\r\n")
    wire.connection_lost(None)

    with pytest.raises(Failed, match="not valid HTTP"):
        await wire.ask(asked())


async def test_a_body_waits_for_an_interim_response_where_that_is_wanted() -> None:
    monitor = Monitor(
        name="site",
        url="http://site.test/",
        method="POST",
        headers={"Expect": SecretStr("100-continue")},
        body=SecretStr("the body"),
    )
    wire, pipe = connected()
    asking = asyncio.ensure_future(wire.ask(Configured(monitor).first))
    await asyncio.sleep(0)
    assert pipe.sent.endswith(b"\r\n\r\n")

    wire.data_received(CONTINUE)
    wire.data_received(CONTINUE + ok())

    assert (await asking).code == 200
    assert pipe.sent.endswith(b"\r\n\r\nthe body")
    wire.abort()


async def test_little_is_parsed_past_a_bound() -> None:
    wire, pipe = connected()
    wire.data_received(ok()[:9])
    asking = asyncio.ensure_future(wire.ask(asked()))
    await asyncio.sleep(0)

    for _ in range(1_000):
        wire.data_received(b"200 OK\r\n" + 9_999 * b"X: y\r\n")

    with pytest.raises(Failed, match="more than 2000 lines before the body"):
        await asking
    assert pipe.is_closing()


def test_a_head_is_mended_as_browsers_read_it() -> None:
    head = (
        b"HTTP/1.1 200 OK\r\nA: b\r\n  folded\r\nno colon\r\nContent-Length: 5\r\ncontent-length: 5\r\n\r\n"
    )

    assert mended(head) == b"HTTP/1.1 200 OK\r\nA: b\r\n  folded\r\nContent-Length: 5\r\n\r\n"


def test_empty_lines_before_a_head_are_left_out() -> None:
    assert mended(b"\r\n\nHTTP/1.1 200 OK\r\nA: b\r\n\r\n") == b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n"
