"""Each phase has the time that was lost in it, and no other."""

import asyncio
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from monitor.probe.exchange.connector import Network
from monitor.result import CheckResult
from tests.sites import Authority, Check, Script, Serve, answer, connecting_to, ok, read_request, redirect

DELAY_S = 0.15
TRIES = 20  # until one was not disturbed by what else the machine does

Attempt = Callable[[list[float]], Awaitable[CheckResult]]


def pause(waited: list[float], until: threading.Event | None = None) -> None:
    began = time.monotonic()
    (until or threading.Event()).wait(DELAY_S)
    waited.append(time.monotonic() - began)


async def share(attempt: Attempt, phase: str) -> float:
    """Return how much of the delay the phase has, at best; no moment is in two phases.

    It must then have most of the check's time, too.
    """
    shares = [0.0]
    for _ in range(TRIES):
        waited: list[float] = []
        result = await attempt(waited)
        assert result.up, result.detail
        phases = msgspec.structs.asdict(result.phases)
        assert sum(filter(None, phases.values())) < result.response_time + 1e-6
        if (phases[phase] or 0.0) > result.response_time / 2:
            shares.append((phases[phase] or 0.0) / waited[0])
        if shares[-1] > 0.95:
            break
    return max(shares)


@pytest.fixture
def attempt(serve: Serve, check: Check, authority: Authority) -> Callable[..., Attempt]:
    """Check a site with TLS by its name, so that each phase runs."""

    def of(script: Callable[[list[float]], Script], *, on_hello: bool = False) -> Attempt:
        async def once(waited: list[float]) -> CheckResult:
            tls = authority.server("localhost")
            if on_hello:
                tls.sni_callback = lambda *_: pause(waited)
            return await check(
                serve(script(waited), tls, host="localhost"), ca_file=authority.file, ip_family=4
            )

        return once

    return of


def quick(_: list[float]) -> Script:
    return answer(ok(b"hello"))


async def test_a_slow_resolver_is_found_in_resolve(serve: Serve, check: Check, authority: Authority) -> None:
    url = serve(answer(ok(b"hello")), authority.server("localhost"), host="localhost")

    async def once(waited: list[float]) -> CheckResult:
        def getaddrinfo(*args: Any, **settings: Any) -> Any:
            pause(waited)
            return socket.getaddrinfo(*args, **settings)

        async with Network(1, getaddrinfo) as network:
            return await check(url, of=network, ca_file=authority.file, ip_family=4)

    assert await share(once, "resolve") > 0.95


async def test_a_slow_accept_is_found_in_connect(check: Check) -> None:
    """A full queue of a listening socket drops SYNs; the system sends the next one after a second."""

    async def once(waited: list[float]) -> CheckResult:
        with socket.socket() as listening, socket.socket() as filler:
            listening.bind(("127.0.0.1", 0))
            listening.listen(0)
            filler.connect(listening.getsockname())
            port = listening.getsockname()[1]
            serving = asyncio.to_thread(serve_second, listening, port)
            accepted_at, result = await asyncio.gather(serving, check(f"http://127.0.0.1:{port}"))
            waited.append(accepted_at - result.timestamp)
            return result

    assert await share(once, "connect") > 0.95


def serve_second(listening: socket.socket, port: int) -> float:
    while not connecting_to(port):
        threading.Event().wait(0.01)
    listening.accept()[0].close()
    connection, _ = listening.accept()
    accepted_at = time.time()
    with connection:
        answer(ok(b"hello"))(connection, threading.Event())
    return accepted_at


async def test_a_slow_handshake_is_found_in_tls(attempt: Callable[..., Attempt]) -> None:
    assert await share(attempt(quick, on_hello=True), "tls") > 0.95


async def test_a_slow_first_byte_is_found_in_processing(attempt: Callable[..., Attempt]) -> None:
    def thinking(waited: list[float]) -> Script:
        def script(connection: socket.socket, test_ended: threading.Event) -> None:
            read_request(connection)
            pause(waited, test_ended)
            connection.sendall(ok(b"hello"))

        return script

    assert await share(attempt(thinking), "processing") > 0.95


async def test_a_slow_body_is_found_in_transfer(attempt: Callable[..., Attempt]) -> None:
    def dripping(waited: list[float]) -> Script:
        def script(connection: socket.socket, test_ended: threading.Event) -> None:
            read_request(connection)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(ok(b"hello")[:-1])
            pause(waited, test_ended)
            connection.sendall(b"o")

        return script

    assert await share(attempt(dripping), "transfer") > 0.95


async def test_the_body_of_a_redirect_is_no_transfer(serve: Serve, check: Check) -> None:
    def script(connection: socket.socket, test_ended: threading.Event) -> None:
        read_request(connection)
        connection.sendall(ok(b"moved", f"Location: {last}").replace(b"200 OK", b"302 Found")[:-1])
        test_ended.wait(DELAY_S)

    last = serve(answer(ok(b"hello")))
    url = serve(script)

    transfer_s = []
    for _ in range(TRIES):
        result = await check(url)
        assert (result.up, result.redirects) == (True, 1)
        transfer_s.append(result.phases.transfer or 0)
        if transfer_s[-1] < DELAY_S / 2:
            break

    assert min(transfer_s) < DELAY_S / 2


@pytest.mark.parametrize("kind", ["plain", "by name", "with TLS", "redirected"])
async def test_the_phases_add_up(kind: str, serve: Serve, check: Check, authority: Authority) -> None:
    tls = authority.server("127.0.0.1") if kind == "with TLS" else None
    url = serve(answer(ok(b"hello")), tls, host="localhost" if kind == "by name" else "127.0.0.1")
    if kind == "redirected":
        url = serve(answer(redirect(serve(answer(redirect(url))))))

    rest_s = []
    for _ in range(10 * TRIES):
        result = await check(url, ca_file=authority.file)
        assert result.up
        rest_s.append(result.response_time - sum(filter(None, msgspec.structs.astuple(result.phases))))
        if rest_s[-1] < 0.002:
            break

    assert 0 <= min(rest_s) < 0.002
