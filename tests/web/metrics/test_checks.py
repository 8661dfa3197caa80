"""What Prometheus reads of the checks: of the latest one, and of all."""

import asyncio
import re
import time
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families as parse_text

from monitor.config.expect import Expect
from monitor.config.model import Monitor
from monitor.config.steps.step import Step
from monitor.domains.known import Domain
from monitor.result import CheckResult, Evidence, Phases, Reason, StepResult
from monitor.sharing import shard_of
from monitor.web.metrics.blackbox import FAMILIES, samples
from monitor.web.metrics.checks import CheckMetrics
from monitor.web.metrics.exposition import MetricsText, labels
from tests.web.metrics.test_blackbox import TLS, result

SHOP = Monitor(name="shop", url="http://shop.test/", group="sales", labels={"team-name": "a"})
BLOG = Monitor(name='b"l\\og', url="http://blog.test/", labels={"floor": "2", "team-name": 'x"y\\z\n'})

parse_openmetrics: Any = openmetrics_parser.text_string_to_metric_families
Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


def metrics(*monitors: Monitor, results: Iterable[CheckResult] = ()) -> CheckMetrics:
    made = CheckMetrics("here")
    made.follow(monitors)
    for each in results:
        made.observe(each)
    return made


async def test_the_expiry_of_a_domain_is_there_while_it_is_known() -> None:
    now = time.time()
    known = {"shop": Domain("shop.test", 1_900_000_000.0, now), "blog": Domain("blog.test")}
    made = CheckMetrics("here", domain_of=known.get)
    made.follow([SHOP, BLOG])
    for name in (SHOP.name, BLOG.name):
        made.observe(result(monitor=name))

    found = await series(made)

    expiry = "website_health_domain_expiry_timestamp_seconds"
    assert value(found, expiry, monitor="shop", location="here") == 1_900_000_000
    assert [name for name, _ in found].count(expiry) == 1


async def series(of: CheckMetrics, *, openmetrics: bool = False) -> Series:
    return read(await text_of(of, openmetrics=openmetrics), openmetrics=openmetrics)


async def text_of(made: CheckMetrics, *, openmetrics: bool = False) -> bytes:
    return b"".join([part async for part in made.parts(openmetrics)])


def read(page: bytes, *, openmetrics: bool = False) -> Series:
    text = page.decode()
    families = parse_openmetrics(f"{text}# EOF\n") if openmetrics else parse_text(text)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def value(of: Series, name: str, **labels: str) -> float | None:
    """Find the one series of this name with these labels."""
    wanted = labels.items()
    found = [number for (key, own), number in of.items() if key == name and wanted <= dict(own).items()]
    assert len(found) < 2
    return found[0] if found else None


def of_shop(**changes: Any) -> CheckResult:
    return result(monitor="shop", **changes)


@pytest.mark.parametrize("openmetrics", [False, True])
async def test_the_latest_check_is_exported_with_the_monitor_s_labels(openmetrics: bool) -> None:
    made = metrics(SHOP, BLOG, results=[of_shop(up=False, reason="status"), of_shop(response_time=0.5)])

    found = await series(made, openmetrics=openmetrics)

    labels = {"monitor": "shop", "group": "sales", "location": "here", "team_name": "a", "floor": ""}
    assert found["probe_success", frozenset(labels.items())] == 1
    assert found["probe_duration_seconds", frozenset(labels.items())] == 0.5
    assert value(found, "website_health_last_check_timestamp_seconds", monitor="shop") == 1.5
    assert value(found, "probe_timeout_seconds") == 10


async def test_the_latest_check_is_not_exported_where_another_process_makes_the_checks() -> None:
    made = metrics(SHOP, BLOG, results=[of_shop(), result(monitor=BLOG.name)])
    made.own_shards = lambda: {shard_of(SHOP.name)}

    found = await series(made)

    assert value(found, "probe_success", monitor="shop") == 1
    assert value(found, "probe_success", monitor=BLOG.name) is None
    assert value(found, "website_health_last_check_timestamp_seconds", monitor=BLOG.name) is None
    assert value(found, "website_health_checks_total", monitor=BLOG.name, result="up") == 1


async def test_the_steps_of_the_latest_check_are_exported() -> None:
    step = Step(name="in", url="http://shop.test/", expect=Expect(json=("ok",)))
    shop = SHOP.model_copy(update={"steps": (step,)})
    steps = [StepResult(name, 200, 0.25, Phases(), None) for name in ("in", 'o"ut')]
    made = metrics(shop, BLOG, results=[of_shop(steps=tuple(steps)), result(monitor=BLOG.name)])

    found = await series(made)

    durations = {
        dict(labels)["step"]: (seconds, dict(labels)["monitor"])
        for (name, labels), seconds in found.items()
        if name == "website_health_step_duration_seconds"
    }
    assert durations == {"in": (0.25, "shop"), 'o"ut': (0.25, "shop")}
    assert value(found, "probe_failed_due_to_cel", monitor="shop") == 0
    assert value(found, "probe_failed_due_to_cel", monitor=BLOG.name) is None


async def test_a_metric_without_a_sample_is_not_mentioned() -> None:
    text = (await text_of(metrics(SHOP, results=[of_shop()]))).decode()

    headed = re.findall(r"(?m)^# TYPE (\w+) ", text)
    sampled = re.findall(r"(?m)^(\w+?)(?:_bucket|_sum|_count)?{", text)
    assert len(headed) == len(set(headed))
    assert set(headed) == set(sampled)


async def test_a_check_that_ends_meanwhile_is_on_the_next_page() -> None:
    made = metrics(SHOP, results=[of_shop()])
    parts = made.parts(openmetrics=False)

    first = await anext(parts)
    made.observe(
        of_shop(timestamp=9.5, up=False, reason="body", response_time=9.0, phases=Phases(connect=9.0))
    )
    page = read(first + b"".join([part async for part in parts]))

    after = await series(made)
    for name, before_, after_ in (
        ("website_health_last_check_timestamp_seconds", 1.5, 9.5),
        ("probe_success", 1, 0),
        ("probe_duration_seconds", 0.25, 9.0),
    ):
        assert (value(page, name), value(after, name)) == (before_, after_)
    assert value(page, "probe_http_duration_seconds", phase="connect") == 0.02


@pytest.mark.parametrize("openmetrics", [False, True])
async def test_odd_names_and_labels_survive(openmetrics: bool) -> None:
    found = await series(metrics(BLOG, results=[result(monitor=BLOG.name)]), openmetrics=openmetrics)

    labels = {"monitor": BLOG.name, "group": "", "location": "here", "team_name": 'x"y\\z\n', "floor": "2"}
    assert found["probe_success", frozenset(labels.items())] == 1


async def test_a_monitor_without_a_check_has_counts_of_nothing() -> None:
    found = await series(metrics(SHOP))

    assert value(found, "probe_success") is None
    assert value(found, "website_health_check_failures_total") is None
    assert value(found, "website_health_check_duration_seconds_count") == 0
    assert {value(found, "website_health_checks_total", result=r) for r in ("up", "degraded", "down")} == {0}


async def test_no_check_is_lost_between_two_looks() -> None:
    made = metrics(
        SHOP,
        results=[
            of_shop(),
            of_shop(up=False, reason="status"),
            of_shop(up=False, reason="status"),
            of_shop(up=False, reason="connect_refused"),
            of_shop(degraded=True),
            of_shop(up=None, reason="monitor_offline"),
            of_shop(),
        ],
    )

    found = await series(made)

    counts = {
        name: value(found, "website_health_checks_total", result=name)
        for name in ("up", "degraded", "down", "unknown")
    }
    assert counts == {"up": 2, "degraded": 1, "down": 3, "unknown": 1}
    reasons = {
        name: value(found, "website_health_check_failures_total", reason=name)
        for name in ("status", "connect_refused", "monitor_offline", "body")
    }
    assert reasons == {"status": 2, "connect_refused": 1, "monitor_offline": 1, "body": None}


async def test_each_reason_has_a_count_of_all_monitors_before_the_first_failure() -> None:
    made = metrics(SHOP, BLOG)
    name = "website_health_reasons_total"

    before = await series(made)
    made.observe(of_shop(up=False, reason="status"))
    made.observe(result(monitor=BLOG.name, up=False, reason="status"))
    made.observe(result(monitor="unknown", up=False, reason="status"))
    made.follow([SHOP])
    after = await series(made)

    assert {value(before, name, reason=reason, location="here") for reason in Reason} == {0}
    assert value(after, name, reason="status") == 2
    assert sum(count for (key, _), count in after.items() if key == name) == 2


async def test_durations_are_counted_where_they_fall() -> None:
    made = metrics(SHOP, results=[of_shop(response_time=seconds) for seconds in (0.01, 0.02, 0.3, 99.0)])

    found = await series(made)

    name = "website_health_check_duration_seconds"
    assert [value(found, f"{name}_bucket", le=le) for le in ("0.01", "0.025", "0.25", "30.0", "+Inf")] == [
        1,
        2,
        2,
        3,
        4,
    ]
    assert value(found, f"{name}_sum") == pytest.approx(99.33)
    assert value(found, f"{name}_count") == 4


async def test_phases_that_did_not_run_are_counted_nowhere() -> None:
    made = metrics(SHOP, results=[of_shop(phases=Phases(connect=0.02)), of_shop()])

    found = await series(made)

    name = "website_health_check_phase_duration_seconds_count"
    counts = {phase: value(found, name, phase=phase) for phase in ("resolve", "connect", "tls")}
    assert counts == {"resolve": 1, "connect": 2, "tls": None}


async def test_phases_are_counted_where_they_fall() -> None:
    made = metrics(SHOP, results=[of_shop(phases=Phases(connect=seconds)) for seconds in (0.02, 2.0, 9.0)])

    found = await series(made)

    name = "website_health_check_phase_duration_seconds_bucket"
    bounds = ("0.005", "0.025", "0.1", "0.25", "0.5", "1.0", "2.5", "10.0", "+Inf")
    counts = [value(found, name, phase="connect", le=le) for le in bounds]
    assert counts == [0, 1, 1, 1, 1, 1, 2, 3, 3]


LATEST = {
    "up": of_shop(),
    "encrypted": of_shop(tls=TLS, certificate_expires_at=1.8e9, last_modified_at=1.7e9),
    "json": of_shop(up=False, reason="json"),
    "refused": of_shop(up=False, reason="connect_refused", response_status=None, http_version=None),
    "without address": of_shop(
        up=False, reason="dns_error", response_status=None, ip=None, phases=Phases(resolve=0.1)
    ),
}


@pytest.mark.parametrize("asking", [SHOP, SHOP.model_copy(update={"expect": Expect(json=("ok",))})])
async def test_the_latest_check_is_what_a_probe_would_answer(asking: Monitor) -> None:
    monitors = [asking.model_copy(update={"name": name}) for name in LATEST]
    made = metrics(*monitors)
    for name, latest in LATEST.items():
        made.observe(msgspec.structs.replace(latest, monitor=name))

    found = await series(made)

    for name, latest in LATEST.items():
        probed = MetricsText(FAMILIES)
        common = labels(monitor=name, group="sales", location="here", team_name="a")
        probed.add(samples(latest, asking, 10.0), common)
        wanted = read(b"".join(probed.parts(openmetrics=False)))
        assert wanted == {
            key: number
            for key, number in found.items()
            if key[0].startswith("probe_") and ("monitor", name) in key[1]
        }


async def test_a_check_without_a_finding_about_the_site_leaves_no_latest_one() -> None:
    found = await series(metrics(SHOP, results=[of_shop(), of_shop(up=None, reason="monitor_offline")]))

    assert value(found, "probe_success") is None
    assert value(found, "website_health_last_check_timestamp_seconds") == 1.5


async def test_conditions_on_json_are_exported_where_the_monitor_has_some() -> None:
    asking = SHOP.model_copy(update={"expect": Expect(json=("ok",))})

    assert value(await series(metrics(asking, results=[of_shop()])), "probe_failed_due_to_cel") == 0
    assert value(await series(metrics(SHOP, results=[of_shop()])), "probe_failed_due_to_cel") is None


async def test_monitors_that_are_gone_or_paused_disappear() -> None:
    other = Monitor(name="other", url="http://other.test/")
    made = metrics(SHOP, other, results=[of_shop(), result(monitor="other"), result(monitor="unknown")])

    made.follow([SHOP.model_copy(update={"paused": True})])
    made.observe(of_shop())

    assert {name for name, _ in await series(made)} == {"website_health_reasons_total"}


async def test_counts_outlive_a_change_of_the_monitor() -> None:
    made = metrics(SHOP, results=[of_shop()])

    made.follow([SHOP.model_copy(update={"group": "moved", "timeout_s": 3.0}), BLOG])
    made.observe(of_shop())

    found = await series(made)
    assert value(found, "website_health_checks_total", group="moved", result="up") == 2
    assert value(found, "probe_timeout_seconds", monitor="shop") == 3


async def test_the_page_s_text_is_not_kept() -> None:
    made = metrics(SHOP, results=[of_shop(response_data="x" * 1000, evidence=Evidence({}, "secret"))])

    latest = made._by_monitor["shop"].latest

    assert latest
    assert (latest.response_data, latest.evidence) == ("", None)


async def test_other_work_goes_on_while_thousands_of_monitors_are_written() -> None:
    monitors = [Monitor(name=f"site {n}", url=f"http://{n}.test/") for n in range(2_000)]
    made = metrics(*monitors, results=[result(monitor=monitor.name) for monitor in monitors])
    longest_shares = []

    for _ in range(5):
        began_all = time.thread_time()
        writing = asyncio.create_task(text_of(made, openmetrics=True))
        longest_s = 0.0
        while not writing.done():
            began = time.thread_time()
            await asyncio.sleep(0)
            longest_s = max(longest_s, time.thread_time() - began)
        longest_shares.append(longest_s / (time.thread_time() - began_all))

    assert min(longest_shares) < 0.2
