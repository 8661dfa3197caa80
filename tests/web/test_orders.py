"""Maintenance, silences and acknowledgements, wherever a monitor is shown, and how they are ended there."""

import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from monitor.alerts.store import AlertStore, Silence
from monitor.config.model import Config
from monitor.storage.database import Database, StoreUnavailableError
from monitor.uptime.maintenance import MadeWindow
from monitor.web.orders import NO_ORDERS, StandingOrders
from monitor.web.queries import PageReader
from tests.postgres import save
from tests.web.pages.timelines import days, entries
from tests.web.visitor import Visitor, configured, flapping, outage, result, site_of

ADA = {"who": "Ada", "why": "a new <disk>"}
HOUR_S = 3_600.0


@pytest.fixture
async def alerts(database: str) -> AsyncIterator[AlertStore]:
    opened = AlertStore(Database(database))
    await save(opened.database, [*outage("shop"), *outage("blog"), result("wiki")])
    yield opened
    await opened.database.close()


def world(**more: object) -> Config:
    return configured("shop", "blog", "wiki", **more)


def window(monitor: str | None, since_at: float, until_at: float) -> MadeWindow:
    return MadeWindow(0, monitor, None, since_at, until_at, since_at, ADA["who"], ADA["why"])


async def maintain(alerts: AlertStore, monitor: str | None = "shop", ahead_s: float = 0) -> None:
    now = time.time() + ahead_s
    await alerts.make_maintenance(window(monitor, now, now + HOUR_S))


async def silence(alerts: AlertStore, monitor: str = "shop") -> None:
    now = time.time()
    await alerts.silence(Silence(monitor, now + HOUR_S, now, ADA["who"], ADA["why"]))


async def acknowledge(alerts: AlertStore, number: int = 1) -> None:
    assert await alerts.acknowledge(number, ADA["who"], ADA["why"], time.time())


def pills(html: str) -> list[str]:
    return re.findall(r'<span class="state (maintenance|silenced|acknowledged)">', html)


async def overview(visitor: Visitor, query: str = "") -> tuple[str, dict[str, list[str]]]:
    """Read the line about all monitors, and what is ordered about each, in the order of the page."""
    page = (await visitor.get(f"/{query}")).text
    rows = re.findall(r'<tr data-name="(\w+)">(.*?)</tr>', page, re.DOTALL)
    return re.findall("<h1>(.*?)</h1>", page)[0], {name: pills(row) for name, row in rows}


async def press(visitor: Visitor, path: str, button: str) -> tuple[str, str]:
    """Send the first form of a page that has this button; return where it was sent, and where that leads."""
    page = (await visitor.get(path)).text
    forms = re.findall(r'<form class="act" method="post" action="([^"]+)">(.*?)</form>', page, re.DOTALL)
    action, fields = next(each for each in forms if f"<button>{button}</button>" in each[1])
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="(\w+)">', fields))
    answer = await visitor.send(action, **hidden)
    assert answer.status == 303
    return action, answer.headers["Location"]


async def test_what_is_handled_comes_below_trouble_and_is_not_in_the_line_about_all(
    alerts: AlertStore,
) -> None:
    async with site_of(world(), alerts) as visitor:
        before = await overview(visitor)
        await maintain(alerts, "blog")
        await silence(alerts, "wiki")
    async with site_of(world(), alerts) as visitor:
        after = await overview(visitor)

    assert before == ("2 of 3 monitors are down: blog, shop", {"blog": [], "shop": [], "wiki": []})
    assert after[0] == "1 of 3 monitors is down: shop"
    assert list(after[1].items()) == [("shop", []), ("blog", ["maintenance"]), ("wiki", ["silenced"])]


async def test_the_line_about_all_says_what_is_handled(alerts: AlertStore) -> None:
    await maintain(alerts, "blog")
    await acknowledge(alerts)

    async with site_of(world(), alerts) as visitor:
        line, _ = await overview(visitor)

    assert line == "1 of 3 monitors is up, 1 is in maintenance, 1 is acknowledged"


@pytest.mark.parametrize(
    ("order", "button", "ends"),
    [
        (maintain, "End now", "/monitors/shop/maintenance/1/end"),
        (silence, "End the silence", "/monitors/shop/silence/end"),
        (acknowledge, "Take it back", "/incidents/1/acknowledge/end"),
    ],
)
@pytest.mark.parametrize(
    ("path", "back"),
    [("/", "/"), ("/incidents", "/incidents"), ("/monitors/shop", "/monitors/shop")],
)
async def test_an_order_is_shown_and_ended_wherever_the_monitor_is(
    alerts: AlertStore,
    order: Callable[[AlertStore], Awaitable[object]],
    button: str,
    ends: str,
    path: str,
    back: str,
) -> None:
    await order(alerts)

    async with site_of(world(), alerts) as visitor:
        before = (await visitor.get(path)).text
        action, onward = await press(visitor, path, button)
        after = (await visitor.get(path)).text

    assert pills(before)
    assert "Ada: a new &lt;disk&gt;" in before
    assert action == ends
    assert onward == ("/incidents/1" if (path, order) == ("/monitors/shop", acknowledge) else back)
    assert pills(after) == []


@pytest.mark.parametrize(("order", "button"), [(silence, "End the silence"), (acknowledge, "Take it back")])
async def test_an_order_is_ended_on_the_page_of_its_incident(
    alerts: AlertStore, order: Callable[[AlertStore], Awaitable[object]], button: str
) -> None:
    await order(alerts)

    async with site_of(world(), alerts) as visitor:
        await press(visitor, "/incidents/1", button)
        page = (await visitor.get("/incidents/1")).text

    assert f"<button>{button}</button>" not in page


async def test_an_acknowledgement_that_is_taken_back_is_logged_once(
    alerts: AlertStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "monitor.web.acts")
    await acknowledge(alerts)

    async with site_of(world(), alerts) as visitor:
        for _ in range(2):
            await visitor.send("/incidents/1/acknowledge/end")

    assert [each for each in caplog.messages if "acknowledged" in each] == [
        "incident 1 no longer acknowledged by Ada"
    ]


async def test_an_incident_says_that_its_monitor_is_in_maintenance(alerts: AlertStore) -> None:
    await maintain(alerts, None)

    async with site_of(world(), alerts) as visitor:
        page = (await visitor.get("/incidents/1")).text

    assert "shop is in maintenance until" in page
    assert pills(page) == ["maintenance"]


async def test_a_silence_of_a_monitor_that_was_removed_ends_on_the_page_of_its_incident(
    alerts: AlertStore,
) -> None:
    await silence(alerts)

    async with site_of(configured("blog"), alerts) as visitor:
        listed = (await visitor.get("/incidents")).text
        await press(visitor, "/incidents/1", "End the silence")

    assert pills(listed) == []
    assert await alerts.silences(time.time()) == []


async def test_an_acknowledgement_stays_on_the_page_of_an_incident_that_is_over(
    alerts: AlertStore,
) -> None:
    await acknowledge(alerts)
    await save(alerts.database, [result("shop", ago_s) for ago_s in (40, 20)])

    async with site_of(world(), alerts) as visitor:
        page = (await visitor.get("/incidents/1")).text
        await visitor.send("/incidents/1/acknowledge/end")

    assert "Acknowledged by" in page
    assert "Take it back" not in page
    assert await alerts.acknowledgement(1) is not None


async def test_monitors_are_found_by_what_is_ordered_about_them(alerts: AlertStore) -> None:
    await silence(alerts, "wiki")

    async with site_of(world(), alerts) as visitor:
        assert list((await overview(visitor, "?state=silenced"))[1]) == ["wiki"]
        assert list((await overview(visitor, "?state=maintenance"))[1]) == []


@pytest.mark.parametrize(
    ("acknowledged", "began_before", "shown"),
    [
        ({"flapping"}, False, ["acknowledged"]),
        ({"down"}, False, []),
        ({"flapping"}, True, []),
        ({"down"}, True, []),
        ({"down", "flapping"}, True, ["acknowledged"]),
    ],
)
async def test_a_monitor_is_acknowledged_when_all_that_is_listed_of_it_is(
    alerts: AlertStore, acknowledged: set[str], began_before: bool, shown: list[str]
) -> None:
    await save(alerts.database, flapping("news"))
    failed = [each for ago_s in (45, 30, 15) for each in outage("news", ago_s=ago_s, checks=1)[1:]]
    await save(alerts.database, failed)
    if began_before:
        await alerts.database.fetch(
            "UPDATE health_incidents SET started_at = started_at - 86400"
            " WHERE monitor = 'news' AND kind = 'down' AND ended_at IS NULL"
        )
    every = await alerts.database.fetch(
        "SELECT kind, id FROM health_incidents WHERE monitor = 'news' AND ended_at IS NULL"
    )
    numbers = dict(map(tuple, every))
    for kind in acknowledged:
        await acknowledge(alerts, numbers[kind])

    async with site_of(configured("news"), alerts) as visitor:
        its = (await overview(visitor))[1]["news"]
        listed = pills((await visitor.get("/incidents?monitor=news")).text)

    assert set(numbers) == {"down", "flapping"}
    assert its == shown
    assert len(listed) == len(acknowledged if began_before else acknowledged - {"down"})


async def test_the_api_shows_what_is_ordered_and_ends_it(alerts: AlertStore) -> None:
    await maintain(alerts)
    await silence(alerts)
    await acknowledge(alerts)

    async with site_of(world(), alerts) as visitor:
        listed = json.loads((await visitor.get("/api/v1/monitors")).text)["monitors"]
        incidents = json.loads((await visitor.get("/api/v1/incidents")).text)["incidents"]
        incident = json.loads((await visitor.get("/api/v1/incidents/1")).text)
        (shop,) = (each for each in listed if each["name"] == "shop")
        one = json.loads((await visitor.get("/api/v1/monitors/shop")).text)
        ended = await visitor.post("/api/v1/incidents/1/acknowledge/end")
        again = await visitor.post("/api/v1/incidents/1/acknowledge/end")
        after = json.loads((await visitor.get("/api/v1/monitors/shop")).text)

    assert shop["maintenance_until_at"] == pytest.approx(time.time() + HOUR_S, abs=30)
    assert (shop["silence"]["monitor"], shop["silence"]["who"]) == ("shop", "Ada")
    assert (shop["acknowledged"]["incident"], shop["acknowledged"]["why"]) == (1, "a new <disk>")
    assert {**shop, "domain": None, "settings": one["settings"]} == one
    at = shop["acknowledged"]["at"]
    assert {each["id"]: each["acknowledged_at"] for each in incidents} == {1: at, 2: None}
    assert incident["acknowledged_at"] == at
    assert json.loads(ended.text) == shop["acknowledged"]
    assert again.status == 404
    assert after["acknowledged"] is None


async def test_an_acknowledgement_and_a_silence_through_the_api_show_at_once(alerts: AlertStore) -> None:
    async with site_of(world(), alerts) as visitor:
        before = (await overview(visitor))[1]["shop"]
        url = f"{visitor.url}/api/v1"
        for path, body in (
            ("incidents/1/acknowledge", ADA),
            ("monitors/shop/silence", {**ADA, "until": time.time() + HOUR_S}),
        ):
            async with visitor._client.post(f"{url}/{path}", json=body) as answer:
                assert answer.status == 200
        after = (await overview(visitor))[1]["shop"]

    assert (before, after) == ([], ["silenced", "acknowledged"])


async def test_everybody_sees_maintenance_now_and_to_come_and_that_an_outage_is_known(
    alerts: AlertStore,
) -> None:
    start = (datetime.now(UTC) + timedelta(days=2)).replace(second=0, microsecond=0)
    soon = [{"starts_at": start.isoformat(), "ends_at": (start + timedelta(hours=2)).isoformat()}]
    blog, wiki = ({"name": name, "maintenance": soon} for name in ("blog", "wiki"))
    await maintain(alerts, "shop")
    await silence(alerts, "blog")
    await acknowledge(alerts, 2)

    async with site_of(configured("shop", blog, wiki), alerts) as visitor:
        page = (await visitor.get("/status")).text

    (shop,) = re.findall(r'scope="row">shop<.*?</tr>', page)
    (its,) = re.findall(r'scope="row">blog<.*?</tr>', page)
    assert "1 of 3 services is down: blog" in page
    assert pills(shop) == ["maintenance"]
    assert "We know about it." not in shop
    assert "We know about it." in its
    assert pills(its) == []
    planned = page.split("Planned maintenance")[1].split("</section>")[0]
    assert days(planned) == [(f"{start:%a} {start.day} {start:%B %Y}", 1)]
    end = start + timedelta(hours=2)
    assert [each.text for each in entries(planned)] == [
        f"{start:%H:%M} Maintenance until {end.day} {end:%b, %H:%M} blog, wiki"
    ]
    assert "Ada" not in page
    assert "disk" not in page


async def test_of_a_window_that_recurs_the_next_time_is_shown_and_what_people_made(
    alerts: AlertStore,
) -> None:
    daily = {"cron": "0 3 * * *", "duration_s": 3_600, "time_zone": "UTC"}
    much_later = {"starts_at": "2999-01-01T00:00:00Z", "ends_at": "2999-01-02T00:00:00Z"}
    await maintain(alerts, "shop", ahead_s=3 * 86_400)
    await maintain(alerts, "shop", ahead_s=8 * 86_400)

    async with site_of(configured({"name": "shop", "maintenance": [daily, much_later]}), alerts) as visitor:
        page = (await visitor.get("/status")).text

    first, second = (each.text for each in entries(page.split("Planned maintenance")[1].split("<h2>")[0]))
    assert re.fullmatch(r"03:00 Maintenance until \d+ \w+, 04:00 shop", first)
    assert second.endswith(" shop")


async def test_maintenance_of_many_services_is_one_line_without_all_their_names(alerts: AlertStore) -> None:
    names = [f"m{number:02}" for number in range(12)]
    await maintain(alerts, None, ahead_s=HOUR_S)

    async with site_of(configured(*names), alerts) as visitor:
        page = (await visitor.get("/status")).text

    assert len(entries(page.split("Planned maintenance")[1])) == 1
    assert f"{', '.join(names[:10])} and 2 more" in page


async def test_prometheus_sees_maintenance_and_silences(alerts: AlertStore) -> None:
    await maintain(alerts, "shop")
    await silence(alerts, "blog")

    async with site_of(world(), alerts) as visitor:
        page = (await visitor.get("/metrics")).text

    found = re.findall(r'website_health_(in_maintenance|silenced)\{monitor="(\w+)".* (\d)', page)
    assert sorted(found) == [
        ("in_maintenance", "blog", "0"),
        ("in_maintenance", "shop", "1"),
        ("in_maintenance", "wiki", "0"),
        ("silenced", "blog", "1"),
        ("silenced", "shop", "0"),
        ("silenced", "wiki", "0"),
    ]


async def test_what_was_read_last_stays_while_the_database_is_unavailable_until_it_ends(
    alerts: AlertStore,
) -> None:
    now = time.time()
    await silence(alerts)
    await maintain(alerts)
    orders = StandingOrders()
    orders.follow({monitor.name: monitor for monitor in world().monitors})
    await orders.read(PageReader(alerts.database), alerts, time.time())
    away = Database("postgresql://127.0.0.1:9/x")

    with pytest.raises(StoreUnavailableError):
        await orders.read(PageReader(away), AlertStore(away), now)

    assert orders.of("shop", time.time()).names == ("maintenance", "silenced")
    assert orders.of("shop", now + 2 * HOUR_S).names == ()
    assert orders.of("gone", now) == NO_ORDERS


async def test_without_a_database_metrics_go_on() -> None:
    away = AlertStore(Database("postgresql://127.0.0.1:9/x"))

    async with site_of(world(), away) as visitor:
        page = await visitor.get("/metrics")

    assert (page.status, 'website_health_silenced{monitor="shop"' in page.text) == (200, True)
