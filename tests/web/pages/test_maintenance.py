"""Maintenance on the page of a monitor."""

import re
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from monitor.alerts.store import AlertStore
from monitor.runtime.text import moment
from monitor.storage.database import Database
from monitor.storage.results import ResultStore
from monitor.uptime.maintenance import MadeWindow
from monitor.web.pages.rendering import monitor_path
from tests.storage.test_results import query
from tests.web.visitor import configured, site_of

SHOP = {"name": "shop", "group": "web"}
ADA = {"who": "Ada", "why": "a new <disk>"}
HOUR_S = 3_600


@pytest.fixture
async def alerts(database: str) -> AsyncIterator[AlertStore]:
    opened = AlertStore(Database(database))
    yield opened
    await opened.database.close()


async def rows(database: str) -> list[MadeWindow]:
    columns = "id, monitor, group_name, starts_at, coalesce(ended_at, ends_at), at, who, why"
    return [MadeWindow(*row) for row in await query(database, f"SELECT {columns} FROM health_maintenance")]  # noqa: S608


def lines(page: str) -> list[str]:
    """What the page shows of maintenance, and the button that ends it."""
    found = re.findall(r'maintenance/\d+/end">\s*<p>(.*?)</p>\s*<button>(.*?)</button>', page, re.DOTALL)
    return [re.sub(r"<[^>]+>", "", f"{line} [{button}]") for line, button in found]


async def test_a_window_is_begun_shown_and_ended(alerts: AlertStore, database: str) -> None:
    async with site_of(configured(SHOP), alerts) as visitor:
        assert lines((await visitor.get("/monitors/shop")).text) == []
        begun = await visitor.send("/monitors/shop/maintenance", **ADA, scope="monitor", hours="4")
        during = await visitor.get("/monitors/shop")
        ended = await visitor.send("/monitors/shop/maintenance/1/end")
        after = await visitor.get("/monitors/shop")
        again = await visitor.send("/monitors/shop/maintenance/1/end")

    assert {each.status for each in (begun, ended, again)} == {303}
    assert {each.headers["Location"] for each in (begun, ended, again)} == {"/monitors/shop"}
    (line,) = lines(during.text)
    assert re.fullmatch(
        r"In maintenance until \d+ \w+, [\d:]{5} \(Ada: a new &lt;disk&gt;\) \[End now\]", line.strip()
    )
    assert lines(after.text) == []
    (window,) = await rows(database)
    assert (window.id, window.monitor, window.group) == (1, "shop", None)
    assert window.until_at == pytest.approx(time.time(), abs=30)


@pytest.mark.parametrize(
    ("scope", "of", "shown"),
    [
        ("all", (None, None), "with all monitors"),
        ("group", (None, "web"), "with the group web"),
        ("other", ("shop", None), ""),
    ],
)
async def test_a_window_can_be_of_the_group_or_of_all(
    alerts: AlertStore, database: str, scope: str, of: tuple[str | None, str | None], shown: str
) -> None:
    async with site_of(configured(SHOP), alerts) as visitor:
        await visitor.send("/monitors/shop/maintenance", **ADA, scope=scope, hours="1")
        page = await visitor.get("/monitors/shop")

    assert [(each.monitor, each.group) for each in await rows(database)] == [of]
    assert shown in lines(page.text)[0]


async def test_a_window_to_come_is_taken_back(alerts: AlertStore, database: str) -> None:
    start = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(days=2)
    form = {**ADA, "scope": "all", "hours": "24", "since": f"{start:%Y-%m-%dT%H:%M}"}

    async with site_of(configured(SHOP), alerts) as visitor:
        await visitor.send("/monitors/shop/maintenance", **form)
        (line,) = lines((await visitor.get("/monitors/shop")).text)
        await visitor.send("/monitors/shop/maintenance/1/end")
        after = await visitor.get("/monitors/shop")

    assert line.startswith(f"Maintenance from {moment(start.timestamp())} until")
    assert line.endswith("[Cancel]")
    assert lines(after.text) == []
    (window,) = await rows(database)
    assert window.since_at == window.until_at == start.timestamp()


async def test_a_monitor_without_a_group_offers_none(store: ResultStore) -> None:
    async with site_of(configured("shop"), store) as visitor:
        assert '<option value="group">' not in (await visitor.get("/monitors/shop")).text


@pytest.mark.parametrize(
    ("form", "shown"),
    [
        ({}, "Who, and why?"),
        ({"who": "Ada", "why": " "}, "Who, and why?"),
        ({**ADA, "since": "soon"}, "since must be Unix seconds, or a date and time in ISO 8601."),
        ({**ADA, "since": "2020-01-01T00:00"}, "since must not be in the past."),
        ({**ADA, "hours": "999"}, "until must be at most 31 days after since."),
    ],
)
async def test_what_cannot_be_a_window_is_refused(
    alerts: AlertStore, database: str, form: dict[str, str], shown: str
) -> None:
    async with site_of(configured(SHOP), alerts) as visitor:
        answer = await visitor.send("/monitors/shop/maintenance", **form)

    assert (answer.status, shown in answer.text) == (400, True)
    assert await rows(database) == []


@pytest.mark.parametrize("name", ["a/b", ".", "a/maintenance", "käse 🧀"])
async def test_each_name_has_its_forms(alerts: AlertStore, database: str, name: str) -> None:
    async with site_of(configured(name), alerts) as visitor:
        page = (await visitor.get(monitor_path(name))).text
        (action,) = re.findall(r'action="([^"]+/maintenance)"', page)
        await visitor.send(action, **ADA)
        (end,) = re.findall(r'action="([^"]+/end)"', (await visitor.get(monitor_path(name))).text)
        ended = await visitor.send(end)

    assert ended.headers["Location"] == monitor_path(name)
    assert [(each.monitor, each.until_at < time.time()) for each in await rows(database)] == [(name, True)]


async def test_windows_of_the_configuration_are_shown_while_they_are_open(store: ResultStore) -> None:
    now = datetime.now(UTC)

    def window(first_h: float, last_h: float) -> dict[str, Any]:
        first, last = now + timedelta(hours=first_h), now + timedelta(hours=last_h)
        return {"starts_at": first.isoformat(), "ends_at": last.isoformat()}

    monitors = (
        {"name": "now", "maintenance": (window(-1, 1),)},
        {"name": "later", "maintenance": (window(1, 2),)},
    )
    async with site_of(configured(*monitors), store) as visitor:
        open_one = (await visitor.get("/monitors/now")).text
        other = (await visitor.get("/monitors/later")).text

    assert f"{moment((now + timedelta(hours=1)).timestamp())}</time> (configuration)" in open_one
    assert "(configuration)" not in other


async def test_a_window_of_people_is_shaded(alerts: AlertStore) -> None:
    now = time.time()
    await alerts.make_maintenance(MadeWindow(0, None, None, now - 2 * HOUR_S, now - HOUR_S, now, **ADA))

    async with site_of(configured(SHOP), alerts) as visitor:
        page = await visitor.get("/monitors/shop?range=24h")

    assert page.text.count('class="shade maintenance"') == 2
    assert lines(page.text) == []


async def test_nothing_can_be_ordered_for_what_is_not_there(alerts: AlertStore) -> None:
    paths = ("/monitors/shop/maintenance", "/monitors/shop/maintenance/1/end")

    async with site_of(configured("other"), alerts) as visitor:
        assert [(await visitor.send(path, **ADA)).status for path in paths] == [404, 404]
    async with site_of(configured("shop")) as visitor:
        assert [(await visitor.send(path, **ADA)).status for path in paths] == [503, 503]
    unavailable = AlertStore(Database("postgresql://127.0.0.1:9/x"))
    async with site_of(configured("shop"), unavailable) as visitor:
        answers = [await visitor.send(path, **ADA) for path in paths]
    assert [(each.status, "PostgreSQL is unavailable" in each.text) for each in answers] == [(503, True)] * 2
