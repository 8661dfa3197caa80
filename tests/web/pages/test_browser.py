"""The pages as people see them, in a headless Chromium."""

import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import pytest

from monitor.storage.results import ResultStore
from monitor.web.pages.rendering import monitor_path
from tests.browsing import chromium, window
from tests.postgres import save
from tests.web.pages.conftest import HOSTILE, World
from tests.web.visitor import configured, outage, result, site_of

pytestmark = pytest.mark.clients


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
