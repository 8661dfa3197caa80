"""Failures that are blamed on our own network instead of the site."""

import asyncio
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from monitor.config.model import Monitor
from monitor.probe.connectivity import Connectivity, GuardedProbe
from monitor.probe.exchange.connector import Network
from monitor.probe.probe import Probe
from monitor.result import CheckResult, OwnTroubleError, Reason
from tests.sites import Script, Serve, answer, closed_port, flood, ok, read_request, redirect

Guarded = Callable[..., Awaitable[CheckResult]]


class Target:
    """A target that counts attempts, and answers as it is set to."""

    def __init__(self) -> None:
        self.well = True
        self.count = 0

    def script(self) -> Script:
        def reply(connection: Any, _: Any) -> None:
            self.count += 1
            read_request(connection)
            connection.sendall(ok() if self.well else b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")

        return reply


def place(url: str) -> str:
    return url.removeprefix("http://")


async def checked(url: str, target: str | None, network: Network, **settings: Any) -> CheckResult:
    monitor = Monitor(name="site", url=url, timeout_s=5.0, **settings)
    probe = GuardedProbe(Probe(monitor, "here", network), Connectivity(target, network))
    try:
        return await probe.check(1000.0)
    finally:
        await probe.close()


async def test_a_failure_while_nothing_can_be_reached_is_not_the_site_s() -> None:
    down, target = f"http://127.0.0.1:{closed_port()}/", f"127.0.0.1:{closed_port()}"
    async with Network(1) as network:
        result = await checked(down, target, network)

    assert (result.up, result.reason) == (None, Reason.MONITOR_OFFLINE)
    assert result.detail is not None
    assert result.detail.startswith(f"{target} cannot be reached: ")
    assert "; the check ended with connect_refused: 127.0.0.1 port " in result.detail


class Found:
    """Finds the same every time."""

    def __init__(self, result: CheckResult) -> None:
        self.result = result

    async def check(self, scheduled_at: float) -> CheckResult:
        return msgspec.structs.replace(self.result, scheduled_at=scheduled_at)

    async def close(self) -> None:
        pass


NETWORK_WORKS = {
    *("tls_expired", "protocol_error", "too_many_redirects", "status", "header", "body", "json"),
    *("body_too_large", "too_slow", "certificate_expiring", "blocked_address"),
}


async def test_what_only_a_reached_site_can_have_answered_counts_against_it() -> None:
    trouble = "http://127.1/ cannot be reached: the URL cannot be used; the check ended with "
    async with Network(1) as network:
        down = await checked("http://127.1/", None, network)
        for reason in Reason:
            found = msgspec.structs.replace(down, reason=reason, detail="why")

            result = await GuardedProbe(Found(found), Connectivity("http://127.1/", network)).check(1000.0)

            doubted = None if reason in NETWORK_WORKS else f"{trouble}{reason}: why"
            assert (result.up, result.reason, result.detail) == (
                (False, reason, "why") if doubted is None else (None, Reason.MONITOR_OFFLINE, doubted)
            )


@pytest.mark.parametrize("of", ["connection", "request"])
async def test_a_failure_while_the_network_works_is_the_site_s(of: str, serve: Serve) -> None:
    url = serve(answer(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"))
    async with Network(1) as network:
        target = place(url) if of == "connection" else url
        result = await checked(f"http://127.0.0.1:{closed_port()}/", target, network)

    assert (result.up, result.reason) == (False, Reason.CONNECT_REFUSED)


async def test_without_a_target_every_failure_is_the_site_s() -> None:
    async with Network(1) as network:
        result = await checked(f"http://127.0.0.1:{closed_port()}/", None, network)

    assert (result.up, result.reason) == (False, Reason.CONNECT_REFUSED)


async def test_a_check_that_passes_or_reaches_the_site_tries_no_target(serve: Serve) -> None:
    counting = Target()
    target = serve(counting.script())
    async with Network(1) as network:
        passed = await checked(serve(answer(ok())), target, network)
        failed = await checked(serve(answer(ok())), target, network, expect={"status": ("404",)})

    assert (passed.up, failed.up, failed.reason) == (True, False, Reason.STATUS)
    assert counting.count == 0


@pytest.mark.parametrize(
    ("script", "what"),
    [
        (answer(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"), "answered 503"),
        (answer(), "cannot be reached: the connection was closed before a response"),
        (
            flood(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
            "(1xx) before the final one",
        ),
    ],
)
async def test_a_url_that_does_not_answer_well_is_reported(script: Script, what: str, serve: Serve) -> None:
    url = serve(script)
    async with Network(1) as network:
        trouble = await Connectivity(url.replace("//", "//user:secret@") + "/?token=secret", network).trouble(
            0
        )

    assert trouble is not None
    assert trouble.endswith(what)
    assert "secret" not in trouble


async def test_a_url_that_cannot_be_used_is_reported() -> None:
    async with Network(1) as network:
        trouble = await Connectivity("http://127.1/", network).trouble(0)

    assert trouble == "http://127.1/ cannot be reached: the URL cannot be used"


async def test_a_redirect_is_an_answer(serve: Serve) -> None:
    moved = redirect(f"http://127.0.0.1:{closed_port()}/")

    async with Network(1) as network:
        assert await Connectivity(serve(answer(moved)), network).trouble(0) is None


async def test_a_name_without_an_address_cannot_be_reached() -> None:
    def getaddrinfo(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    async with Network(1, getaddrinfo) as network:
        assert await Connectivity("a.test:53", network).trouble(0) == "a.test:53 cannot be reached: try again"


async def test_a_name_is_looked_up_and_its_addresses_tried(serve: Serve) -> None:
    def getaddrinfo(*_: Any, **__: Any) -> Any:
        return [
            (socket.AF_INET6, 1, 6, "", ("::1", 0, 0, 0)),
            (socket.AF_INET, 1, 6, "", ("127.0.0.1", 0)),
        ]

    target = place(serve(answer(), host="a.test"))
    async with Network(1, getaddrinfo) as network:
        assert await Connectivity(target, network).trouble(0) is None


async def test_an_attempt_that_hangs_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.probe.connectivity.LIMIT_S", 0.1)
    ended = threading.Event()

    def getaddrinfo(*_: Any, **__: Any) -> Any:
        ended.wait()
        return []

    async with Network(1, getaddrinfo) as network:
        trouble = await Connectivity("a.test:53", network).trouble(0)
        ended.set()

    assert trouble == "a.test:53 cannot be reached within 0.1 s"


async def test_a_machine_that_cannot_try_is_in_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async with Network(1) as network:
        monkeypatch.setattr(threading.Thread, "start", start)
        with pytest.raises(OwnTroubleError, match="can't start new thread"):
            await Connectivity("a.test:53", network).trouble(0)


async def test_all_who_fail_at_once_share_an_attempt(serve: Serve) -> None:
    target = Target()
    target.well = False
    async with Network(1) as network:
        connectivity = Connectivity(serve(target.script()), network)
        since = time.monotonic()

        troubles = await asyncio.gather(*(connectivity.trouble(since) for _ in range(50)))

    assert set(troubles) == {troubles[0]} != {None}
    assert target.count == 1


async def test_only_an_attempt_that_began_after_the_failure_shows_that_the_network_works(
    serve: Serve,
) -> None:
    target = Target()
    async with Network(1) as network:
        connectivity = Connectivity(serve(target.script()), network)

        first = await asyncio.gather(*(connectivity.trouble(time.monotonic()) for _ in range(20)))
        target.well = False
        when_it_was_down = await connectivity.trouble(time.monotonic())

    assert first == [None] * 20
    assert when_it_was_down is not None
    assert target.count == 2


async def test_a_check_during_which_the_target_was_unavailable_is_excused_although_it_is_back(
    serve: Serve,
) -> None:
    target = Target()
    async with Network(1) as network:
        connectivity = Connectivity(serve(target.script()), network)
        began_before = time.monotonic()
        target.well = False
        trouble = await connectivity.trouble(time.monotonic())
        target.well = True

        assert await connectivity.trouble(began_before) == trouble
        assert target.count == 1
        assert await connectivity.trouble(time.monotonic()) is None


async def test_attempts_are_spaced(serve: Serve) -> None:
    target = Target()
    async with Network(1) as network:
        connectivity = Connectivity(serve(target.script()), network)
        began = time.monotonic()

        for _ in range(3):
            await connectivity.trouble(time.monotonic())

    assert target.count == 3
    assert time.monotonic() - began >= 0.49


async def test_another_target_is_tried_at_the_next_attempt() -> None:
    async with Network(1) as network:
        connectivity = Connectivity(None, network)
        assert await connectivity.trouble(0) is None

        connectivity.target = f"127.0.0.1:{closed_port()}"
        assert await connectivity.trouble(0) is not None
