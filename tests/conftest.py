"""Servers that tests share; each plugin module owns one kind."""

import os
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes means nothing on a machine that others use as well.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")

pytest_plugins = [
    "tests.leftovers",
    "tests.postgres",
    "tests.stream",
    "tests.broker",
    "tests.forwarding",
    "tests.program",
    "tests.sites",
    "tests.dns_server",
    "tests.watched_sites",
    "tests.receivers",
    "tests.bookkeeping",
    "tests.web.api.client",
]


def pytest_xdist_auto_num_workers() -> int:
    """Most tests wait for servers most of the time: five workers keep two cores busy."""
    return 5 * (os.cpu_count() or 1) // 2


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that have limits of their own: they take longest, and the run's end would wait."""
    items.sort(key=lambda item: item.get_closest_marker("timeout") is None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With REQUIRE_ALL=1 every program must be there: a skipped test has failed."""
    report = yield
    if report.skipped and os.environ.get("REQUIRE_ALL") == "1":
        report.outcome = "failed"
    return report
