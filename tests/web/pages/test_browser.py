"""The pages as people see them, in a headless Chromium."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

import pytest

from monitor.alerts.store import AlertStore
from monitor.config.model import Config
from monitor.probe.evidence import TEXT_LENGTH
from monitor.result import Attempt, Certificate, DnsAnswer, Evidence, Hop, Phases
from monitor.storage.database import Database
from monitor.storage.results import ResultStore
from monitor.uptime.maintenance import MadeWindow
from monitor.web.pages.rendering import monitor_path
from tests.browsing import Window, chromium, window
from tests.postgres import save
from tests.web.visitor import configured, outage, result, site_of

pytestmark = pytest.mark.clients
HOSTILE = "</title></script><script>alert(1)</script><img src=x onerror=alert(2)>\"'{{7*7}}"
TOOK = Phases(0.01, 0.02, 0.03, 0.1, 0.01)


def world() -> Config:
    return configured(
        {"name": "fine", "group": "shop", "labels": {"team": "web"}},
        {"name": "gone", "group": "shop"},
        {"name": "slow", "degraded_after_s": 1},
        {"name": "resting", "paused": True},
        "new",
        {
            "name": HOSTILE,
            "url": "https://shop.example/?q=<script>alert(3)</script>",
            "labels": {"a": HOSTILE},
        },
        status_page={"title": "Our things", "announcement": HOSTILE},
        alerts={"channels": {HOSTILE: "json://127.0.0.1:9/", "w" * 200: "json://127.0.0.1:9/"}},
    )


class World(NamedTuple):
    """The site, a browser, and what is stored."""

    database: Database
    url: str
    browser: Any

    def window(self, **options: Any) -> AbstractAsyncContextManager[Window]:
        return window(self.browser, self.url, **options)


@pytest.fixture
async def here(alert_store: AlertStore) -> AsyncIterator[World]:
    store, now = alert_store, time.time()
    evidence = Evidence(
        {HOSTILE: HOSTILE, "Server": "x"},
        HOSTILE,
        dns=(DnsAnswer(HOSTILE, (HOSTILE,), 60, HOSTILE), DnsAnswer(HOSTILE, error=HOSTILE)),
        addresses=(Attempt(HOSTILE, HOSTILE),),
        hops=(Hop(HOSTILE, 302, HOSTILE), Hop("http://a.test/" + "a" * TEXT_LENGTH, None, None)),
        certificates=(Certificate("5f" * 32, HOSTILE, HOSTILE, 0.0, 1.0), Certificate("5f" * 32)),
    )
    past = [result("fine", 1_200 * number, phases=TOOK) for number in range(1, 60)]
    slow = [result("slow", 60 * number, degraded=True, response_time=2.5) for number in range(1, 4)]
    hostile = outage(HOSTILE, evidence=evidence, detail=HOSTILE, ip="192.0.2.1")
    await save(store.database, [*past, *slow, *outage("gone"), *hostile])
    for start in (now - 60, now + 3_600):
        await store.make_maintenance(MadeWindow(0, None, "shop", start, start + 600, now, HOSTILE, HOSTILE))
    async with chromium() as browser, site_of(world(), store) as visitor:
        yield World(store.database, visitor.url, browser)


BACKGROUND = "getComputedStyle(document.body).backgroundColor"
BACKGROUNDS: dict[Literal["light", "dark"], str] = {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 22, 28)"}


async def test_times_are_those_of_the_reader_and_utc_is_at_hand(here: World) -> None:
    async with here.window(timezone_id="Asia/Tokyo") as shown:
        await shown.open("/incidents/1")
        time = shown.page.locator("footer time")
        there, utc = await time.inner_text(), str(await time.get_attribute("title")).removesuffix(" UTC")
        footer = await shown.page.locator("footer").inner_text()

    assert datetime.fromisoformat(there) - datetime.fromisoformat(utc) == timedelta(hours=9)
    assert "Times are those of Asia/Tokyo" in footer


async def test_days_are_those_of_the_reader(store: ResultStore) -> None:
    noon = (datetime.now(UTC) - timedelta(days=2)).replace(hour=12, minute=0, second=0, microsecond=0)
    ago_s = time.time() - noon.timestamp()
    for name, hours in (("early", 2), ("late", 4)):
        first_s = ago_s - hours * 3_600
        await store.save([*outage(name, first_s), *(result(name, first_s - late_s) for late_s in (240, 300))])
    next_day = noon + timedelta(days=1)

    async with chromium() as browser, site_of(configured("early", "late"), store) as visitor:
        for zone, days, clocks in (
            ("UTC", [(noon, 2)], ["16:00", "14:00"]),
            ("Asia/Tokyo", [(next_day, 1), (noon, 1)], ["01:00", "23:00"]),
        ):
            async with window(browser, visitor.url, timezone_id=zone) as shown:
                for path in ("/incidents", "/status", "/monitors/early?range=7d"):
                    await shown.open(path)
                    found = await shown.page.locator(".day").evaluate_all(DAYS)
                    expected = [[f"{each:%a} {each.day} {each:%B %Y}", count] for each, count in days]
                    assert found == (expected if "monitors" not in path else [[expected[-1][0], 1]]), (
                        path,
                        zone,
                    )
                    assert await shown.page.locator(".entry > time").all_inner_texts() == (
                        clocks if "monitors" not in path else clocks[-1:]
                    )


DAYS = """(days) => days.map((day) => [
    day.firstElementChild.textContent.replace(",", ""), day.querySelectorAll(".entry").length,
])"""


async def test_what_goes_on_looks_other_than_what_is_over(here: World) -> None:
    await save(here.database, [result("gone", 20), result("gone", 10), *outage("slow", 250, checks=3)])
    async with here.window() as shown:
        for path in ("/incidents", "/status"):
            await shown.open(path)
            ongoing, over = await shown.page.evaluate(MARKS)
            assert ongoing["fill"] == ongoing["ring"] == over["ring"] != over["fill"]
            assert (ongoing["weight"], over["weight"]) == ("600", "400")


MARKS = """() => ["ongoing", "resolved"].map((which) => {
    const entry = document.querySelector(`.entry.down.${which}`);
    const { backgroundColor: fill, borderTopColor: ring } = getComputedStyle(entry, "::after");
    return { fill, ring, weight: getComputedStyle(entry.querySelector(".what")).fontWeight };
})"""


PATHS = (
    "/",
    "/monitors/fine?range=24h",
    monitor_path(HOSTILE) + "?range=3h",
    "/incidents",
    "/incidents/1",
    "/pipeline",
    "/status",
    "/nothing",
)


OPEN_ALL = """
for (const each of document.querySelectorAll("details")) each.open = true;
const pointed = new MouseEvent("pointermove", { bubbles: true, clientX: 300, clientY: 300 });
document.querySelector(".plot")?.dispatchEvent(pointed);
"""


async def test_everybody_can_read_every_page_on_any_screen(here: World) -> None:
    async with here.window() as shown:
        for path in PATHS:
            await shown.open(path)
            for scheme, background in BACKGROUNDS.items():
                await shown.page.emulate_media(color_scheme=scheme)
                assert await shown.page.evaluate(BACKGROUND) == background
                assert await shown.violations() == [], (path, scheme)
            await shown.page.evaluate(OPEN_ALL)
            assert await shown.violations() == [], f"{path}, with all open"
            for width in (1_280, 820, 375, 320):
                await shown.page.set_viewport_size({"width": width, "height": 800})
                assert await shown.too_wide() == [], (path, width)
        shown.troubles = [each for each in shown.troubles if "404" not in each]


async def test_the_overview_shows_each_state_and_numbers_apart(here: World) -> None:
    async with here.window() as shown:
        await shown.open("/")
        states = await shown.page.locator("td > .state").all_inner_texts()
        assert sorted(states) == ["degraded", "down", "down", "paused", "unknown", "up"]
        assert states[0] == "down"
        for width in (1_101, 1_280, 1_920):
            await shown.page.set_viewport_size({"width": width, "height": 800})
            assert await shown.page.evaluate(CROWDED) == []


CROWDED = """
[...document.querySelectorAll(".monitors .number, .monitors .pair")]
    .filter((cell) => cell.scrollWidth > cell.clientWidth).map((cell) => cell.textContent)
"""


async def test_a_site_that_goes_down_is_seen_without_a_reload(here: World) -> None:
    async with here.window() as shown:
        await shown.open("/?q=fine")
        await shown.live()
        await shown.page.locator("tr[data-name=fine] .state.up").wait_for()
        await shown.page.evaluate("window.isOld = true")
        failed = {"up": False, "reason": "status", "detail": "status 500", "response_status": 500}
        await save(here.database, [result("fine", ago_s, **failed) for ago_s in (2, 1, 0)])
        await shown.page.locator("tr[data-name=fine] .state.down").wait_for()
        assert await shown.page.locator("h1").inner_text() != "All 5 monitors are up"
        assert await shown.page.evaluate("window.isOld")


HIDE = """
Object.defineProperty(document, "visibilityState", { configurable: true, value: "hidden" });
document.dispatchEvent(new Event("visibilitychange"));
"""
SEE = "delete document.visibilityState; document.dispatchEvent(new Event('visibilitychange'));"
RENEW = SEE


async def test_more_pages_than_a_browser_has_connections_can_be_open(here: World) -> None:
    context = await here.browser.new_context()
    for _ in range(7):
        shown = Window(await context.new_page(), here.url)
        await shown.open("/")
        await shown.live()
        await shown.page.evaluate(HIDE)
        assert await shown.page.locator("#live").inner_text() == ""
    await context.close()


async def test_a_page_that_is_seen_again_is_renewed(here: World) -> None:
    async with here.window() as shown:
        for path, asked in (("/", "/events"), ("/status", "/status")):
            await shown.open(path)
            await shown.page.evaluate(HIDE)
            async with shown.page.expect_request(here.url + asked):
                await shown.page.evaluate(SEE)


async def test_a_page_whose_stream_of_news_was_refused_asks_for_it_again(here: World) -> None:
    async with here.window() as shown:
        await shown.page.route("**/events", lambda route: route.fulfill(status=503), times=1)
        await shown.page.clock.install()
        await shown.open("/")
        await shown.page.locator("#live", has_text="connection lost").wait_for()
        await shown.page.clock.run_for(30_000)
        await shown.live()
        shown.troubles = [each for each in shown.troubles if "503" not in each]


async def test_a_reader_who_types_is_not_disturbed(here: World) -> None:
    async with here.window() as shown:
        await shown.open("/")
        await shown.live()
        search = shown.page.get_by_label("Search")
        await search.fill("fi")
        await save(here.database, outage("new"))
        await asyncio.wait_for(_news(shown), 60)
        assert await search.input_value() == "fi"
        await search.press("Enter")
        await shown.page.wait_for_url("**/?q=fi**")
        assert await shown.page.locator("tbody tr").count() == 1
        await shown.page.get_by_text("More", exact=True).click()
        await shown.page.get_by_label("Label").select_option("team=web")
        await shown.page.evaluate("document.activeElement.blur()")
        await save(here.database, [result("new")])
        await asyncio.wait_for(_news(shown), 60)
        await shown.page.get_by_role("button", name="Show").click()
        await shown.page.wait_for_url("**/?q=fi&label=team**")
        await shown.page.get_by_label("Search").fill("nothing")
        await shown.page.get_by_label("Search").press("Enter")
        await shown.page.get_by_text("No monitor matches.").wait_for()


@pytest.mark.parametrize(
    ("hold", "let_go"),
    [
        ("document.querySelector('details').open = true", "document.querySelector('details').open = false"),
        ("getSelection().selectAllChildren(document.querySelector('h1'))", "getSelection().empty()"),
        (
            "document.querySelector('main form').classList.add('sent')",
            "document.querySelector('main form').classList.remove('sent')",
        ),
    ],
)
async def test_a_page_that_is_held_back_says_so_and_is_renewed_afterwards(
    here: World, hold: str, let_go: str
) -> None:
    async with here.window() as shown:
        await shown.open("/")
        await shown.live()
        await shown.page.evaluate(hold)
        await shown.page.evaluate("document.querySelector('h1').dataset.old = ''")
        await save(here.database, outage("new"))
        await shown.page.locator("#live", has_text="not renewed while you read or type").wait_for()
        assert await shown.page.locator("h1[data-old]").count() == 1
        await shown.page.evaluate(let_go)
        await shown.page.locator("h1", has_text="new").wait_for()
        await shown.live()


async def test_who_marks_something_while_a_page_is_on_its_way_gets_the_next_one(here: World) -> None:
    asked, held = asyncio.Event(), asyncio.Event()

    async def hold(route: Any) -> None:
        asked.set()
        await held.wait()
        await route.continue_()

    async with here.window() as shown:
        await shown.open("/")
        await shown.live()
        await shown.page.route(f"{here.url}/", hold, times=1)
        await shown.page.evaluate(RENEW)
        await asyncio.wait_for(asked.wait(), 60)
        await shown.page.evaluate("getSelection().selectAllChildren(document.querySelector('h1'))")
        await shown.page.evaluate("document.querySelector('h1').dataset.old = ''")
        held.set()
        await shown.page.locator("#live", has_text="not renewed").wait_for()
        assert await shown.page.locator("h1[data-old]").count() == 1
        await shown.page.evaluate("getSelection().empty()")
        await shown.page.locator("h1:not([data-old])").wait_for()


async def test_a_page_that_says_why_there_is_no_other_says_it_once(here: World) -> None:
    async with here.window() as shown:
        await shown.open("/nothing")
        await shown.live()
        async with shown.page.expect_response(f"{here.url}/nothing"):
            await shown.page.evaluate(RENEW)
        await shown.page.evaluate("fetch('/healthz')")  # what came before has been read
        await shown.live()
        shown.troubles = [each for each in shown.troubles if "404" not in each]


async def test_what_is_pressed_stays_until_it_is_let_go(here: World) -> None:
    async with here.window() as shown:
        await shown.open("/")
        await shown.live()
        await shown.page.get_by_role("link", name="slow").hover()
        await shown.page.mouse.down()
        await save(here.database, outage("new"))
        await shown.page.locator("#live", has_text="not renewed").wait_for()
        await shown.page.mouse.up()
        await shown.page.wait_for_url("**/monitors/slow")


async def test_a_page_that_cannot_be_renewed_says_why(here: World) -> None:
    async with here.window() as shown:
        await shown.open("/incidents")
        await shown.live()
        for spoil, said in (
            (_unavailable, "not renewed: PostgreSQL is unavailable"),
            (_bare, "not renewed: 502"),
            (_aborted, "connection lost"),
        ):
            await shown.page.route("**/incidents", spoil)
            await shown.page.evaluate(RENEW)
            await shown.page.locator("#live", has_text=said).wait_for()
            assert await shown.page.locator("h1").inner_text() == "Incidents"
        await shown.page.unroute_all()
        await shown.page.evaluate(RENEW)
        await shown.live()
        shown.troubles.clear()


async def _unavailable(route: Any) -> None:
    await route.fulfill(status=503, body="<h1>PostgreSQL is unavailable</h1>", content_type="text/html")


async def _bare(route: Any) -> None:
    await route.fulfill(status=502, body="")


async def _aborted(route: Any) -> None:
    await route.abort()


async def test_a_renewed_page_says_when_it_was_made_and_has_its_title(here: World) -> None:
    async with here.window(timezone_id="Asia/Tokyo") as shown:
        await shown.open("/incidents/1")
        await shown.live()
        await shown.page.evaluate(
            "document.title = document.querySelector('footer time').textContent = 'old'"
        )
        await shown.page.evaluate(RENEW)
        made = shown.page.locator("footer time", has_text=f"{datetime.now(ZoneInfo('Asia/Tokyo')):%Y}")
        await made.wait_for()
        assert await shown.page.title() == "Incident of gone - website health"


@pytest.mark.parametrize("file", ["script", "[rel=stylesheet]"])
async def test_a_page_of_an_older_version_is_loaded_anew(here: World, file: str) -> None:
    async with here.window() as shown:
        await shown.page.clock.install()
        await shown.open("/status")
        await shown.page.evaluate(f"window.old = document.querySelector('head {file}'); window.isOld = true")
        await shown.page.evaluate("old.setAttribute(old.src ? 'src' : 'href', '/static/page.css?v=old')")
        await shown.page.evaluate("document.querySelector('h1').dataset.old = ''")
        await shown.page.evaluate(RENEW)
        await shown.page.clock.run_for(300)
        await shown.page.locator("h1:not([data-old])").wait_for()
        assert await shown.page.evaluate("window.isOld")
        async with shown.page.expect_event("load"):
            await shown.page.clock.run_for(31_000)
        assert not await shown.page.evaluate("window.isOld")


@pytest.mark.parametrize(("path", "every_s"), [("/pipeline", 5), ("/status", 30)])
async def test_a_page_without_news_is_renewed_now_and_then(here: World, path: str, every_s: int) -> None:
    async with here.window() as shown:
        await shown.page.route("**/events", lambda route: route.fulfill(status=503))
        await shown.page.clock.install()
        await shown.open(path)
        await shown.page.evaluate("document.querySelector('h1').dataset.old = ''")
        await shown.page.clock.run_for(1_000 * every_s + 500)
        await shown.page.locator("h1:not([data-old])").wait_for()
        shown.troubles = [each for each in shown.troubles if "503" not in each]


async def test_an_older_page_does_not_come_after_a_newer_one(here: World) -> None:
    asked, held = asyncio.Event(), asyncio.Event()

    async def hold(route: Any) -> None:
        old = await route.fetch()
        asked.set()
        await held.wait()
        await route.fulfill(response=old)

    async with here.window() as shown:
        await shown.open("/")
        await shown.live()
        await shown.page.route(f"{here.url}/", hold, times=1)
        await shown.page.evaluate(RENEW)
        await asyncio.wait_for(asked.wait(), 60)
        await save(here.database, outage("new"))
        await shown.page.locator("h1", has_text="new").wait_for()
        await shown.page.evaluate(WATCH)
        held.set()
        await shown.page.evaluate(RENEW)
        await shown.page.locator("h1:not([data-old])").wait_for()
        assert await shown.page.evaluate("window.isOlder") is False


WATCH = """
document.querySelector("h1").dataset.old = "";
window.isOlder = false;
new MutationObserver(() => { window.isOlder ||= !document.querySelector("h1").textContent.includes("new"); })
    .observe(document.querySelector("main"), { childList: true });
"""


async def test_a_filter_that_is_set_does_not_stop_the_news(here: World) -> None:
    async with here.window() as shown:
        await shown.open("/?label=team%3Dweb")
        await shown.live()
        assert await shown.page.get_by_label("Label").is_visible()
        failed = {"up": False, "reason": "status", "detail": "status 500", "response_status": 500}
        await save(here.database, [result("fine", ago_s, **failed) for ago_s in (2, 1, 0)])
        await shown.page.locator("tr[data-name=fine] .state.down").wait_for()


async def _news(shown: Window) -> None:
    await shown.page.evaluate(
        "() => new Promise((done) => new EventSource('/events').addEventListener('hello', done))"
    )


async def test_a_chart_s_range_is_chosen_and_each_moment_shows_its_values(here: World) -> None:
    async with here.window() as shown:
        await shown.open("/monitors/fine?range=3h")
        await shown.page.get_by_role("link", name="24h").click()
        await shown.page.locator(".ranges [aria-current]", has_text="24h").wait_for()
        await shown.page.locator(".plot .moment").last.hover()
        await shown.page.locator("#tip", has_text="resolve 10 ms").wait_for()
        await shown.page.locator(".plot").first.locator(".moment").first.hover()
        await shown.page.locator("#tip", has_text="p50 2").wait_for()
        await shown.page.locator("h1").hover()
        await shown.page.locator("#tip").wait_for(state="hidden")


async def test_the_small_lines_show_their_values_too(here: World) -> None:
    async with here.window() as shown:
        await shown.open("/?q=fine")
        await shown.page.get_by_label("Search").focus()  # the page is not renewed meanwhile
        box = await shown.page.locator(".spark").bounding_box()
        assert box
        await shown.page.mouse.move(box["x"] + 0.99 * box["width"], box["y"] + 5)
        await shown.page.locator("#tip", has_text=":00").wait_for()
        (said,) = await shown.page.locator("#tip span").all_inner_texts()
        assert re.fullmatch(r"no good check|2\d\d ms", said)  # the hour may have just begun
        await shown.page.mouse.move(box["x"], box["y"] + 5)
        await shown.page.locator("#tip", has_text="no good check").wait_for()
        assert await shown.violations() == []


READ = "document.querySelector('.moment').classList.add('chosen')"  # such a page is not renewed meanwhile


@pytest.mark.parametrize("place", [".bars", ".plot >> nth=0"])
@pytest.mark.parametrize("touch", [False, True])
async def test_a_value_is_shown_at_the_cursor_or_above_the_finger(
    here: World, place: str, touch: bool
) -> None:
    async with here.window(width=375, has_touch=touch, timezone_id="Asia/Tokyo") as shown:
        await shown.open("/monitors/fine?range=24h")
        await shown.page.evaluate(READ)
        await shown.page.locator(".moments").last.focus()
        drawing = shown.page.locator(place)
        await drawing.evaluate("(each) => each.scrollIntoView({ block: 'center' })")
        box = await drawing.bounding_box()
        assert box
        x, y = box["x"] + 0.99 * box["width"], box["y"] + 5
        await (shown.page.touchscreen.tap(x, y) if touch else shown.page.mouse.move(x, y))
        tip = shown.page.locator("#tip")
        await tip.wait_for()
        at = await tip.bounding_box()
        assert at
        assert at["x"] + at["width"] <= 375
        below, above = at["y"] - y, y - at["y"] - at["height"]
        assert 0 <= max(below, above) <= 24
        when = (await tip.locator("strong").inner_text()).split()[-1]
        hours = [datetime.now(UTC) + timedelta(hours=9 - ago) for ago in (0, 1)]
        assert when in [f"{hour:%H}:00" for hour in hours]


async def test_the_axis_is_round_in_the_reader_s_zone_and_no_larger_than_the_text(here: World) -> None:
    async with here.window(timezone_id="Asia/Kolkata") as shown:
        await shown.open("/monitors/fine?range=24h")
        for width in (375, 1_280):
            await shown.page.set_viewport_size({"width": width, "height": 800})
            axis = shown.page.locator(".chart").first
            ticks = await axis.locator(".times text").all_text_contents()
            assert 1 < len(ticks) <= 5
            assert set(ticks) <= {"00:00", "06:00", "12:00", "18:00"}
            boxes = await shown.page.evaluate(BOXES, [".times text", ".scale span"])
            assert max(box["height"] for box in boxes) <= 24


# In one step: between two, the page may be renewed.
BOXES = "(all) => all.map((each) => document.querySelector(each).getBoundingClientRect().toJSON())"


async def test_a_chart_without_data_keeps_its_place(here: World) -> None:
    async with here.window(width=375) as shown:
        await shown.open("/monitors/new")
        plot, nothing = await shown.page.evaluate(BOXES, [".plot", ".nothing"])
        assert plot["width"] > 250
        assert plot["x"] < nothing["x"] < plot["x"] + plot["width"]
        assert plot["y"] < nothing["y"] < plot["y"] + plot["height"]


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata", "Pacific/Auckland"])
async def test_ticks_of_days_are_midnights_of_the_reader_s_zone(here: World, zone: str) -> None:
    async with here.window(timezone_id=zone) as shown:
        await shown.open("/monitors/fine?range=7d")
        times = shown.page.locator(".times").first
        since, until = [float(await times.get_attribute(f"data-{end}") or 0) for end in ("since", "until")]
        shares = [
            float((await each.get_attribute("x") or "").rstrip("%")) / 100
            for each in await times.locator("text").all()
        ]
        instants = [
            datetime.fromtimestamp(since + share * (until - since), ZoneInfo(zone)) for share in shares
        ]
        assert 1 < len(instants) <= 5
        assert {(each.hour, each.minute) for each in instants} == {(0, 0)}


async def test_a_check_answers_on_the_page_without_a_new_one(here: World) -> None:
    async with here.window() as shown:
        await shown.open("/monitors/fine")
        await shown.page.evaluate("window.isOld = true")
        await shown.page.get_by_role("button", name="Check now").click()
        await shown.page.locator(
            ".answer", has_text="Not checked: this process does not check it."
        ).wait_for()
        assert await shown.focused() == "Check now"
        assert await shown.page.evaluate("window.isOld")
        await shown.page.route("**/check*", lambda route: route.abort())
        await shown.page.get_by_role("button", name="Check now").click()
        await shown.page.locator(".answer", has_text="No answer").wait_for()
        shown.troubles = [each for each in shown.troubles if "ERR_FAILED" not in each]


async def test_a_check_is_made_from_a_page_whose_address_has_a_user(here: World) -> None:
    async with here.window() as shown:
        await shown.page.goto(f"{here.url}/monitors/fine".replace("://", "://me:secret@"))
        await shown.page.get_by_role("button", name="Check now").click()
        await shown.page.locator(".answer", has_text="Not checked").wait_for()
        shown.troubles = [each for each in shown.troubles if "me:secret@" not in each]


async def test_a_check_without_an_answer_stays_on_the_page_until_there_is_one(here: World) -> None:
    async with here.window() as shown:
        await shown.open("/monitors/fine")
        await shown.live()
        await shown.page.route("**/check*", lambda route: route.abort())
        await shown.page.get_by_role("button", name="Check now").click()
        await shown.page.locator(".answer", has_text="No answer").wait_for()
        for results in (outage("new"), [result("new", 20), result("new", 10)]):
            await shown.page.evaluate("document.querySelector('h1').dataset.old = ''")
            await save(here.database, results)
            await shown.page.locator("h1:not([data-old])").wait_for()
            assert (await shown.page.locator(".answer").inner_text()).startswith("No answer")
        await shown.page.route("**/check*", _lost)
        await shown.page.get_by_role("button", name="Check now").click()
        await shown.page.locator(".answer", has_text="Not checked").wait_for()
        shown.troubles = [each for each in shown.troubles if "ERR_FAILED" not in each]


async def _lost(route: Any) -> None:
    """Let the check be made, but lose what is said of it."""
    await route.fetch()
    await route.abort()


async def test_a_page_from_before_the_end_of_a_check_does_not_hide_its_answer(here: World) -> None:
    asked = [asyncio.Event(), asyncio.Event()]
    held = [asyncio.Event(), asyncio.Event()]
    numbers = iter((0, 1))

    async def hold(route: Any) -> None:
        number = next(numbers, None)
        if number is None:
            await route.continue_()
            return
        page = await route.fetch()
        asked[number].set()
        await held[number].wait()
        await route.fulfill(response=page)

    async with here.window() as shown:
        await shown.open("/monitors/fine")
        await shown.live()
        await shown.page.route(f"{here.url}/monitors/fine", hold)
        await shown.page.evaluate(RENEW)
        await asyncio.wait_for(asked[0].wait(), 60)
        await shown.page.get_by_role("button", name="Check now").click()
        await shown.page.locator(".answer", has_text="Not checked").wait_for()
        await shown.page.evaluate(HIDDEN_ANSWER)
        await asyncio.wait_for(asked[1].wait(), 60)
        held[0].set()
        await shown.page.evaluate("fetch('/healthz')")  # what came before has been read
        held[1].set()
        await shown.page.locator("h1:not([data-old])").wait_for()
        assert await shown.page.evaluate("window.isHidden") is False


HIDDEN_ANSWER = """
document.querySelector("h1").dataset.old = "";
window.isHidden = false;
new MutationObserver(() => {
    window.isHidden ||= !document.querySelector(".answer").textContent.includes("Not checked");
}).observe(document.querySelector("main"), { childList: true });
"""


async def test_a_check_that_takes_long_says_so(here: World) -> None:
    async with here.window() as shown:
        await shown.page.clock.install()
        await shown.open("/monitors/fine")
        held = asyncio.Event()
        await shown.page.route("**/check*", lambda route: asyncio.create_task(_later(route, held)))
        await shown.page.get_by_role("button", name="Check now").click()
        await shown.page.locator(".answer", has_text="Checking, for 15 s at most").wait_for()
        assert await shown.page.get_by_role("button", name="Check now").is_disabled()
        await shown.page.evaluate(RENEW)
        await shown.page.clock.run_for(5_000)
        await shown.live()
        await shown.page.get_by_role("link", name="7d").focus()
        held.set()
        await shown.page.locator(".answer", has_text="Not checked").wait_for()
        assert await shown.focused() == "7d"


async def _later(route: Any, held: asyncio.Event) -> None:
    await held.wait()
    await route.continue_()


async def test_maintenance_is_planned_in_the_reader_s_time(here: World) -> None:
    async with here.window(timezone_id="Asia/Tokyo") as shown:
        await shown.open("/monitors/slow")
        day = await _plan(shown)
        await shown.page.get_by_role("button", name="Begin maintenance").click()
        await shown.page.get_by_text("(Ada: a new disk)").wait_for()
        begins = shown.page.locator("form.act time").first
        assert await begins.get_attribute("datetime") == f"{day}T03:00:00+00:00"


async def _plan(shown: Window) -> date:
    """Fill the form for maintenance in two days at noon, up to the key that sends it."""
    await shown.page.get_by_text("Maintenance", exact=True).click()
    await shown.page.get_by_label("Who", exact=True).fill("Ada")
    await shown.page.get_by_label("Why", exact=True).fill("a new disk")
    day = datetime.now(UTC).date() + timedelta(days=2)
    await shown.page.get_by_label("From, else now").fill(f"{day}T12:00")
    return day


async def test_a_form_that_orders_something_is_sent_once(here: World) -> None:
    first, held = asyncio.Event(), asyncio.Event()
    sent: list[str] = []

    async def hold(route: Any) -> None:
        sent.append(route.request.post_data)
        first.set()
        await held.wait()
        await route.continue_()

    async with here.window(timezone_id="Asia/Tokyo") as shown:
        await shown.open("/monitors/slow")
        await shown.page.route("**/maintenance", hold)
        day = await _plan(shown)
        await shown.page.keyboard.press("Enter")
        await asyncio.wait_for(first.wait(), 60)
        await shown.page.keyboard.press("Enter")
        held.set()
        await shown.page.get_by_text("(Ada: a new disk)").wait_for()
    assert [f"{day}T03%3A00" in each for each in sent] == [True]


async def test_a_form_that_the_browser_stopped_can_be_sent_again(here: World) -> None:
    async with here.window(timezone_id="Asia/Tokyo") as shown:
        await shown.page.clock.install()
        await shown.open("/monitors/slow")
        await shown.page.route("**/maintenance", lambda route: route.abort("aborted"), times=1)
        day = await _plan(shown)
        async with shown.page.expect_event("requestfailed"):
            await shown.page.keyboard.press("Enter")
        await shown.page.clock.fast_forward(10_000)
        await shown.page.keyboard.press("Enter")
        await shown.page.get_by_text("(Ada: a new disk)").wait_for()
        begins = shown.page.locator("form.act time").first
        assert await begins.get_attribute("datetime") == f"{day}T03:00:00+00:00"


async def test_the_keyboard_reaches_everything_and_is_never_caught(here: World) -> None:
    async with here.window() as shown:
        await shown.open("/monitors/fine?range=24h")
        await shown.live()
        keyboard = shown.page.keyboard
        await keyboard.press("Tab")
        assert await shown.focused() == "Skip to content"
        values: dict[str, set[str]] = {}
        for _ in range(100):
            await keyboard.press("Tab")
            chart = await shown.page.evaluate("document.activeElement.closest('.moments')?.ariaLabel")
            if chart:
                values[chart] = set()
                for key in ("End", "ArrowLeft", "Home", "ArrowRight"):
                    await keyboard.press(key)
                    values[chart].add(await shown.page.locator("#tip").inner_text())
            elif len(values) == 3 and await shown.page.evaluate("document.activeElement === document.body"):
                break
        else:
            pytest.fail(f"after 100 keys it has reached {list(values)}, or has not left the page")
        assert [len(each) for each in values.values()] == [4, 4, 4]
        assert await shown.page.locator(".chosen").count() == 0


@pytest.mark.parametrize(
    "place",
    [
        "main a[href]",
        "main [action$=end] button",
        "main [aria-label^=Phases]",
        "main [aria-label^=Lat]",
        "main .results summary >> nth=3",
        "header a[href='/']",
    ],
)
async def test_what_has_the_keyboard_keeps_it_when_the_page_is_renewed(here: World, place: str) -> None:
    async with here.window() as shown:
        await shown.open("/" if "header" in place else "/monitors/fine?range=24h")
        await shown.live()
        focused = shown.page.locator(place).first
        await focused.focus()
        text = await shown.focused()
        await shown.page.evaluate("document.querySelector('h1').dataset.old = ''")
        await save(here.database, outage("new"))
        await shown.page.locator("h1:not([data-old])").wait_for()
        assert await focused.evaluate("(each) => each === document.activeElement")
        assert await shown.focused() == text


async def test_without_scripts_every_page_is_there(here: World) -> None:
    async with here.window(java_script_enabled=False) as shown:
        for path in PATHS[:-1]:
            await shown.open(path)
            assert await shown.page.locator("main").inner_text()
        await shown.open("/")
        await shown.page.get_by_label("Search").fill("slow")
        await shown.page.get_by_role("button", name="Search").click()
        assert await shown.page.locator("tbody tr").count() == 1
        await shown.page.get_by_role("link", name="slow").click()
        assert await shown.page.locator("h1").inner_text() == "slow"


async def test_maintenance_is_begun_and_ended_without_scripts_and_by_the_keyboard(here: World) -> None:
    async with here.window(java_script_enabled=False) as shown:
        await shown.open("/monitors/slow")
        await shown.page.locator("summary", has_text="Maintenance").focus()
        await shown.page.keyboard.press("Enter")
        await shown.page.get_by_label("Who", exact=True).fill("Ada")
        await shown.page.get_by_label("Why", exact=True).fill("a new disk")
        await shown.page.keyboard.press("Enter")
        await shown.page.get_by_text("(Ada: a new disk)").wait_for()
        assert await shown.page.locator(".banner .state.maintenance").inner_text() == "in maintenance"
        await shown.page.get_by_role("button", name="End now").focus()
        await shown.page.keyboard.press("Enter")
        await shown.page.get_by_text("(Ada: a new disk)").wait_for(state="detached")


async def test_nothing_that_others_wrote_runs(here: World) -> None:
    async with here.window() as shown:
        for path in PATHS[:-1]:
            await shown.open(path)
            for details in await shown.page.locator("details").all():
                await details.evaluate("(each) => { each.open = true; }")
            assert await shown.page.locator("main script, main img, main [onerror]").count() == 0, path
        await shown.open(monitor_path(HOSTILE))
        assert await shown.page.locator("h1").inner_text() == HOSTILE
        assert HOSTILE in (await shown.page.locator("pre").first.text_content() or "")


async def test_a_person_logs_in_and_out(store: ResultStore, tmp_path: Path) -> None:
    config = configured("shop", web_token="a token", data_dir=str(tmp_path))  # noqa: S106
    async with (
        chromium() as browser,
        site_of(config, store) as visitor,
        window(browser, visitor.url) as shown,
    ):
        await shown.open("/monitors/shop")
        assert await shown.violations() == []
        await shown.page.keyboard.type("a token")
        await shown.page.keyboard.press("Enter")
        await shown.page.wait_for_url("**/monitors/shop")
        await shown.live()
        await shown.page.get_by_role("button", name="Check now").click()
        await shown.page.locator(".answer", has_text="Not checked").wait_for()
        await shown.page.get_by_role("button", name="Log out").click()
        await shown.page.wait_for_url("**/login")
        assert await shown.page.context.cookies() == []
