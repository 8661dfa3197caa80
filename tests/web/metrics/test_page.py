"""`/metrics` over HTTP, in the formats that Prometheus asks for."""

import gzip
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.parser import text_string_to_metric_families as parse_text

from monitor.config.model import Monitor
from monitor.web.metrics.checks import CheckMetrics
from monitor.web.metrics.page import MetricsPage
from monitor.web.server import serving
from tests.web.metrics.test_blackbox import result
from tests.web.metrics.test_checks import parse_openmetrics
from tests.web.visitor import ANYWHERE, nobody_logs_in

DURATION = "website_health_check_duration_seconds"
ONCE = {"probe_success", f"{DURATION}_count"}


async def scraped(number: int = 1, accept: str = "*/*", encoding: str = "identity") -> tuple[Any, bytes]:
    """Scrape a registry with one gauge, and monitors; return the headers and the body as they came."""
    registry = CollectorRegistry()
    looked = Gauge("looked", "How often.", registry=registry)

    async def look() -> None:
        looked.inc()

    checks = CheckMetrics("here")
    monitors = [Monitor(name=f"site {n}", url="http://site.test/") for n in range(number)]
    checks.follow(monitors)
    for each in monitors:
        checks.observe(result(monitor=each.name))
    page = MetricsPage(registry, look, checks.parts)
    async with (
        serving(ANYWHERE, nobody_logs_in(ANYWHERE), page.routes()) as (url,),
        aiohttp.ClientSession(auto_decompress=False) as client,
        client.get(f"{url}metrics", headers={"Accept": accept, "Accept-Encoding": encoding}) as response,
    ):
        assert response.status == 200
        return response.headers, await response.read()


def names(families: Any) -> dict[str, str]:
    return {family.name: family.type for family in families}


async def test_prometheus_text_is_the_default() -> None:
    headers, body = await scraped()

    assert headers["Content-Type"].startswith("text/plain; version=")
    found = names(parse_text(body.decode()))
    assert found["looked"] == "gauge"
    assert found["website_health_checks"] == "counter"
    assert found["website_health_check_duration_seconds"] == "histogram"
    assert b"\nlooked 1.0\n" in body
    assert b"# EOF" not in body


async def test_openmetrics_is_given_to_those_who_ask() -> None:
    headers, body = await scraped(accept="application/openmetrics-text;version=1.0.0,*/*;q=0.1")

    assert headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert body.endswith(b"\n# EOF\n")
    assert body.count(b"# EOF") == 1
    assert {"looked", "probe_success", "website_health_checks"} <= names(
        parse_openmetrics(body.decode())
    ).keys()


@pytest.mark.parametrize("monitors", [1, 250])
async def test_a_page_is_compressed_for_those_who_ask(monitors: int) -> None:
    headers, body = await scraped(monitors, encoding="gzip")

    assert headers["Content-Encoding"] == "gzip"
    assert int(headers["Content-Length"]) == len(body)
    text = gzip.decompress(body).decode()
    assert text.count("\nprobe_success{") == monitors
    assert len(body) < len(text) / 5


async def test_a_version_that_is_none_gets_plain_text() -> None:
    headers, _ = await scraped(accept="application/openmetrics-text;version=new")

    assert headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize("accept", ["*/*", "application/openmetrics-text"])
async def test_each_monitor_is_on_the_page_once_however_many_there_are(accept: str) -> None:
    headers, body = await scraped(250, accept=accept)

    assert int(headers["Content-Length"]) == len(body)
    found = parse_text(body.decode()) if accept == "*/*" else parse_openmetrics(body.decode())
    every = [f"site {n}" for n in range(250)]
    monitors: dict[str, list[str]] = {
        family.name: [sample.labels["monitor"] for sample in family.samples if sample.name in ONCE]
        for family in found
    }
    assert {name for name, listed in monitors.items() if listed} == {"probe_success", DURATION}
    assert sorted(monitors["probe_success"]) == sorted(monitors[DURATION]) == sorted(every)


async def test_a_cache_does_not_give_one_client_what_another_asked_for() -> None:
    headers, _ = await scraped()

    assert headers["Vary"] == "Accept, Accept-Encoding"
    assert "Content-Encoding" not in headers


async def test_who_refuses_gzip_gets_plain_text() -> None:
    headers, body = await scraped(encoding="gzip;q=0, *;q=0.5")

    assert "Content-Encoding" not in headers
    assert b"\nlooked 1.0\n" in body


async def test_only_the_headers_can_be_asked_for() -> None:
    page = MetricsPage(CollectorRegistry(), _nothing, CheckMetrics("here").parts)
    async with (
        serving(ANYWHERE, nobody_logs_in(ANYWHERE), page.routes()) as (url,),
        aiohttp.ClientSession() as client,
    ):
        async with client.head(f"{url}metrics", headers={"Accept-Encoding": "identity"}) as head:
            length = int(head.headers["Content-Length"])
        async with client.get(f"{url}metrics", headers={"Accept-Encoding": "identity"}) as after:
            assert len(await after.read()) == length


async def _nothing() -> None:
    pass
