"""The account of uptime that `--report` prints."""

import asyncio
import csv
import io
import json
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from monitor.cli import instant, main, report
from monitor.config.model import Config, Monitor
from monitor.incidents.bookkeeping import Bookkeeping
from monitor.incidents.rules import MonitorRules
from monitor.incidents.store import locked
from monitor.runtime.text import DAY_S, HOUR_S
from monitor.service import CannotGoOnError
from monitor.uptime.accounts import Account, AccountedOutage
from monitor.uptime.report import ReportRow, rows, written
from monitor.uptime.store import HOURS_KEPT_D, sum_up_days
from monitor.uptime.sums import BUCKETS, Sums
from tests.clock import Clock
from tests.observing import START, check, checks
from tests.postgres import result_store
from tests.program import Start
from tests.storage.test_results import query

FIRST = START // HOUR_S * HOUR_S
WINDOW = ("--since", "2020-01-01", "--until", "2999-01-01")


@pytest.fixture
def _a_day_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let it be a day after the results, whose hours are forgotten one day."""
    monkeypatch.setattr(time, "time", Clock(START + DAY_S))


def config(uri: str, folder: Path, *names: str) -> Config:
    monitors = tuple(Monitor.model_validate({"name": name, "url": "https://a.example/"}) for name in names)
    return Config(monitors=monitors, pg_uri=SecretStr(uri), data_dir=folder)


async def filled(database: str) -> None:
    """A shop with two outages, one of them going on, and a minute without a check."""
    store = result_store(database, Bookkeeping(MonitorRules(), 90, lambda: START + 13 * 60))
    await store.save(checks("++---+++ ++---"))
    await store.database.close()


@pytest.mark.usefixtures("_a_day_later")
async def test_a_report_accounts_for_a_window(database: str, tmp_path: Path) -> None:
    await filled(database)

    whole = await report(config(database, tmp_path, "shop", "new"), START, START + HOUR_S)

    assert [row.monitor for row in whole] == ["new", "shop"]
    new, shop = whole
    assert (new.uptime, new.checks, new.no_data, new.p50_s) == (None, 0, 1, None)
    assert (shop.checks, shop.incidents, shop.mttr_s) == (13, 2, 180)
    assert (shop.outage_s, shop.longest_outage_s) == (
        180 + FIRST + 2 * HOUR_S - START - 660,
        FIRST + 2 * HOUR_S - START - 660,
    )
    assert shop.p50_s == pytest.approx(0.5, rel=0.2)


@pytest.mark.usefixtures("_a_day_later")
async def test_the_newest_result_counts_up_to_its_reach(database: str, tmp_path: Path) -> None:
    store = result_store(database, Bookkeeping(MonitorRules(), 90, lambda: START + 7_200))
    await store.save(checks("++-"))
    await store.save(checks("?", monitor="offline"))

    offline, shop = await report(config(database, tmp_path), START, START + HOUR_S)
    await store.database.close()

    window_s = FIRST + 2 * HOUR_S - FIRST
    assert shop.uptime == pytest.approx(120 / 300)
    assert shop.no_data == pytest.approx(1 - 300 / window_s)
    assert (offline.uptime, offline.checks) == (None, 1)


@pytest.mark.usefixtures("_a_day_later")
async def test_the_newest_result_counts_from_the_beginning_of_the_report(
    database: str, tmp_path: Path
) -> None:
    turn = FIRST + HOUR_S
    store = result_store(database, Bookkeeping(MonitorRules(), 90, lambda: turn))
    await store.save(checks("++", first=(turn - START) / 60 - 2))
    await store.database.close()

    (shop,) = await report(config(database, tmp_path), turn, turn + HOUR_S)

    assert shop.uptime == 1
    assert shop.no_data == pytest.approx(1 - 120 / HOUR_S)


@pytest.mark.usefixtures("_a_day_later")
async def test_days_stand_for_hours_that_are_forgotten(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(database)
    store = result_store(database)
    before = await report(config(database, tmp_path), START - 86_400, START + 86_400)

    await sum_up_days(store.database, locked)
    monkeypatch.setattr("monitor.uptime.store.HOURS_KEPT_D", 0)
    await sum_up_days(store.database, locked)
    await store.database.close()

    assert await report(config(database, tmp_path), START - 86_400, START + 86_400) == before


async def test_a_clock_that_is_ahead_forgets_no_hours(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    store = result_store(database, Bookkeeping(MonitorRules(), 90, lambda: now))
    await store.save([check((now - START) / 60 - 1)])
    hours = await query(database, "SELECT * FROM health_hours")
    monkeypatch.setattr(time, "time", lambda: now + 2 * HOURS_KEPT_D * DAY_S)

    await sum_up_days(store.database, locked)
    await store.database.close()

    assert hours
    assert await query(database, "SELECT * FROM health_hours") == hours


@pytest.mark.parametrize(
    ("since_h", "until_h", "checks"), [(5, 72, 72), (5, 31, 31), (31, 72, 41), (24, 48, 24), (5, 7, 24)]
)
async def test_a_day_whose_sums_are_kept_by_hour_and_by_day_counts_once(
    database: str, tmp_path: Path, since_h: int, until_h: int, checks: int
) -> None:
    begin = (int(time.time() // DAY_S) - HOURS_KEPT_D - 1) * DAY_S
    store = result_store(database, Bookkeeping(MonitorRules(), 90, lambda: begin + 3 * DAY_S))
    await store.save([check((begin - START) / 60 + 60 * hour + 1) for hour in range(72)])
    await sum_up_days(store.database, locked)
    await store.database.close()

    (shop,) = await report(config(database, tmp_path), begin + since_h * HOUR_S, begin + until_h * HOUR_S)

    assert shop.checks == checks


@pytest.mark.usefixtures("_a_day_later")
async def test_an_outage_counts_only_where_it_was_not_over_and_had_begun(
    database: str, tmp_path: Path
) -> None:
    turn = FIRST + HOUR_S
    store = result_store(database, Bookkeeping(MonitorRules(), 90, lambda: turn + HOUR_S))
    await store.save(checks("---++", first=(turn - START) / 60 - 3))
    await store.save(checks("+---++", first=(turn - START) / 60 - 1, monitor="blog"))
    await store.database.close()

    before = await report(config(database, tmp_path), FIRST, turn)
    after = await report(config(database, tmp_path), turn, turn + HOUR_S)

    assert [(row.monitor, row.incidents, row.outage_s) for row in (*before, *after)] == [
        ("blog", 0, 0),
        ("shop", 1, 180),
        ("blog", 1, 180),
        ("shop", 0, 0),
    ]


async def test_an_unavailable_database_is_an_error_of_one_line(tmp_path: Path) -> None:
    with pytest.raises(CannotGoOnError, match=r"no report: .*no such file"):
        await report(config("postgresql:///a?host=/nowhere", tmp_path), 0, 1)


def test_shares_and_times_are_those_of_all_locations() -> None:
    times = [0] * 36 + [10] + [0] * (BUCKETS - 37)
    sums = [Sums(up_s=50, up=10, response_times=times), Sums(down_s=50, down=7)]
    account = Account(sums, [AccountedOutage(-50, 25), AccountedOutage(90, None)])

    (row,) = rows({"a": account}, [], 0, 100)

    assert row == ReportRow("a", 0.5, 2, 35, 25, 75, row.p50_s, row.p95_s, row.p99_s, 17, 0.5, 0)
    assert row.p50_s is not None
    assert row.p50_s < (row.p95_s or 0) < (row.p99_s or 0)


def test_a_name_that_somebody_sent_is_not_obeyed_by_a_terminal() -> None:
    (row,) = rows({"a\x1b[2J": Account([], [])}, [], 0, 100)

    assert row.monitor == r"a\x1b[2J"


ROW = ReportRow("shop, new", 0.99999999, 1, 3_700.4, 3_700.4, None, 0.1234, 0.2, 0.3, 5, 0, 0.25)
NOTHING = ReportRow("none", None, 0, 0, 0, None, None, None, None, 0, 1, 0)


def test_programs_read_json_and_csv() -> None:
    assert json.loads(written([ROW], "json"))[0]["monitor"] == "shop, new"
    assert json.loads(written([NOTHING], "json"))[0]["uptime"] is None
    (line,) = csv.DictReader(io.StringIO(written([ROW], "csv")))
    assert (line["monitor"], line["mttr_s"], line["outage_s"]) == ("shop, new", "", "3700.4")


@pytest.mark.parametrize("columns", ["40", "200"])
def test_people_read_a_table(monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)

    table = written([ROW, NOTHING], "table")

    shown = [[cell.strip() for cell in line.split("│")[1:-1]] for line in table.splitlines()[3:-1]]
    assert shown == [
        [
            "shop, new",
            "99.999 %",
            "1",
            "1:01:40",
            "1:01:40",
            "-",
            "0.123 s",
            "0.200 s",
            "0.300 s",
            "5",
            "0.000 %",
            "25.000 %",
        ],
        ["none", "-", "0", "0:00:00", "0:00:00", "-", "-", "-", "-", "0", "100 %", "0.000 %"],
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-01", 1_793_491_200),
        ("2026-11-01T01:00", 1_793_494_800),
        ("2026-11-01T01:00Z", 1_793_494_800),
        ("2026-11-01T01:00+01:00", 1_793_491_200),
    ],
)
def test_instants_are_in_utc_unless_they_have_an_offset(text: str, expected: float) -> None:
    assert instant(text) == expected


@pytest.mark.parametrize(
    ("arguments", "mistake"),
    [
        (["--report"], "--report needs --since and --until"),
        (["--report", "--since", "2026-11-01"], "--report needs --since and --until"),
        (["--since", "2026-11-01"], "--since and --until are for --report"),
        (["--report", "--since", "2026-11-02", "--until", "2026-11-01"], "--since must be before --until"),
        (["--report", "--since", "2999-01-01", "--until", "2999-01-02"], "--since must be before --until"),
        (["--report", "--since", "yesterday", "--until", "2026-11-01"], "argument --since: invalid instant"),
        (["--report", "--since", "2026-11-01", "--until", "2026-11-02", "--format", "xml"], "--format"),
    ],
)
def test_a_window_that_is_none_is_refused(
    arguments: list[str], mistake: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    assert ended.value.code == 2
    assert mistake in capsys.readouterr().err


def test_the_program_prints_a_report_also_while_it_runs(program: Start) -> None:
    running = program(url_to_monitor="http://127.0.0.1:9/", sleep_duration=1)
    running.start()
    running.prints("AIOKafka Consumer fetched", 2)
    other = program(url_to_monitor="http://127.0.0.1:9/", data_dir=str(running.folder / "d"))

    def read(which: Any) -> Any:
        code, printed = which.run("--report", *WINDOW, "--format", "json")
        assert code == 0, which.printed()
        return json.loads(printed)[0]["checks"]

    assert read(other) >= 1
    running.stop()
    assert read(other) >= 2


def test_an_embedded_database_of_a_newer_program_is_refused_with_a_line(program: Start) -> None:
    monitor = program(url_to_monitor="http://127.0.0.1:9/", sleep_duration=1)
    monitor.start()
    monitor.prints("AIOKafka Consumer fetched")
    asyncio.run(query(monitor.database(), "INSERT INTO health_schema VALUES (9999, 'from_the_future', '')"))
    monitor.stop()

    for times, options in enumerate(([], ["--once"], ["--report", *WINDOW]), start=1):
        assert monitor.run(*options) == (1, "")
        monitor.prints("CRITICAL .*the database is newer than this program: it has migration 9999", times)

    assert "Traceback" not in monitor.printed()


def test_a_report_without_a_database_ends_with_a_line(program: Start) -> None:
    unreachable = program(url_to_monitor="http://127.0.0.1:9/", pg_uri="postgresql://127.0.0.1:9/a")

    code, printed = unreachable.run("--report", "--since", "2020-01-01", "--until", "2020-01-02")

    assert (code, printed) == (1, "")
    assert "CRITICAL no report: " in unreachable.printed()
    assert "Traceback" not in unreachable.printed()
