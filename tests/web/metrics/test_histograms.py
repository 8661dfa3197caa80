"""By what the histograms of checks are, and what becomes of them at a reload."""

import asyncio
from collections.abc import Sequence

import pytest

from monitor.config.model import MetricsHistograms, Monitor
from monitor.result import Phases
from monitor.web.metrics.checks import CheckMetrics
from monitor.web.metrics.histograms import FAMILIES, kept_by
from tests.program import need
from tests.prometheus import promtool
from tests.web.metrics.test_blackbox import result
from tests.web.metrics.test_checks import Series, series, text_of

SHOP = Monitor(name="shop", url="http://shop.test/", group="sales", labels={"team": "a"})
CART = Monitor(name="cart", url="http://cart.test/", group="sales")
BLOG = Monitor(name="blog", url="http://blog.test/")
COUNT = "website_health_check_duration_seconds_count"
IN_SALES = {"group": "sales", "location": "here"}
IN_NO_GROUP = {"group": "", "location": "here"}


def followed(by: MetricsHistograms, *monitors: Monitor, checks: int = 1) -> CheckMetrics:
    made = CheckMetrics("here")
    made.follow(monitors, by)
    check(made, monitors, checks)
    return made


def check(made: CheckMetrics, monitors: Sequence[Monitor], times: int = 1) -> None:
    for each in monitors:
        for _ in range(times):
            made.observe(result(monitor=each.name, response_time=0.3, phases=Phases(connect=0.02)))


def counts(found: Series, name: str = COUNT) -> list[tuple[dict[str, str], float]]:
    return [(dict(labels), value) for (key, labels), value in found.items() if key == name]


def many(number: int) -> list[Monitor]:
    return [Monitor(name=f"site {n}", url="http://site.test/", paused=n > 0) for n in range(number)]


@pytest.mark.parametrize(
    ("wanted", "monitors", "by"),
    [
        ("auto", 1, "monitor"),
        ("auto", 500, "monitor"),
        ("auto", 501, "group"),
        ("monitor", 501, "monitor"),
        ("group", 1, "group"),
        ("none", 1, "none"),
    ],
)
def test_histograms_are_by_group_when_there_are_many_monitors(
    wanted: MetricsHistograms, monitors: int, by: str
) -> None:
    assert kept_by(wanted, monitors) == by


@pytest.mark.parametrize("openmetrics", [False, True])
async def test_checks_of_a_group_are_counted_together(openmetrics: bool) -> None:
    found = await series(followed("group", SHOP, CART, BLOG), openmetrics=openmetrics)

    phase = "website_health_check_phase_duration_seconds_count"
    bucket = frozenset({**IN_SALES, "le": "0.5"}.items())
    assert counts(found) == [(IN_SALES, 2), (IN_NO_GROUP, 1)]
    assert counts(found, phase) == [
        ({**IN_SALES, "phase": "connect"}, 2),
        ({**IN_NO_GROUP, "phase": "connect"}, 1),
    ]
    assert found["website_health_check_duration_seconds_bucket", bucket] == 2
    assert {dict(labels).get("monitor") for name, labels in found if name == "probe_success"} == {
        "shop",
        "cart",
        "blog",
    }


async def test_a_monitor_has_histograms_with_all_its_labels() -> None:
    found = await series(followed("monitor", SHOP, CART))

    assert counts(found) == [
        ({**IN_SALES, "monitor": "shop", "team": "a"}, 1),
        ({**IN_SALES, "monitor": "cart", "team": ""}, 1),
    ]


async def test_there_may_be_no_histograms() -> None:
    made = followed("none", SHOP, BLOG)

    text = (await text_of(made)).decode()

    assert "website_health_checks_total" in text
    assert [family.name for family in FAMILIES if family.name in text] == []


@pytest.mark.parametrize(("number", "labels"), [(500, {"monitor": "site 0"}), (501, {})])
async def test_paused_monitors_count_for_the_limit(number: int, labels: dict[str, str]) -> None:
    made = followed("auto", *many(number))

    assert counts(await series(made)) == [({**IN_NO_GROUP, **labels}, 1)]


async def test_histograms_begin_again_when_they_are_by_something_else() -> None:
    made = followed("auto", *many(500), checks=3)
    seen = []

    for number in (501, 500):
        made.follow(many(number))
        check(made, many(1))
        found = await series(made)
        seen.append([value for _, value in counts(found)])
        ups = [v for labels, v in counts(found, "website_health_checks_total") if labels["result"] == "up"]
        seen.append(ups)

    assert seen == [[1], [4], [1], [5]]


@pytest.mark.parametrize("by", ["monitor", "group"])
async def test_a_reload_that_changes_nothing_of_them_keeps_the_counts(by: MetricsHistograms) -> None:
    made = followed(by, SHOP, BLOG)

    made.follow([SHOP.model_copy(update={"labels": {}}), BLOG], by)
    check(made, [SHOP])

    assert [value for _, value in counts(await series(made))] == [2, 1]


async def test_a_group_keeps_the_counts_of_a_monitor_that_leaves_and_goes_with_its_last_one() -> None:
    made = followed("group", SHOP, CART, BLOG)

    made.follow([SHOP, CART.model_copy(update={"group": None}), BLOG], "group")
    check(made, [CART])
    moved = await series(made)
    made.follow([SHOP.model_copy(update={"paused": True}), BLOG], "group")
    left = await series(made)

    assert counts(moved) == [(IN_SALES, 2), (IN_NO_GROUP, 2)]
    assert counts(left) == [(IN_NO_GROUP, 2)]


@pytest.mark.clients
@pytest.mark.parametrize("by", ["monitor", "group", "none"])
async def test_promtool_finds_nothing_wrong_with_them(by: MetricsHistograms) -> None:
    need("promtool")

    text = (await text_of(followed(by, SHOP, CART, BLOG))).decode()

    assert await asyncio.to_thread(promtool, "check", "metrics", text=text) == ""
