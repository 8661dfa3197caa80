"""*Check now*, and its answer."""

import re
from typing import Any

import pytest

from monitor.result import CheckResult, OwnTroubleError
from monitor.storage.results import ResultStore
from monitor.web.queries import PageReader
from tests.postgres import result_store
from tests.web.visitor import Visitor, configured, no_check, result, site_of


def checking(outcome: CheckResult | Exception) -> Any:
    """Make what checks with this outcome."""

    async def check_now(*_: Any) -> CheckResult:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return check_now


async def answer(visitor: Visitor) -> str:
    """Ask for a check, and return its answer on the page that follows, without marks and instants."""
    asked = await visitor.post("/monitors/shop/check")
    assert asked.status == 303
    page = (await visitor.get(asked.headers["Location"])).text
    (shown,) = re.findall(r'<p class="answer" role="status">(.*?)</p>', page)
    return re.sub(r"<[^>]*>", "", re.sub("<time.*</time>", "T", shown)).strip()


async def test_a_check_that_is_asked_for_is_on_the_page_that_follows(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = result(ago_s=0, response_status=207)
    is_stored = PageReader.is_stored
    looks: list[bool] = []

    async def check_now(name: str, within_s: float) -> CheckResult:
        assert (name, within_s) == ("shop", 70.0)
        return found

    async def stored_after_a_look(reader: PageReader, result: CheckResult) -> bool:
        looks.append(await is_stored(reader, result))
        if len(looks) == 1:
            await store.save([found])
        return looks[-1]

    monkeypatch.setattr(PageReader, "is_stored", stored_after_a_look)
    monkeypatch.setattr("monitor.web.pages.asked_checks._WAIT_S", 60.0)

    async with site_of(configured("shop"), store, check_now) as visitor:
        assert "207" not in (await visitor.get("/monitors/shop?range=7d")).text
        asked = await visitor.post("/monitors/shop/check?range=7d")
        page = await visitor.get(asked.headers["Location"])

    assert looks == [False, True]
    assert (asked.status, asked.headers["Location"]) == (303, "/monitors/shop?range=7d")
    assert '<td class="number">207</td>' in page.text


@pytest.mark.parametrize(
    ("facts", "shown"),
    [
        ({}, "up status 200, 250 ms."),
        ({"degraded": True}, "degraded status 200, 250 ms."),
        (
            {"up": False, "response_status": 503, "reason": "status", "detail": "status 503, expected 200"},
            "down status 503, expected 200, 250 ms.",
        ),
        (
            {"up": False, "reason": "body", "detail": "the body has no <b>"},
            "down status 200, the body has no &lt;b&gt;, 250 ms.",
        ),
        (
            {"up": False, "response_status": None, "reason": "connect_refused"},
            "down connect refused, 250 ms.",
        ),
        (
            {"up": None, "response_status": None, "reason": "monitor_offline"},
            "unknown monitor offline, 250 ms.",
        ),
    ],
)
async def test_the_answer_has_state_code_reason_and_time(
    store: ResultStore, facts: dict[str, Any], shown: str
) -> None:
    found = result(ago_s=0, **facts)
    await store.save([found])

    async with site_of(configured("shop"), store, checking(found)) as visitor:
        assert await answer(visitor) == f"{shown} Checked at T."


async def test_a_result_that_waits_somewhere_is_not_waited_for_for_long(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.web.pages.asked_checks._WAIT_S", 0.05)
    for each in (store, result_store("postgresql://127.0.0.1:9/x")):
        async with site_of(configured("shop"), each, checking(result())) as visitor:
            assert "250 ms. It is not stored yet." in await answer(visitor)


@pytest.mark.parametrize(
    ("trouble", "shown"),
    [
        (KeyError("shop"), "Not checked: this process does not check it."),
        (TimeoutError(), "No result within 15 s. It comes later, among the latest results."),
        (OwnTroubleError("no local port left"), "Not checked: no local port left."),
        (OwnTroubleError(), "Not checked: this machine cannot."),
    ],
)
async def test_a_check_that_is_not_made_says_why(store: ResultStore, trouble: Exception, shown: str) -> None:
    async with site_of(configured("shop"), store, checking(trouble)) as visitor:
        assert await answer(visitor) == f"{shown} Checked at T."


async def test_a_paused_monitor_is_not_checked(store: ResultStore) -> None:
    async with site_of(configured({"name": "shop", "paused": True}), store, no_check) as visitor:
        assert "Not checked: it is paused." in await answer(visitor)


async def test_an_answer_is_shown_for_a_while_only(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.web.pages.asked_checks._SHOWN_S", -1.0)

    async with site_of(configured("shop"), store, checking(TimeoutError())) as visitor:
        assert await answer(visitor) == ""


async def test_no_check_is_made_while_the_program_starts() -> None:
    async with site_of(configured("shop"), None, no_check) as visitor:
        refused = await visitor.post("/monitors/shop/check")

    assert (refused.status, "starting" in refused.text) == (503, True)
