"""The page of one monitor."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from monitor.domains.known import Domains
from monitor.incidents.store import locked
from monitor.result import Attempt, CheckResult, Evidence, StepResult, Tls
from monitor.result import Phases as Took
from monitor.storage.results import ResultStore
from monitor.uptime.store import sum_up_days
from monitor.web.pages.rendering import monitor_path
from tests.web.visitor import HTML, configured, domains_of, outage, result, site_of

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
        answer = await visitor.get(asked.headers["Location"])

    assert page.status == 200
    assert "<p>since" not in page.text
    assert '<p>last checked at <time data-as="moment"' in page.text
    assert asked.status == 303
    assert "Not checked: this process does not check it." in answer.text


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
    assert "No good check in this range" not in page.text


STEPS = [{"name": name, "url": "https://shop.example/"} for name in ("form", "log <in>", "out")]


def stepped(ago_s: float, *seconds: float, **more: Any) -> CheckResult:
    steps = (StepResult(step["name"], 200, s, Took(), None) for step, s in zip(STEPS, seconds, strict=False))
    return result("login", ago_s, steps=tuple(steps), **more)


@pytest.mark.parametrize(("asked", "is_shown"), [("3h", True), ("24h", True), ("7d", False)])
async def test_steps_are_stacked_as_long_as_there_are_single_results(
    store: ResultStore, asked: str, is_shown: bool
) -> None:
    failed = stepped(50, 9.0, up=False, reason="status")
    await store.save([stepped(60, 0.02, 0.04, 0.03), failed])

    async with site_of(configured({"name": "login", "steps": STEPS}), store) as visitor:
        page = await visitor.get(f"/monitors/login?range={asked}")

    keys = '<span class="key step1">form</span> <span class="key step2">log &lt;in&gt;</span>'
    assert (keys in page.text) is is_shown
    assert ("form 20 ms, log &lt;in&gt; 40 ms, out 30 ms" in page.text) is is_shown
    assert ('<rect class="step3"' in page.text) is is_shown
    assert "<dt>step log &lt;in&gt;</dt><dd>200, 40 ms</dd>" in page.text


async def test_a_monitor_without_steps_has_no_chart_of_them(store: ResultStore) -> None:
    async with site_of(configured("shop"), store) as visitor:
        page = await visitor.get("/monitors/shop")

    assert '"Steps;' not in page.text


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        ({"labels": {"team": "ink", "tier": "<1>"}}, " · team=ink · tier=&lt;1&gt;</p>"),
        (
            {"runbook": 'https://wiki.example/"shop"'},
            ' · <a href="https://wiki.example/&#34;shop&#34;">Runbook</a></p>',
        ),
        (
            {"labels": {"team": "ink"}, "runbook": "https://wiki.example/"},
            ' · team=ink · <a href="https://wiki.example/">Runbook</a></p>',
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

    assert page.text.count("No good check in this range.") == 2
    assert 'range=24h" aria-current="page"' in page.text
    assert 'No incidents in this range. <a href="/monitors/shop?range=90d">' in page.text


async def test_an_outage_is_shaded_listed_and_has_its_evidence(store: ResultStore) -> None:
    seen = (Attempt("192.0.2.1", SCRIPT),)
    evidence = Evidence({"Server": SCRIPT, "Set-Cookie": "***"}, f"{SCRIPT} & gone", addresses=seen)
    await store.save(outage(evidence=evidence, detail=SCRIPT))

    async with site_of(configured("shop"), store) as visitor:
        page = await visitor.get("/monitors/shop?range=3h")

    assert 'class="shade down"' in page.text
    assert 'href="/incidents/1"' in page.text
    assert "ongoing" in page.text
    assert page.text.count("Server: &lt;script&gt;") == 4
    assert page.text.count("<dt>addresses</dt><dd>192.0.2.1: &lt;script&gt;") == 4
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

    assert "<dt>connect</dt><dd>20 ms</dd><dt>processing</dt><dd>500 ms</dd>" in page.text
    assert "<dt>redirects</dt><dd>2</dd>" in page.text
    assert "<dt>redirects</dt><dd>1</dd>" in page.text
    assert "<dt>to</dt><dd>192.0.2.1</dd>" in page.text
    assert "<dt>resolve</dt>" not in page.text
    assert "monitor offline" in page.text


async def test_a_monitor_without_a_result_says_so(store: ResultStore) -> None:
    async with site_of(configured("shop"), store) as visitor:
        page = await visitor.get("/monitors/shop")

    assert "No results in the last 24 hours. <i>Check now</i> makes one." in page.text


@pytest.mark.parametrize(
    ("verified_until", "shown"),
    [
        (None, "not verified"),
        (1_900_000_000.0, '<time datetime="2030-03-17T17:46:40+00:00">2030-03-17 17:46:40</time>'),
    ],
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
    assert '<dt>presented chain expires</dt><dd><time datetime="2027-01-15T08:00:00+00:00">' in page.text


async def test_a_certificate_without_an_end_is_shown_as_far_as_it_is_known(store: ResultStore) -> None:
    await store.save([result(tls=TLS)])

    async with site_of(configured("shop"), store) as visitor:
        assert "presented chain expires" not in (await visitor.get("/monitors/shop")).text


WATCHED = {"name": "shop", "url": "https://www.shop.example/", "min_domain_days": 30}


async def test_the_domain_is_shown_beside_the_certificate(store: ResultStore) -> None:
    config = configured(WATCHED, "blog")

    async with site_of(config, store, domains=domains_of(config, 40)) as visitor:
        shop, blog = await visitor.get("/monitors/shop"), await visitor.get("/monitors/blog")

    assert "<h2>Domain</h2>" in shop.text
    assert "<dt>name</dt><dd>shop.example</dd><dt>registration expires</dt><dd><time" in shop.text
    assert "<dt>asked at</dt><dd><time" in shop.text
    assert "<h2>Domain</h2>" not in blog.text


async def test_why_nothing_is_known_of_a_domain_is_shown_escaped(store: ResultStore) -> None:
    config = configured(WATCHED)

    async with site_of(config, store, domains=domains_of(config, None, SCRIPT)) as visitor:
        page = await visitor.get("/monitors/shop")
    async with site_of(config, store, domains=domains_of(config, 40, "429")) as visitor:
        known = await visitor.get("/monitors/shop")

    assert "<dt>registration expires</dt><dd>not known</dd>" in page.text
    assert "<dt>why not known</dt><dd>&lt;script&gt;" in page.text
    assert "<dt>newest answer</dt><dd>429</dd>" in known.text


async def test_a_domain_that_nobody_has_asked_about_yet_is_not_known(store: ResultStore) -> None:
    domains = Domains()
    domains.follow(configured(WATCHED).monitors)

    async with site_of(configured(WATCHED), store, domains=domains) as visitor:
        page = await visitor.get("/monitors/shop")

    assert "<dt>registration expires</dt><dd>not known</dd></dl>" in page.text


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

    assert "<dt>interval</dt><dd>15 s</dd>" in page.text
    assert "<dt>headers</dt><dd>X-Key: ***</dd>" in page.text
    assert "hidden-" not in page.text


async def test_a_paused_monitor_says_so_and_what_to_do(store: ResultStore) -> None:
    async with site_of(configured({"name": "shop", "paused": True}), store) as visitor:
        page = (await visitor.get("/monitors/shop")).text

    assert "<h2>Paused</h2>" in page
    assert "It is not checked: the configuration has it paused." in page
    assert "remove <code>paused</code> from its configuration" in page
    assert "<button disabled>Check now" in page


async def test_settings_that_are_not_the_defaults_come_first(store: ResultStore) -> None:
    shop = {"name": "shop", "timeout_s": 3, "expect": {"status": [204]}}

    async with site_of(configured(shop, "blog"), store) as visitor:
        own, plain = [(await visitor.get(f"/monitors/{name}")).text for name in ("shop", "blog")]

    settings = own[own.index("<h2>Settings") :].partition(" at their defaults</summary>")
    assert "<dt>timeout</dt><dd>3 s</dd>" in settings[0]
    assert "<dt>expected status</dt><dd>204</dd>" in settings[0]
    assert "<dt>timeout</dt>" not in settings[2]
    assert "<dt>method</dt><dd>GET</dd>" in settings[2]
    assert "<p>All are the defaults.</p>" in plain


async def test_results_are_those_of_the_last_day_and_not_too_many(store: ResultStore) -> None:
    await store.save([result(ago_s=90_000), *(result(ago_s=60 * number) for number in range(1, 61))])

    async with site_of(configured("shop"), store) as visitor:
        page = await visitor.get("/monitors/shop")

    assert page.text.count('<td><span class="state up">') == 10
