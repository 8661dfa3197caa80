"""Checks of every address of a name."""

import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from monitor.config.model import Monitor
from monitor.probe.all_addresses import AddressesProbe
from monitor.probe.exchange.connector import Network
from monitor.result import Attempt, CheckResult, OwnTroubleError, Reason
from tests.dns_server import Reply, StartDns, responding_with
from tests.sites import Authority, Script, Site, answer, hang, in_time, ok, read_request, redirect

NO_TLS: Mapping[str, ssl.SSLContext] = {}
CheckAll = Callable[..., Awaitable[CheckResult]]
ServeAt = Callable[..., int]


@pytest.fixture
def serve_at() -> Iterator[ServeAt]:
    """Start sites on several addresses and one port."""
    with ExitStack() as stack:
        ended = threading.Event()

        def start(tls: Mapping[str, ssl.SSLContext] = NO_TLS, **scripts: Script) -> int:
            port = 0
            for name, script in scripts.items():
                place = f"127.0.0.{name[1:]}", port
                site = stack.enter_context(Site(script, tls.get(name), ended, place))
                port = site.server_address[1]
                serving = threading.Thread(target=site.serve_forever, args=(0.01,))
                serving.start()
                stack.callback(serving.join)
                stack.callback(site.shutdown)
            return port

        yield start
        ended.set()


@pytest.fixture
async def check_all(serve_at: ServeAt, start_dns: StartDns) -> AsyncIterator[CheckAll]:
    """Check all addresses of a name for which DNS returns these."""
    del serve_at  # sites outlive the connections
    async with Network(4) as network:

        async def check_once(addresses: tuple[str, ...], port: int, **settings: Any) -> CheckResult:
            chosen = {
                "resolver": start_dns(responding_with(*addresses)).address,
                "timeout_s": 5.0,
                **settings,
            }
            monitor = Monitor(name="site", url=f"http://site.test:{port}/", addresses="all", **chosen)
            probe = AddressesProbe(monitor, "here", network)
            try:
                return await in_time(probe.check(1000.0), monitor.timeout_s)
            finally:
                await probe.close()

        yield check_once


def at(number: int) -> str:
    return f"127.0.0.{number}"


async def test_a_name_is_up_when_all_its_addresses_are(serve_at: ServeAt, check_all: CheckAll) -> None:
    asked: list[str] = []

    def noting(connection: Any, _: Any) -> None:
        read_request(connection)
        asked.append(connection.getsockname()[0])
        connection.sendall(ok())

    port = serve_at(_1=noting, _2=noting, _3=noting)

    result = await check_all((at(1), at(2), at(3)), port)

    assert (result.up, result.reason, result.detail) == (True, None, None)
    assert sorted(asked) == [at(1), at(2), at(3)]


async def test_those_that_fail_are_named_with_the_reason_of_the_first(
    serve_at: ServeAt, check_all: CheckAll
) -> None:
    port = serve_at(
        _1=answer(ok()), _2=answer(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"), _4=answer(ok())
    )

    result = await check_all((at(4), at(3), at(2), at(1)), port)

    assert (result.up, result.reason, result.response_status, result.ip) == (
        False,
        Reason.STATUS,
        500,
        at(2),
    )
    assert result.detail == ("2 of 4 addresses failed (127.0.0.2, 127.0.0.3): status 500, expected 200-399")
    assert result.evidence is not None
    assert result.evidence.headers == {"Content-Length": "0"}
    assert sorted(result.evidence.dns[0].addresses) == [at(1), at(2), at(3), at(4)]
    assert result.evidence.addresses == (
        Attempt(at(1), "is up"),
        Attempt(at(2), "status 500, expected 200-399"),
        Attempt(at(3), f"127.0.0.3 port {port} refused the connection"),
        Attempt(at(4), "is up"),
    )


async def test_the_result_is_that_of_the_slowest(serve_at: ServeAt, check_all: CheckAll) -> None:
    answered = threading.Event()

    def quick(connection: Any, _: Any) -> None:
        read_request(connection)
        connection.sendall(ok(b"quick"))
        answered.set()

    def slow(connection: Any, _: Any) -> None:
        read_request(connection)
        answered.wait()
        answered_later.wait(0.05)
        connection.sendall(ok(b"slow"))

    answered_later = threading.Event()
    port = serve_at(_1=quick, _2=slow)

    result = await check_all((at(1), at(2)), port)

    assert (result.up, result.ip, result.response_data) == (True, at(2), "slow")
    assert result.phases.resolve is not None
    phases = (result.phases.resolve, result.phases.connect, result.phases.processing, result.phases.transfer)
    assert sum(phase or 0.0 for phase in phases) <= result.response_time


async def test_all_are_checked_at_the_same_time(serve_at: ServeAt, check_all: CheckAll) -> None:
    together = threading.Barrier(3)

    def meeting(connection: Any, _: Any) -> None:
        read_request(connection)
        with suppress(threading.BrokenBarrierError):
            together.wait(20)
            connection.sendall(ok())

    port = serve_at(_1=meeting, _2=meeting, _3=meeting)

    assert (await check_all((at(1), at(2), at(3)), port, timeout_s=60.0)).up


async def test_all_are_given_up_at_the_same_timeout(serve_at: ServeAt, check_all: CheckAll) -> None:
    port = serve_at(_1=hang, _2=hang, _3=hang)

    result = await check_all((at(1), at(2), at(3)), port, timeout_s=2.0)

    assert result.reason == Reason.RESPONSE_TIMEOUT
    assert result.detail == (
        "3 of 3 addresses failed (127.0.0.1, 127.0.0.2, 127.0.0.3): no response within 2 s"
    )


async def test_a_redirect_to_the_same_host_stays_at_the_address(
    serve_at: ServeAt, check_all: CheckAll
) -> None:
    asked: list[tuple[str, bytes]] = []

    def site(connection: Any, _: Any) -> None:
        request = read_request(connection)
        asked.append((connection.getsockname()[0], request.split()[1]))
        connection.sendall(ok() if b"/in" in request else redirect("/in"))

    port = serve_at(_1=site, _2=site)

    result = await check_all((at(1), at(2)), port)

    assert (result.up, result.redirects) == (True, 1)
    assert sorted(asked) == [(at(1), b"/"), (at(1), b"/in"), (at(2), b"/"), (at(2), b"/in")]


async def test_a_redirect_to_another_host_goes_where_its_name_leads(
    serve_at: ServeAt, check_all: CheckAll
) -> None:
    def site(connection: Any, _: Any) -> None:
        request = read_request(connection)
        here = request.partition(b"Host: site.test:")[2].split(b"\r\n")[0].decode()
        connection.sendall(redirect(f"http://{at(1)}:{here}/") if here else ok())

    port = serve_at(_1=site, _2=site)

    result = await check_all((at(1), at(2)), port)

    assert (result.up, result.redirects, result.ip) == (True, 1, at(1))


async def test_a_name_with_one_address_gives_its_result(serve_at: ServeAt, check_all: CheckAll) -> None:
    port = serve_at(_1=answer())

    result = await check_all((at(1),), port)

    assert (result.reason, result.detail) == (
        Reason.DISCONNECTED,
        "the connection was closed before a response",
    )


async def test_a_failed_look_up_is_reported_once(check_all: CheckAll) -> None:
    result = await check_all((), 9)

    assert result.reason == Reason.DNS_NOT_FOUND
    assert result.detail is not None
    assert result.detail.endswith(" has no address of site.test")


async def test_a_denied_address_is_one_that_fails(serve_at: ServeAt, check_all: CheckAll) -> None:
    port = serve_at(_1=answer(ok()), _2=answer(ok()))

    result = await check_all((at(1), at(2)), port, deny_addresses=at(2))

    assert (result.reason, result.detail) == (
        Reason.BLOCKED_ADDRESS,
        "1 of 2 addresses failed (127.0.0.2): 127.0.0.2 must not be connected to",
    )


async def test_a_name_with_too_many_addresses_is_a_dns_error(check_all: CheckAll) -> None:
    result = await check_all(tuple(f"10.0.0.{each}" for each in range(33)), 9, ip_family=4)

    assert result.reason == Reason.DNS_ERROR
    assert result.detail == "site.test has 33 addresses, at most 32 are checked"


async def test_a_probe_goes_on_when_the_addresses_change(serve_at: ServeAt, start_dns: StartDns) -> None:
    port = serve_at(_1=answer(ok()), _2=answer(ok()))
    known = [at(1)]

    def respond(question: Any) -> Reply:
        return responding_with(*known)(question)

    monitor = Monitor(
        name="site", url=f"http://site.test:{port}/", addresses="all", resolver=(start_dns(respond).address,)
    )
    async with Network(4) as network:
        probe = AddressesProbe(monitor, "here", network)
        assert (await probe.check(1000.0)).up

        known[:] = [at(1), at(2), at(3)]
        result = await probe.check(1060.0)

        known[:] = [at(2)]
        assert (await probe.check(1120.0)).ip == at(2)
        await probe.close()

    assert (
        result.detail == f"1 of 3 addresses failed (127.0.0.3): 127.0.0.3 port {port} refused the connection"
    )


async def test_an_address_in_the_url_is_all_there_is(serve_at: ServeAt) -> None:
    port = serve_at(_1=answer(ok()))
    monitor = Monitor(name="site", url=f"http://127.0.0.1:{port}/", addresses="all")
    async with Network(1) as network:
        probe = AddressesProbe(monitor, "here", network)
        result = await probe.check(1000.0)
        await probe.close()

    assert (result.up, result.phases.resolve) == (True, None)


async def test_addresses_of_both_families_are_checked(serve_at: ServeAt, check_all: CheckAll) -> None:
    port = serve_at(_1=answer(ok()))
    with socket.socket(socket.AF_INET6) as taken:
        taken.bind(("::1", 0))

        result = await check_all(("::1", at(1)), port)

    assert result.ip == "::1"
    assert result.detail is not None
    assert result.detail.startswith("1 of 2 addresses failed (::1): ::1 port ")


async def test_own_trouble_with_one_is_no_result() -> None:
    def no_descriptor(*_: Any, **__: Any) -> Any:
        raise OSError(24, "Too many open files")

    async with Network(1, no_descriptor) as network:
        probe = AddressesProbe(Monitor(name="site", url="http://a.test/", addresses="all"), "here", network)
        with pytest.raises(OwnTroubleError, match="Too many open files"):
            await probe.check(1000.0)
        await probe.close()


async def test_the_certificate_of_each_address_must_name_the_host(
    authority: Authority, serve_at: ServeAt, start_dns: StartDns
) -> None:
    tls = {"_1": authority.server("site.test"), "_2": authority.server("other.test")}
    port = serve_at(tls, _1=answer(ok()), _2=answer(ok()))
    monitor = Monitor(
        name="site",
        url=f"https://site.test:{port}/",
        addresses="all",
        ca_file=authority.file,
        resolver=(start_dns(responding_with(at(1), at(2))).address,),
    )
    async with Network(1) as network:
        probe = AddressesProbe(monitor, "here", network)
        result = await probe.check(1000.0)
        await probe.close()

    assert result.reason == Reason.TLS_HOSTNAME
    assert result.detail is not None
    assert result.detail.startswith("1 of 2 addresses failed (127.0.0.2): ")


async def test_the_look_up_is_part_of_the_time_that_each_address_has(serve_at: ServeAt) -> None:
    def getaddrinfo(*_: Any, **__: Any) -> Any:
        threading.Event().wait(1.5)
        return [(socket.AF_INET, 1, 6, "", (each, 0)) for each in (at(1), at(2))]

    port = serve_at(_1=hang, _2=hang)
    monitor = Monitor(name="site", url=f"http://slow.test:{port}/", addresses="all", timeout_s=2.5)
    async with Network(1, getaddrinfo) as network:
        probe = AddressesProbe(monitor, "here", network)
        result = await in_time(probe.check(1000.0), 2.5)
        await probe.close()

    assert result.detail is not None
    assert result.detail.startswith("2 of 2 addresses failed")
