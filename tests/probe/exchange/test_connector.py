"""Why there is no connection to a site: DNS, TCP, TLS, the proxy."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from monitor.probe.exchange.connector import Network
from monitor.result import OwnTroubleError, Reason
from tests.sites import Check, Serve, answer, closed_port, connecting_to, no_file_descriptor, ok, read_request


def fail_by(error: BaseException) -> Any:
    def getaddrinfo(*_: Any, **__: Any) -> Any:
        raise error

    return getaddrinfo


@pytest.mark.parametrize(
    ("error", "reason", "detail"),
    [
        (socket.gaierror(socket.EAI_NONAME, "unknown"), Reason.DNS_NOT_FOUND, "DNS has no address of a.test"),
        (
            socket.gaierror(socket.EAI_FAIL, "server failure"),
            Reason.DNS_ERROR,
            "the DNS look-up of a.test failed: server failure",
        ),
        (socket.gaierror(socket.EAI_NODATA, "no data"), Reason.DNS_NOT_FOUND, "DNS has no address of a.test"),
        (
            socket.gaierror(socket.EAI_AGAIN, "try again"),
            Reason.DNS_ERROR,
            "the DNS look-up of a.test failed: try again",
        ),
        (
            OSError(5, "Input/output error"),
            Reason.DNS_ERROR,
            "the DNS look-up of a.test failed: Input/output error",
        ),
    ],
)
async def test_a_name_is_not_resolved(error: OSError, reason: Reason, detail: str, check: Check) -> None:
    async with Network(1, fail_by(error)) as network:
        result = await check("http://a.test/", of=network)

    assert (result.reason, result.detail, result.response_status) == (reason, detail, None)
    assert result.phases.resolve is not None
    assert result.phases.connect is None
    assert result.ip is None


@pytest.mark.parametrize(
    "error", [OSError(24, "Too many open files"), socket.gaierror(socket.EAI_MEMORY, "memory"), MemoryError()]
)
async def test_a_look_up_that_fails_for_a_reason_of_ours_is_no_result(
    error: BaseException, check: Check
) -> None:
    async with Network(1, fail_by(error)) as network:
        with pytest.raises(OwnTroubleError):
            await check("http://a.test/", of=network)


async def test_a_look_up_without_a_thread_is_no_result(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading.Thread, "start", fail_by(RuntimeError("can't start new thread")))

    with pytest.raises(OwnTroubleError, match="can't start new thread"):
        await check("http://a.test/")


async def test_a_look_up_that_hangs_ends_with_the_timeout(check: Check) -> None:
    test_ended = threading.Event()

    def getaddrinfo(*_: Any, **__: Any) -> Any:
        test_ended.wait()
        return []

    async with Network(1, getaddrinfo) as network:
        result = await check("http://a.test/", of=network, timeout_s=0.1)
        test_ended.set()

    assert (result.reason, result.detail) == (Reason.DNS_TIMEOUT, "no answer from DNS within 0.1 s")


@pytest.mark.parametrize("host", ["127.0.0.1", "a.test"])
async def test_an_address_of_the_other_family_is_not_found(host: str, check: Check) -> None:
    async with Network(1, fail_by(socket.gaierror(socket.EAI_ADDRFAMILY, "family"))) as network:
        result = await check(f"http://{host}/", of=network, ip_family=6)

    assert (result.reason, result.detail) == (Reason.DNS_NOT_FOUND, f"DNS has no address of {host}")


async def test_an_address_that_is_none_cannot_be_used(check: Check) -> None:
    result = await check("http://127.1/")

    assert (result.reason, result.detail) == (Reason.PROTOCOL_ERROR, "the URL cannot be used")


async def test_a_connection_is_refused(check: Check) -> None:
    port = closed_port()

    result = await check(f"http://127.0.0.1:{port}/")

    assert result.reason == Reason.CONNECT_REFUSED
    assert result.detail == f"127.0.0.1 port {port} refused the connection"
    assert result.phases.connect is not None
    assert result.phases.resolve is None
    assert result.ip == "127.0.0.1"


async def test_addresses_that_fail_in_different_ways_have_the_nearest_cause_as_reason(check: Check) -> None:
    def getaddrinfo(*_: Any, **__: Any) -> Any:
        return [(socket.AF_INET, 1, 6, "", (each, 0)) for each in ("255.255.255.255", "127.0.0.1")]

    async with Network(1, getaddrinfo) as network:
        result = await check(f"http://a.test:{closed_port()}/", of=network)

    assert result.reason == Reason.CONNECT_REFUSED


async def test_the_address_that_answered_is_recorded(serve: Serve, check: Check) -> None:
    def getaddrinfo(*_: Any, **__: Any) -> Any:
        return [(socket.AF_INET, 1, 6, "", (each, 0)) for each in ("127.0.0.1", "127.0.0.2", "127.0.0.3")]

    url = serve(answer(ok()), host="a.test")
    async with Network(1, getaddrinfo) as network:
        assert (await check(url, of=network)).ip == "127.0.0.1"

    async with Network(1, lambda *_, **__: getaddrinfo()[::-1]) as network:
        result = await check(url, of=network)

    assert (result.up, result.ip) == (True, "127.0.0.1")


async def test_an_address_cannot_be_reached(check: Check) -> None:
    result = await check("http://255.255.255.255/")

    assert (result.reason, result.detail) == (
        Reason.CONNECT_UNREACHABLE,
        "255.255.255.255 port 80 cannot be reached",
    )


async def test_an_address_cannot_be_connected_to(check: Check) -> None:
    result = await check("http://[fe80::1]/")

    assert result.reason in (Reason.CONNECT_ERROR, Reason.CONNECT_UNREACHABLE)


@pytest.fixture
def full_backlog() -> Iterator[str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.settimeout(0)
            each.connect_ex(("127.0.0.1", port))
        yield f"http://127.0.0.1:{port}/"
        for each in waiting:
            each.close()


async def test_a_connection_that_is_not_accepted_ends_with_the_timeout(
    full_backlog: str, check: Check
) -> None:
    result = await check(full_backlog, timeout_s=1)

    assert (result.reason, result.detail) == (Reason.CONNECT_TIMEOUT, "no connection within 1 s")


async def test_no_file_descriptor_left_is_no_result(serve: Serve, check: Check) -> None:
    url = serve(answer(ok()))

    with pytest.raises(OwnTroubleError, match="Too many open files"), no_file_descriptor():
        await check(url)


async def test_no_file_descriptor_left_for_a_look_up_is_no_result(check: Check) -> None:
    async with Network(1, fail_by(socket.gaierror(socket.EAI_AGAIN, "try again"))) as network:
        with pytest.raises(OwnTroubleError, match="Too many open files"), no_file_descriptor():
            await check("http://a.test/", of=network)


async def test_a_proxy_that_does_not_answer_is_left(serve: Serve, check: Check) -> None:
    left = threading.Event()

    def silent(connection: socket.socket, _: threading.Event) -> None:
        read_request(connection)
        connection.settimeout(30)
        if not connection.recv(1):
            left.set()

    result = await check("https://site.test/", proxy=serve(silent), timeout_s=2)

    assert result.reason in (Reason.CONNECT_TIMEOUT, Reason.DNS_TIMEOUT)
    assert await asyncio.to_thread(left.wait, 30)


async def test_the_address_is_that_of_the_connection_not_of_the_last_attempt(check: Check) -> None:
    """Full queues of listening sockets drop SYNs; the system sends the next one after a second."""
    with ExitStack() as open_:
        first, second = (open_.enter_context(socket.socket()) for _ in range(2))
        first.bind(("127.0.0.1", 0))
        port = first.getsockname()[1]
        second.bind(("127.0.0.2", port))
        for each in (first, second):
            each.listen(0)
            open_.enter_context(socket.create_connection(each.getsockname()))

        def serve_first() -> None:
            while connecting_to(port) < 2:
                threading.Event().wait(0.01)
            first.accept()[0].close()
            connection, _ = first.accept()
            with connection:
                answer(ok(b"hello"))(connection, threading.Event())

        def both(*_: Any, **__: Any) -> Any:
            return [(socket.AF_INET, 1, 6, "", (each, 0)) for each in ("127.0.0.1", "127.0.0.2")]

        async with Network(1, both) as network:
            checking = check(f"http://site.test:{port}/", of=network, timeout_s=60)
            _, result = await asyncio.gather(asyncio.to_thread(serve_first), checking)

    assert (result.up, result.ip) == (True, "127.0.0.1")
