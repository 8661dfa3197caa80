import asyncio
import gc
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import psycopg2
import pytest
import trustme

from tests.probe.steps.shop import CSRF, PHRASE, SESSION, Shop, log_in
from tests.program import ROOT, Program, Start, until
from tests.sites import Serve, answer, hang, ok

DOWN = "http://127.0.0.1:9/"
GONE = "127.0.0.1:9"


async def _fetch(uri: str, query: str) -> list[Any]:
    connection = await asyncpg.connect(uri)
    try:
        return list(await connection.fetch(query))
    finally:
        await connection.close()


def rows(uri: str, query: str = "SELECT * FROM health_data ORDER BY id") -> list[Any]:
    return asyncio.run(_fetch(uri, query))


def stored(uri: str, count: int) -> None:
    def hold() -> bool:
        try:
            return len(rows(uri)) >= count
        except asyncpg.UndefinedTableError:
            return False

    until(hold, f"{count} rows stored")


@pytest.fixture
def silent_site() -> Iterator[str]:
    """The URL of a site that accepts connections and sends nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"


def test_a_fresh_machine_stores_its_first_result(program: Start) -> None:
    monitor = program(url_to_monitor=DOWN, sleep_duration=60, pg_uri="embedded", kafka_bootstrap="embedded")

    monitor.start()
    monitor.prints(r"Message produced from URL health monitor: \{\"timestamp\":")
    monitor.prints(r"AIOKafka Consumer fetched: b'\{\"timestamp\":")
    uri = monitor.database()
    stored(uri, 1)

    row = rows(uri)[0]
    assert list(row.keys())[:5] == ["id", "timestamp", "data", "status", "time"]
    assert (row["monitor"], row["up"], row["reason"]) == (DOWN, False, "connect_refused")
    assert "broker: 127.0.0.1:" in monitor.printed()
    assert f"monitor {DOWN}: {DOWN}, every 60 s" in monitor.printed()
    servers = monitor.process.children(recursive=True)
    assert monitor.stop() == 0
    assert not psutil.wait_procs(servers, timeout=60)[1]

    monitor.start()
    monitor.prints("database: ", times=2)
    stored(monitor.database(), 2)
    assert monitor.stop() == 0
    assert "Traceback" not in monitor.printed()


def test_of_an_address_from_a_file_the_server_is_logged(program: Start) -> None:
    monitor = program(url_to_monitor=DOWN, pg_uri={"file": "pg_uri"})
    (monitor.folder / "pg_uri").write_text("postgres://monitor:s3cret@127.0.0.1:1/secret")
    monitor.start()

    assert monitor.database() == "127.0.0.1:1"
    assert monitor.stop() == 0
    assert "secret" not in monitor.printed()


def test_the_snippet_of_the_original_readme_works(program: Start) -> None:
    monitor = program(url_to_monitor=DOWN)
    began_at = time.time()
    monitor.start()
    stored(monitor.database(), 1)

    connection = psycopg2.connect(monitor.database())
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT * FROM health_data")
        row = cursor.fetchone()
    connection.close()

    assert row
    assert isinstance(row[0], int)
    assert began_at < row[1] < time.time()
    assert row[2:4] == ("", None)
    assert 0 <= row[4] < time.time() - began_at


def test_checking_the_configuration_touches_nothing(program: Start) -> None:
    monitor = program(url_to_monitor=[DOWN, "https://example.org/"])

    code, printed = monitor.run("--check-config")

    assert (code, printed) == (0, f"{monitor.path}: valid, 2 monitors\n")
    assert not (monitor.folder / "d").exists()


def test_showing_the_configuration_touches_nothing(program: Start) -> None:
    monitor = program(url_to_monitor="https://ada:s3cret@shop.example/")

    code, printed = monitor.run("--show")

    assert code == 0
    assert json.loads(printed)["monitors"][0]["url"] == "https://shop.example/"
    assert "s3cret" not in printed
    assert not (monitor.folder / "d").exists()


def test_a_bad_configuration_ends_in_2_and_a_line_for_each_mistake(program: Start) -> None:
    monitor = program(url_to_monitor="ftp://x/", sleep_duration=-1)

    code, printed = monitor.run()

    assert (code, printed) == (2, "")
    lines = monitor.printed().splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"{monitor.path}: ") for line in lines)
    assert not (monitor.folder / "d").exists()


def test_once_checks_through_the_whole_pipeline_and_prints_a_table(program: Start, database: str) -> None:
    monitor = program(
        pg_uri=database,
        monitors=[{"name": "gone", "url": DOWN}, {"name": "off", "url": DOWN, "paused": True}],
    )

    code, printed = monitor.run("--once")

    assert code == 1
    assert "gone" in printed
    assert "down" in printed
    assert "refused the connection" in printed
    assert "off" not in printed
    assert [row["monitor"] for row in rows(database)] == ["gone"]


def test_a_login_is_checked_and_nothing_secret_of_it_leaves_the_check(
    program: Start, database: str, serve: Serve
) -> None:
    place = serve(Shop().script)
    account = {
        "name": "account",
        "url": f"{place}/account?by={{{{csrf}}}}",
        "expect": {"body_regex": "Hello"},
    }
    save = {"session": {"cookie": "session"}}
    monitor = program(
        pg_uri=database, monitors=[{"name": "login", "steps": [*log_in(place, save=save), account]}]
    )

    code, printed = monitor.run("--once")

    assert (code, "login" in printed) == (0, True)
    (row,) = rows(database)
    assert (row["up"], row["status"], row["data"]) == (True, 200, "Hello Ada, *** ***")
    assert row["url"] == f"{place}/account?by=***"
    assert [(step["name"], step["status"]) for step in json.loads(row["steps"])] == [
        ("form", 200),
        ("log in", 302),
        ("account", 200),
    ]
    monitor.prints("Message produced from URL health monitor")
    assert not [secret for secret in (CSRF, SESSION, PHRASE) if secret in f"{tuple(row)}{monitor.printed()}"]


def test_once_gives_up_when_there_is_no_kafka(program: Start, database: str) -> None:
    monitor = program(url_to_monitor=DOWN, pg_uri=database, kafka_bootstrap="127.0.0.1:9", shutdown_grace_s=1)

    code, printed = monitor.run("--once", "--within", "10")

    assert (code, printed) == (1, "")
    (given_up,) = [line for line in monitor.printed().splitlines() if " CRITICAL " in line]
    assert (
        " not done within 10 s: 0 of 1 results are stored; 1 result waits in the outbox; Kafka is" in given_up
    )


def test_a_change_of_the_file_takes_effect(program: Start, database: str) -> None:
    kept, gone = ({"name": name, "url": DOWN, "interval_s": 0.2} for name in ("kept", "gone"))
    monitor = program(
        pg_uri=database, monitors=[kept, gone, {"name": "was off", "url": DOWN, "paused": True}]
    )
    monitor.start()
    stored(database, 4)

    monitor.write(
        {
            "pg_uri": database,
            "kafka_group": "other",
            "monitors": [kept, {"name": "new", "url": DOWN}, {"name": "off", "url": DOWN, "paused": True}],
        }
    )
    monitor.prints("configuration taken: 2 monitors removed, 2 added")

    query = "SELECT monitor, count(*) FROM health_data GROUP BY monitor"
    until(lambda: "new" in dict(rows(database, query)), "the new monitor checked")
    before = dict(rows(database, query))
    until(lambda: dict(rows(database, query))["kept"] > before["kept"] + 5, "the kept one going on")
    started = [(row["monitor"], row["timestamp"]) for row in rows(database)]
    taken_at = min(at for name, at in started if name == "new")
    assert all(at <= taken_at for name, at in started if name == "gone")
    assert "off" not in dict(started)
    assert "these keys take effect at the next start: kafka_group" in monitor.printed()


def test_once_is_not_content_when_this_machine_could_not_check(program: Start) -> None:
    monitor = program()
    client = monitor.folder / "client.pem"
    trustme.CA().issue_cert("client").private_key_and_cert_chain_pem.write_to_path(client)
    monitor.write({"monitors": [{"name": "odd", "url": "https://127.0.0.1:9/", "client_cert": "client.pem"}]})
    monitor.start("--once")
    until((monitor.folder / "d" / "lock").exists, "started")

    client.unlink()

    assert monitor.wait() == 1
    assert "no check of odd: the TLS files cannot be used" in monitor.printed()


def test_once_can_be_interrupted(program: Start, silent_site: str, database: str) -> None:
    monitor = program(pg_uri=database, url_to_monitor=silent_site)
    monitor.start("--once")
    monitor.prints("broker: ")

    monitor.signal(signal.SIGINT)

    assert monitor.wait() == 1
    assert "Traceback" not in monitor.printed()


PERIOD = ("--since", "2026-11-01", "--until", "2026-11-02")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((), 0),
        (("--report", *PERIOD), 1),
        (("--replay-dead-letters",), 1),
        (("--test-alerts",), 1),
        (("--show",), 1),
        (("--check-config",), 1),
    ],
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_it_starts_ends_it_in_order(
    program: Start, arguments: tuple[str, ...], code: int, number: signal.Signals
) -> None:
    monitor = program()
    monitor.script = ("-m", "tests.never_reading_program")
    monitor.start(*arguments)
    monitor.prints("reads")

    monitor.signal(number)

    assert monitor.wait() == code
    assert "Traceback" not in monitor.printed()


def test_a_hangup_while_it_starts_does_not_end_it(program: Start) -> None:
    monitor = program()
    monitor.script = ("-m", "tests.never_reading_program")
    monitor.start()
    monitor.prints("reads")

    monitor.signal(signal.SIGHUP)

    assert monitor.stop() == 0


def test_a_hangup_ends_a_command(program: Start) -> None:
    monitor = program()
    monitor.script = ("-m", "tests.never_reading_program")
    monitor.start("--once")
    monitor.prints("reads")

    monitor.signal(signal.SIGHUP)

    assert monitor.wait() == -signal.SIGHUP


def test_closed_standard_streams_do_no_harm(program: Start, database: str) -> None:
    monitor = program(url_to_monitor=DOWN, pg_uri=database)
    command = f"exec {sys.executable} main.py --once --config {monitor.path} <&- >&- 2>&-"

    ended = subprocess.run(["sh", "-c", command], cwd=ROOT, check=False, timeout=60)

    assert ended.returncode == 1
    assert len(rows(database)) == 1


def test_a_log_that_nobody_reads_stops_neither_the_checks_nor_the_end(program: Start, database: str) -> None:
    monitor = program(url_to_monitor=DOWN, sleep_duration=0.02, pg_uri=database)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writing, b"x" * 4096)
    os.set_blocking(writing, True)
    command = [sys.executable, "main.py", "--config", str(monitor.path)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=writing)
    try:
        stored(database, 50)
        process.terminate()
        assert process.wait(60) == 0
    finally:
        process.kill()
        os.close(reading)
        os.close(writing)


def test_a_change_while_the_program_starts_is_taken(program: Start) -> None:
    monitor = program(url_to_monitor=DOWN)
    monitor.start()
    until((monitor.folder / "d" / "lock").exists, "started")

    monitor.write({"url_to_monitor": f"{DOWN}changed"})

    monitor.prints(f"monitor {DOWN}changed")
    assert monitor.stop() == 0


def test_a_bad_file_changes_nothing_and_a_hangup_reads_it_again(program: Start, database: str) -> None:
    config = {"pg_uri": database, "monitors": [{"name": "kept", "url": DOWN, "interval_s": 0.2}]}
    monitor = program(**config)
    monitor.start()
    stored(database, 1)

    monitor.path.write_text("{")
    monitor.prints("configuration not taken: .*config.json")
    count = len(rows(database))
    stored(database, count + 3)
    monitor.path.unlink()
    monitor.signal(signal.SIGHUP)
    monitor.prints("configuration not taken: .*config.json: No such file")
    monitor.write(config)
    monitor.prints("configuration taken: 0 monitors removed, 0 added")
    monitor.signal(signal.SIGHUP)

    monitor.prints("configuration taken: 0 monitors removed, 0 added", times=2)
    assert monitor.stop() == 0


def test_a_second_process_on_the_same_folder_is_refused(program: Start) -> None:
    monitor = program(url_to_monitor=DOWN)
    monitor.start()
    monitor.prints("database: ")
    second = Program(monitor.folder, {"url_to_monitor": DOWN})

    code, _ = second.run()

    assert code == 1
    assert f"in use by another process, {monitor.process.pid}" in monitor.printed()
    assert "Traceback" not in monitor.printed()


def test_a_killed_program_leaves_nothing_behind_and_loses_nothing(program: Start) -> None:
    monitor = program(url_to_monitor=DOWN, sleep_duration=0.05)
    monitor.start()
    stored(monitor.database(), 5)
    frozen = monitor.process.children()
    for server in frozen:
        server.suspend()
    monitor.prints("Message produced", times=monitor.printed().count("Message produced") + 20)
    produced = set(re.findall(r'Message produced.*?"id":"([^"]+)"', monitor.printed()))
    monitor.prints("Message produced", times=len(produced) + 40)  # the outbox takes results in their order

    servers = monitor.kill()
    for server in frozen:
        with suppress(psutil.NoSuchProcess):
            server.resume()

    assert len(servers) > 1
    assert not psutil.wait_procs(servers, timeout=60)[1]
    monitor.start()
    monitor.prints("database: ", times=2)
    uri = monitor.database()
    until(lambda: produced <= {str(row["result_id"]) for row in rows(uri)}, "all that was produced is stored")
    assert monitor.stop() == 0


def test_a_stop_under_load_loses_nothing(program: Start, database: str) -> None:
    monitors = [{"name": f"m{n}", "url": DOWN, "interval_s": 0.2} for n in range(100)]
    monitor = program(
        pg_uri=database, monitors=monitors, max_checks_per_host=100, shutdown_grace_s=50, log_results=True
    )
    monitor.start()
    stored(database, 1_500)

    assert monitor.stop() == 0

    assert "shutdown_grace_s is over" not in monitor.printed()
    assert len(rows(database)) == monitor.printed().count("Message produced")


def test_the_whole_log_is_json_when_the_file_asks_for_it(program: Start, database: str) -> None:
    monitor = program(pg_uri=database, url_to_monitor=DOWN, log_format="json")

    assert monitor.run("--once")[0] == 1

    events = [json.loads(line) for line in monitor.printed().splitlines()]
    assert {tuple(event) for event in events} == {("time", "level", "logger", "message")}
    assert any(event["message"].startswith("Message produced") for event in events)


def test_results_of_many_monitors_are_not_logged_until_the_file_asks_for_it(
    program: Start, database: str
) -> None:
    monitors = [{"name": f"m{n}", "url": DOWN, "interval_s": 1} for n in range(21)]
    config = {"pg_uri": database, "monitors": monitors}
    monitor = program(**config)
    monitor.start()
    stored(database, 21)
    silent = monitor.printed()

    monitor.write({**config, "log_results": True})

    monitor.prints("Message produced")
    monitor.prints("Consumer fetched")
    assert "results are logged at debug, since there are more than 20 monitors" in silent
    assert "Message produced" not in silent
    assert "Consumer fetched" not in silent
    monitor.prints("results are logged at info, since log_results says so")
    assert "at the next start" not in monitor.printed()
    assert monitor.stop() == 0


def test_a_second_signal_ends_it_at_once(program: Start, database: str, silent_site: str) -> None:
    monitor = program(
        pg_uri=database, url_to_monitor=silent_site, shutdown_grace_s=600, defaults={"timeout_s": 600}
    )
    monitor.start()
    monitor.prints(f"monitor {silent_site}")
    monitor.signal(signal.SIGINT)
    monitor.prints("stopping")

    monitor.signal(signal.SIGINT)

    assert monitor.wait() == 0


def test_a_check_that_outlasts_the_grace_is_given_up(program: Start, database: str, silent_site: str) -> None:
    monitor = program(
        pg_uri=database, url_to_monitor=silent_site, shutdown_grace_s=8, defaults={"timeout_s": 600}
    )
    monitor.start()
    monitor.prints(f"monitor {silent_site}")

    assert monitor.stop() == 0

    assert "checks that still ran are given up" in monitor.printed()


def test_a_frozen_broker_cannot_hold_up_the_end(program: Start, database: str) -> None:
    monitor = program(url_to_monitor=DOWN, sleep_duration=0.1, shutdown_grace_s=1, pg_uri=database)
    monitor.start()
    stored(database, 5)
    servers = monitor.process.children()
    for server in servers:
        server.suspend()
    until(lambda: all(server.status() == psutil.STATUS_STOPPED for server in servers), "all frozen")

    assert monitor.stop() == 0

    assert "shutdown_grace_s is over" in monitor.printed()
    assert not psutil.wait_procs(servers, timeout=60)[1]


def test_days_older_than_the_retention_are_dropped_at_start(program: Start, database: str) -> None:
    rows(database, "CREATE TABLE health_data_20200101 (LIKE health_data INCLUDING ALL)")
    rows(
        database,
        "ALTER TABLE health_data ATTACH PARTITION health_data_20200101 "
        "FOR VALUES FROM (1577836800) TO (1577923200)",
    )
    monitor = program(url_to_monitor=DOWN, pg_uri=database)

    monitor.start()

    monitor.prints("1 day of results dropped, older than 90 d")
    assert not rows(database, "SELECT FROM pg_class WHERE relname = 'health_data_20200101'")


def test_postgresql_that_is_unavailable_at_start_is_waited_for(program: Start) -> None:
    monitor = program(url_to_monitor=DOWN, sleep_duration=0.2, pg_uri="postgresql://me:hunter2@127.0.0.1:9/x")
    monitor.start()

    monitor.prints("Message produced", times=5)
    monitor.prints("PostgreSQL is unavailable")

    assert monitor.stop() == 0
    assert "hunter2" not in monitor.printed()


def test_kafka_that_is_unavailable_at_start_is_waited_for(program: Start, database: str) -> None:
    monitor = program(
        url_to_monitor=DOWN,
        sleep_duration=0.2,
        pg_uri=database,
        kafka_bootstrap="127.0.0.1:9",
        share_checks=False,
    )
    monitor.start()

    monitor.prints("Message produced", times=5)
    monitor.prints("Kafka is unavailable")

    assert monitor.stop() == 0


def test_another_programs_table_is_not_touched(program: Start, empty_database: str) -> None:
    rows(empty_database, "CREATE TABLE health_data (something text)")
    monitor = program(url_to_monitor=DOWN, pg_uri=empty_database)

    code, _ = monitor.run()

    assert code == 1
    assert "health_data" in monitor.printed()
    assert "Traceback" not in monitor.printed()


def test_what_is_not_known_is_neither_up_nor_down(program: Start, database: str, serve: Serve) -> None:
    monitor = program(
        pg_uri=database,
        connectivity_check=GONE,
        monitors=[
            {"name": "shop", "url": serve(answer(ok())), "addresses": "all"},
            {"name": "gone", "url": DOWN},
        ],
    )

    code, printed = monitor.run("--once")

    assert code == 1
    assert "unknown" in printed
    assert "down" not in printed
    assert {row["monitor"]: (row["up"], row["reason"]) for row in rows(database)} == {
        "shop": (True, None),
        "gone": (None, "monitor_offline"),
    }


def test_another_way_to_check_connectivity_takes_effect_without_a_restart(
    program: Start, database: str, serve: Serve
) -> None:
    gone = {"name": "gone", "url": DOWN, "interval_s": 0.5}
    monitor = program(pg_uri=database, connectivity_check=GONE, monitors=[gone])
    monitor.start()
    stored(database, 1)

    place = serve(hang).removeprefix("http://")
    monitor.write({"pg_uri": database, "connectivity_check": place, "monitors": [gone]})

    monitor.prints("configuration taken: 0 monitors removed, 0 added")
    until(lambda: any(row["up"] is False for row in rows(database)), "blamed on the site")
    assert rows(database)[0]["reason"] == "monitor_offline"
    assert "take effect at the next start" not in monitor.printed()


def run(monitor: Program, *arguments: str, stdout: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    with stdout.open("w") as output:
        return subprocess.run(
            [sys.executable, "main.py", "--config", monitor.path, *arguments],
            check=False,
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            env=os.environ | environ,
        )


@pytest.mark.parametrize("command", ["--once", "--check-config"])
def test_an_answer_that_cannot_be_printed_is_one_line_and_exit_1(
    program: Start, database: str, command: str
) -> None:
    monitor = program(pg_uri=database, url_to_monitor=DOWN)

    done = run(monitor, command, stdout=Path("/dev/full"))

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("the answer cannot be printed: No space left on device")
    assert "Traceback" not in done.stderr


def test_a_name_that_stdout_has_no_characters_for_is_escaped(program: Start, database: str) -> None:
    monitor = program(pg_uri=database, monitors=[{"name": "Größe", "url": DOWN}])
    output = monitor.folder / "output"

    done = run(monitor, "--once", stdout=output, PYTHONIOENCODING="ascii", COLUMNS="200")

    assert done.returncode == 1
    assert r"Gr\xf6\xdfe" in output.read_text()
    assert "Traceback" not in done.stderr


def test_without_a_stdout_the_exit_code_is_the_answer(program: Start) -> None:
    monitor = program(url_to_monitor=DOWN)
    command = f"exec {sys.executable} main.py --config {monitor.path} --check-config >&-"

    done = subprocess.run(["sh", "-c", command], check=False, cwd=ROOT, stderr=subprocess.PIPE)

    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((), 0),
        (("--conf", "config.json"), 0),
        (("--once",), 1),
        (("--report", *PERIOD), 1),
        (("--check",), 1),
    ],
)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_while_the_program_loads_leaves_no_traceback(
    program: Start, arguments: tuple[str, ...], code: int, number: signal.Signals
) -> None:
    monitor = program(url_to_monitor=DOWN)
    loading = [sys.executable, "-X", "importtime", "main.py", "--config", str(monitor.path), *arguments]

    with subprocess.Popen(loading, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        lines = [next(line for line in process.stderr if " pydantic" in line)]
        process.send_signal(number)
        lines += process.stderr.readlines()

    assert process.returncode == code
    assert "Traceback" not in "".join(lines)
    assert not any("monitor.service" in line for line in lines)


def test_a_start_that_takes_long_cannot_hold_up_the_end(
    program: Start, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = tmp_path / "silent-broker"
    silent.write_text("#!/bin/sh\nexec sleep 600\n")
    silent.chmod(0o700)
    monkeypatch.setenv("CALF_TANSU_BIN", str(silent))
    monitor = program(pg_uri=database, url_to_monitor=DOWN, shutdown_grace_s=1)
    monitor.start()
    until(lambda: bool(monitor.process.children()), "the broker is being started")
    servers = monitor.process.children()

    assert monitor.stop() == 0

    assert "shutdown_grace_s is over" in monitor.printed()
    until(lambda: not any(server.is_running() for server in servers), "the broker is gone")


def served(program: Start, values: str) -> str:
    """Return what these expressions are in the interpreter that serves."""
    monitor = program(url_to_monitor=DOWN)
    serve = f"async def serve(*_):\n    print({values})"
    start = f"cli.serve = serve\ncli.main(['--config', {str(monitor.path)!r}])"
    script = f"import gc, sys\nfrom monitor import cli\n{serve}\n{start}"
    return subprocess.run(
        [sys.executable, "-c", script], check=True, cwd=ROOT, capture_output=True, text=True
    ).stdout


def test_the_garbage_collector_passes_over_the_modules(program: Start) -> None:
    kept, looked_at = map(int, served(program, "gc.get_freeze_count(), len(gc.get_objects())").split())

    assert kept > 100 * looked_at


def test_the_garbage_collector_seldom_looks_at_everything(program: Start) -> None:
    kept = gc.get_threshold()
    gc.set_threshold(5_000, kept[1], 15)
    expected = gc.get_threshold()  # 3.14 looks at everything bit by bit, and keeps no third
    gc.set_threshold(*kept)

    assert served(program, "*gc.get_threshold()").split() == [str(each) for each in expected]


def test_a_thread_keeps_the_event_loop_waiting_for_half_a_millisecond_at_most(program: Start) -> None:
    assert float(served(program, "sys.getswitchinterval()")) == pytest.approx(0.000_5)
