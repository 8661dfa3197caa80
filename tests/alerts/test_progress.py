"""Whether alerting makes progress, as the watch of the stages sees it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from monitor.alerts.sender import send_alerts
from monitor.alerts.store import AlertStore
from monitor.config.alerts import Alerts
from monitor.config.model import Config
from monitor.runtime.progress import Progress
from monitor.storage.database import Database
from tests.alerting import NOW, monitor
from tests.bookkeeping import Book
from tests.receivers import HttpReceiver
from tests.stream import eventually


class Watched:
    """The alerts, and a clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0
        self.progress = Progress("the alerts", lambda: self.now)

    async def waits_for(self, what: str | None, limit_s: float) -> None:
        async def is_seen() -> bool:
            found = self.progress.stalled(limit_s)
            return (found and found.waits_for) == what

        await eventually(f"it waits for {what}", is_seen)


@asynccontextmanager
async def sending(store: AlertStore, url: str) -> AsyncIterator[Watched]:
    config = Config(monitors=(monitor("shop"),), alerts=Alerts.model_validate({"channels": {"pager": url}}))
    watched, stop = Watched(), asyncio.Event()
    task = asyncio.create_task(
        send_alerts(store, lambda: config, stop, watched.progress, clock=lambda: NOW, look_s=0.01, lease_s=60)
    )
    yield watched
    stop.set()
    await asyncio.wait_for(task, 30)


async def test_a_channel_that_takes_longer_than_any_should_is_named(
    alert_store: AlertStore, book: Book, silent_receiver: str
) -> None:
    async with sending(alert_store, f"json://{silent_receiver}/?rto=5&cto=5") as watched:
        await book.opened("shop")
        await watched.waits_for("the channel pager", limit_s=-60)
        watched.now = 59
        await watched.waits_for(None, limit_s=0)
        watched.now = 61
        await watched.waits_for("the channel pager", limit_s=0.5)
        await watched.waits_for(None, limit_s=0.5)


async def test_a_channel_that_took_its_alert_is_waited_for_no_more(
    alert_store: AlertStore, book: Book, receiver: HttpReceiver
) -> None:
    async with sending(alert_store, receiver.url.replace("http", "json")) as watched:
        await book.opened("shop")
        await eventually("it is sent", book.all_done)
        watched.now = 3_600
        await watched.waits_for(None, limit_s=0.5)


async def test_a_database_that_is_unavailable_is_what_alerts_wait_for() -> None:
    store = AlertStore(Database("postgresql://127.0.0.1:9/x"))
    async with sending(store, "json://127.0.0.1:9/") as watched:
        await watched.waits_for("PostgreSQL", limit_s=0)
        watched.now = 61
        await watched.waits_for("PostgreSQL", limit_s=60)
    await store.database.close()
