"""`/probe` over HTTP, with the schedule and the probe that the program has."""

import asyncio
import re
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families as parse_text
from pydantic import SecretStr

from monitor.config.expect import Expect
from monitor.config.model import Config, Monitor, MonitorSettings
from monitor.config.steps.step import Step
from monitor.domains.known import Key
from monitor.probe.exchange.connector import Network
from monitor.probe.probe import Checker, Probe
from monitor.probe.steps.probe import StepsProbe
from monitor.result import CheckResult, Message, OwnTroubleError
from monitor.schedule import Schedule
from monitor.storage.database import Database
from monitor.web.metrics.probe import ProbePage
from monitor.web.running import CheckNow, Program
from monitor.web.server import serving
from tests.sites import Serve, answer, ok, read_request
from tests.test_schedule import Site, monitor, until
from tests.web.metrics.test_blackbox import ALWAYS, PHASES, result
from tests.web.visitor import ANYWHERE, HTML, configured, domains_of, nobody_logs_in, running_on, site_of

TIMEOUT = "X-Prometheus-Scrape-Timeout-Seconds"


def _written(labels: dict[str, str]) -> list[str]:
    return [f'{name}="{value}"' for name, value in labels.items()]


class Asked:
    """A client of the page; `schedule` and `queue` are behind them."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Message | None] = asyncio.Queue()
        self.schedule = Schedule(self.queue, max_concurrent_checks=10, max_checks_per_host=6)
        self.program = Program()
        self.probe = ProbePage(self.program)
        self.url = ""
        self.client: aiohttp.ClientSession

    async def __call__(
        self, target: str | None, status: int = 200, timeout_s: str | None = None, **more: str
    ) -> str:
        headers = {} if timeout_s is None else {TIMEOUT: timeout_s}
        parameters = {"module": "http_2xx"} | more | ({} if target is None else {"target": target})
        async with self.client.get(f"{self.url}probe", params=parameters, headers=headers) as response:
            text = await response.text()
            assert response.status == status, text
        return text

    async def series(self, target: str, timeout_s: str | None = None) -> dict[str, float]:
        """Ask, and return the samples by name and labels."""
        text = await self(target, timeout_s=timeout_s)
        samples = [sample for family in parse_text(text) for sample in family.samples]
        return {" ".join((each.name, *_written(each.labels))): each.value for each in samples}

    def check_by(self, check: CheckNow) -> None:
        self.program.started = running_on(Database("postgresql://127.0.0.1:9/x"), probe=check)

    def check(self, of: Monitor, checker: Checker) -> None:
        self.schedule.add([(of, checker)])
        self.follow(of)

    def follow(self, *monitors: Monitor) -> None:
        self.probe.follow(ANYWHERE.model_copy(update={"monitors": monitors}))


@pytest.fixture
async def ask(serve: Serve) -> AsyncIterator[Asked]:
    del serve  # sites outlive the probe's connections
    async with AsyncExitStack() as stack:
        asked = Asked()
        (asked.url,) = await stack.enter_async_context(
            serving(ANYWHERE, nobody_logs_in(ANYWHERE), asked.probe.routes())
        )
        await stack.enter_async_context(asked.schedule)
        asked.check_by(asked.schedule.check_now)
        asked.client = await stack.enter_async_context(aiohttp.ClientSession())
        yield asked


@pytest.fixture
async def network() -> AsyncIterator[Network]:
    async with Network(4) as made:
        yield made


async def test_a_site_is_checked_now_and_the_result_is_not_recorded(
    ask: Asked, serve: Serve, network: Network
) -> None:
    site = Monitor(name="site", url=serve(answer(ok(b"welcome"))), interval_s=3_600)
    ask.check(site, Probe(site, "here", network))
    await ask.queue.get()

    found = await ask.series("site")

    assert found.keys() == ALWAYS | PHASES
    assert (found["probe_success"], found["probe_http_status_code"]) == (1, 200)
    assert found["probe_http_uncompressed_body_length"] == 7
    assert found["probe_timeout_seconds"] == 10
    assert 0 < found['probe_http_duration_seconds phase="processing"'] < found["probe_duration_seconds"]
    assert ask.queue.empty()


async def test_the_expiry_of_a_domain_is_there_too(ask: Asked, serve: Serve, network: Network) -> None:
    config = configured({"name": "site", "url": "https://www.shop.example/", "min_domain_days": 30})
    here = Monitor(name="site", url=serve(answer(ok())), interval_s=3_600)
    domains = domains_of(config, 40)
    ask.check(here, Probe(here, "here", network))
    assert ask.program.started
    ask.program.started = replace(ask.program.started, domains=domains)

    found = await ask.series("site")

    expires_at = found["website_health_domain_expiry_timestamp_seconds"]
    assert expires_at == domains.watched[Key("shop.example", "")].domain.expires_at


@pytest.mark.parametrize(
    "target",
    [
        "shop",
        "http://shop.example/?key=s3cret",
        "HTTP://shop.EXAMPLE:80/?key=s3cret#top",
        "shop.example/?key=s3cret",
        "http://shop.example/?key=***",
    ],
)
async def test_a_target_is_a_name_or_a_url(ask: Asked, target: str) -> None:
    shop = Site(Monitor(name="shop", url="http://shop.example/?key=s3cret", interval_s=3_600))
    ask.check(shop.monitor, shop)

    assert (await ask.series(target))["probe_success"] == 1


async def test_a_url_without_a_path_is_the_root(ask: Asked) -> None:
    shop = Site(Monitor(name="shop", url="https://shop.example", interval_s=3_600))
    ask.check(shop.monitor, shop)

    assert (await ask.series("https://shop.example/"))["probe_success"] == 1


async def test_the_hostname_chooses_between_virtual_hosts_of_a_url(
    ask: Asked, serve: Serve, network: Network
) -> None:
    asked: list[str] = []

    def virtual(connection: socket.socket, _: threading.Event) -> None:
        asked.append(re.findall(r"(?im)^host: (\S+)", read_request(connection).decode())[0])
        connection.sendall(ok(b""))

    url = serve(virtual)
    own = url.removeprefix("http://").strip("/")
    hosts: list[dict[str, str]] = [{}, {"HOST": "Shop.example"}, {"Host": "blog.example"}]
    monitors = [
        Monitor(name=f"m{number}", url=url, headers={name: SecretStr(host) for name, host in each.items()})
        for number, each in enumerate(hosts)
    ]
    ask.schedule.add([(each, Probe(each, "here", network)) for each in monitors])
    ask.follow(*monitors)
    await until(lambda: len(asked) == len(monitors))
    asked.clear()

    for hostname in ("shop.example", "", own, "BLOG.example"):
        await ask(url, hostname=hostname)
    await ask("m2", hostname="blog.example")

    assert asked == ["Shop.example", own, own, "blog.example", "blog.example"]
    for target in (url, "m2"):
        assert "sends this hostname" in await ask(target, status=404, hostname="other.example")
    assert len(asked) == 5


async def test_a_target_that_is_no_monitor_is_checked_by_a_module(
    ask: Asked, serve: Serve, network: Network
) -> None:
    url = serve(answer(ok(b"welcome")))
    config = {"modules": {"text": MonitorSettings(expect=Expect(body_regex=("welcome",)))}}
    ask.probe.follow(ANYWHERE.model_copy(update=config | {"probe_targets": ("127.0.0.1/32",)}))

    async def check(target: Monitor, within_s: float) -> CheckResult:
        return await ask.schedule.check_other(target, Probe(target, "here", network), within_s)

    ask.program.started = running_on(Database("postgresql://127.0.0.1:9/x"), probe_target=check)
    found = await ask(url, module="text")

    assert "probe_success 1\n" in found
    assert "no module" in await ask(url, 400, module="other")
    assert ask.queue.empty()


async def test_of_several_monitors_with_one_url_the_first_is_checked(ask: Asked) -> None:
    first, second = (Site(Monitor(name=name, url="http://shop.example/")) for name in "ab")
    ask.schedule.add([(site.monitor, site) for site in (first, second)])
    ask.follow(first.monitor, second.monitor)
    await until(lambda: bool(first.started and second.started))

    await ask("http://shop.example/")

    assert (len(first.started), len(second.started)) == (2, 1)


async def test_steps_are_made_one_after_the_other_and_timed(
    ask: Asked, serve: Serve, network: Network
) -> None:
    url = serve(answer(ok(b"welcome")))
    steps = [{"name": 'log "in"', "url": url}, {"name": "account", "url": url}]
    login = Monitor.model_validate({"name": "login", "url": url, "steps": steps, "interval_s": 3_600})
    ask.check(login, StepsProbe(login, "here", network))

    found = await ask.series("login")

    first, second = (
        found[f'website_health_step_duration_seconds step="{name}"'] for name in ('log "in"', "account")
    )
    assert found["probe_success"] == 1
    assert first + second == pytest.approx(found["probe_duration_seconds"])


async def test_a_url_is_that_of_a_monitor_without_steps_if_there_is_one(ask: Asked) -> None:
    step = Step(name="first", url="http://shop.example/", headers={"Host": SecretStr("a.example")})
    plain = Monitor(name="plain", url="http://shop.example/")
    login = Monitor(name="login", url="http://shop.example/", steps=(step,))

    modules = {"http_2xx": MonitorSettings()}
    ask.probe.follow(Config(monitors=(login, plain), modules=modules))
    asked = {"target": "http://shop.example/"}

    assert ask.probe._targets.asked(asked) == (plain, False)
    assert ask.probe._targets.asked(asked | {"hostname": "a.example", "module": "http_2xx"}) == (login, False)


@pytest.mark.parametrize("target", ["other", "http://shop.example/other", "http://[", "http://127.0.0.1:9/"])
async def test_what_is_not_configured_is_never_checked(ask: Asked, target: str) -> None:
    shop = Site(Monitor(name="shop", url="http://shop.example/", interval_s=3_600))
    ask.check(shop.monitor, shop)

    assert await ask(target, 404) == "no monitor has this name or URL\n"


async def test_a_removed_monitor_is_not_checked(ask: Asked) -> None:
    shop = Site(monitor("shop", 3_600))
    ask.check(shop.monitor, shop)

    ask.schedule.remove("shop")
    await ask("shop", 503)
    ask.follow()
    await ask("shop", 404)


@pytest.mark.parametrize("target", [None, ""])
async def test_a_target_is_needed(ask: Asked, target: str | None) -> None:
    assert await ask(target, 400) == "the parameter target is missing\n"


async def test_a_paused_monitor_is_not_checked_and_has_no_samples(ask: Asked) -> None:
    ask.follow(Monitor(name="shop", url="http://shop.example/", paused=True))

    assert await ask("shop") == "# paused\n"


async def test_nothing_is_checked_before_the_program_has_started() -> None:
    async with site_of(configured("shop")) as visitor:
        answer = await visitor.get("/probe?target=shop", **HTML)

    assert (answer.status, answer.text) == (503, "the program is starting\n")


async def test_a_check_that_outlasts_the_scrape_is_down_in_time(ask: Asked) -> None:
    site = Site(Monitor(name="site", url="http://site.test/", interval_s=3_600, timeout_s=30))
    site.answers.clear()
    ask.check(site.monitor, site)

    found = await ask.series("site", "0.75")
    site.answers.set()

    assert found.keys() == ALWAYS | PHASES
    assert {name for name, value in found.items() if value} == {
        "probe_duration_seconds",
        "probe_timeout_seconds",
    }
    assert found["probe_timeout_seconds"] == 0.25
    assert 0.25 <= found["probe_duration_seconds"] < 30


@pytest.mark.parametrize(
    ("seconds", "timeout_s"), [("60", 10), ("5.5", 5), ("0.3", 10), ("0", 10), ("-1", 10)]
)
async def test_the_smaller_timeout_holds(ask: Asked, seconds: str, timeout_s: float) -> None:
    site = Site(monitor("shop", 3_600))
    ask.check(site.monitor, site)

    assert (await ask.series("shop", seconds))["probe_timeout_seconds"] == timeout_s


@pytest.mark.parametrize("seconds", ["ten", "", "nan", "inf"])
async def test_a_timeout_that_is_no_number_is_refused(ask: Asked, seconds: str) -> None:
    site = Site(monitor("shop", 3_600))
    ask.check(site.monitor, site)

    assert await ask("shop", 400, seconds) == f"{TIMEOUT} is no number\n"


async def test_trouble_of_this_machine_is_no_site_s_fault(ask: Asked) -> None:
    site = Site(monitor("shop", 3_600), OwnTroubleError("no free file handle"))
    ask.check(site.monitor, site)

    assert await ask("shop", 503) == "the check could not be made\n"


async def test_a_machine_without_network_has_no_samples_of_a_site(ask: Asked) -> None:
    ask.follow(monitor("shop"))

    async def offline(name: str, _: float) -> CheckResult:
        return result(monitor=name, up=None, reason="monitor_offline")

    ask.check_by(offline)

    assert await ask("shop", 503) == "this machine has no network\n"
