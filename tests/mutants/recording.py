"""A plugin of pytest: which test runs, for coverage; and how each test went, one JSON line each.

Only the process that prints writes the lines, to the file that the environment names.
"""

import json
import os
from collections.abc import Generator
from pathlib import Path

import pytest
from coverage import Coverage

OUTCOMES = "MUTANTS_OUTCOMES"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    measured = Coverage.current()
    if measured:
        measured.switch_context(item.nodeid)
    ran = yield
    if measured:
        measured.switch_context("")
    return ran


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if "PYTEST_XDIST_WORKER" not in os.environ:
        line = {
            "test": report.nodeid,
            "took_s": report.duration,
            "failed": report.failed,
            "timed_out": report.failed and "Timeout (>" in report.longreprtext,
        }
        with Path(os.environ[OUTCOMES]).open("a") as outcomes:
            outcomes.write(json.dumps(line) + "\n")


def pytest_sessionfinish() -> None:
    """Save here: a worker of xdist does not end as other processes do."""
    measured = Coverage.current()
    if measured:
        measured.stop()
        measured.save()
