"""The dashboard's queries find what the program measured and stored, and its alerts fire when they should."""

import json
import re
from collections import Counter
from itertools import combinations
from math import isnan
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from monitor.web.metrics.checks import DOMAIN_EXPIRY
from monitor.web.metrics.histograms import FAMILIES
from tests.program import ROOT, need, until
from tests.prometheus import METRICS_PAGE, documented, promtool
from tests.watched_sites import NOT_UP, SITES, Watched

MODEL: dict[str, Any] = json.loads((ROOT / "grafana/website-health.json").read_text())
PANELS: list[dict[str, Any]] = MODEL["panels"]
TARGETS = [(panel["title"], target) for panel in PANELS for target in panel.get("targets", ())]
PROMQL = [(title, target["expr"]) for title, target in TARGETS if "expr" in target]
SQL = [(title, target["rawSql"]) for title, target in TARGETS if "rawSql" in target]
VARIABLES = {variable["name"]: variable for variable in MODEL["templating"]["list"]}

DOWN = "down"
OF_30_DAYS = "WebsiteOftenDown"  # looks only every five minutes
TO_S = 4_102_444_800
INTERVALS = {"$__interval": 10, "1m": 60}


def chosen(expression: str, monitor: str = DOWN) -> str:
    """Put in what Grafana would when one monitor is chosen, of all groups and locations."""
    values = {"monitor": monitor, "group": ".*", "location": ".*", "__range": "5m", "__rate_interval": "1m"}
    for name, value in values.items():
        expression = re.sub(rf"\${name}\b", value, expression)
    assert "$" not in expression
    return expression


def expanded(statement: str) -> str:
    """Write out the macros as Grafana's PostgreSQL data source does."""
    statement = re.sub(r"\$__unixEpochFilter\((\w+)\)", rf"\1 >= 0 AND \1 <= {TO_S}", statement)

    def group(macro: re.Match[str]) -> str:
        interval_s = INTERVALS[macro[2]]
        return f'floor(({macro[1]})/({interval_s}))*{interval_s} AS "time"'

    statement = re.sub(r"\$__unixEpochGroupAlias\((\w+), ([$\w]+)\)", group, statement)
    statement = statement.replace("${monitor:sqlstring}", f"'{DOWN}'")
    assert "$" not in statement
    return statement


def test_no_two_panels_share_a_number_or_a_place() -> None:
    numbers = Counter(panel["id"] for panel in PANELS)
    places = [panel["gridPos"] for panel in PANELS]

    assert set(numbers.values()) == {1}
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below, (one, other)
    assert max(place["x"] + place["w"] for place in places) == 24


def test_whoever_imports_the_dashboard_chooses_its_data_sources() -> None:
    sources = {(target["datasource"]["type"], target["datasource"]["uid"]) for _, target in TARGETS}

    assert sources == {
        (VARIABLES[name]["query"], f"${{{name}}}")
        for name in VARIABLES
        if VARIABLES[name]["type"] == "datasource"
    }
    assert {kind for kind, _ in sources} == {"prometheus", "grafana-postgresql-datasource"}


def test_dashboard_and_alerts_need_no_histograms_of_checks() -> None:
    queries = " ".join(expression for _, expression in PROMQL) + (ROOT / "grafana/alerts.yml").read_text()

    assert "website_health_checks_total" in queries
    assert [family.name for family in FAMILIES if family.name in queries] == []


@pytest.mark.clients
@pytest.mark.parametrize("expression", [pytest.param(expression, id=title) for title, expression in PROMQL])
def test_a_query_of_prometheus_finds_something(watched: Watched, expression: str) -> None:
    watched.wait_until_scraped()
    monitor = "expiring" if "cert" in expression else DOWN

    def finds() -> bool:
        return any(not isnan(value) for _, value in watched.prometheus.query(chosen(expression, monitor)))

    until(finds, "a number")


@pytest.mark.clients
@pytest.mark.parametrize("name", [name for name in VARIABLES if VARIABLES[name]["type"] == "query"])
def test_a_variable_lists_what_there_is(watched: Watched, name: str) -> None:
    watched.wait_until_scraped()
    query = re.fullmatch(r"label_values\((.*), (\w+)\)", VARIABLES[name]["query"]["query"])
    assert query

    listed = watched.prometheus.ask(f"label/{query[2]}/values", **{"match[]": chosen(query[1])})

    assert set(listed) == {"group": {"shop"}, "location": {"here"}, "monitor": set(SITES)}[name]


@pytest.mark.clients
@pytest.mark.parametrize("statement", [pytest.param(statement, id=title) for title, statement in SQL])
def test_a_query_of_postgresql_finds_rows_for_who_may_only_read(watched: Watched, statement: str) -> None:
    watched.wait_until_stored()
    connection = psycopg2.connect(watched.program.database())
    try:
        with connection.cursor() as cursor:
            for granting in re.findall(r"`(CREATE ROLE grafana[^`]*|GRANT[^`]* TO grafana)`", METRICS_PAGE):
                cursor.execute(granting)
            cursor.execute("SET ROLE grafana")

            cursor.execute(expanded(statement))

            assert cursor.fetchone() is not None
    finally:
        connection.close()  # without a commit: the role is gone


@pytest.mark.clients
def test_the_alerts_fire_when_they_should_and_only_then() -> None:
    need("promtool")

    assert "SUCCESS" in promtool("check", "rules", ROOT / "grafana/alerts.yml")
    assert "SUCCESS" in promtool("test", "rules", ROOT / "tests/alerts_test.yml")


@pytest.mark.clients
def test_the_program_has_each_metric_that_an_alert_looks_at(watched: Watched) -> None:
    watched.wait_until_scraped()
    groups = watched.prometheus.ask("rules")["groups"]
    queries = " ".join(rule["query"] for group in groups for rule in group["rules"])
    metrics = set(re.findall(r"\b(?:website_health|config|probe)_\w+", queries))

    there = watched.prometheus.ask("label/__name__/values", **{"match[]": '{job="website-health"}'})

    not_here = {"website_health_members", DOMAIN_EXPIRY.name}  # of shared checks, and of registries
    assert {"probe_success", "website_health_dead_letters_total"} <= metrics
    assert metrics - not_here <= set(there)


@pytest.mark.clients
def test_the_alerts_are_pending_for_the_sites_that_deserve_it(watched: Watched) -> None:
    watched.wait_until_scraped()
    wanted = {("WebsiteDown", site) for site in NOT_UP} | {("WebsiteSlow", "slow")}
    wanted |= {("WebsiteCertificateExpiring", site) for site in ("expiring", "expired")}

    def pending() -> set[tuple[str, str]]:
        return {
            (alert["labels"]["alertname"], alert["labels"]["monitor"])
            for alert in watched.prometheus.ask("alerts")["alerts"]
            if "monitor" in alert["labels"] and alert["labels"]["alertname"] != OF_30_DAYS
        }

    until(lambda: pending() == wanted, "exactly these alerts")


@pytest.mark.clients
def test_the_configuration_in_the_documentation_is_whole(tmp_path: Path) -> None:
    need("promtool")
    (tmp_path / "grafana").symlink_to(ROOT / "grafana")
    jobs = documented("prometheus").split("\n\n")
    jobs[1] += "\n" + documented("relabelling")
    (tmp_path / "prometheus.yml").write_text("\n\n".join(jobs))

    assert "20 rules found" in promtool("check", "config", tmp_path / "prometheus.yml")
