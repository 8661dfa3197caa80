"""Windows that people make, from the row to the account of time and the alerts."""

import math
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from msgspec.structs import replace
from pydantic import SecretStr

from monitor.alerts.decision import decide
from monitor.alerts.store import AlertStore
from monitor.cli import report
from monitor.config.model import Config, Monitor
from monitor.incidents.bookkeeping import Bookkeeping
from monitor.incidents.rules import READ_EVERY_S, MonitorRules
from monitor.storage.database import Database, StoreUnavailableError
from monitor.uptime import maintenance_store
from monitor.uptime.maintenance import MadeWindow, Scope
from tests.alerting import plan
from tests.bookkeeping import Book
from tests.incidents.test_bookkeeping import NOW
from tests.incidents.test_bookkeeping_maintenance import seconds
from tests.observing import START, checks
from tests.postgres import PostgresServer, result_store
from tests.storage.test_results import query

SHOP = Monitor.model_validate({"name": "shop", "url": "https://shop.example/", "group": "web"})
ALL: Scope = (None, None)


class Process:
    """What one process of the group knows and stores, at a time that is set."""

    def __init__(self, database: str) -> None:
        self.monotonic = 0.0
        self.rules = MonitorRules([SHOP], lambda: NOW, lambda: self.monotonic)
        bookkeeping = Bookkeeping(self.rules, 90, lambda: NOW)
        self.store = result_store(database, bookkeeping)

    def knows_of(self, at: float) -> bool:
        windows = self.rules.rules("shop").windows
        return windows is not None and windows.open_at(at)


@pytest.fixture
async def process(database: str) -> AsyncIterator[Process]:
    made = Process(database)
    yield made
    await made.store.database.close()


@pytest.fixture
async def other(database: str) -> AsyncIterator[Process]:
    made = Process(database)
    yield made
    await made.store.database.close()


def window(starts_at: float, ends_at: float, of: Scope = ALL) -> MadeWindow:
    return MadeWindow(0, *of, starts_at, ends_at, starts_at, "Ada", "a new disk")


async def made(
    store: AlertStore, since: float = -math.inf, until: float = math.inf
) -> list[tuple[float, float]]:
    async with store.database.transaction() as connection:
        return [
            (each.since_at, each.until_at) for each in await maintenance_store.made(connection, since, until)
        ]


async def test_windows_are_read_by_the_stretch_in_which_they_are_open(alert_store: AlertStore) -> None:
    for start in (300, 100):
        await alert_store.make_maintenance(window(start, start + 50))

    assert await made(alert_store) == [(100, 150), (300, 350)]
    assert await made(alert_store, 150, 300) == []
    assert await made(alert_store, 149, 301) == [(100, 150), (300, 350)]


async def test_a_row_shows_when_it_was_ended_and_stays(alert_store: AlertStore, database: str) -> None:
    running, to_come = [
        await alert_store.make_maintenance(window(start, start + 50, of))
        for start, of in ((100, ("shop", None)), (200, (None, "web")))
    ]

    ended = [await alert_store.end_maintenance(each.id, 120) for each in (running, to_come)]
    again = [await alert_store.end_maintenance(each.id, 130) for each in (running, to_come)]

    assert ended == [replace(running, until_at=120), replace(to_come, until_at=200)]
    assert again == [None, None]
    assert await made(alert_store) == [(100, 120)]
    rows = await query(database, "SELECT starts_at, ends_at, ended_at FROM health_maintenance ORDER BY id")
    assert [tuple(row) for row in rows] == [(100, 150, 120), (200, 250, 200)]


async def test_a_window_that_is_over_is_not_ended(alert_store: AlertStore) -> None:
    over = await alert_store.make_maintenance(window(100, 150))

    assert await alert_store.end_maintenance(over.id, 150) is None
    assert await alert_store.end_maintenance(over.id + 1, 120) is None


@pytest.mark.parametrize("of", [("shop", None), (None, "web"), ALL])
async def test_what_is_stored_of_a_window_is_maintenance_in_sums_and_report(
    process: Process, alert_store: AlertStore, database: str, tmp_path: Path, of: Scope
) -> None:
    await alert_store.make_maintenance(window(START + 90, START + 210, of))

    await process.store.save(checks("+----+"))

    assert await seconds(database) == [60, 0, 120, 120]
    (row,) = await report(_config(database, tmp_path), START, START + 1)
    assert row.maintenance == pytest.approx(120 / 3_600)
    assert row.uptime == pytest.approx((60 + 180) / (60 + 180 + 120))


async def test_time_that_the_newest_result_covers_in_a_window_is_maintenance_in_a_report(
    process: Process, alert_store: AlertStore, database: str, tmp_path: Path
) -> None:
    await process.store.save(checks("-"))
    await alert_store.make_maintenance(window(START + 60, START + 120))

    (row,) = await report(_config(database, tmp_path), START, START + 1)

    assert row.maintenance == pytest.approx(60 / 3_600)


def _config(database: str, folder: Path) -> Config:
    return Config(monitors=(SHOP,), pg_uri=SecretStr(database), data_dir=folder)


async def test_each_process_learns_of_a_window_and_its_end_within_seconds(
    process: Process, other: Process, alert_store: AlertStore
) -> None:
    slots = iter(range(100))

    async def store_one(one: Process) -> None:
        await one.store.save(checks("+", first=next(slots)))

    await store_one(process)
    await store_one(other)
    begun = await alert_store.make_maintenance(window(NOW - 60, NOW + 3_600, (None, "web")))
    for one in (process, other):
        one.monotonic += READ_EVERY_S - 0.1
        await store_one(one)
        assert not one.knows_of(NOW)
        one.monotonic += 0.1
        await store_one(one)
        assert one.knows_of(NOW)

    await alert_store.end_maintenance(begun.id, NOW)
    for one in (process, other):
        one.monotonic += READ_EVERY_S
        await store_one(one)
        assert (one.knows_of(NOW - 1), one.knows_of(NOW)) == (True, False)


async def test_what_did_not_change_is_not_read_again(process: Process, alert_store: AlertStore) -> None:
    await alert_store.make_maintenance(window(START, START + 60))
    await process.store.save(checks("+"))
    windows = process.rules.rules("shop").windows

    process.monotonic += READ_EVERY_S
    await process.store.save(checks("+", first=1))

    assert process.rules.rules("shop").windows is windows


async def test_a_new_configuration_keeps_them(process: Process, alert_store: AlertStore) -> None:
    await alert_store.make_maintenance(window(NOW - 60, NOW + 60))
    await process.store.save(checks("+"))

    process.rules.follow([SHOP])

    assert process.knows_of(NOW)


async def test_what_was_known_stays_while_the_database_is_unavailable(
    own_postgres_server: PostgresServer,
) -> None:
    uri = own_postgres_server.uri()
    process, people = Process(uri), AlertStore(Database(uri))
    begun = await people.make_maintenance(window(NOW - 60, NOW + 60))
    await process.store.save(checks("+"))

    own_postgres_server.stop()
    process.monotonic += READ_EVERY_S
    with pytest.raises(StoreUnavailableError):
        await process.store.save(checks("+", first=1))
    assert process.knows_of(NOW)
    with pytest.raises(StoreUnavailableError):
        await people.end_maintenance(begun.id, NOW)

    own_postgres_server.start()
    await people.end_maintenance(begun.id, NOW)
    await process.store.save(checks("+", first=1))
    assert not process.knows_of(NOW)
    await process.store.database.close()
    await people.database.close()


async def test_an_alert_is_held_from_the_moment_it_is_made_until_it_is_ended(
    alert_store: AlertStore, book: Book
) -> None:
    known = plan(SHOP, channels=("mail",))
    now = NOW + 1
    begun = await alert_store.make_maintenance(window(now - 1, now + 3_600, (None, "web")))
    await book.opened("shop", noticed_at=now)

    assert await alert_store.decide(known, now, decide) == 0
    assert await alert_store.decide(known, now + 60, decide) == 0
    await alert_store.end_maintenance(begun.id, now + 61)
    assert await alert_store.decide(known, now + 61, decide) == 1

    assert [title for _, title, _ in await book.outcome()] == ["shop is down"]


async def test_nobody_is_alerted_of_what_was_over_in_a_past_window(
    alert_store: AlertStore, book: Book
) -> None:
    await alert_store.make_maintenance(window(NOW - 5_700, NOW - 4_900))
    await book.past("shop", NOW - 5_000)

    assert await alert_store.decide(plan(SHOP, channels=("mail",)), NOW, decide) == 0
    assert await book.all_done()


@pytest.mark.parametrize(
    "values",
    [
        "('shop', 'web', 1, 2, 1, 'a', 'b')",
        "(NULL, NULL, 2, 2, 1, 'a', 'b')",
        "(NULL, NULL, 0, 2678401, 1, 'a', 'b')",
    ],
)
async def test_the_table_refuses_what_is_no_window(database: str, values: str) -> None:
    insert = "INSERT INTO health_maintenance (monitor, group_name, starts_at, ends_at, at, who, why) VALUES "

    with pytest.raises(asyncpg.CheckViolationError):
        await query(database, insert + values)
