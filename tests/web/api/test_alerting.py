"""What people order through the API: acknowledgements and silences."""

import json
import time
from typing import Any

import pytest

from monitor.storage.results import ResultStore
from tests.web.api.client import Client, failed, found, store_live

KNOWN = {"who": "Ada", "why": "the disk is full; on it"}


@pytest.fixture
async def incident(api: Client, database: str) -> int:
    """The number of an outage that goes on."""
    now = time.time()
    await store_live(database, [failed("shop", now - 300 + 60 * number) for number in range(4)])
    (opened,) = (await api("/incidents")).json["incidents"]
    return int(opened["id"])


async def test_an_incident_is_acknowledged_once(
    api: Client, incident: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "monitor.web.acts")
    answered = (await api(f"/incidents/{incident}/acknowledge", "POST", json=KNOWN)).json

    assert answered == {"incident": incident, "at": pytest.approx(time.time(), abs=30), **KNOWN}
    known = (await api(f"/incidents/{incident}")).json["acknowledged"]
    assert known == {"at": answered["at"], **KNOWN}
    other = {"who": "Bob", "why": "me too"}
    problem = await api.refused(f"/api/v1/incidents/{incident}/acknowledge", 409, "POST", json=other)
    assert problem["detail"] == "the incident is over, or was acknowledged before"
    assert (await api(f"/incidents/{incident}")).json["acknowledged"]["who"] == "Ada"
    assert f"incident {incident} acknowledged by Ada: the disk is full; on it" in caplog.messages
    assert not any("Bob" in line for line in caplog.messages)


async def test_an_incident_that_is_over_is_not_acknowledged(
    api: Client, incident: int, store: ResultStore
) -> None:
    now = time.time()
    await store.save([found("shop", now - 30), found("shop", now - 10)])

    await api.refused(f"/api/v1/incidents/{incident}/acknowledge", 409, "POST", json=KNOWN)


async def test_an_incident_that_there_is_not(api: Client) -> None:
    await api.refused("/api/v1/incidents/1/acknowledge", 404, "POST", json=KNOWN)


async def test_customers_are_told_of_an_incident(
    api: Client, incident: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "monitor.web.acts")
    told = {"text": "we found the cause", "who": "Ada"}

    answered = (await api(f"/incidents/{incident}/updates", "POST", json=told)).json

    assert answered == {"id": 1, "at": pytest.approx(time.time(), abs=30), **told}
    assert (await api(f"/incidents/{incident}")).json["updates"] == [answered]
    assert f"incident {incident}: customers are told by Ada: we found the cause" in caplog.messages


async def test_customers_are_told_nothing_of_an_incident_that_there_is_not(api: Client) -> None:
    told = {"text": "we found the cause", "who": "Ada"}

    await api.refused("/api/v1/incidents/1/updates", 404, "POST", json=told)


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
