"""What people say through the API: acknowledgements and silences; and when maintenance is."""

import json
import time
from typing import Any

import pytest

from monitor.store import Store
from tests.api import MONITORS, Client, Open, failed, found, store_live

KNOWN = {"who": "Ada", "why": "the disk is full; on it"}
NIGHT = {"weekly": ["mon", "thu"], "at": "02:00", "duration_s": 3_600, "time_zone": "Europe/Berlin"}
ONCE = {"starts_at": "2026-12-03T01:30:00Z", "ends_at": "2026-12-03T03:00:00Z"}
MONDAY = 1_796_000_400.0  # 2026-11-30 01:00 UTC, 02:00 in Berlin
HOUR_S = 3_600


@pytest.fixture
async def incident(api: Client, database: str) -> int:
    """The number of an outage that goes on."""
    now = time.time()
    await store_live(database, [failed("shop", now - 300 + 60 * number) for number in range(4)])
    (opened,) = (await api("/incidents")).json["incidents"]
    return int(opened["id"])


async def test_an_incident_is_acknowledged_once(api: Client, incident: int) -> None:
    answered = (await api(f"/incidents/{incident}/acknowledge", "POST", json=KNOWN)).json

    assert answered == {"incident": incident, "at": pytest.approx(time.time(), abs=30), **KNOWN}
    told = (await api(f"/incidents/{incident}")).json["acknowledged"]
    assert told == {"at": answered["at"], **KNOWN}
    other = {"who": "Bob", "why": "me too"}
    problem = await api.refused(f"/api/v1/incidents/{incident}/acknowledge", 409, "POST", json=other)
    assert problem["detail"] == "the incident is over, or was acknowledged before"
    assert (await api(f"/incidents/{incident}")).json["acknowledged"]["who"] == "Ada"


async def test_an_incident_that_is_over_is_not_acknowledged(api: Client, incident: int, store: Store) -> None:
    now = time.time()
    await store.save([found("shop", now - 30), found("shop", now - 10)])

    await api.refused(f"/api/v1/incidents/{incident}/acknowledge", 409, "POST", json=KNOWN)


async def test_an_incident_that_there_is_not(api: Client) -> None:
    await api.refused("/api/v1/incidents/1/acknowledge", 404, "POST", json=KNOWN)


async def test_a_monitor_is_silent_until_a_time(api: Client) -> None:
    until = float(int(time.time()) + 3_600)

    answered = (await api("/monitors/a%2Fb/silence", "POST", json={"until": until, **KNOWN})).json

    assert answered == {
        "monitor": "a/b",
        "until_at": until,
        "at": pytest.approx(time.time(), abs=30),
        **KNOWN,
    }
    assert (await api("/silences")).json == {"silences": [answered]}


async def test_a_later_silence_replaces_it_and_one_that_is_over_ends_it(api: Client) -> None:
    for until in (time.time() + 3_600, "2999-01-01T00:00:00Z"):
        await api("/monitors/shop/silence", "POST", json={"until": until, **KNOWN})
    await api("/monitors/blog/silence", "POST", json={"until": "2998-01-01", **KNOWN})
    silences = (await api("/silences")).json["silences"]
    assert [(each["monitor"], each["until_at"]) for each in silences] == [
        ("blog", 32_440_608_000),
        ("shop", 32_472_144_000),
    ]

    await api("/monitors/shop/silence", "POST", json={"until": time.time(), **KNOWN})

    assert [each["monitor"] for each in (await api("/silences")).json["silences"]] == ["blog"]


async def test_a_silence_of_a_monitor_that_there_is_not(api: Client) -> None:
    await api.refused("/api/v1/monitors/none/silence", 404, "POST", json={"until": 0, **KNOWN})


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({"until": 5}, "missing required field `who`"),
        ({"until": 5, "who": "", "why": "x"}, "`$.who`"),
        ({"until": 5, "who": "x" * 1_001, "why": "x"}, "`$.who`"),
        ({"until": 5, "who": "x", "why": "a\0b"}, "`$.why`"),
        ({"until": None, "who": "x", "why": "x"}, "`$.until`"),
        ({"until": 1e99, "who": "x", "why": "x"}, "`$.until`"),
        ({"until": "noon", "who": "x", "why": "x"}, "until must be Unix seconds, or a date and time in"),
        ({"until": 5, "who": "x", "why": "x", "how": 1}, "unknown field `how`"),
        ([], "Expected `object`"),
    ],
)
async def test_a_body_is_as_described(api: Client, body: Any, wrong: str) -> None:
    problem = await api.refused("/api/v1/monitors/shop/silence", 400, "POST", json=body)

    assert wrong in problem["detail"]
    assert (await api("/silences")).json["silences"] == []


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'"\xff"', b'{"who":"\\ud800","why":"x","until":1}'])
async def test_a_body_is_json(api: Client, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}

    await api.refused("/api/v1/monitors/shop/silence", 400, "POST", data=body, headers=headers)


async def test_a_form_is_no_body(api: Client) -> None:
    body = json.dumps({"until": 0, **KNOWN})

    problem = await api.refused("/api/v1/monitors/shop/silence", 415, "POST", data=body)

    assert problem["detail"] == "the body must be application/json"


async def test_a_body_has_a_largest_size(api: Client) -> None:
    body = {"until": 0, "who": "x" * 70_000, "why": "x"}

    await api.refused("/api/v1/monitors/shop/silence", 413, "POST", json=body)


@pytest.fixture
async def kept_up(open_api: Open, store: Store) -> Client:
    """The API of monitors of which two have maintenance."""
    windows = {"shop": [NIGHT, ONCE], "blog": [NIGHT]}
    monitors = tuple(
        {**monitor, "maintenance": windows.get(str(monitor["name"]), [])} for monitor in MONITORS
    )
    client: Client = await open_api(store, monitors=monitors)
    return client


async def test_maintenance_of_a_week(kept_up: Client) -> None:
    answered = (await kept_up(f"/maintenance?since={MONDAY + 60}")).json

    thursday = MONDAY + 3 * 86_400
    assert answered == {
        "maintenance": [
            {"monitor": "blog", "since_at": MONDAY + 60, "until_at": MONDAY + HOUR_S},
            {"monitor": "blog", "since_at": thursday, "until_at": thursday + HOUR_S},
            {"monitor": "blog", "since_at": MONDAY + 7 * 86_400, "until_at": MONDAY + 7 * 86_400 + 60},
            {"monitor": "shop", "since_at": MONDAY + 60, "until_at": MONDAY + HOUR_S},
            {"monitor": "shop", "since_at": thursday, "until_at": thursday + 2 * HOUR_S},
            {"monitor": "shop", "since_at": MONDAY + 7 * 86_400, "until_at": MONDAY + 7 * 86_400 + 60},
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
