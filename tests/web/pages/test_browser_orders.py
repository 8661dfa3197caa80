"""Checks and maintenance that people order on a page, in a headless Chromium."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from tests.browsing import RENEW, Window
from tests.postgres import save
from tests.web.pages.conftest import World
from tests.web.visitor import outage, result

pytestmark = pytest.mark.clients


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
