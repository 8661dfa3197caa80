"""The lines that the log has of incidents."""

from functools import partial

import pytest

from monitor.incidents.bookkeeping import Bookkeeping
from monitor.incidents.incident_log import log_changes
from monitor.incidents.no_data import look_for_no_data
from monitor.incidents.rules import MonitorRules
from monitor.incidents.store import StoredChange
from monitor.storage.database import RefusedError
from tests.observing import RULES, START, SameRules, checks
from tests.postgres import result_store
from tests.storage.test_results import query


def incident_lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [line for line in caplog.messages if line.startswith("incident ")]


WHY = "status 503, expected 200-399"
NOTHING = "no result for 3 intervals"
AT = 1_795_654_800.0


def stored(kind: str, change: str, detail: str | None, reason: str | None = None) -> StoredChange:
    return StoredChange(12, "shop", kind, change, AT - 125, AT, reason, detail)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (stored("down", "opened", WHY, "status"), f"shop down: {WHY}"),
        (stored("down", "opened", None, "too_slow"), "shop down: too_slow"),
        (stored("down", "changed", WHY, "status"), f"shop down: now {WHY}"),
        (stored("flapping", "opened", None), "shop flapping: no reason is known"),
        (stored("partial", "opened", WHY), f"shop down from some locations: {WHY}"),
        (stored("no_data", "opened", NOTHING), f"shop without data: {NOTHING}"),
        (stored("down", "resolved", WHY, "status"), "shop was down for 2 min 5 s"),
        (stored("down", "resolved", "no longer checked"), "shop was down for 2 min 5 s, no longer checked"),
        (stored("no_data", "resolved", NOTHING), "shop was without data for 2 min 5 s"),
        (stored("down", "past", WHY), f"shop was down for 2 min 5 s until 2026-11-26 01:00:00 UTC: {WHY}"),
    ],
)
def test_a_change_is_a_line(caplog: pytest.LogCaptureFixture, change: StoredChange, line: str) -> None:
    caplog.set_level("INFO")

    log_changes([change])

    assert caplog.messages == [f"incident 12 {change.change}: {line}"]
    assert caplog.records[0].levelname == "INFO"


async def test_each_change_is_logged_when_it_is_stored(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for result in checks("+---tt++"):
        store = result_store(
            database, Bookkeeping(SameRules(RULES), 90, partial(float, result.timestamp + 1))
        )
        await store.save([result])
        await store.database.close()

    assert incident_lines(caplog) == [
        "incident 1 opened: shop down: status 500, expected 200-399",
        "incident 1 changed: shop down: now no response within 10 s",
        "incident 1 resolved: shop was down for 5 min",
    ]


async def test_what_was_over_before_it_was_known_is_one_line(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    store = result_store(database, Bookkeeping(SameRules(RULES), 90, lambda: START + 86_400))
    await store.save(checks("+---++"))
    await store.database.close()

    (line,) = incident_lines(caplog)
    assert line.startswith("incident 1 past: shop was down for 3 min until 20")
    assert line.endswith(" UTC: status 500, expected 200-399")


async def test_nothing_is_logged_of_what_is_not_stored(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    await query(
        database,
        "ALTER TABLE health_changes ADD CONSTRAINT late UNIQUE (change) DEFERRABLE INITIALLY DEFERRED",
    )
    outages = checks("+---++") + checks("+---++", monitor="blog")
    store = result_store(database, Bookkeeping(SameRules(RULES), 90, lambda: START + 86_400))

    with pytest.raises(RefusedError):
        await store.save(outages)

    await store.database.close()
    assert incident_lines(caplog) == []


async def test_missing_results_and_the_end_of_checks_are_logged(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    store = result_store(database, Bookkeeping(MonitorRules(), 90, lambda: START))
    now = START + 7_200

    for checked in ({"shop": START}, {}):
        await look_for_no_data(
            store.database, dict.fromkeys(checked, now - 60), checked, lambda _: True, now + 60, {}
        )

    await store.database.close()
    assert incident_lines(caplog) == [
        "incident 1 opened: shop without data: no result for 3 intervals",
        "incident 1 resolved: shop was without data for 2 h 1 min, no longer checked",
    ]
