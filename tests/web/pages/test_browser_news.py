"""Pages that show news by themselves, in a headless Chromium."""

import asyncio
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.browsing import HIDE, RENEW, SEE, Window
from tests.postgres import save
from tests.web.pages.conftest import World
from tests.web.visitor import outage, result

pytestmark = pytest.mark.clients


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
        await shown.page.route("**/nothing", _aborted, times=1)
        for said in ("connection lost", "live"):
            await shown.page.evaluate(RENEW)
            await shown.page.locator("#live", has_text=said).wait_for()
        shown.troubles.clear()


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


async def test_what_an_extension_of_the_browser_adds_is_no_other_version(here: World) -> None:
    async with here.window() as shown:
        await shown.page.clock.install()
        await shown.open("/status")
        await shown.page.evaluate(FOREIGN)
        for _ in "a young page", "an old one":
            await shown.page.evaluate("document.querySelector('h1').dataset.old = ''")
            await shown.page.clock.run_for(31_000)
            await shown.page.locator("h1:not([data-old])").wait_for()
        assert await shown.page.evaluate("window.isOld")


FOREIGN = """
window.isOld = true;
document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet" }));
"""


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
