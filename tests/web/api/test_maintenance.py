"""Maintenance through the API: when it is, and windows that people make and end."""

import time
from datetime import UTC, datetime
from typing import Any

import jsonschema
import pytest

from monitor.storage.results import ResultStore
from tests.web.api.client import MONITORS, Client, Open
from tests.web.api.operations.test_openapi import check, documented

SIGNED = {"who": "Ada", "why": "a new disk"}
NIGHT = {"weekly": ["mon", "thu"], "at": "02:00", "duration_s": 3_600, "time_zone": "Europe/Berlin"}
ONCE = {"starts_at": "2026-12-03T01:30:00Z", "ends_at": "2026-12-03T03:00:00Z"}
MONDAY = 1_796_000_400.0  # 2026-11-30 01:00 UTC, 02:00 in Berlin
HOUR_S = 3_600
DAY_S = 86_400
NOBODY = {"id": None, "who": None, "why": None}


@pytest.fixture
async def kept_up(open_api: Open, store: ResultStore) -> Client:
    """The API of monitors of which two have maintenance."""
    windows = {"shop": [NIGHT, ONCE], "blog": [NIGHT]}
    monitors = tuple(
        {**monitor, "maintenance": windows.get(str(monitor["name"]), [])} for monitor in MONITORS
    )
    client: Client = await open_api(store, monitors=monitors)
    return client


async def make(api: Client, **asked: Any) -> Any:
    body = {"until": time.time() + HOUR_S, **SIGNED, **asked}
    answered = (await api("/maintenance", "POST", json=body)).json
    described = documented()["paths"]["/maintenance"]["post"]["responses"]["200"]
    check(described["content"]["application/json"]["schema"], answered)
    return answered


async def names(api: Client, query: str = "") -> list[str]:
    """The monitors that have maintenance in the coming week."""
    return [each["monitor"] for each in (await api(f"/maintenance{query}")).json["maintenance"]]


async def test_maintenance_of_a_week(kept_up: Client) -> None:
    answered = (await kept_up(f"/maintenance?since={MONDAY + 60}")).json

    thursday, next_monday = MONDAY + 3 * DAY_S, MONDAY + 7 * DAY_S
    assert answered == {
        "maintenance": [
            {"monitor": name, "since_at": since, "until_at": until, **NOBODY}
            for name, since, until in (
                ("blog", MONDAY + 60, MONDAY + HOUR_S),
                ("blog", thursday, thursday + HOUR_S),
                ("blog", next_monday, next_monday + 60),
                ("shop", MONDAY + 60, MONDAY + HOUR_S),
                ("shop", thursday, thursday + 2 * HOUR_S),
                ("shop", next_monday, next_monday + 60),
            )
        ],
        "next": None,
    }


async def test_maintenance_comes_page_by_page(kept_up: Client) -> None:
    first = (await kept_up("/maintenance?limit=1")).json
    second = (await kept_up(f"/maintenance?limit=1&cursor={first['next']}")).json
    chosen = (await kept_up("/maintenance?monitor=shop&monitor=new")).json

    assert {each["monitor"] for each in first["maintenance"]} == {"blog"}
    assert {each["monitor"] for each in second["maintenance"]} == {"shop"}
    assert second["next"] is None
    assert {each["monitor"] for each in chosen["maintenance"]} == {"shop"}


@pytest.mark.parametrize(
    ("query", "parameter"),
    [("?since=0&until=2678401", "until"), ("?since=5&until=5", "since"), ("?until=5", "since")],
)
async def test_maintenance_has_a_bounded_stretch(kept_up: Client, query: str, parameter: str) -> None:
    problem = await kept_up.refused(f"/api/v1/maintenance{query}", 422)

    assert [each["parameter"] for each in problem["errors"]] == [parameter]


async def test_a_window_begins_now_and_is_listed_with_who_and_why(kept_up: Client) -> None:
    until = float(int(time.time()) + HOUR_S)

    made = await make(kept_up, until=until, monitor="shop")

    now = pytest.approx(time.time(), abs=30)
    assert made == {
        "id": 1,
        "monitor": "shop",
        "group": None,
        "since_at": now,
        "until_at": until,
        "at": made["since_at"],
        **SIGNED,
    }
    listed = (await kept_up("/maintenance?monitor=shop")).json
    assert {"monitor": "shop", "since_at": now, "until_at": until, "id": 1, **SIGNED} in listed["maintenance"]
    schema = documented()["paths"]["/maintenance"]["get"]["responses"]["200"]["content"]["application/json"]
    check(schema["schema"], listed)


async def test_a_window_is_of_a_monitor_of_a_group_or_of_all(api: Client) -> None:
    await make(api, monitor="new")
    assert await names(api) == ["new"]

    await make(api, group="web")
    assert await names(api) == ["a/b", "blog", "new"]

    await make(api, all=True, monitor=None)
    assert await names(api) == ["a/b", "a/b", "blog", "blog", "new", "new", "old", "shop"]
    assert await names(api, "?monitor=shop") == ["shop"]


async def test_a_window_to_come_is_listed_from_its_start_as_far_as_it_is_asked_for(api: Client) -> None:
    start = float(int(time.time()) + DAY_S)

    await make(api, monitor="shop", since=datetime.fromtimestamp(start, UTC).isoformat(), until=start + DAY_S)

    (found,) = (await api(f"/maintenance?until={start + 60}")).json["maintenance"]
    assert (found["since_at"], found["until_at"]) == (start, start + 60)
    assert (await api(f"/maintenance?until={start}")).json["maintenance"] == []


async def test_a_window_is_ended_now(api: Client) -> None:
    made = await make(api, all=True)

    ended = (await api(f"/maintenance/{made['id']}/end", "POST")).json

    assert ended == {**made, "until_at": pytest.approx(time.time(), abs=30)}
    assert ended["until_at"] > made["since_at"]
    assert await names(api) == []
    problem = await api.refused(f"/api/v1/maintenance/{made['id']}/end", 404, "POST")
    assert problem["detail"] == "nobody made a window of this number, or it is over"
    await api.refused("/api/v1/maintenance/999999999999999999/end", 404, "POST")


async def test_a_window_to_come_is_taken_back(api: Client) -> None:
    made = await make(api, group="web", since=time.time() + 600)

    ended = (await api(f"/maintenance/{made['id']}/end", "POST")).json

    assert ended["until_at"] == ended["since_at"] == made["since_at"]
    assert await names(api) == []
    await api.refused(f"/api/v1/maintenance/{made['id']}/end", 404, "POST")


@pytest.mark.parametrize(
    ("asked", "parameter", "allowed"),
    [
        ({"monitor": "none"}, "monitor", "must be the name of a monitor of the configuration"),
        ({"group": "none"}, "group", "must be the group of a monitor of the configuration"),
        ({}, "monitor", "or else group must be given, or all be true: one of the three"),
        (
            {"monitor": "shop", "all": True},
            "monitor",
            "or else group must be given, or all be true: one of the three",
        ),
        ({"all": True, "until": -1}, "until", "must be later than now, and than since"),
        ({"all": True, "since": 600, "until": 600}, "until", "must be later than now, and than since"),
        ({"all": True, "since": -120}, "since", "must not be in the past"),
        ({"all": True, "until": 31 * DAY_S + 60}, "until", "must be at most 31 days after since"),
        ({"all": True, "since": 400 * DAY_S, "until": 401 * DAY_S}, "since", "must be within 366 days"),
    ],
)
async def test_what_cannot_be_a_window_is_refused_with_what_is_allowed(
    api: Client, asked: dict[str, Any], parameter: str, allowed: str
) -> None:
    now = time.time()
    body = {"until": HOUR_S, **SIGNED, **asked}
    body |= {name: now + body[name] for name in ("since", "until") if name in body}

    problem = await api.refused("/api/v1/maintenance", 422, "POST", json=body)

    (wrong,) = problem["errors"]
    assert (wrong["parameter"], wrong["problem"]) == (parameter, allowed)
    assert await names(api) == []


async def test_all_that_is_wrong_is_named_at_once(api: Client) -> None:
    body = {"monitor": "none", "since": 0, "until": 5, **SIGNED}

    problem = await api.refused("/api/v1/maintenance", 422, "POST", json=body)

    assert [each["parameter"] for each in problem["errors"]] == ["monitor", "since", "until"]


@pytest.mark.parametrize("name", ["since", "until"])
async def test_instants_are_instants(api: Client, name: str) -> None:
    body: dict[str, Any] = {"all": True, "until": time.time() + 60, **SIGNED, name: "noon"}

    problem = await api.refused("/api/v1/maintenance", 400, "POST", json=body)

    assert [each["parameter"] for each in problem["errors"]] == [name]


async def test_a_clock_that_is_a_little_slow_means_now(api: Client) -> None:
    made = await make(api, all=True, since=time.time() - 30)

    assert made["since_at"] == made["at"]


@pytest.mark.parametrize("missing", ["who", "why", "until"])
async def test_who_why_and_until_when_are_needed(api: Client, missing: str) -> None:
    body: dict[str, Any] = {"all": True, "until": 1, **SIGNED}
    del body[missing]

    problem = await api.refused("/api/v1/maintenance", 400, "POST", json=body)

    assert f"missing required field `{missing}`" in problem["detail"]
    asked = documented()["paths"]["/maintenance"]["post"]["requestBody"]["content"]["application/json"]
    with pytest.raises(jsonschema.ValidationError):
        check(asked["schema"], body)


async def test_a_program_that_is_starting_says_so(open_api: Open) -> None:
    api = await open_api()

    await api.refused("/api/v1/maintenance", 503)
    await api.refused(
        "/api/v1/maintenance", 503, "POST", json={"all": True, "until": time.time() + 9, **SIGNED}
    )
    await api.refused("/api/v1/maintenance/1/end", 503, "POST")
