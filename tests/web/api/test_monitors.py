"""The API's monitors, and checks that are asked for."""

import json
import time

import pytest

from monitor.domains.known import Key
from monitor.result import CheckResult, OwnTroubleError, Phases
from monitor.storage.results import ResultStore
from tests.web.api.client import Client, Open, failed, found, path_of
from tests.web.visitor import configured, domains_of, site_of


async def fill(store: ResultStore) -> float:
    """Store an outage of the shop that goes on, and one good result of the blog and of a/b."""
    now = time.time()
    outage = [failed("shop", now - 300 + 60 * number) for number in range(4)]
    good = found("blog", now - 60, certificate_expires_at=now + 1e6)
    await store.save([*outage, good, found("a/b", now - 90_000, up=True)])
    return now


async def names(api: Client, query: str = "") -> list[str]:
    answered = await api(f"/monitors{query}")
    return [each["name"] for each in answered.json["monitors"]]


async def test_all_monitors_and_how_they_are(api: Client, store: ResultStore) -> None:
    now = await fill(store)

    monitors = {each["name"]: each for each in (await api("/monitors")).json["monitors"]}

    assert {name: each["status"] for name, each in monitors.items()} == {
        "a/b": "up",
        "blog": "up",
        "new": "unknown",
        "old": "paused",
        "shop": "down",
    }
    assert monitors["shop"] == {
        "name": "shop",
        "url": "https://shop.example/",
        "group": None,
        "labels": {},
        "runbook": None,
        "interval_s": 60,
        "status": "down",
        "since_at": pytest.approx(now - 300),
        "reason": "status",
        "detail": "status 500",
        "last_at": pytest.approx(now - 120),
        "response_time_s": 0.5,
        "certificate_expires_at": None,
        "domain_expires_at": None,
        "maintenance_until_at": None,
        "silence": None,
        "acknowledged": None,
    }
    assert monitors["blog"]["certificate_expires_at"] == pytest.approx(now + 1e6)
    assert monitors["blog"]["labels"] == {"team": "ink"}
    assert monitors["blog"]["runbook"] == "https://wiki.example/blog"
    assert monitors["a/b"]["response_time_s"] is None
    assert monitors["new"]["last_at"] is None


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?status=down", ["shop"]),
        ("?status=paused", ["old"]),
        ("?q=EXAMPLE%20shop", ["shop"]),
        ("?label=team=ink", ["blog"]),
        ("?group=web", ["a/b", "blog"]),
        ("?group=web&status=down", []),
    ],
)
async def test_monitors_are_filtered(
    api: Client, store: ResultStore, query: str, expected: list[str]
) -> None:
    await fill(store)

    assert await names(api, query) == expected


async def test_monitors_come_page_by_page(api: Client) -> None:
    seen, query = [], "?limit=2"
    while query:
        answered = await api(f"/monitors{query}")
        seen.append([each["name"] for each in answered.json["monitors"]])
        onward = answered.json["next"]
        link = f'</api/v1/monitors?limit=2&cursor={onward}>; rel="next"' if onward else None
        assert answered.headers.get("Link") == link
        query = f"?limit=2&cursor={onward}" if onward else ""

    assert seen == [["a/b", "blog"], ["new", "old"], ["shop"]]


async def test_one_monitor_with_its_settings(api: Client, store: ResultStore) -> None:
    await fill(store)

    shop = (await api("/monitors/shop")).json

    assert shop["status"] == "down"
    assert shop["settings"]["timeout_s"] == 10
    assert shop["settings"]["headers"] == {"X-Key": "***"}


async def test_a_name_may_have_a_slash(api: Client) -> None:
    answered = await api(path_of("a/b"))

    assert answered.json["name"] == "a/b"
    assert answered.json["status"] == "unknown"


@pytest.mark.parametrize("path", ["/monitors", "/monitors/shop", "/monitors/a%2Fb", "/openapi.json"])
async def test_secrets_are_masked(api: Client, path: str) -> None:
    answered = await api(path)

    assert b"s3cret" not in answered.body
    assert answered.headers["Content-Type"].startswith("application/json")


@pytest.mark.parametrize("name", ["none", "a/b", "a%00b", "a%FFb", "%E2%82", "..%2F..", "shop%2F"])
async def test_there_is_no_such_monitor(api: Client, name: str) -> None:
    await api.refused(f"/api/v1/monitors/{name}", 404)


async def test_what_is_wrong_is_named(api: Client) -> None:
    problem = await api.refused("/api/v1/monitors?limit=many&stat=up", 400)

    assert problem["detail"] == (
        "stat is not known; allowed are q, status, label, group, limit, cursor, format;"
        " limit must be a whole number from 1 to 1,000, once"
    )
    assert [each["parameter"] for each in problem["errors"]] == ["stat", "limit"]


async def test_a_check_now(api: Client) -> None:
    async def check(name: str, within_s: float) -> CheckResult:
        assert within_s == 15
        return found(name, 1_700_000_000.0, phases=Phases(connect=0.0123456789))

    api.check_now(check)

    result = (await api("/monitors/a%2Fb/check", "POST")).json

    assert result == {
        "scheduled_at": 1_700_000_000,
        "started_at": 1_700_000_000.25,
        "location": "here",
        "status": "up",
        "status_code": 200,
        "response_time_s": 0.5,
        "reason": None,
        "detail": None,
        "resolve_s": None,
        "connect_s": 0.012346,
        "tls_s": None,
        "processing_s": None,
        "transfer_s": None,
        "ip": None,
        "http_version": None,
        "certificate_expires_at": None,
        "tls": None,
        "evidence": None,
        "steps": None,
    }


@pytest.mark.parametrize(
    ("trouble", "detail"),
    [
        (TimeoutError(), "the check waits for its turn; its result comes later"),
        (OwnTroubleError("no file handles"), "the check could not be made"),
        (KeyError("shop"), "the check could not be made"),
    ],
)
async def test_a_check_without_a_result(api: Client, trouble: Exception, detail: str) -> None:
    async def check(_: str, __: float) -> CheckResult:
        raise trouble

    api.check_now(check)

    assert (await api.refused("/api/v1/monitors/shop/check", 503, "POST"))["detail"] == detail


async def test_a_paused_monitor_is_not_checked(api: Client) -> None:
    problem = await api.refused("/api/v1/monitors/old/check", 409, "POST")

    assert problem["detail"] == "the monitor is paused"


async def test_nothing_is_checked_before_the_program_has_started(open_api: Open) -> None:
    api = await open_api()

    problem = await api.refused("/api/v1/monitors/shop/check", 503, "POST")

    assert problem["detail"] == "the program is starting"


async def test_a_monitor_has_what_is_known_of_its_domain(store: ResultStore) -> None:
    config = configured({"name": "shop", "url": "https://www.shop.example/", "min_domain_days": 30})
    domains = domains_of(config, 40, "answers 503")
    known = domains.watched[Key("shop.example", "")].domain

    async with site_of(config, store, domains=domains) as visitor:
        listed = json.loads((await visitor.get("/api/v1/monitors")).text)["monitors"]
        shop = json.loads((await visitor.get("/api/v1/monitors/shop")).text)

    assert listed[0]["domain_expires_at"] == shop["domain_expires_at"] == known.expires_at
    assert shop["domain"] == {
        "name": "shop.example",
        "expires_at": known.expires_at,
        "asked_at": known.asked_at,
        "detail": "answers 503",
    }


async def test_a_monitor_whose_domain_nobody_watches_has_none(api: Client) -> None:
    assert (await api("/monitors/shop")).json["domain"] is None
