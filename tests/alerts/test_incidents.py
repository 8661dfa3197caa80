"""From results to alerts: what is stored is sent."""

import time
from collections.abc import Iterable
from typing import Any

import pytest

from monitor.alerts.store import AlertStore
from monitor.result import CheckResult, result_id
from tests.alerting import monitor
from tests.alerts.test_sender import config, hook, sending, titles
from tests.bookkeeping import Book
from tests.postgres import save
from tests.receivers import HttpReceiver
from tests.storage.test_results import result
from tests.stream import eventually


def check(at: float, name: str = "shop", location: str = "here", *, up: bool) -> CheckResult:
    facts: dict[str, Any] = {"reason": None, "detail": None}
    if not up:
        facts = {"reason": "status", "detail": "status 500, expected 200-399"}
    return result(at, id=result_id(location, name, at), monitor=name, location=location, up=up, **facts)


def checks(pattern: str, end: float, name: str = "shop", location: str = "here") -> list[CheckResult]:
    """Draw one check a minute, the last at `end`: + is up, - is down."""
    return [
        check(end - 60.0 * (len(pattern) - 1 - number), name, location, up=sign == "+")
        for number, sign in enumerate(pattern)
    ]


@pytest.fixture
def now() -> float:
    return round(time.time(), 3)


async def alerts_of(
    store: AlertStore, results: Iterable[CheckResult], book: Book, receiver: HttpReceiver, *names: str
) -> list[str]:
    """Store results, and return the alerts of them."""
    await save(store.database, list(results))
    monitors = [monitor(name) for name in names or ("shop",)]
    async with sending(store, config({"hook": hook(receiver)}, *monitors), time.time):
        await eventually("all is sent", book.all_done)
    return titles(receiver)


async def test_an_outage_is_sent_with_its_reason(
    alert_store: AlertStore, book: Book, receiver: HttpReceiver, now: float
) -> None:
    assert await alerts_of(alert_store, checks("++---", now - 60), book, receiver) == ["shop is down"]

    (alert,) = [each["alert"] for each in await book.deliveries()]
    assert "Why: status 500, expected 200-399" in alert
    assert "Seen from: here" in alert
    assert await alerts_of(alert_store, checks("++", now + 60), book, receiver) == [
        "shop is down",
        "shop is up again",
    ]


async def test_an_outage_that_is_over_when_it_becomes_known_is_sent_as_past(
    alert_store: AlertStore, book: Book, receiver: HttpReceiver, now: float
) -> None:
    replayed = checks("++------+++", now - 7_200)

    assert await alerts_of(alert_store, replayed, book, receiver) == ["shop was down"]
    assert "6 min" in (await book.deliveries())[0]["alert"]


async def test_down_from_one_of_three_locations_is_distinguished(
    alert_store: AlertStore, book: Book, receiver: HttpReceiver, now: float
) -> None:
    results = [
        *checks("+++++++", now - 2, location="Graz"),
        *checks("+++++++", now - 1, location="Linz"),
        *checks("++-----", now, location="Wien"),
    ]

    found = await alerts_of(alert_store, results, book, receiver)

    assert found == ["shop is down from some locations"]


async def test_a_mass_outage_is_one_alert(
    alert_store: AlertStore, book: Book, receiver: HttpReceiver, now: float
) -> None:
    names = [f"s{number}" for number in range(6)]
    results = [each for number, name in enumerate(names) for each in checks("++---", now - number, name)]

    assert await alerts_of(alert_store, results, book, receiver, *names) == ["All 6 monitors are down"]


async def test_what_depends_on_a_gateway_that_fails_waits_for_it(
    alert_store: AlertStore, book: Book, receiver: HttpReceiver, now: float
) -> None:
    monitors = monitor("gateway"), monitor("shop", depends_on="gateway")
    async with sending(alert_store, config({"hook": hook(receiver)}, *monitors), time.time):
        await save(alert_store.database, [*checks("++--", now - 59, "gateway"), *checks("+++---", now)])
        await eventually(
            "the shop is down", lambda: book.connection.fetchval("SELECT count(*) FROM health_incidents")
        )
        await save(alert_store.database, checks("-", now + 1, "gateway"))
        await eventually("the alert of the gateway is stored", book.deliveries)

    assert [each["title"] for each in await book.deliveries()] == ["gateway is down"]
    assert '"held_back": ["shop"]' in (await book.deliveries())[0]["alert"]


async def test_in_maintenance_checks_count_and_nobody_is_alerted(
    alert_store: AlertStore, book: Book, receiver: HttpReceiver, now: float
) -> None:
    window = {"cron": "* * * * *", "duration_s": 120}
    monitors = monitor("shop", maintenance=window), monitor("blog")
    async with sending(alert_store, config({"hook": hook(receiver)}, *monitors), time.time):
        await save(alert_store.database, checks("++---", now))
        await save(alert_store.database, checks("++---", now, "blog"))
        await eventually("the other is sent", book.deliveries)

    assert [each["title"] for each in await book.deliveries()] == ["blog is down"]
    assert await book.connection.fetchval("SELECT count(*) FROM health_data WHERE monitor = 'shop'") == 5
    assert await book.connection.fetchval("SELECT count(*) FROM health_changes WHERE decided_at IS NULL") == 1
