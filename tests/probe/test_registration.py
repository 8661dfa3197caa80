"""Checks of sites whose domain may expire."""

import time
from pathlib import Path

import pytest

from monitor.config.model import Config, Monitor
from monitor.domains.known import Domain, Domains
from monitor.probe.exchange.connector import Network
from monitor.probe.probe import Probe
from monitor.probe.registration import RegisteredProbe
from monitor.reload import Reload
from monitor.result import CheckResult, Reason
from monitor.runtime.text import DAY_S
from tests.sites import Serve, answer, ok


async def checked(url: str, domain: Domain, min_days: float = 30, **settings: float) -> CheckResult:
    async with Network(1) as network:
        monitor = Monitor(name="site", url=url, **settings)  # type: ignore[arg-type]
        probe = RegisteredProbe(Probe(monitor, "here", network), domain, min_days)
        result = await probe.check(1.0)
        await probe.close()
    return result


def expiring(days: float) -> Domain:
    """A domain that expires in so many days, and half an hour."""
    now = time.time()
    return Domain("shop.example", now + days * DAY_S + 1_800, now, now)


@pytest.mark.parametrize(
    ("days", "detail"),
    [
        (29.9, "the domain shop.example expires in 29.9 days, expected at least 30"),
        (-2.5, "the domain shop.example expires in -2.5 days, expected at least 30"),
    ],
)
async def test_a_domain_that_expires_too_soon_fails_a_check_that_passes(
    days: float, detail: str, serve: Serve
) -> None:
    result = await checked(serve(answer(ok())), expiring(days), degraded_after_s=0.001)

    assert (result.up, result.degraded, result.reason) == (False, False, Reason.DOMAIN_EXPIRING)
    assert (result.detail, result.response_status) == (detail, 200)


async def test_a_domain_that_lasts_changes_nothing(serve: Serve) -> None:
    assert (await checked(serve(answer(ok())), expiring(30))).up


@pytest.mark.parametrize("domain", [Domain("shop.example"), Domain("shop.example", 1.0, 1.0)])
async def test_a_domain_of_which_nothing_is_known_changes_nothing(domain: Domain, serve: Serve) -> None:
    assert (await checked(serve(answer(ok())), domain)).up


async def test_a_check_that_fails_keeps_its_reason(serve: Serve) -> None:
    assert (await checked(serve(answer()), expiring(1))).reason == Reason.DISCONNECTED


async def test_the_program_looks_at_domains_where_that_is_wanted(serve: Serve, tmp_path: Path) -> None:
    url = serve(answer(ok())).replace("127.0.0.1", "www.shop.example")
    monitors = [
        Monitor(name="shop", url=url, min_domain_days=30),
        Monitor(name="blog", url=url),
        Monitor(name="address", url="http://127.0.0.1/", min_domain_days=30),
    ]
    domains = Domains()
    async with Network(1) as network:
        reload = Reload(Config(monitors=tuple(monitors)), tmp_path, {}, network, domains=domains)
        kinds = [type(checker).__name__ for _, checker in reload.checkers(monitors)]

    assert kinds == ["RegisteredProbe", "GuardedProbe", "GuardedProbe"]
    assert domains.of("shop")
