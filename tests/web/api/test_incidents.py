"""The API's incidents."""

import time

import pytest

from tests.web.api.client import Client, failed, found, store_live


@pytest.fixture
async def now(database: str) -> float:
    """When the shop had an outage that is over, and the blog and a removed monitor have ones that go on."""
    now = float(int(time.time()))
    begins = {"shop": now - 3_600, "blog": now - 1_800, "gone": now - 900}
    outages = [failed(name, begin + 60 * number) for name, begin in begins.items() for number in range(3)]
    await store_live(database, [*outages, found("shop", now - 3_000), found("shop", now - 2_940)])
    return now


async def monitors_of(api: Client, query: str) -> list[str]:
    return [each["monitor"] for each in (await api(f"/incidents{query}")).json["incidents"]]


async def test_the_history_has_the_newest_first(api: Client, now: float) -> None:
    gone, blog, shop = (await api("/incidents")).json["incidents"]

    assert [each["monitor"] for each in (gone, blog)] == ["gone", "blog"]
    assert shop == {
        "id": shop["id"],
        "monitor": "shop",
        "kind": "down",
        "started_at": now - 3_600,
        "noticed_at": now - 3_479,
        "ended_at": now - 3_000,
        "past": shop["past"],
        "reason": "status",
        "detail": "status 500",
        "locations": ["here"],
        "acknowledged_at": None,
    }


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?state=open", ["gone", "blog"]),
        ("?state=resolved", ["shop"]),
        ("?monitor=shop&monitor=blog", ["blog", "shop"]),
        ("?monitor=none", []),
        ("?kind=partial", []),
        ("?kind=down&state=open&monitor=blog", ["blog"]),
        ("?since={then}", ["gone", "blog"]),
        ("?until={then}", ["shop"]),
        ("?since=2000-01-01&until=2000-01-02", []),
    ],
)
async def test_incidents_are_filtered(api: Client, now: float, query: str, expected: list[str]) -> None:
    assert await monitors_of(api, query.format(then=now - 2_000)) == expected


@pytest.mark.usefixtures("now")
async def test_incidents_come_page_by_page(api: Client) -> None:
    first = await api("/incidents?limit=2")
    onward = first.json["next"]
    second = (await api(f"/incidents?limit=2&cursor={onward}")).json

    assert [each["monitor"] for each in first.json["incidents"]] == ["gone", "blog"]
    assert first.headers["Link"] == f'</api/v1/incidents?limit=2&cursor={onward}>; rel="next"'
    assert [each["monitor"] for each in second["incidents"]] == ["shop"]
    assert second["next"] is None


async def test_outages_while_flapping_are_listed_when_their_kind_is_asked_for(
    api: Client, database: str
) -> None:
    at = time.time() - 1_800
    signs = enumerate("---++" * 4)
    await store_live(database, [(failed if sign == "-" else found)("shop", at + 60 * n) for n, sign in signs])

    assert [each["kind"] for each in (await api("/incidents")).json["incidents"]] == ["flapping"]
    assert len((await api("/incidents?kind=down")).json["incidents"]) == 4


@pytest.mark.usefixtures("now")
async def test_incidents_as_a_table(api: Client) -> None:
    head, *rows = (await api("/incidents?format=csv")).lines

    assert (
        head == "id,monitor,kind,started_at,noticed_at,ended_at,past,reason,detail,locations,acknowledged_at"
    )
    assert [row.split(",")[1:3] for row in rows] == [["gone", "down"], ["blog", "down"], ["shop", "down"]]


async def test_one_incident_with_its_changes(api: Client, now: float) -> None:
    (found,) = (await api("/incidents?monitor=shop")).json["incidents"]

    incident = (await api(f"/incidents/{found['id']}")).json

    assert incident["changes"] == [
        {
            "id": incident["changes"][0]["id"],
            "incident_id": found["id"],
            "kind": "down",
            "change": "opened",
            "at": now - 3_480,
            "noticed_at": now - 3_479,
            "reason": "status",
            "detail": "status 500",
            "locations": ["here"],
            "quiet": False,
        },
        incident["changes"][1],
    ]
    assert (incident["changes"][1]["change"], incident["changes"][1]["at"]) == ("resolved", now - 3_000)
    assert (incident["acknowledged"], incident["updates"]) == (None, [])
    del incident["changes"], incident["acknowledged"], incident["updates"]
    assert incident == found


@pytest.mark.parametrize(
    "number", ["0", "999999999999999999", "1000000000000000000", "-1", "x", "1.0", "%D9%A3"]
)
async def test_there_is_no_such_incident(api: Client, number: str) -> None:
    await api.refused(f"/api/v1/incidents/{number}", 404)


async def test_what_is_wrong_is_named(api: Client) -> None:
    problem = await api.refused("/api/v1/incidents?state=closed&kind=up&since=3&until=2", 400)
    assert [each["parameter"] for each in problem["errors"]] == ["state", "kind"]
    assert problem["errors"][0]["problem"] == "must be one of open, resolved, once"

    problem = await api.refused("/api/v1/incidents?since=3&until=2", 422)
    assert [each["parameter"] for each in problem["errors"]] == ["since"]
