"""Whether there are histograms of checks, and what becomes of them at a reload."""

import asyncio
from collections.abc import Sequence

import pytest

from monitor.config.model import MetricsHistograms, Monitor
from monitor.result import Phases
from monitor.web.metrics.checks import CheckMetrics
from monitor.web.metrics.histograms import FAMILIES, are_kept
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


def followed(wanted: MetricsHistograms, *monitors: Monitor, checks: int = 1) -> CheckMetrics:
    made = CheckMetrics("here")
    made.follow(monitors, wanted)
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
    ("wanted", "monitors", "kept"),
    [("auto", 500, True), ("auto", 501, False), ("monitor", 501, True), ("none", 1, False)],
)
def test_many_monitors_have_no_histograms(wanted: MetricsHistograms, monitors: int, kept: bool) -> None:
    assert are_kept(wanted, monitors) == kept


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


@pytest.mark.parametrize(("number", "series_of_it"), [(500, 1), (501, 0)])
async def test_paused_monitors_count_for_the_limit(number: int, series_of_it: int) -> None:
    made = followed("auto", *many(number))

    assert len(counts(await series(made))) == series_of_it


async def test_histograms_that_come_back_begin_again_and_counters_go_on() -> None:
    made = followed("auto", *many(500), checks=3)
    seen = []

    for number in (501, 500):
        made.follow(many(number))
        check(made, many(1))
        found = await series(made)
        seen.append([value for _, value in counts(found)])
        ups = [v for labels, v in counts(found, "website_health_checks_total") if labels["result"] == "up"]
        seen.append(ups)

    assert seen == [[], [4], [1], [5]]


async def test_a_reload_that_changes_nothing_of_them_keeps_the_counts() -> None:
    made = followed("monitor", SHOP, BLOG)

    made.follow([SHOP.model_copy(update={"labels": {}}), BLOG], "monitor")
    check(made, [SHOP])

    assert [value for _, value in counts(await series(made))] == [2, 1]


@pytest.mark.clients
@pytest.mark.parametrize("wanted", ["monitor", "none"])
async def test_promtool_finds_nothing_wrong_with_them(wanted: MetricsHistograms) -> None:
    need("promtool")

    text = (await text_of(followed(wanted, SHOP, CART, BLOG))).decode()

    assert await asyncio.to_thread(promtool, "check", "metrics", text=text) == ""
