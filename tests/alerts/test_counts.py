"""What is known of the alerts to each channel: in the tables, in `/metrics`, on the page of the pipeline."""

import asyncio

import pytest

from monitor.alerts.counts import AlertCounts, Waiting
from monitor.alerts.store import AlertStore
from tests.alerting import NOW
from tests.alerts.test_store import delivery
from tests.bookkeeping import Book
from tests.clock import Clock
from tests.program import Start, until
from tests.receivers import HttpReceiver
from tests.stream import eventually
from tests.web.test_site import get, metrics, one, ready

SITE = {"name": "shop", "url": "http://127.0.0.1:1/", "interval_s": 3_600}


@pytest.mark.parametrize(("now", "age_s"), [(NOW, 0), (NOW + 5, 5), (NOW - 5, 0)])
def test_the_oldest_ages(now: float, age_s: float) -> None:
    assert Waiting(2, NOW).age_s(now) == age_s
    assert Waiting().age_s(now) == 0


def test_what_waits_is_read_every_15_s_and_not_known_when_that_fails() -> None:
    clock = Clock(0)
    counts = AlertCounts(clock)

    assert AlertCounts().waiting is None
    assert counts.is_due()
    counts.note_waiting({"mail": Waiting(1, NOW)})
    clock.now = 14.9
    assert not counts.is_due()
    clock.now = 15
    assert counts.is_due()
    clock.now = 30
    assert counts.waiting == {"mail": Waiting(1, NOW)}
    clock.now = 30.1
    assert not counts.waiting


async def test_each_attempt_is_counted(alert_store: AlertStore) -> None:
    await alert_store.add([delivery(1), delivery(2), delivery(3, "chat")], NOW)
    first, second = [(await alert_store.claim(["mail"]))[0] for _ in range(2)]

    await alert_store.mark_sent(first)
    await alert_store.postpone(second, "the answer was 500", 60)

    assert alert_store.counts.sent == {"mail": 1}
    assert alert_store.counts.failed_attempts == {"mail": 1}
    assert alert_store.counts.failed.total() == 0


async def test_what_is_sent_waits_no_more(alert_store: AlertStore) -> None:
    clock = Clock(0)
    alert_store.counts = counts = AlertCounts(clock)
    await alert_store.add([delivery(1)], NOW)
    await alert_store.add([delivery(2), delivery(3), delivery(4, "chat")], NOW + 9)
    await alert_store.mark_sent((await alert_store.claim(["mail"]))[0])

    await alert_store.count_waiting()
    assert counts.waiting == {"mail": Waiting(2, NOW + 9), "chat": Waiting(1, NOW + 9)}
    await alert_store.mark_sent((await alert_store.claim(["chat"]))[0])
    await alert_store.count_waiting()
    assert len(counts.waiting) == 2
    clock.now = 15
    await alert_store.count_waiting()

    assert counts.waiting == {"mail": Waiting(2, NOW + 9)}


async def test_prometheus_and_the_page_see_each_channel_from_the_start(
    program: Start, database: str, book: Book, receiver: HttpReceiver
) -> None:
    url = receiver.url.replace("http", "json")
    channels = {"chat": url, "mail": "json://user:hidden@127.0.0.1:1/"}
    monitor = program(
        pg_uri=database,
        monitors=[{**SITE, "notify": {"channels": "chat"}}],
        alerts={"channels": channels},
    )
    monitor.start()
    await asyncio.to_thread(ready, monitor)

    def is_known() -> bool:
        return one(monitor, "website_health_alerts_waiting", channel="mail") == 0

    await asyncio.to_thread(until, is_known, "what waits is read")
    found = await asyncio.to_thread(metrics, monitor)
    for name in (
        "website_health_alerts_sent_total",
        "website_health_alerts_failed_total",
        "website_health_alert_attempts_failed_total",
        "website_health_oldest_waiting_alert_age_seconds",
    ):
        assert sorted((labels["channel"], value) for labels, value in found[name]) == [
            ("chat", 0),
            ("mail", 0),
        ]
    await book.past("shop", NOW - 1_000)
    await eventually("it is sent", book.all_done)
    await asyncio.to_thread(
        until, lambda: one(monitor, "website_health_alerts_sent_total", channel="chat") == 1, "counted"
    )

    page = (await asyncio.to_thread(get, monitor, "/pipeline"))[1]

    assert "<h2>Alerts to chat</h2>" in page
    assert "<dt>Alerts that their channel took</dt><dd>1</dd>" in page
    assert "<h2>Alerts to mail</h2>" in page
    assert "<dt>Alerts that wait to be sent, of all processes</dt><dd>0</dd>" in page
    assert "hidden" not in page + (await asyncio.to_thread(get, monitor, "/metrics"))[1]
    assert await asyncio.to_thread(monitor.stop) == 0


def test_what_waits_is_absent_while_the_database_is_unavailable(program: Start) -> None:
    monitor = program(
        pg_uri="postgresql://127.0.0.1:9/x",
        kafka_bootstrap="127.0.0.1:9",
        monitors=[SITE],
        alerts={"channels": {"chat": "json://127.0.0.1:1/"}},
        shutdown_grace_s=1,
    )
    monitor.start()
    until(lambda: one(monitor, "website_health_alerts_sent_total", channel="chat") == 0, "counters")

    found = metrics(monitor)
    page = get(monitor, "/pipeline")[1]

    assert "website_health_alerts_waiting" not in found
    assert "website_health_oldest_waiting_alert_age_seconds" not in found
    assert "<dt>Alerts that wait to be sent, of all processes</dt><dd>-</dd>" in page
    assert monitor.stop() == 0
