"""The feed of incidents, held against the rules of RSS 2.0 and of those who check feeds."""

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from yarl import URL

from monitor.alerts.store import AlertStore
from monitor.storage.results import ResultStore
from tests.web.visitor import configured, flapping, outage, result, site_of

ATOM = "{http://www.w3.org/2005/Atom}link"
OF_CHANNEL = {"title", "link", "description", "item", "lastBuildDate", "language", "ttl", ATOM}
OF_ITEM = {"title", "link", "description", "guid", "pubDate"}
RFC_822 = re.compile(
    r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} (GMT|[+-]\d{4})"
)
HOSTILE = "<b>&amp;]]>'\""


def mistakes(feed: str) -> Iterator[str]:
    """What a validator would complain about."""
    root = ET.fromstring(feed.encode())  # noqa: S314 - made by us
    (channel,) = root
    if (root.tag, root.get("version"), channel.tag) != ("rss", "2.0", "channel"):
        yield "no RSS 2.0"
    yield from wrong(channel, OF_CHANNEL, {"title", "link", "description"})
    if not is_absolute(channel.findtext("link")):
        yield "the link of the channel is relative"
    (own,) = channel.findall(ATOM)
    if (own.get("rel"), own.get("type")) != ("self", "application/rss+xml") or not is_absolute(
        own.get("href")
    ):
        yield "no address of its own"
    items = channel.findall("item")
    for item in items:
        yield from wrong(item, OF_ITEM, OF_ITEM)
        yield from wrong_facts(item)
    guids = [item.findtext("guid") for item in items]
    if len(set(guids)) < len(guids):
        yield "a guid twice"
    dates = [parsedate_to_datetime(item.findtext("pubDate", "")) for item in items]
    if dates != sorted(dates, reverse=True):
        yield "not the newest first"


def wrong(element: ET.Element, known: set[str], needed: set[str]) -> Iterator[str]:
    tags = [each.tag for each in element]
    yield from (f"unknown: {tag}" for tag in set(tags) - known)
    yield from (f"not once: {tag}" for tag in needed if tags.count(tag) != 1)
    yield from (f"empty: {tag}" for tag in needed if not (element.findtext(tag) or "").strip())


def wrong_facts(item: ET.Element) -> Iterator[str]:
    if not is_absolute(item.findtext("link")):
        yield "a relative link"
    guid = item.find("guid")
    if guid is None or guid.get("isPermaLink") != "false":
        yield "a guid that claims to be an address"
    written = item.findtext("pubDate", "")
    if not RFC_822.fullmatch(written):
        yield f"no date: {written}"
    elif f"{parsedate_to_datetime(written):%a}" != written[:3] or parsedate_to_datetime(
        written
    ) > datetime.now(UTC):
        yield f"an impossible date: {written}"
    if len(item.findtext("title", "")) > 101:
        yield "a title like a text"


def is_absolute(address: str | None) -> bool:
    url = URL(address or "")
    return url.absolute and url.scheme in ("http", "https") and bool(url.host)


@pytest.fixture
async def feed_of(alert_store: AlertStore) -> Any:
    async def read(*names: str, **settings: Any) -> str:
        async with site_of(configured(*names, **settings), alert_store) as visitor:
            answer = await visitor.get("/status/rss")
        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/rss+xml; charset=utf-8")
        assert answer.text.startswith('<?xml version="1.0" encoding="utf-8"?>')
        return answer.text

    return read


async def fill(store: ResultStore, alerts: AlertStore) -> None:
    ended = [*outage("blog", 3_600), result("blog", 3_360), result("blog", 3_300)]
    await store.save([*ended, *outage("shop"), *flapping("wiki"), *outage(HOSTILE)])
    now = time.time()
    rows = await store.database.fetch("SELECT id FROM health_incidents ORDER BY id")
    for number in (row["id"] for row in rows):
        await alerts.post_update(number, "Ada", f"{HOSTILE}\x1b{'x' * 900}", now - 10)
        await alerts.post_update(number, "Ada", "We look into it.", now - 200)


@pytest.mark.parametrize("page_url", [None, "https://status.example/base/"])
async def test_a_feed_of_all_kinds_is_valid(
    store: ResultStore, alert_store: AlertStore, feed_of: Any, page_url: str | None
) -> None:
    await fill(store, alert_store)

    feed = await feed_of("blog", "shop", "wiki", HOSTILE, alerts={"page_url": page_url})

    assert list(mistakes(feed)) == []
    assert feed.count("<item>") > 8
    if page_url:
        assert feed.count("https://status.example/base/status#incident-") == feed.count("<item>")


async def test_a_feed_of_nothing_is_valid(feed_of: Any) -> None:
    feed = await feed_of("shop", status_page={"title": HOSTILE})

    assert (list(mistakes(feed)), feed.count("<item>")) == ([], 0)


async def test_an_item_says_from_when_to_when(store: ResultStore, feed_of: Any) -> None:
    await store.save([*outage("blog", 3_600), result("blog", 3_360), result("blog", 3_300), *outage("shop")])

    items = ET.fromstring((await feed_of("blog", "shop")).encode()).iter("item")  # noqa: S314 - made by us

    texts = [item.findtext("description", "") for item in items]
    assert re.fullmatch(r"shop has been down since \d+ \w{3}, \d\d:\d\d UTC\.", texts[0])
    assert re.fullmatch(r"blog was down for 4 min, from \d+ \w{3}, \d\d:\d\d to .* UTC\.", texts[1])
