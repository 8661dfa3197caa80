"""The API's results: pages, tables, files of a whole stretch."""

import asyncio
import csv
import io
import json
import time
from typing import Any

import aiohttp
import msgspec
import pytest

from monitor.result import Evidence, Hop, Phases, StepResult, Tls
from monitor.runtime.text import DAY_S
from monitor.storage.expiry import KeptDays, expire
from monitor.storage.results import ResultStore
from tests.postgres import PostgresServer, result_store
from tests.web.api.client import Client, Open, failed, found

HEAD = (
    "scheduled_at,started_at,location,status,status_code,response_time_s,reason,detail,"
    "resolve_s,connect_s,tls_s,processing_s,transfer_s,ip,http_version,certificate_expires_at"
)
TLS = Tls("TLS 1.3", "TLS_AES_256_GCM_SHA384", "ab", "CN=shop", "CN=ca", "shop.example", "01", None)


async def fill(store: ResultStore, count: int, monitor: str = "shop") -> list[float]:
    """Store so many results, one a second until ten seconds ago; return their slots, the newest first."""
    last = int(time.time()) - 10
    slots = [last - number + 0.5 for number in range(count)]
    for start in range(0, count, 500):
        await store.save([found(monitor, at) for at in slots[start : start + 500]])
    return slots


async def slots_of(api: Client, query: str) -> list[float]:
    return [each["scheduled_at"] for each in (await api(f"/monitors/shop/results{query}")).json["results"]]


async def test_a_result_has_all_that_was_found(api: Client, store: ResultStore) -> None:
    at = time.time() - 60
    evidence = Evidence({"Server": "nginx"}, "<h1>oops</h1>", hops=(Hop("https://a.test/", 500, None),))
    phases = Phases(resolve=0.005, transfer=0.1)
    steps = (StepResult("log in", 403, 0.25, phases, "status"),)
    await store.save(
        [failed("shop", at, tls=TLS, evidence=evidence, ip="192.0.2.7", phases=phases, steps=steps)]
    )

    (result,) = (await api("/monitors/shop/results")).json["results"]

    assert result["status"] == "down"
    assert (result["status_code"], result["reason"], result["ip"]) == (500, "status", "192.0.2.7")
    assert (result["resolve_s"], result["connect_s"], result["transfer_s"]) == (0.005, None, 0.1)
    assert result["tls"] == msgspec.to_builtins(TLS)
    assert result["steps"] == msgspec.to_builtins(list(steps))
    assert result["evidence"] == {
        "headers": {"Server": "nginx"},
        "body": "<h1>oops</h1>",
        "dns": [],
        "addresses": [],
        "hops": [{"url": "https://a.test/", "status": 500, "ip": None}],
        "certificates": [],
    }


async def test_results_come_page_by_page_the_newest_first(api: Client, store: ResultStore) -> None:
    slots = await fill(store, 5)

    seen, query = [], "?limit=2"
    while query:
        answered = (await api(f"/monitors/shop/results{query}")).json
        seen += [[each["scheduled_at"] for each in answered["results"]]]
        query = answered["next"] and f"?limit=2&cursor={answered['next']}"

    assert seen == [slots[:2], slots[2:4], slots[4:]]


async def test_results_of_one_slot_are_on_one_page_each(api: Client, store: ResultStore) -> None:
    at = float(int(time.time()) - 60)
    for place in ("here", "there"):
        result = found("shop", at, location=place)
        await store.save([msgspec.structs.replace(result, id=found(place, at).id)])

    first = (await api("/monitors/shop/results?limit=1")).json
    second = (await api(f"/monitors/shop/results?limit=1&cursor={first['next']}")).json

    assert {each["results"][0]["location"] for each in (first, second)} == {"here", "there"}
    assert second["next"] is None


async def test_a_stretch_has_its_beginning_and_not_its_end(api: Client, store: ResultStore) -> None:
    slots = await fill(store, 5)

    assert await slots_of(api, f"?since={slots[3]}&until={slots[1]}") == slots[2:4]
    assert await slots_of(api, f"?until={slots[3]}") == slots[4:]
    assert await slots_of(api, f"?since={slots[1]}") == slots[:2]


async def test_a_cursor_does_not_lead_out_of_the_stretch(api: Client, store: ResultStore) -> None:
    slots = await fill(store, 3)

    assert await slots_of(api, f"?until={slots[1]}&cursor={'f' * 32}") == slots[2:]
    assert await slots_of(api, f"?until={slots[1]}&cursor=7ff0{'0' * 28}") == slots[2:]


async def test_a_page_as_a_table(api: Client, store: ResultStore) -> None:
    at = float(int(time.time()) - 60)
    await store.save([found("shop", at), failed("shop", at - 1, detail='=cmd("x"), and\nmore')])

    answered = await api("/monitors/shop/results?format=csv&limit=1")
    assert answered.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answered.headers["Link"].startswith("</api/v1/monitors/shop/results?format=csv&limit=1&cursor=")
    assert answered.lines == [HEAD, f"{at},{at + 0.25},here,up,200,0.5" + "," * 10]

    both = await api("/monitors/shop/results?format=csv")
    rows = list(csv.DictReader(io.StringIO(both.body.decode(), newline="")))
    assert rows[1]["detail"] == '\'=cmd("x"), and\nmore'
    assert "Link" not in both.headers


@pytest.mark.parametrize("count", [0, 1, 250, 1_003])
async def test_a_whole_stretch_is_one_file(api: Client, store: ResultStore, count: int) -> None:
    slots = await fill(store, count)

    whole = await api("/monitors/shop/export")
    lines = (await api("/monitors/shop/export?format=csv")).lines

    assert [each["scheduled_at"] for each in whole.json["results"]] == slots
    assert whole.json["next"] is None
    assert whole.headers["Content-Disposition"] == "attachment; filename*=UTF-8''shop.json"
    assert lines[0] == HEAD
    assert [float(line.split(",")[0]) for line in lines[1:]] == slots


async def test_failed_results_of_long_ago_are_in_pages_and_files(api: Client, store: ResultStore) -> None:
    noon = time.time() // DAY_S * DAY_S - DAY_S / 2
    slots = [noon - days * DAY_S for days in (10, 40, 75, 100)]
    evidence = Evidence({"Server": "nginx"}, "<h1>oops</h1>")
    await store.save([failed("shop", at, evidence=evidence) for at in slots])
    await store.save([found("shop", at + 60) for at in slots])

    await expire(store.database, KeptDays(30, 400, None))

    query = f"?since={slots[-1]}&limit=2"
    first = (await api(f"/monitors/shop/results{query}")).json
    second = (await api(f"/monitors/shop/results{query}&cursor={first['next']}")).json
    third = (await api(f"/monitors/shop/results{query}&cursor={second['next']}")).json
    kept = [slots[0] + 60, *slots]
    shown = [*first["results"], *second["results"], *third["results"]]
    assert [each["scheduled_at"] for each in shown] == kept
    assert third["next"] is None
    assert msgspec.convert(shown[-1]["evidence"], Evidence) == evidence
    lines = (await api(f"/monitors/shop/export?format=csv&since={slots[-1]}")).lines
    assert [float(line.split(",")[0]) for line in lines[1:]] == kept


async def test_a_file_is_named_after_the_monitor(api: Client) -> None:
    answered = await api("/monitors/a%2Fb/export?format=csv")

    assert answered.headers["Content-Disposition"] == "attachment; filename*=UTF-8''a%2Fb.csv"
    assert answered.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answered.lines == [HEAD]


async def test_other_monitors_results_are_not_there(api: Client, store: ResultStore) -> None:
    await fill(store, 2, "blog")

    assert (await api("/monitors/shop/export")).json["results"] == []


@pytest.mark.parametrize("path", ["results", "export"])
async def test_what_is_not_there_or_not_allowed(api: Client, path: str) -> None:
    await api.refused(f"/api/v1/monitors/none/{path}", 404)
    problem = await api.refused(f"/api/v1/monitors/shop/{path}?since=now&until=2026", 400)
    assert [each["parameter"] for each in problem["errors"]] == ["since"]
    problem = await api.refused(f"/api/v1/monitors/shop/{path}?since=2026-11-02&until=2026-11-01", 422)
    assert problem["detail"] == "since must be earlier than until (by default now)"


async def test_a_file_that_is_not_whole_has_no_end(
    open_api: Open, own_postgres_server: PostgresServer
) -> None:
    store = result_store(own_postgres_server.uri())
    api = await open_api(store)
    wide = Evidence({"Server": "n" * 4_000}, "b" * 4_000)
    last = int(time.time()) - 10
    for start in range(0, 6_000, 500):
        results = [failed("shop", last - number, evidence=wide) for number in range(start, start + 500)]
        await store.save(results)

    async with api.session.get(f"{api.url}api/v1/monitors/shop/export") as response:
        await response.content.readexactly(10)
        own_postgres_server.stop()
        with pytest.raises(aiohttp.ClientPayloadError):
            async with asyncio.timeout(60):
                await response.read()
    await store.database.close()


async def test_a_slow_reader_holds_no_connection(api: Client, store: ResultStore) -> None:
    wide = Evidence({"Server": "n" * 4_000}, "b" * 4_000)
    last = int(time.time()) - 10
    for start in range(0, 3_000, 500):
        results: list[Any] = [
            failed("shop", last - number, evidence=wide) for number in range(start, start + 500)
        ]
        await store.save(results)

    async with aiohttp.ClientSession() as session:
        readers = [await session.get(f"{api.url}api/v1/monitors/shop/export") for _ in range(6)]
        await api("/monitors")
        whole = [json.loads(await reader.read()) for reader in readers]

    assert [len(each["results"]) for each in whole] == [3_000] * 6
