"""Alerts on their way from the tables to those who take them."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from monitor.alerts.channels.channels import Channels, retry_after_s
from monitor.alerts.sender import send_alerts
from monitor.alerts.store import REFUSALS, AlertStore, Silence
from monitor.config.alerts import Alerts
from monitor.config.model import Config, Monitor
from monitor.domains.known import Domain
from monitor.runtime.progress import Progress
from monitor.storage.database import Database
from monitor.storage.results import ResultStore
from tests.alerting import NOW, monitor
from tests.bookkeeping import Book
from tests.clock import Clock
from tests.postgres import PostgresServer
from tests.receivers import HttpReceiver, MailServer
from tests.storage.test_results import result
from tests.stream import eventually


class Settings:
    """A configuration that a test changes."""

    def __init__(self, config: Config) -> None:
        self.current = config
        self.reads = 0

    def __call__(self) -> Config:
        self.reads += 1
        return self.current

    async def change(self, config: Config) -> None:
        """Return when nobody decides by the old one any more."""
        self.current = config
        reads = self.reads

        async def is_taken() -> bool:
            return self.reads > reads + 1

        await eventually("the new configuration is taken", is_taken)


def config(channels: dict[str, Any], *monitors: Monitor) -> Config:
    alerts = Alerts.model_validate({"channels": channels})
    return Config(monitors=monitors or (monitor("shop"),), alerts=alerts)


def hook(receiver: HttpReceiver) -> dict[str, str]:
    return {"webhook": receiver.url, "secret": "s3cret"}


@asynccontextmanager
async def sending(
    store: AlertStore,
    settings: Config | Settings,
    clock: Callable[[], float] = lambda: NOW,
    progress: Progress | None = None,
) -> AsyncIterator[None]:
    """Send alerts while the block runs."""
    stop = asyncio.Event()
    given = settings if isinstance(settings, Settings) else Settings(settings)
    channels = Channels(lambda: given.current.alerts.channels, lambda _: 0.01)
    task = asyncio.create_task(
        send_alerts(
            store,
            channels,
            given,
            stop,
            progress or Progress("the alerting"),
            clock=clock,
            look_s=0.01,
            lease_s=60,
        )
    )
    yield
    stop.set()
    await asyncio.wait_for(task, 60)


def titles(receiver: HttpReceiver) -> list[str]:
    return [json.loads(body)["title"] for _, body in receiver.requests]


async def test_an_incident_reaches_a_mailbox_and_a_program_and_so_does_its_end(
    alert_store: AlertStore, book: Book, mail_server: MailServer, receiver: HttpReceiver
) -> None:
    async with sending(alert_store, config({"mail": mail_server.url("me"), "hook": hook(receiver)})):
        number = await book.opened("shop")
        await eventually("the beginning is sent", book.all_done)
        await book.resolved(number)
        await eventually("the end is sent", book.all_done)

    assert [mail["Subject"] for mail in mail_server.mails] == ["shop is down", "shop is up again"]
    assert titles(receiver) == ["shop is down", "shop is up again"]


async def test_a_channel_that_hangs_delays_no_other(
    alert_store: AlertStore, book: Book, hanging_receiver: str, receiver: HttpReceiver
) -> None:
    both = config({"hangs": f"json://{hanging_receiver}/?rto=3&cto=3", "hook": hook(receiver)})
    async with sending(alert_store, both):
        for _ in range(3):
            await book.past("shop", NOW - 1_000)

        async def others_are_sent() -> bool:
            return len(receiver.requests) == 3

        await eventually("the other channel has all", others_are_sent)
        assert ("hangs", "shop was down", "waits") in await book.outcome()


async def test_a_failure_that_passes_is_tried_again_until_it_has(
    alert_store: AlertStore, book: Book, receiver: HttpReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.statuses = [500] * 5
    await book.opened("shop")

    async with sending(alert_store, config({"hook": hook(receiver)})):
        await eventually("it is sent", book.all_done)

    assert titles(receiver) == ["shop is down"] * 6
    assert len({json.loads(body)["id"] for _, body in receiver.requests}) == 1
    assert await book.outcome() == [("hook", "shop is down", "sent")]
    assert (
        caplog.text.count("alert not sent to hook, trying again in 0.01 s: shop is down: the answer was 500")
        == 5
    )


async def test_one_alert_that_a_channel_keeps_refusing_is_given_up_and_the_next_of_its_monitor_sent(
    alert_store: AlertStore,
    book: Book,
    receiver: HttpReceiver,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("monitor.alerts.store.PROVEN_S", 0.0)
    receiver.refused = b"shop is down"
    number = await book.opened("shop")
    await book.opened("blog")

    async with sending(alert_store, config({"hook": hook(receiver)}, monitor("shop"), monitor("blog"))):
        await eventually("one is given up", book.all_done)
        await book.resolved(number)
        await eventually("the end is sent", book.all_done)

    assert titles(receiver).count("shop is down") >= REFUSALS
    assert [title for title in titles(receiver) if title != "shop is down"] == [
        "blog is down",
        "shop is up again",
    ]
    assert "alert to hook given up, as it takes others: shop is down" in caplog.text


async def test_reminders_come_until_somebody_acknowledges(
    alert_store: AlertStore, book: Book, receiver: HttpReceiver
) -> None:
    clock = Clock(NOW)
    number = await book.opened("shop")
    reminded = config({"hook": hook(receiver)}, monitor("shop", notify={"remind_every_s": 60}))

    async with sending(alert_store, reminded, clock):
        for count in (1, 2, 3):

            async def is_sent(count: int = count) -> bool:
                return len(receiver.requests) == count

            await eventually("it is sent again", is_sent)
            clock.now += 60
        await alert_store.acknowledge(number, "ann", "on it", clock.now)
        before = len(receiver.requests)
        clock.now += 600
        await book.opened("shop", "no_data")
        await eventually("something later is sent", book.all_done)

    assert titles(receiver)[:3] == [
        "shop is down",
        "shop has been down for 3 min 10 s",
        "shop has been down for 4 min 10 s",
    ]
    later = [title for title in titles(receiver)[before:] if "no data" not in title]
    assert later in ([], ["shop has been down for 5 min 10 s"])  # due just before somebody acknowledged


async def test_certificates_are_warned_of_once(
    alert_store: AlertStore, store: ResultStore, book: Book, receiver: HttpReceiver
) -> None:
    clock = Clock(NOW)
    await store.save([result(NOW - 60, certificate_expires_at=NOW + 6 * 86_400)])
    with_hook = config({"hook": hook(receiver)}, monitor("shop"))

    async with sending(alert_store, with_hook, clock):
        await eventually("it is sent", book.deliveries)
        clock.now += 3_600
        number = await book.opened("shop")
        await eventually("something later is sent", book.all_done)
        assert number

    assert sorted(titles(receiver)) == ["shop is down", "shop: a certificate of the chain expires in 6 d"]


async def test_domains_are_warned_of_once(
    alert_store: AlertStore, book: Book, receiver: HttpReceiver
) -> None:
    clock = Clock(NOW)
    domain = Domain("shop.example", NOW + 6 * 86_400, NOW, NOW)
    knowing = AlertStore(alert_store.database, {"shop": domain}.get)
    with_hook = config({"hook": hook(receiver)}, monitor("shop"))

    async with sending(knowing, with_hook, clock):
        await eventually("it is sent", book.deliveries)
        clock.now += 3_600
        number = await book.opened("shop")
        await eventually("something later is sent", book.all_done)
        assert number

    assert sorted(titles(receiver)) == ["shop is down", "shop: the domain shop.example expires in 6 d"]


HTTPS = {"url": "https://shop.example/"}


@pytest.mark.parametrize(
    ("settings", "seen_at", "step_s"),
    [
        (HTTPS, NOW + 30, 60),
        pytest.param({"url": "http://shop.example/"}, NOW + 30, 60, id="behind-a-redirect"),
        pytest.param(HTTPS, NOW - 100, -60, id="clock-set-back"),
        pytest.param(HTTPS, NOW - 1_000, 3_600, id="late"),
        pytest.param(HTTPS, NOW - 5_000, -3_600, id="late-and-clock-set-back"),
        pytest.param(
            {"url": "http://shop.example/", "steps": [{"name": "pay", **HTTPS}]},
            NOW - 1_000,
            3_600,
            id="late-in-a-step",
        ),
    ],
)
async def test_a_certificate_that_is_first_seen_while_the_program_runs_is_warned_of(
    alert_store: AlertStore,
    store: ResultStore,
    book: Book,
    receiver: HttpReceiver,
    settings: dict[str, Any],
    seen_at: float,
    step_s: float,
) -> None:
    clock = Clock(NOW)
    with_hook = config({"hook": hook(receiver)}, monitor("shop", **settings))
    taken = Settings(with_hook)

    async with sending(alert_store, taken, clock):
        await taken.change(with_hook)
        failed = [result(seen_at + n, certificate_expires_at=None) for n in range(1, 5)]
        await store.save([result(seen_at, certificate_expires_at=NOW + 6.5 * 86_400), *failed])
        clock.now += step_s
        await eventually("it is sent", book.deliveries)
        await eventually("it was sent", book.all_done)

    assert len(titles(receiver)) == 1
    assert titles(receiver)[0].startswith("shop: a certificate of the chain expires in 6 d")


async def test_what_could_not_be_sent_for_a_day_is_given_up(
    alert_store: AlertStore, book: Book, receiver: HttpReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock(NOW)
    await book.opened("shop")
    async with sending(alert_store, config({"mail": "json://127.0.0.1:1"}), clock):
        await eventually("it waits", book.deliveries)
    await book.connection.execute("UPDATE health_deliveries SET created_at = 0")

    async with sending(alert_store, config({"hook": hook(receiver)}), clock):
        await eventually("it is given up", book.all_done)

    assert "1 alert given up, after a day of attempts" in caplog.text


async def test_the_configuration_may_change_meanwhile(
    alert_store: AlertStore, book: Book, receiver: HttpReceiver
) -> None:
    settings = Settings(config({}))

    async with sending(alert_store, settings):
        await settings.change(config({"hook": hook(receiver)}))
        await book.opened("shop", "no_data")
        await eventually("it is sent", book.deliveries)
        await eventually("it is sent", book.all_done)
        both = {"hook": hook(receiver), "more": hook(receiver)}
        await settings.change(config(both, monitor("shop", interval_s=9)))
        await book.opened("shop", "flapping")
        await eventually("it is sent", book.all_done)

    assert titles(receiver) == ["shop: no data", "shop is flapping", "shop is flapping"]


async def test_a_silence_holds_until_it_ends(
    alert_store: AlertStore, book: Book, receiver: HttpReceiver
) -> None:
    clock = Clock(NOW)
    await alert_store.silence(Silence("shop", NOW + 60, NOW, "ann", "deploy"))
    quiet, loud = monitor("shop"), monitor("blog")

    async with sending(alert_store, config({"hook": hook(receiver)}, quiet, loud), clock):
        await book.opened("shop")
        await book.opened("blog")
        await eventually("the other is sent", book.deliveries)
        clock.now += 60
        await eventually("both are sent", book.all_done)

    assert sorted(titles(receiver)) == ["blog is down", "shop is down"]


async def test_a_database_that_is_unavailable_is_waited_for(
    own_postgres_server: PostgresServer, receiver: HttpReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    receiver.hold = asyncio.Event()
    server = own_postgres_server
    store = AlertStore(Database(server.uri()))
    await store.database.open()
    server.sql(
        "INSERT INTO health_incidents (monitor, kind, started_at, noticed_at) VALUES ('shop', 'down', 0, 0);"
        "INSERT INTO health_changes (incident_id, monitor, kind, change, at, noticed_at)"
        " VALUES (1, 'shop', 'down', 'opened', 0, 0)"
    )

    async with sending(store, config({"hook": hook(receiver)})):
        await asyncio.wait_for(receiver.came.wait(), 60)
        server.kill()
        receiver.hold.set()

        async def is_logged() -> bool:
            return "no alerts for now" in caplog.text and "cannot be stored for now" in caplog.text

        await eventually("it is logged", is_logged)
        assert store.availability.unavailable_since_at is not None
        server.start()

        async def is_noted() -> bool:
            return server.sql("SELECT count(*) FROM health_deliveries WHERE sent_at > 0") == "1"

        async def is_available() -> bool:
            return store.availability.unavailable_since_at is None

        await eventually("it is noted", is_noted, 60)
        await eventually("the database is available", is_available, 60)

    await store.database.close()
    assert titles(receiver) == ["shop is down"]


async def test_it_may_begin_without_the_database(
    receiver: HttpReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    async with sending(
        AlertStore(Database("postgresql://127.0.0.1:1/none")), config({"hook": hook(receiver)})
    ):

        async def is_logged() -> bool:
            return "no alerts for now: " in caplog.text

        await eventually("it is logged", is_logged)


def test_waiting_grows_up_to_ten_minutes() -> None:
    assert [retry_after_s(attempts) for attempts in (1, 2, 3, 7, 8, 2_000)] == [5, 10, 20, 320, 600, 600]


async def test_a_database_that_is_unavailable_is_what_alerts_wait_for() -> None:
    store = AlertStore(Database("postgresql://127.0.0.1:9/x"))
    clock = Clock(0)
    progress = Progress("the alerting", clock)

    async def is_stalled() -> bool:
        return progress.stalled(60) == ("the alerting", "PostgreSQL", clock.now)

    async with sending(store, config({"pager": "json://127.0.0.1:9/"}), progress=progress):
        await eventually("it waits", lambda: is_begun(progress))
        clock.now = 61
        await eventually("it is stalled", is_stalled)
    await store.database.close()


async def is_begun(progress: Progress) -> bool:
    return progress.stalled(0) is not None
