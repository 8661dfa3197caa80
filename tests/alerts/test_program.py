"""Alerts of the whole program."""

import asyncio
import json
import time

import aiohttp

from monitor.alerts.store import AlertStore
from monitor.uptime.maintenance import MadeWindow
from tests.alerting import NOW
from tests.bookkeeping import Book
from tests.program import Start
from tests.receivers import HttpReceiver
from tests.stream import eventually

SITE = {"name": "shop", "url": "http://127.0.0.1:1/", "interval_s": 3_600}


async def test_the_program_sends_what_is_in_the_tables_and_follows_its_configuration(
    program: Start, database: str, book: Book, receiver: HttpReceiver
) -> None:
    monitor = program(pg_uri=database, monitors=[SITE])
    monitor.start()
    await asyncio.to_thread(monitor.prints, "monitor shop")
    channel = {"webhook": receiver.url, "secret": "s3cret"}

    monitor.write({"pg_uri": database, "monitors": [SITE], "alerts": {"channels": {"hook": channel}}})
    await asyncio.to_thread(monitor.prints, "configuration taken")

    async def something_is_sent() -> bool:
        await book.past("shop", NOW - 1_000)  # the first may be decided by the old configuration
        return bool(receiver.requests)

    await eventually("something is sent", something_is_sent)
    await eventually("all is sent", book.all_done)
    assert {json.loads(body)["title"] for _, body in receiver.requests} == {"shop was down"}
    assert await asyncio.to_thread(monitor.stop) == 0
    assert "alert sent to hook: shop was down" in monitor.printed()
    assert "s3cret" not in monitor.printed()


async def test_a_channel_that_hangs_does_not_keep_the_program_from_ending(
    program: Start, database: str, book: Book, hanging_receiver: str
) -> None:
    channels = {"hangs": f"json://{hanging_receiver}/?rto=600"}
    monitor = program(pg_uri=database, monitors=[SITE], alerts={"channels": channels}, shutdown_grace_s=4)
    monitor.start()
    await book.opened("shop")

    async def is_being_sent() -> bool:
        return any(each["attempts"] for each in await book.deliveries())

    await eventually("it is being sent", is_being_sent)

    assert await asyncio.to_thread(monitor.stop) == 0

    assert await book.outcome() == [("hangs", "shop is down", "waits")]


async def test_checking_once_alerts_nobody(
    program: Start, database: str, book: Book, receiver: HttpReceiver
) -> None:
    channels = {"hook": {"webhook": receiver.url, "secret": "s3cret"}}
    monitor = program(pg_uri=database, monitors=[SITE], alerts={"channels": channels})
    await book.opened("shop")

    code, _ = await asyncio.to_thread(monitor.run, "--once")

    assert code == 1
    assert await book.deliveries() == []


async def test_in_a_window_that_people_made_nobody_is_alerted_until_somebody_ends_it(
    program: Start, database: str, alert_store: AlertStore, book: Book, receiver: HttpReceiver
) -> None:
    now = time.time()
    window = MadeWindow(0, "shop", None, now, now + 3_600, now, "Ada", "a new disk")
    made = await alert_store.make_maintenance(window)
    sites = [{**SITE, "name": name, "interval_s": 0.5} for name in ("shop", "blog")]
    channel = {"webhook": receiver.url, "secret": "s3cret"}
    monitor = program(pg_uri=database, monitors=sites, alerts={"channels": {"hook": channel}})
    monitor.start()

    def alerted() -> set[str]:
        return {json.loads(body)["title"] for _, body in receiver.requests}

    async def seconds(name: str, what: str) -> float:
        query = f"SELECT coalesce(sum({what}), 0) FROM health_hours WHERE monitor = $1"  # noqa: S608
        return float(await book.connection.fetchval(query, name))

    async def is_known() -> bool:
        opened = "SELECT count(*) FROM health_incidents WHERE monitor = 'shop' AND kind = 'down'"
        is_down = bool(await book.connection.fetchval(opened))
        return is_down and "blog is down" in alerted() and await seconds("shop", "maintenance_s") > 1

    await eventually("it is down, and only the other is sent", is_known)
    assert alerted() == {"blog is down"}
    assert (await seconds("shop", "down_s"), await seconds("blog", "maintenance_s")) == (0, 0)

    url = (await asyncio.to_thread(monitor.prints, r"web: (http://\S+)/"))[1]
    end = f"{url}/api/v1/maintenance/{made.id}/end"
    async with aiohttp.ClientSession() as session, session.post(end) as response:
        assert response.status == 200

    async def is_sent() -> bool:
        return "shop is down" in alerted() and await seconds("shop", "down_s") > 0

    await eventually("it is sent, and time counts again", is_sent)
    assert await asyncio.to_thread(monitor.stop) == 0
