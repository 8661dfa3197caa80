"""The history of incidents, and one of them."""

import re
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
import pytest

from monitor.alerts.decision import Delivery
from monitor.alerts.message import Alert
from monitor.alerts.store import AlertStore
from monitor.result import Attempt, CheckResult, Evidence
from monitor.storage.database import Database
from monitor.storage.results import ResultStore
from tests.postgres import save
from tests.web.api.client import store_live
from tests.web.pages.timelines import days, entries, words
from tests.web.visitor import Answer, Visitor, configured, flapping, outage, result, site_of

DAY_S = 86_400


async def listed(visitor: Visitor, query: str = "") -> list[str]:
    page = await visitor.get(f"/incidents{query}")
    assert page.status == 200
    return [each.text.split(" is ")[0].split(" was ")[0].split()[-1] for each in entries(page.text)]


def ended(monitor: str, ago_s: float) -> list[object]:
    return [*outage(monitor, ago_s), result(monitor, ago_s - 240), result(monitor, ago_s - 300)]


async def test_incidents_are_found_by_monitor_state_and_day(store: ResultStore) -> None:
    await store.save([*ended("shop", 10 * DAY_S), *outage("blog")])  # type: ignore[list-item]
    days_ago = [datetime.fromtimestamp(time.time() - days * DAY_S, UTC).date() for days in range(12)]

    async with site_of(configured("shop", "blog"), store) as visitor:
        assert await listed(visitor) == ["blog", "shop"]
        assert await listed(visitor, "?monitor=shop") == ["shop"]
        assert await listed(visitor, "?state=open") == ["blog"]
        assert await listed(visitor, "?state=resolved") == ["shop"]
        assert await listed(visitor, f"?since={days_ago[5]}") == ["blog"]
        assert await listed(visitor, f"?until={days_ago[5]}") == ["shop"]
        assert await listed(visitor, f"?since={days_ago[11]}&until={days_ago[9]}") == ["shop"]
        assert await listed(visitor, "?since=soon&at=x&id=y") == ["blog", "shop"]
        assert "No incident matches." in (await visitor.get("/incidents?monitor=other")).text
        of_shop = (await visitor.get("/incidents?monitor=shop&state=open")).text

    assert 'href="/incidents?monitor=shop&amp;state=open" aria-current="true">Ongoing' in of_shop
    assert 'href="/incidents?monitor=shop">All' in of_shop


async def test_the_days_of_the_filter_say_that_they_are_of_utc(store: ResultStore) -> None:
    async with site_of(configured("shop"), store) as visitor:
        page = (await visitor.get("/incidents")).text

    assert re.findall(r"<label>(.+?) <input type=\"date\"", page) == ["Since (UTC)", "Until (UTC)"]


async def test_a_search_for_a_part_of_a_name_says_that_the_whole_is_needed(store: ResultStore) -> None:
    async with site_of(configured("shop"), store) as visitor:
        pages = [(await visitor.get(f"/incidents?monitor={name}")).text for name in ("sho", "shop")]

    assert ["No monitor is named “sho”: the whole name is needed." in page for page in pages] == [True, False]
    assert all("No incident matches." in page for page in pages)
    assert "No monitor is named" not in pages[1]


async def test_a_list_is_saved_as_a_table_with_the_same_filter(store: ResultStore) -> None:
    await store.save([*ended("shop", 10 * DAY_S), *outage("blog")])  # type: ignore[list-item]
    day = datetime.fromtimestamp(time.time() - 10 * DAY_S, UTC).date()

    async with site_of(configured("shop", "blog"), store) as visitor:
        for query, names in (
            ("", ["blog", "shop"]),
            ("?state=open&since=soon", ["blog"]),
            (f"?monitor=shop&since={day}&until={day}", ["shop"]),
            (f"?since={day}&until={day - timedelta(days=1)}", []),
        ):
            page = (await visitor.get(f"/incidents{query}")).text
            for path in re.findall(r'href="([^"]+)">Save as CSV', page):
                saved = await visitor.get(path.replace("&amp;", "&"))
                assert [line.split(",")[1] for line in saved.text.splitlines()[1:]] == names, path
            assert ("Save as CSV" in page) == bool(names)


async def test_before_the_first_incident_the_list_says_what_will_be_in_it(store: ResultStore) -> None:
    async with site_of(configured("shop"), store) as visitor:
        page = (await visitor.get("/incidents")).text

    assert "No incidents yet." in page
    assert 'href="/incidents" aria-current="true">All' in page


async def test_what_goes_on_comes_first_however_long_ago_it_began(store: ResultStore) -> None:
    await store.save([*outage("blog"), *ended("shop", 3_600), *ended("wiki", 10 * DAY_S)])  # type: ignore[list-item]
    async with store.database.transaction() as connection:
        await connection.execute(
            "UPDATE health_incidents SET started_at = started_at - 1e6 WHERE monitor = 'blog'"
        )

    async with site_of(configured("blog", "shop", "wiki"), store) as visitor:
        page = (await visitor.get("/incidents")).text

    assert days(page)[0] == ("Ongoing", 1)
    assert [heading for heading, _ in days(page)[1:]] == [
        f"{day:%a} {day.day} {day:%B %Y}"
        for day in (datetime.fromtimestamp(time.time() - ago_s, UTC) for ago_s in (3_600, 10 * DAY_S))
    ]
    assert [each.marks for each in entries(page)] == [["down", "ongoing"], *2 * [["down", "resolved"]]]
    assert "blog is down , 11 d 13 h so far" in entries(page)[0].text
    assert entries(page)[1].text.endswith("shop was down for 4 min status 503")


async def test_a_long_history_goes_on_on_the_next_page(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.web.pages.incidents._ROWS", 2)
    await store.save([each for name in ("a", "b", "c") for each in outage(name)])
    await store.save([each for name in ("d", "e", "f") for each in ended(name, 900)])  # type: ignore[misc]

    async with site_of(configured("a"), store) as visitor:
        seen = {path: await _through(visitor, path) for path in ("", "?state=open", "?state=resolved")}
        first = (await visitor.get("/incidents")).text

    assert {path: len(numbers) for path, numbers in seen.items()} == {
        "": 5,
        "?state=open": 3,
        "?state=resolved": 3,
    }
    assert all(len(numbers) == len(set(numbers)) for numbers in seen.values())
    assert 'href="/incidents?state=open">All that go on' in first


async def _through(visitor: Visitor, query: str) -> list[str]:
    """Return the links to incidents of all pages of a list."""
    seen, path = [], f"/incidents{query}"
    while path:
        page = await visitor.get(path)
        seen += re.findall(r'href="(/incidents/\d+)"', page.text)
        path = "".join(re.findall(r'href="([^"]+)">Older', page.text)).replace("&amp;", "&")
    return seen


async def one(visitor: Visitor, number: int) -> Answer:
    return await visitor.get(f"/incidents/{number}")


async def test_an_incident_shows_its_course_where_and_why(store: ResultStore) -> None:
    await store.save(ended("shop", 900))  # type: ignore[arg-type]

    async with site_of(configured("shop"), store) as visitor:
        page = await one(visitor, 1)

    assert "shop was down for 4 min status 503 It was over before it was noticed. resolved" in words(
        page.text
    )
    assert "<dt>Seen from</dt><dd>here</dd>" in page.text
    assert [each.text.split(" ", 1)[1] for each in entries(page.text)] == [
        "Was down status 503 seen from here, noticed 11 min later",
        "First failed check",
    ]


async def test_an_incident_without_a_failed_check_shows_why_too(store: ResultStore) -> None:
    await store.save(flapping())

    async with site_of(configured("shop"), store) as visitor:
        every = await visitor.get("/incidents")
        (number,) = re.findall(r'href="/incidents/(\d+)"', every.text)
        page = await one(visitor, int(number))

    why = "went up or down more than 6 times within an hour"
    assert f'<p class="why">{why}</p>' in every.text
    assert f"<p>{why}</p>" in page.text
    assert f'<p class="why">{why}</p>' in page.text


def drawn(signs: str) -> list[CheckResult]:
    """Results of each minute until now: up, with a status that is not expected, or timed out."""
    failed = {"up": False, "reason": "status", "detail": "status 503"}
    slow = failed | {"reason": "response_timeout", "detail": "no response within 10 s"}
    facts: dict[str, dict[str, Any]] = {"+": {}, "-": failed, "t": slow}
    return [result(ago_s=60 * (len(signs) - n), **facts[sign]) for n, sign in enumerate(signs)]


async def test_outages_while_flapping_are_in_its_changes_only(database: str, store: ResultStore) -> None:
    await store_live(database, drawn("---++" * 3 + "---tt++"))

    async with site_of(configured("shop"), store) as visitor:
        every, of_shop = await visitor.get("/incidents"), await visitor.get("/monitors/shop")
        numbers = re.findall(r'href="/incidents/(\d+)"', every.text)
        page, status = await one(visitor, int(numbers[0])), await visitor.get("/status")

    assert len(numbers) == 1
    assert re.findall(r'href="/incidents/(\d+)"', of_shop.text) == numbers
    assert of_shop.text.count('class="shade down"') == 2 * 4
    assert "shop is unstable" in status.text
    whats = re.findall(r'<p class="what">(.*?)</p>', page.text)
    assert sorted(whats) == sorted(["First change", "Flapping", "Still down", *4 * ["Down", "Up again"]])


async def test_an_outage_that_goes_on_after_flapping_is_listed(database: str, store: ResultStore) -> None:
    await store_live(database, drawn("---++" * 4 + "-" * 62))

    async with site_of(configured("shop"), store) as visitor:
        every = await visitor.get("/incidents")

    assert [each.marks for each in entries(every.text)] == [["down", "ongoing"], ["flapping", "resolved"]]


async def test_outages_in_the_past_of_flapping_are_said_to_be_past(store: ResultStore) -> None:
    await store.save(flapping())
    async with store.database.transaction() as connection:
        await connection.execute(
            "UPDATE health_changes SET kind = 'partial' WHERE at = (SELECT min(at) FROM health_changes)"
        )

    async with site_of(configured("shop"), store) as visitor:
        every = await visitor.get("/incidents")
        (number,) = re.findall(r'href="/incidents/(\d+)"', every.text)
        page = await one(visitor, int(number))

    assert page.text.count(">Was down<") == 3
    assert page.text.count(">Was down from some locations<") == 1


async def test_an_incident_shows_its_latest_reason_and_when_it_had_others(store: ResultStore) -> None:
    slow = {"reason": "response_timeout", "detail": "no response within 10 s"}
    await store.save(outage(ago_s=200, checks=3))
    await store.save(outage(ago_s=70, checks=2, **slow)[1:])

    async with site_of(configured("shop"), store) as visitor:
        page, every = await one(visitor, 1), await visitor.get("/incidents")
        overview, monitor = await visitor.get("/"), await visitor.get("/monitors/shop")

    assert re.findall(r'class="what">(.*?)</p>(?:<p class="why">(.*?)<)?', page.text) == [
        ("Still down", "no response within 10 s"),
        ("Down", "status 503"),
        ("First failed check", ""),
    ]
    for shown in (every, overview):
        assert "no response within 10 s" in shown.text
        assert "status 503" not in shown.text
    assert "<p>no response within 10 s</p>" in monitor.text


@pytest.mark.parametrize("detail", [None, "no longer checked"])
async def test_an_end_has_a_reason_only_if_nobody_checks_any_more(
    database: str, store: ResultStore, detail: str | None
) -> None:
    await store_live(database, drawn("---++"))
    if detail:
        async with store.database.transaction() as connection:
            await connection.execute(
                "UPDATE health_changes SET detail = $1 WHERE change = 'resolved'", detail
            )

    async with site_of(configured("shop"), store) as visitor:
        page = await one(visitor, 1)

    found = re.findall(r'class="what">(.*?)</p>(?:<p class="why">(.*?)<)?', page.text)
    assert found[:2] == [("Over" if detail else "Up again", detail or ""), ("Down", "status 503")]


async def test_an_incident_that_goes_on_says_so(store: ResultStore) -> None:
    await store.save(outage())

    async with site_of(configured("shop"), store) as visitor:
        page = await one(visitor, 1)

    assert "shop is down, 5 min so far" in words(page.text)
    assert "<dt>Ended</dt><dd>not yet</dd>" in page.text
    assert entries(page.text)[0].marks == ["down", "ongoing"]
    assert "It was over before" not in page.text


async def test_a_number_without_an_incident_is_not_found(store: ResultStore) -> None:
    async with site_of(configured("shop"), store) as visitor:
        page = await one(visitor, 999_999_999_999_999_999)
        longer = await one(visitor, 10**18)

    assert (page.status, "no incident of this number" in page.text) == (404, True)
    assert longer.status == 404


@pytest.fixture
async def alerts(database: str) -> AsyncIterator[AlertStore]:
    opened = AlertStore(Database(database))
    await save(opened.database, outage())
    yield opened
    await opened.database.close()


async def test_an_incident_is_acknowledged_and_silenced_by_who_says_why(alerts: AlertStore) -> None:
    async with site_of(configured("shop"), alerts) as visitor:
        assert (await one(visitor, 1)).text.count("<form") == 3
        acknowledged = await visitor.send(
            "/incidents/1/acknowledge", who="Ada", why=" the <disk>\n is full\0"
        )
        silenced = await visitor.send("/incidents/1/silence", who="Bob", why="moving", hours="4")
        page = await one(visitor, 1)

    assert acknowledged.headers["Location"] == silenced.headers["Location"] == "/incidents/1"
    assert "): the &lt;disk&gt; is full" in page.text
    assert next(each.text for each in entries(page.text) if "acknowledged" in each.marks).endswith(
        "Acknowledged by Ada the <disk> is full"
    )
    assert ". Bob: moving" in page.text
    (silence,) = await alerts.silences(time.time())
    assert silence.until_at == pytest.approx(time.time() + 4 * 3_600, abs=30)


async def test_customers_read_updates_of_an_incident_and_not_who_wrote_them(alerts: AlertStore) -> None:
    page_url = {"page_url": "https://status.example/"}
    async with site_of(configured("shop", alerts=page_url), alerts) as visitor:
        told = await visitor.send("/incidents/1/updates", who="Ada", text=" the <cause>\n is \1 found")
        await visitor.send("/incidents/1/updates", who="Bob", text="it works")
        pages = [(await visitor.get(path)).text for path in ("/incidents/1", "/status")]
        feed = ET.fromstring((await visitor.get("/status/rss")).text)  # noqa: S314 - made by us

    assert (told.status, told.headers["Location"]) == (303, "/incidents/1")
    for page in pages:
        assert page.index("it works") < page.index("the &lt;cause&gt; is")
    assert ["Ada" in page for page in pages] == [True, False]
    items = [{each.tag: each.text for each in item} for item in feed.iter("item")]
    assert [item["title"] for item in items] == [
        "shop: it works",
        "shop: the <cause> is \\x01 found",
        "shop is down",
    ]
    assert [item["description"] for item in items][:2] == ["it works", "the <cause> is \\x01 found"]
    assert {item["link"] for item in items} == {"https://status.example/status#incident-1"}
    assert 'id="incident-1"' in pages[1]
    assert len({item["guid"] for item in items}) == 3
    assert "Ada" not in ET.tostring(feed, "unicode")


@pytest.mark.parametrize("form", [{}, {"who": "Ada"}, {"who": " ", "text": "x"}])
async def test_customers_are_told_nothing_by_nobody(alerts: AlertStore, form: dict[str, str]) -> None:
    async with site_of(configured("shop"), alerts) as visitor:
        refused = await visitor.send("/incidents/1/updates", **form)

    assert (refused.status, "Who, and text?" in refused.text) == (400, True)


@pytest.mark.parametrize("form", [{}, {"who": "Ada"}, {"who": " ", "why": "x"}])
async def test_an_act_without_a_name_or_a_reason_is_refused(alerts: AlertStore, form: dict[str, str]) -> None:
    async with site_of(configured("shop"), alerts) as visitor:
        assert (await visitor.send("/incidents/1/acknowledge", **form)).status == 400


async def test_nothing_can_be_ordered_for_what_is_not_there(alerts: AlertStore) -> None:
    form = {"who": "Ada", "why": "x"}

    async with site_of(configured("shop"), alerts) as visitor:
        assert (await visitor.send("/incidents/9/silence", **form)).status == 404
    async with site_of(configured("shop")) as visitor:
        assert (await visitor.send("/incidents/1/silence", **form)).status == 503
    unavailable = AlertStore(Database("postgresql://127.0.0.1:9/x"))
    async with site_of(configured("shop"), unavailable) as visitor:
        answer = await visitor.send("/incidents/1/silence", **form)
    assert (answer.status, "PostgreSQL is unavailable" in answer.text) == (503, True)


async def test_alerts_are_listed_with_their_outcome(alerts: AlertStore) -> None:
    now = time.time()
    alert = Alert(event="opened", at=now, title="", text="", monitors=())
    await alerts.add([Delivery("chat", "opened 1", "incident 1", alert)], now)
    await alerts.add([Delivery(name, "escalation 1", "incident 1", alert) for name in ("page", "mail")], now)
    async with alerts.database.transaction() as connection:
        await connection.execute("UPDATE health_deliveries SET sent_at = 1e9 WHERE channel = 'chat'")
        await connection.execute(
            "UPDATE health_deliveries SET failed_at = 1e9, error = '<b>', attempts = 3 WHERE channel = 'page'"
        )

    async with site_of(configured("shop"), alerts) as visitor:
        page = await one(visitor, 1)

    found = re.findall(
        r"<td>(opened|escalation)</td><td>(\w+)</td><td>(?:<strong[^>]*>)?(\w+)(?:</strong>)?(.*?)</td>",
        page.text,
    )
    assert [each[:3] for each in found] == [
        ("opened", "chat", "sent"),
        ("escalation", "page", "failed"),
        ("escalation", "mail", "waiting"),
    ]
    assert '<td class="why">&lt;b&gt;</td>' in page.text
    assert [attempts for *_, attempts in found][1:] == [", 3 attempts", ""]


async def test_an_incident_shows_what_its_latest_failed_check_saw(store: ResultStore) -> None:
    early = Evidence({}, "", addresses=(Attempt("192.0.2.1", "did not answer"),))
    late = Evidence({"Server": "nginx"}, "<b>gone", addresses=(Attempt("192.0.2.1", "connected"),))
    first, *others = outage(detail="early", evidence=early)
    others[-1] = msgspec.structs.replace(others[-1], detail="late", evidence=late)
    elsewhere = [result(ago_s=ago_s, location="there") for ago_s in (300, 30)]
    await store.save([first, *others, *elsewhere])

    async with site_of(configured("shop"), store) as visitor:
        page = (await visitor.get("/incidents/1")).text

    saw = page.partition("What the latest failed check saw")[2]
    assert ": late</p>" in saw
    assert "<dt>addresses</dt><dd>192.0.2.1: connected</dd>" in saw
    assert "<pre>Server: nginx\n\n&lt;b&gt;gone</pre>" in saw
    assert "did not answer" not in page


async def test_an_incident_that_is_over_shows_its_own_failed_check(store: ResultStore) -> None:
    await store.save([*ended("shop", 3_600), result(ago_s=60, up=False, detail="something else")])  # type: ignore[list-item]

    async with site_of(configured("shop"), store) as visitor:
        page = (await visitor.get("/incidents/1")).text

    saw = page.partition("What the latest failed check saw")[2]
    assert ": status 503</p>" in saw
    assert re.search(r"<p><time [^>]+>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d</time>: ", saw)
    assert "something else" not in page


async def test_an_incident_whose_results_are_gone_shows_none(store: ResultStore) -> None:
    await store.save(outage())
    async with store.database.transaction() as connection:
        await connection.execute("DELETE FROM health_data")

    async with site_of(configured("shop"), store) as visitor:
        page = await visitor.get("/incidents/1")

    assert page.status == 200
    assert "What the latest failed check saw" not in page.text
