"""The page for everybody, its feed and its badges."""

from typing import Any
from xml.etree import ElementTree as ET

import pytest

from monitor.config.model import Config
from monitor.storage.results import ResultStore
from tests.web.pages.timelines import entries
from tests.web.visitor import TOKEN, configured, outage, result, site_of

SHOP = {
    "name": "shop",
    "url": "https://me:hidden@secret.example/hidden",
    "group": "sales",
    "labels": {"team": "hidden"},
    "interval_s": 17,
    "headers": {"X-Hidden": "hidden"},
}


def world(**status_page: Any) -> Config:
    inside = {"name": "inside", "group": "staff"}
    return configured(SHOP, "blog", inside, status_page=status_page, web_token=TOKEN)


async def test_everybody_sees_how_things_are_and_nothing_more(store: ResultStore) -> None:
    await store.save([*outage("shop", detail="hidden reason", reason="status"), result("blog")])

    async with site_of(world(title="My things", announcement="Moving <soon>."), store) as visitor:
        page, feed = await visitor.get("/status"), await visitor.get("/status/rss")

    for each in (page, feed):
        assert each.status == 200
        assert "hidden" not in each.text
        assert "secret.example" not in each.text
        assert "503" not in each.text
        assert "X-Hidden" not in each.text
    assert "<title>My things</title>" in page.text
    assert "Moving &lt;soon&gt;." in page.text
    assert "1 of 3 services is down: shop" in page.text
    assert "shop is down" in page.text
    assert page.text.index("<h2>sales</h2>") < page.text.index("<h2>Services</h2>")
    assert "/monitors/" not in page.text


@pytest.mark.parametrize(
    ("chosen", "shown"),
    [
        ({}, {"shop", "blog", "inside"}),
        ({"groups": ("sales",)}, {"shop"}),
        ({"monitors": ("blog",)}, {"blog"}),
        ({"groups": ("sales",), "monitors": ("blog",)}, {"shop", "blog"}),
    ],
)
async def test_only_the_monitors_that_are_chosen_are_shown(
    store: ResultStore, chosen: dict[str, Any], shown: set[str]
) -> None:
    await store.save([each for name in ("shop", "blog", "inside") for each in outage(name)])

    async with site_of(world(**chosen), store) as visitor:
        page, feed = await visitor.get("/status"), await visitor.get("/status/rss")
        badges = {
            name: await visitor.get(f"/badges/{name}/status.svg") for name in ("shop", "blog", "inside")
        }

    for name, badge in badges.items():
        assert (f'scope="row">{name}<' in page.text) == (name in shown)
        assert (f"{name} is down" in feed.text) == (name in shown)
        assert badge.status == (200 if name in shown else 404)


async def test_a_badge_shows_maintenance_as_the_status_page_does(store: ResultStore) -> None:
    window = {"starts_at": "2026-01-01T00:00Z", "ends_at": "2126-01-01T00:00Z"}
    await store.save([*outage("shop"), *outage("blog")])

    async with site_of(configured({"name": "shop", "maintenance": [window]}, "blog"), store) as visitor:
        badges = [(await visitor.get(f"/badges/{name}/status.svg")).text for name in ("shop", "blog")]
        page = await visitor.get("/status")

    assert ["status: in maintenance" in badge for badge in badges] == [True, False]
    assert page.text.count("in maintenance") == 1


async def test_the_feed_has_what_began_what_ended_and_what_is_partial(store: ResultStore) -> None:
    past = [*outage("blog", 3_600), result("blog", 3_360), result("blog", 3_300)]
    half = [result("shop", ago_s, location="there") for ago_s in (360, 300, 240, 180, 120)]
    await store.save([*past, *outage("shop"), *half])
    async with store.database.transaction() as connection:
        await connection.execute("UPDATE health_incidents SET kind = 'partial' WHERE monitor = 'shop'")

    async with site_of(world(title="<Mine> & yours"), store) as visitor:
        feed = await visitor.get("/status/rss")
        page = await visitor.get("/status")

    channel = ET.fromstring(feed.text).find("channel")  # noqa: S314 - made by us
    assert channel is not None
    assert channel.findtext("title") == "<Mine> & yours"
    titles = [each.findtext("title") for each in channel.iter("item")]
    assert titles == ["shop is down from some locations", "blog was down for 4 min"]
    assert len({each.findtext("guid") for each in channel.iter("item")}) == 2
    assert feed.headers["Content-Type"] == "application/rss+xml; charset=utf-8"
    assert [each.text.split(" ", 1)[1] for each in entries(page.text)][1:] == ["blog was down for 4 min"]


async def test_many_services_are_shown_on_pages(store: ResultStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.web.pages.status.PAGE_ROWS", 2)

    async with site_of(world(), store) as visitor:
        first, last = await visitor.get("/status"), await visitor.get("/status?page=99")

    assert first.text.count('scope="row"') == 2
    assert last.text.count('scope="row"') == 1
    assert 'href="/status?page=2"' in first.text


async def test_with_no_services_the_page_is_there(store: ResultStore) -> None:
    async with site_of(world(groups=("none",)), store) as visitor:
        page = await visitor.get("/status")

    assert "Nothing is monitored" in page.text
    assert "No incidents in 90 days." in page.text


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("status", "status: up"),
        ("uptime", "uptime 30 d: 100 %"),
        ("response-time", "response time: 2"),
    ],
)
async def test_badges_are_pictures_of_the_newest_results(store: ResultStore, kind: str, text: str) -> None:
    name = "a/b status.svg"
    await store.save([result(name, 60 * number) for number in range(1, 5)])

    async with site_of(configured(name), store) as visitor:
        badge = await visitor.get(f"/badges/a%2Fb%20status.svg/{kind}.svg", Sec_Fetch_Site="cross-site")

    assert (badge.status, badge.headers["Content-Type"]) == (200, "image/svg+xml; charset=utf-8")
    assert badge.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert text in badge.text


async def test_badges_of_what_is_not_known_have_a_dash(store: ResultStore) -> None:
    async with site_of(configured("shop"), store) as visitor:
        assert "response time: -" in (await visitor.get("/badges/shop/response-time.svg")).text
        assert "uptime 30 d: -" in (await visitor.get("/badges/shop/uptime.svg")).text
        assert (await visitor.get("/badges/shop/other.svg")).status == 404
