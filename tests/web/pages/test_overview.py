"""The first page."""

import json
import re
import time
from datetime import UTC, datetime, timedelta

import pytest
from markupsafe import escape

from monitor.incidents.store import locked
from monitor.storage.results import ResultStore
from monitor.uptime.store import sum_up_days
from monitor.web.pages.content.states import PAGE_ROWS
from tests.clock import Clock
from tests.web.visitor import Visitor, configured, domains_of, flapping, outage, result, site_of

DAY_S = 86_400


async def row(visitor: Visitor, name: str, query: str = "") -> str:
    """Read the monitor's row of the table."""
    page = await visitor.get(f"/{query}")
    assert page.status == 200
    found = re.search(rf'<tr data-name="{name}">.*?</tr>', page.text, re.DOTALL)
    assert found
    return found[0]


async def test_each_monitor_has_its_state_and_the_worst_comes_first(store: ResultStore) -> None:
    await store.save(
        [
            *outage("gone"),
            *outage("half", location="here"),
            *(result("half", ago_s, location="there") for ago_s in (240, 180, 120, 60)),
            *(result("slow", ago_s, degraded=True) for ago_s in (180, 120, 60)),
            result("fine"),
        ]
    )
    half = {"name": "half", "quorum": 2}
    config = configured("fine", "slow", half, "gone", "new", {"name": "resting", "paused": True})

    async with site_of(config, store) as visitor:
        page = await visitor.get("/")

    states = re.findall(r'<td><span class="state (\w+)">', page.text)
    assert sorted(states) == sorted(["down", "down", "degraded", "unknown", "up", "paused"])
    assert states == sorted(states, key=["down", "partial", "degraded", "unknown", "up", "paused"].index)
    assert "2 of 5 monitors are down: gone, half" in page.text
    assert "status 503" in page.text
    assert "no result yet" in page.text


async def test_a_monitor_that_is_up_and_flapping_says_so(store: ResultStore) -> None:
    await store.save(flapping())

    async with site_of(configured("shop"), store) as visitor:
        html = await row(visitor, "shop")
        state = json.loads((await visitor.get("/api/v1/monitors/shop")).text)

    why = "went up or down more than 6 times within an hour"
    assert f'<span class="state up">up</span><small>{why}</small>' in html
    assert (state["status"], state["since_at"], state["reason"], state["detail"]) == ("up", None, None, why)


async def test_a_monitor_that_is_flapping_and_down_says_why_it_is_down(store: ResultStore) -> None:
    await store.save(flapping())
    await store.save([each for ago_s in (45, 30, 15) for each in outage(ago_s=ago_s, checks=1)[1:]])

    async with site_of(configured("shop"), store) as visitor:
        html = await row(visitor, "shop")

    assert '<span class="state down">down</span><small>status 503</small>' in html


async def test_without_data_that_is_said_and_not_the_outage_before(store: ResultStore) -> None:
    await store.save(outage())
    async with store.database.transaction() as connection:
        await connection.execute("UPDATE health_states SET status = 'unknown'")
        await connection.execute(
            "INSERT INTO health_incidents (monitor, kind, started_at, noticed_at, detail)"
            " VALUES ('shop', 'no_data', $1, $1, 'no result for 3 intervals')",
            time.time() - 60,
        )

    async with site_of(configured("shop"), store) as visitor:
        html, page = await row(visitor, "shop"), await visitor.get("/monitors/shop")

    assert '<span class="state unknown">unknown</span><small>no result for 3 intervals</small>' in html
    assert re.search(r"<h2>Unknown .*\n<p>no result for 3 intervals</p>", page.text)


async def test_when_all_is_paused_the_page_says_what_to_do(store: ResultStore) -> None:
    async with site_of(configured({"name": "shop", "paused": True}), store) as visitor:
        page = (await visitor.get("/")).text

    assert "<h1>Nothing is monitored</h1>" in page
    assert "remove <code>paused</code> from one in the configuration" in page


async def test_all_is_well_in_one_line(store: ResultStore) -> None:
    await store.save([result("shop")])

    async with site_of(configured("shop"), store) as visitor:
        page = (await visitor.get("/")).text

    assert "<h1>The monitor is up</h1>" in page
    assert "<code>paused</code>" not in page


async def test_what_is_known_of_a_monitor_is_in_its_row(store: ResultStore) -> None:
    soon = time.time() + 20.5 * DAY_S
    await store.save([result("shop", 120), result("shop", response_time=0.5, certificate_expires_at=soon)])
    url = "https://me:hidden-1@shop.example/?token=hidden-2"

    async with site_of(configured({"name": "shop", "url": url}), store) as visitor:
        html = await row(visitor, "shop")

    assert "500 ms" in html
    assert '<span class="soon">20 d</span>' in html
    assert html.count("100 %") >= 4
    assert "https://shop.example/?token=***" in html
    assert "hidden" not in html


@pytest.mark.parametrize(
    ("days", "shown"),
    [
        (29, '<small class="soon">domain 29 d</small>'),
        (30, '<small class="">domain 30 d</small>'),
        (None, None),
    ],
)
async def test_the_days_of_a_domain_are_below_those_of_the_certificate(
    store: ResultStore, days: float | None, shown: str | None
) -> None:
    config = configured({"name": "shop", "url": "https://www.shop.example/", "min_domain_days": 1})

    async with site_of(config, store, domains=domains_of(config, days)) as visitor:
        html = await row(visitor, "shop")

    assert (shown or "-</td>") in html
    assert ("domain" in html) is (shown is not None)


async def test_bars_show_hours_until_there_are_days(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", Clock(time.time()))  # at midnight, yesterday becomes a day more
    await store.save([result("old", 5 * DAY_S), result("old"), result("new", DAY_S), result("new")])
    await sum_up_days(store.database, locked)

    async with site_of(configured("new", "old"), store) as visitor:
        assert await bars(visitor, "new", "?q=new") == ("24 hours", 24)
        assert await bars(visitor, "new", "?q=new&bars=90d") == ("90 days", 90)
        assert await bars(visitor, "new") == ("90 days", 90)
        assert await bars(visitor, "old", "?q=old") == ("90 days", 90)
        assert await bars(visitor, "old", "?q=old&bars=24h") == ("24 hours", 24)


async def test_each_state_that_there_is_can_be_chosen(store: ResultStore) -> None:
    await store.save([*outage("gone"), result("fine"), *outage("moving")])
    until = time.time() + 3_600
    windows = [{"starts_at": "2026-01-01T00:00Z", "ends_at": datetime.fromtimestamp(until, UTC).isoformat()}]

    async with site_of(
        configured("fine", "gone", {"name": "moving", "maintenance": windows}), store
    ) as visitor:
        page = (await visitor.get("/?bars=24h")).text

    assert re.findall(r'<a href="(/\?[^"]*)"[^>]*>([\w ]+) <span>(\d+)</span>', page) == [
        ("/?bars=24h", "All", "3"),
        ("/?state=down&amp;bars=24h", "Down", "2"),
        ("/?state=up&amp;bars=24h", "Up", "1"),
        ("/?state=maintenance&amp;bars=24h", "In maintenance", "1"),
    ]


async def test_the_bars_have_dates_and_a_short_uptime_says_of_how_much_it_is(store: ResultStore) -> None:
    await store.save([result("shop", ago_s) for ago_s in range(7_500, 0, -60)])

    async with site_of(configured("shop"), store) as visitor:
        hours, days = [(await visitor.get(f"/?bars={bars}")).text for bars in ("24h", "90d")]

    first = datetime.now(UTC) - timedelta(days=89)
    assert '<span class="ends"><span>24 h ago</span><span>now</span></span>' in hours
    assert f'<span class="ends"><span>{first:%d %b}</span><span>today</span></span>' in days
    assert hours.count("100 %<small>of 2 h</small>") == 4


async def bars(visitor: Visitor, name: str, query: str = "") -> tuple[str, int]:
    """Return what the bars are said to be of, and how many there are."""
    html = await row(visitor, name, query)
    chart = html[html.index('class="bars"') :].partition("</svg>")[0]
    return chart.partition("of the last ")[2].partition('"')[0], chart.count("<path ")


async def test_one_monitor_is_no_plural(store: ResultStore) -> None:
    await store.save(outage())

    async with site_of(configured("shop"), store) as visitor:
        page = await visitor.get("/")

    assert "<h1>shop is down</h1>" in page.text
    assert 'aria-current="true">All <span>1</span>' in page.text


async def test_a_filter_finds_monitors_and_stays_filled_in(store: ResultStore) -> None:
    labelled = {"name": "shop", "labels": {"team": "web"}, "group": "sales"}

    async with site_of(configured(labelled, "blog"), store) as visitor:
        page = await visitor.get("/?q=SHO&state=unknown&label=team%3Dweb")
        nothing = await visitor.get("/?q=nowhere")

    assert 'href="/?q=SHO&amp;label=team%3Dweb">All <span>1</span>' in page.text
    assert '<input type="hidden" name="state" value="unknown">' in page.text
    assert 'state=unknown&amp;label=team%3Dweb" aria-current="true">Unknown <span>1</span>' in page.text
    assert "<h2>sales</h2>" in page.text
    assert 'value="SHO"' in page.text
    assert page.text.count(" selected>") == 1
    assert 'No monitor matches. <a href="/">Show all</a>' in nothing.text


async def test_many_monitors_are_shown_on_pages_that_keep_the_filter(store: ResultStore) -> None:
    config = configured(*(f"m{number:03}" for number in range(PAGE_ROWS + 1)))

    async with site_of(config, store) as visitor:
        first, second = await visitor.get("/?q=m"), await visitor.get("/?q=m&page=2")

    assert first.text.count("data-name=") == PAGE_ROWS
    assert second.text.count("data-name=") == 1
    assert 'href="/?q=m&amp;page=2"' in first.text


async def test_hundreds_of_monitors_with_a_long_past_are_no_large_page(store: ResultStore) -> None:
    names = [f"m{number}" for number in range(300)]
    await store.save([result(name, ago_s) for name in names for ago_s in (60, DAY_S)])

    async with site_of(configured(*names), store) as visitor:
        page = await visitor.get("/?bars=90d")
        status = await visitor.get("/status?page=999999999")

    assert len(page.text) < 500_000
    assert len(status.text) < 500_000


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "\"onmouseover='alert(1)", "{{ 7 * 7 }}"])
async def test_no_name_can_run(store: ResultStore, name: str) -> None:
    hostile = {"name": name, "group": name, "labels": {"a": name}}
    await store.save([result(name, up=False, reason="status", detail=name)])

    async with site_of(
        configured(hostile, status_page={"title": name, "announcement": name}), store
    ) as visitor:
        pages = [await visitor.get(path) for path in ("/", "/incidents", "/status", "/status/rss")]

    for page in pages:
        assert page.status == 200
        assert "<script>alert" not in page.text
        assert str(escape(name)) in page.text or page is pages[-1]


async def test_the_monitors_are_saved_as_a_table_with_the_same_filter(store: ResultStore) -> None:
    await store.save([*outage("gone"), result("fine")])
    config = configured({"name": "gone", "labels": {"team": "a&b"}}, "fine")

    async with site_of(config, store) as visitor:
        for query, names in (
            ("", ["fine", "gone"]),
            ("?state=down", ["gone"]),
            ("?q=fine", ["fine"]),
            ("?label=team%3Da%26b", ["gone"]),
        ):
            page = (await visitor.get(f"/{query}")).text
            (path,) = re.findall(r'href="([^"]+)">Save as CSV', page)
            saved = await visitor.get(path.replace("&amp;", "&"))
            assert [line.split(",")[0] for line in saved.text.splitlines()[1:]] == names
        assert "Save as CSV" not in (await visitor.get("/?q=none")).text
