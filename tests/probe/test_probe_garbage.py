"""A check leaves nothing for the garbage collector, which stops the event loop while it works."""

import asyncio
import gc
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from socket import socket
from typing import Any

import pytest
import uvloop

from monitor.config.model import Monitor
from monitor.probe.exchange.connector import Network
from monitor.probe.probe import Probe
from monitor.probe.steps.probe import StepsProbe
from monitor.result import Reason
from tests.probe.steps.shop import Shop, log_in
from tests.probe.test_probe import keeping
from tests.sites import Authority, Serve, answer, closed_port, ok, redirect

CHECKS = 20


@contextmanager
def collector_stopped() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def close_connections() -> None:
    """Let the event loop close what was given up: that takes some of its turns."""
    for _ in range(100):
        await asyncio.sleep(0)


async def garbage(url: str, reason: Reason | None, settings: dict[str, Any]) -> int:
    """Count the objects that are left to the garbage collector by checks that end for this reason."""
    async with Network(1) as network:
        monitor = Monitor.model_validate({"name": "site", "url": url, **settings})
        probe = (StepsProbe if monitor.steps else Probe)(monitor, "here", network)
        await probe.check(0.0)
        await close_connections()
        found: Counter[str | None] = Counter()
        with collector_stopped():
            while found[reason] < CHECKS:
                assert found.total() < 10 * CHECKS, found
                found[(await probe.check(0.0)).reason] += 1
            await close_connections()
            left = gc.collect()
        await probe.close()
    return left


def waiting(connection: socket, test_ended: threading.Event) -> None:
    del connection
    test_ended.wait(1)


def around(serve: Serve) -> str:
    return serve(answer(redirect("/")))


def moved(serve: Serve) -> str:
    return serve(answer(redirect(serve(answer(ok(b"here"))))))


@pytest.mark.parametrize(
    ("site", "reason", "settings"),
    [
        (lambda serve: serve(answer(ok(b"hello"))), None, {}),
        (lambda serve: serve(keeping([], CHECKS + 1)), None, {"reuse_connection": True}),
        (moved, None, {}),
        (around, Reason.TOO_MANY_REDIRECTS, {"max_redirects": 2}),
        (lambda serve: serve(answer(b"what?")), Reason.PROTOCOL_ERROR, {}),
        (lambda serve: serve(answer(b"")), Reason.DISCONNECTED, {}),
        (lambda serve: serve(waiting), Reason.RESPONSE_TIMEOUT, {"timeout_s": 0.1}),
        (lambda _: f"http://127.0.0.1:{closed_port()}", Reason.CONNECT_REFUSED, {}),
        (lambda _: "http://nowhere.invalid", Reason.DNS_NOT_FOUND, {}),
    ],
)
def test_a_check_leaves_no_garbage(
    serve: Serve, site: Callable[[Serve], str], reason: Reason | None, settings: dict[str, Any]
) -> None:
    assert uvloop.run(garbage(site(serve), reason, settings)) < CHECKS


@pytest.mark.parametrize(("trusted", "reason"), [(True, None), (False, Reason.TLS_UNTRUSTED)])
def test_a_check_with_tls_leaves_no_garbage(
    serve: Serve, authority: Authority, *, trusted: bool, reason: Reason | None
) -> None:
    url = serve(answer(ok(b"hello")), authority.server("localhost"), "localhost")
    settings = {"ca_file": authority.file} if trusted else {}

    assert uvloop.run(garbage(url, reason, settings)) < CHECKS


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        ({"url": "/account"}, None),
        ({"url": "/none"}, Reason.STATUS),
        ({"url": "/account", "save": {"it": {"json": "it"}}}, Reason.JSON),
        ({"url": "/account", "headers": {"X-Lines": "{{page}}"}}, Reason.PROTOCOL_ERROR),
    ],
)
def test_a_check_of_several_steps_leaves_no_garbage(
    serve: Serve, last: dict[str, Any], reason: Reason | None
) -> None:
    place = serve(Shop(pages={"/lines": ok(b"a\nb")}).script)
    lines = {"name": "lines", "url": f"{place}/lines", "save": {"page": {"body_regex": "(?s)(.+)"}}}
    steps = [*log_in(place), lines, last | {"name": "last", "url": f"{place}{last['url']}"}]

    assert uvloop.run(garbage(place, reason, {"steps": steps})) < CHECKS
