"""The page of one monitor."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from monitor.incidents.store import locked
from monitor.result import CheckResult, Evidence, OwnTroubleError, Tls
from monitor.result import Phases as Took
from monitor.storage.results import ResultStore
from monitor.uptime.store import sum_up_days
from monitor.web.pages.rendering import monitor_path
from monitor.web.queries import PageReader
from tests.postgres import result_store
from tests.web.visitor import HTML, configured, no_check, outage, result, site_of

SCRIPT = "<script>alert(1)</script>"
TLS = Tls("TLS 1.3", "AES", "ab", "CN=shop", "CN=authority", "shop.example", "01", None)


@pytest.mark.parametrize(
    "name",
    [
        "https://shop.example/a?b=c#d",
        "a/check",
        "a/../b",
        ".",
        "..",
        "100 %",
        "%2e%2e",
        "'\"<b>&amp;",
        "käse 🧀",
        "x" * 200,
    ],
)
async def test_every_name_has_a_page(store: ResultStore, name: str) -> None:
    await store.save([result(name)])

    async with site_of(configured(name, "other"), store) as visitor:
        page = await visitor.get(monitor_path(name))
        asked = await visitor.post(f"{monitor_path(name)}/check")

    assert page.status == 200
    assert "up since" not in page.text
    assert asked.status == 503
    assert "No result" in asked.text


async def test_an_unknown_monitor_has_none(store: ResultStore) -> None:
    async with site_of(configured("shop"), store) as visitor:
        page = await visitor.get("/monitors/other", **HTML)
        asked = await visitor.post("/monitors/other/check")

    assert (page.status, "no monitor has this name" in page.text) == (404, True)
    assert asked.status == 404


@pytest.mark.parametrize("asked", ["3h", "24h", "7d", "30d", "90d"])
async def test_each_range_has_its_charts(store: ResultStore, asked: str) -> None:
    took = Took(resolve=0.01, connect=0.02, tls=0.03, processing=0.04, transfer=0.05)
    await store.save([result("shop", ago_s, phases=took) for ago_s in (3 * 86_400, 7_200, 3_600, 60)])
    await sum_up_days(store.database, locked)

    async with site_of(configured("shop"), store) as visitor:
        page = await visitor.get(f"/monitors/shop?range={asked}")

    assert f'range={asked}" aria-current="page"' in page.text
    assert "p50 250 ms" in page.text or "p95 2" in page.text
    assert 'class="transfer"' in page.text
    assert "no data in this range" not in page.text


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        ({"labels": {"team": "ink", "tier": "<1>"}}, "<p>team=ink · tier=&lt;1&gt;</p>"),
        (
            {"runbook": 'https://wiki.example/"shop"'},
            '<p><a href="https://wiki.example/&#34;shop&#34;">Runbook</a></p>',
        ),
        (
            {"labels": {"team": "ink"}, "runbook": "https://wiki.example/"},
            '<p>team=ink · <a href="https://wiki.example/">Runbook</a></p>',
        ),
    ],
)
async def test_its_labels_and_its_runbook_are_below_its_url(
    store: ResultStore, settings: dict[str, Any], shown: str
) -> None:
    async with site_of(configured({"name": "shop", **settings}), store) as visitor:
        page = await visitor.get("/monitors/shop")

    assert shown in page.text


async def test_a_range_without_data_says_so_and_an_unknown_one_is_a_day(store: ResultStore) -> None:
    async with site_of(configured("shop"), store) as visitor:
        page = await visitor.get("/monitors/shop?range=x")

    assert page.text.count("no data in this range") == 2
    assert 'range=24h" aria-current="page"' in page.text
    assert "None in this range." in page.text


async def test_an_outage_is_shaded_listed_and_has_its_evidence(store: ResultStore) -> None:
    evidence = Evidence({"Server": SCRIPT, "Set-Cookie": "***"}, f"{SCRIPT} & gone")
    await store.save(outage(evidence=evidence, detail=SCRIPT))

    async with site_of(configured("shop"), store) as visitor:
        page = await visitor.get("/monitors/shop?range=3h")

    assert 'class="shade down"' in page.text
    assert 'href="/incidents/1"' in page.text
    assert "ongoing" in page.text
    assert page.text.count("Server: &lt;script&gt;") == 4
    assert SCRIPT not in page.text


async def test_maintenance_is_shaded(store: ResultStore) -> None:
    now = datetime.now(UTC)
    since, until = now - timedelta(hours=2), now + timedelta(hours=1)
    window = {"starts_at": since.isoformat(), "ends_at": until.isoformat()}

    async with site_of(configured({"name": "shop", "maintenance": (window,)}), store) as visitor:
        page = await visitor.get("/monitors/shop?range=24h")

    assert page.text.count('class="shade maintenance"') == 2


async def test_a_result_shows_its_code_redirects_phases_and_where_from(store: ResultStore) -> None:
    took = Took(resolve=None, connect=0.02, processing=0.5)
    await store.save(
        [
            result(ago_s=60, phases=took, redirects=2, ip="192.0.2.1"),
            result(ago_s=120, redirects=1, degraded=True),
            result(ago_s=180, up=None, response_status=None, reason="monitor_offline"),
        ]
    )

    async with site_of(configured("shop"), store) as visitor:
        page = await visitor.get("/monitors/shop")

    assert "connect 20 ms, processing 500 ms" in page.text
    assert "2 redirects" in page.text
    assert "1 redirect<" in page.text
    assert "192.0.2.1" in page.text
    assert "monitor offline" in page.text


async def test_a_monitor_without_a_result_says_so(store: ResultStore) -> None:
    async with site_of(configured("shop"), store) as visitor:
        page = await visitor.get("/monitors/shop")

    assert "<p>None in the last 24 hours.</p>" in page.text


@pytest.mark.parametrize(
    ("verified_until", "shown"), [(None, "not verified"), (1_900_000_000.0, "2030-03-17 17:46:40")]
)
async def test_the_certificate_of_the_newest_result_that_has_one(
    store: ResultStore, verified_until: float | None, shown: str
) -> None:
    tls = Tls("TLS 1.3", "AES", "ab", "CN=shop", "CN=a", "shop.example", "01", verified_until)
    await store.save([result(ago_s=120, tls=tls, certificate_expires_at=1_800_000_000.0), result()])

    async with site_of(configured("shop"), store) as visitor:
        page = await visitor.get("/monitors/shop")

    assert "<dt>issuer</dt><dd>CN=a</dd>" in page.text
    assert f"<dt>verified chain expires</dt><dd>{shown}</dd>" in page.text
    assert "<dt>presented chain expires</dt><dd>2027-01-15 08:00:00</dd>" in page.text


async def test_a_certificate_without_an_end_is_shown_as_far_as_it_is_known(store: ResultStore) -> None:
    await store.save([result(tls=TLS)])

    async with site_of(configured("shop"), store) as visitor:
        assert "presented chain expires" not in (await visitor.get("/monitors/shop")).text


async def test_settings_are_shown_without_secrets(store: ResultStore) -> None:
    shop = {
        "name": "shop",
        "url": "https://me:hidden-1@shop.example/",
        "headers": {"X-Key": "hidden-2"},
        "bearer_token": "hidden-3",
        "interval_s": 15,
    }

    async with site_of(configured(shop), store) as visitor:
        page = await visitor.get("/monitors/shop")

    assert "<dt>interval_s</dt><dd>15</dd>" in page.text
    assert "<dt>headers</dt><dd>X-Key: ***</dd>" in page.text
    assert "hidden" not in page.text


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
    monkeypatch.setattr("monitor.web.pages.monitor._WAIT_S", 60.0)

    async with site_of(configured("shop"), store, check_now) as visitor:
        assert "207" not in (await visitor.get("/monitors/shop?range=7d")).text
        asked = await visitor.post("/monitors/shop/check?range=7d")
        page = await visitor.get(asked.headers["Location"])

    assert looks == [False, True]
    assert (asked.status, asked.headers["Location"]) == (303, "/monitors/shop?range=7d")
    assert '<td class="number">207</td>' in page.text


async def test_a_result_that_waits_somewhere_is_not_waited_for_for_long(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.web.pages.monitor._WAIT_S", 0.05)

    async def check_now(*_: Any) -> CheckResult:
        return result()

    async with site_of(configured("shop"), store, check_now) as visitor:
        assert (await visitor.post("/monitors/shop/check")).status == 303
    unavailable = result_store("postgresql://127.0.0.1:9/x")
    async with site_of(configured("shop"), unavailable, check_now) as visitor:
        assert (await visitor.post("/monitors/shop/check")).status == 303


@pytest.mark.parametrize("trouble", [KeyError, TimeoutError, OwnTroubleError])
async def test_a_check_that_is_not_made_says_so(store: ResultStore, trouble: type[Exception]) -> None:
    async def check_now(*_: Any) -> CheckResult:
        raise trouble

    async with site_of(configured("shop"), store, check_now) as visitor:
        answer = await visitor.post("/monitors/shop/check")

    assert (answer.status, "The check could not be made" in answer.text) == (503, True)


async def test_no_check_is_made_while_the_program_starts() -> None:
    async with site_of(configured("shop"), None, no_check) as visitor:
        answer = await visitor.post("/monitors/shop/check")

    assert (answer.status, "starting" in answer.text) == (503, True)


async def test_results_are_those_of_the_last_day_and_not_too_many(store: ResultStore) -> None:
    await store.save([result(ago_s=90_000), *(result(ago_s=60 * number) for number in range(1, 61))])

    async with site_of(configured("shop"), store) as visitor:
        page = await visitor.get("/monitors/shop")

    assert page.text.count('<td><span class="state up">') == 20
