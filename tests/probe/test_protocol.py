"""What comes before the final response has bounds, whatever a site sends."""

import asyncio
import socket
import threading
import time

import pytest
from aiohttp.client_proto import ResponseHandler

from monitor.probe.protocol import MAX_HEAD_BYTES, MAX_INTERIM, BoundedProtocol
from monitor.result import Reason
from tests.probe.test_probe import checks
from tests.sites import Check, Serve, answer, flood, ok, read_request

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


async def test_a_long_head_is_none_too_long(serve: Serve, check: Check) -> None:
    headers = [f"X-{number}: {1_000 * 'y'}" for number in range(200)]

    result = await check(serve(answer(ok(MAX_HEAD_BYTES * b"z", *headers))))

    assert (result.up, result.body_bytes) == (True, MAX_HEAD_BYTES)


def spent_s(protocol: ResponseHandler, received: bytes) -> float:
    """Return the processor time for what has arrived at once."""
    protocol.set_response_params()
    began = time.thread_time()
    protocol.data_received(received)
    return time.thread_time() - began


async def test_little_is_parsed_past_a_bound() -> None:
    received = 40_000 * CONTINUE
    loop = asyncio.get_running_loop()
    theirs, ours = ResponseHandler(loop), BoundedProtocol(loop)

    assert spent_s(ours, received) < spent_s(theirs, received) / 10
    assert (len(theirs), len(ours)) == (40_000, MAX_INTERIM)


async def test_what_follows_a_response_is_bounded_too() -> None:
    protocol = BoundedProtocol(asyncio.get_running_loop())
    protocol.set_response_params()

    for _ in range(1_000):
        protocol.data_received(ok())

    assert len(protocol) == MAX_INTERIM + 1
    assert str(protocol.exception()) == TOO_MANY
