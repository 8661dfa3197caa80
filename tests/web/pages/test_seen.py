"""Pages while PostgreSQL is unavailable: what the process itself has seen last."""

import re
import socket
import time
from typing import Any

import pytest

from monitor.alerts.store import AlertStore, Silence
from monitor.config.model import Config
from monitor.result import Phases, StepResult
from monitor.runtime.progress import Availability
from monitor.storage.database import Database
from monitor.web.pages.base import Pages
from monitor.web.running import Program
from tests.postgres import PostgresServer, result_store, save
from tests.web.visitor import configured, domains_of, outage, result, site_of

AWAY = "postgresql://ada:hidden@127.0.0.1:9/x"
DOWN: dict[str, Any] = {"up": False, "response_status": 503, "reason": "status", "detail": "status 503"}


def away() -> Availability:
    postgresql = Availability("PostgreSQL", "127.0.0.1:9")
    postgresql.failed(OSError("connection refused"))
    return postgresql


def world() -> Config:
    return configured("shop", "blog", "new", {"name": "resting", "paused": True})


def rows(page: str) -> dict[str, str]:
    found = re.findall(r'<tr data-name="(\w+)">(.*?)</tr>', page, re.DOTALL)
    return {name: re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", row)) for name, row in found}


async def test_the_overview_shows_the_last_checks_and_says_so() -> None:
    seen = [result("shop", certificate_expires_at=time.time() + 1e6, **DOWN), result("blog")]

    async with site_of(world(), result_store(AWAY), seen=seen, postgresql=away()) as visitor:
        page = await visitor.get("/")

    its = rows(page.text)
    assert page.status == 200
    assert "PostgreSQL is unavailable since" in page.text
    assert "127.0.0.1:9: connection refused. Checks continue" in page.text
    assert "1 of 3 monitors is down: shop" in page.text
    assert re.search(r"down status 503 seen at \d+ \w+, [\d:]{5} - - - - 250 ms 11 d", its["shop"])
    assert " up seen at " in its["blog"]
    assert "no result yet not seen yet" in its["new"]
    assert "seen" not in its["resting"]
    assert "hidden" not in page.text


async def test_domains_are_known_without_the_database() -> None:
    config = configured({"name": "shop", "url": "https://www.shop.example/", "min_domain_days": 30})
    domains = domains_of(config, 20)

    async with site_of(config, result_store(AWAY), postgresql=away(), domains=domains) as visitor:
        overview, page = await visitor.get("/"), await visitor.get("/monitors/shop")

    assert '<small class="soon">domain 20 d</small>' in overview.text
    assert "<dt>name</dt><dd>shop.example</dd><dt>registration expires</dt><dd><time" in page.text


async def test_what_the_alerts_know_of_the_database_is_said_too() -> None:
    store = AlertStore(Database(AWAY))
    store.availability.failed(OSError("127.0.0.1:9: connection refused"))

    async with site_of(world(), store, alerts=store) as visitor:
        page = await visitor.get("/")

    assert "PostgreSQL is unavailable since" in page.text
    assert "127.0.0.1:9: connection refused. Checks continue" in page.text


async def test_a_monitor_s_page_shows_its_last_check_and_its_settings() -> None:
    steps = (StepResult("log in", None, 0.25, Phases(), "connect_refused"),)
    failed = DOWN | {"response_status": None, "ip": "192.0.2.1", "steps": steps}
    seen = [result("shop", **failed), result("blog")]

    async with site_of(world(), result_store(AWAY), seen=seen) as visitor:
        shop, blog, new, resting = [
            (await visitor.get(f"/monitors/{name}")).text for name in ("shop", "blog", "new", "resting")
        ]

    assert "<dt>checked at</dt><dd><time datetime=" in shop
    assert re.search("<dt>code</dt><dd>-</dd>.*<dt>address</dt><dd>192.0.2.1</dd>", shop, re.DOTALL)
    assert "<dt>step log in</dt><dd>no response, 250 ms</dd>" in shop
    assert "<p>status 503</p>" in shop
    assert "<dt>code</dt><dd>200</dd>" in blog
    assert "<dt>address</dt><dd>-</dd>" in blog
    assert "Latest check" not in new
    assert "not seen yet" in new
    assert "<button disabled>Check now" in resting
    assert all("<h2>PostgreSQL is unavailable</h2>" in page for page in (shop, blog, new, resting))
    assert all("<h2>Settings</h2>" in page for page in (shop, blog, new, resting))


async def test_everybody_sees_the_last_states_and_nothing_of_ours() -> None:
    seen = [result("shop", **DOWN), result("blog")]

    async with site_of(world(), result_store(AWAY), seen=seen, postgresql=away()) as visitor:
        page = await visitor.get("/status")

    assert page.status == 200
    assert "1 of 3 services is down: shop" in page.text
    assert "The history is not available at the moment." in page.text
    for inside in ("PostgreSQL", "127.0.0.1", "503", "refused"):
        assert inside not in page.text


async def test_what_was_read_last_is_shown_until_this_process_sees_something_newer(
    own_postgres_server: PostgresServer,
) -> None:
    alerts = AlertStore(Database(own_postgres_server.uri()))
    await save(alerts.database, [*outage("shop"), *outage("blog")])
    now = time.time()
    await alerts.silence(Silence("shop", now + 3_600, now, "Ada", "moving"))

    async with site_of(world(), alerts, seen=[result("blog", ago_s=10)]) as visitor:
        before = rows((await visitor.get("/?q=shop")).text)["shop"]
        own_postgres_server.kill()
        await alerts.database.close()
        page = (await visitor.get("/")).text
        status = (await visitor.get("/status")).text

    its = rows(page)
    assert " down silenced " in before
    assert " down silenced " in its["shop"]
    assert "Ada: moving" in its["shop"]
    assert " up seen at " in its["blog"]
    assert "1 of 3 services is down: shop" in status
    assert "Ada" not in status


@pytest.mark.parametrize("postgresql", [away(), Availability("PostgreSQL")])
async def test_a_database_that_hangs_is_not_waited_for_long(
    monkeypatch: pytest.MonkeyPatch, postgresql: Availability
) -> None:
    monkeypatch.setattr("monitor.web.pages.base._ANSWER_S", 0.05)
    monkeypatch.setattr("monitor.storage.database._CONNECT_S", 3_600)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = result_store(f"postgresql://127.0.0.1:{silent.getsockname()[1]}/x?sslmode=disable")
        async with site_of(world(), store, seen=[result("shop", **DOWN)], postgresql=postgresql) as visitor:
            pages = [await visitor.get(path) for path in ("/", "/status")]
            silent.close()

    assert all("s is down: shop" in page.text for page in pages)


def test_a_reload_forgets_what_was_read_of_other_settings() -> None:
    pages = Pages(Program())
    pages.follow(world().monitors)
    pages.remember([pages.unknown["shop"]._replace(status="down", url="http://old.example/")])
    assert pages.seen("shop").status == "down"

    pages.follow(world().monitors)

    assert (pages.seen("shop").status, pages.seen("shop").url) == ("unknown", "https://shop.example/")
