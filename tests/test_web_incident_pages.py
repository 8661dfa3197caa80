"""The history of incidents, and one of them."""

import re
import time
from datetime import UTC, datetime

import pytest

from monitor.store import Store
from tests.web import Answer, Visitor, configured, outage, result, site_of

DAY_S = 86_400


async def listed(visitor: Visitor, query: str = "") -> list[str]:
    page = await visitor.get(f"/incidents{query}")
    assert page.status == 200
    return re.findall(r'<td><a href="/monitors/(\w+)">', page.text)


def ended(monitor: str, ago_s: float) -> list[object]:
    return [*outage(monitor, ago_s), result(monitor, ago_s - 240), result(monitor, ago_s - 300)]


async def test_incidents_are_found_by_monitor_state_and_day(store: Store) -> None:
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
        assert "<p>None.</p>" in (await visitor.get("/incidents?monitor=other")).text


async def test_a_long_history_goes_on_on_the_next_page(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.web.incident_pages._ROWS", 2)
    await store.save([each for name in ("a", "b", "c") for each in outage(name)])

    async with site_of(configured("a"), store) as visitor:
        seen, path = [], "/incidents"
        while path:
            page = await visitor.get(path)
            seen += re.findall(r'href="(/incidents/\d+)"', page.text)
            path = "".join(re.findall(r'href="([^"]+)">Older', page.text)).replace("&amp;", "&")

    assert len(seen) == len(set(seen)) == 3


async def one(visitor: Visitor, number: int) -> Answer:
    return await visitor.get(f"/incidents/{number}")


async def test_an_incident_tells_its_course_where_and_why(store: Store) -> None:
    await store.save(ended("shop", 900))  # type: ignore[arg-type]

    async with site_of(configured("shop"), store) as visitor:
        page = await one(visitor, 1)

    assert "<h1>shop: down</h1>" in page.text
    assert "<dt>Lasted</dt><dd>4 min</dd>" in page.text
    assert "<dt>Locations</dt><dd>here</dd>" in page.text
    assert "status: status 503" in page.text
    assert "<td>past</td>" in page.text
    assert "It was over before it was noticed." in page.text


async def test_an_incident_that_goes_on_says_so(store: Store) -> None:
    await store.save(outage())

    async with site_of(configured("shop"), store) as visitor:
        page = await one(visitor, 1)

    assert "<dt>Ended</dt><dd>goes on</dd>" in page.text
    assert "It was over before" not in page.text


async def test_a_number_without_an_incident_is_not_found(store: Store) -> None:
    async with site_of(configured("shop"), store) as visitor:
        page = await one(visitor, 999_999_999_999_999_999)
        longer = await one(visitor, 10**18)

    assert (page.status, "No such incident" in page.text) == (404, True)
    assert longer.status == 404
