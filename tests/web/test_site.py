"""What can be seen of the running program from outside."""

import signal
import socket
import time
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from prometheus_client.parser import text_string_to_metric_families as parse

from monitor.runtime.progress import Availability, Progress, Watch
from monitor.storage.results import ResultStore
from monitor.web.metrics.program import Measurement, Section
from monitor.web.running import _missing, _unshared
from tests.postgres import PostgresServer
from tests.program import Program, Start, until
from tests.sharing import fake_sharing
from tests.test_main import DOWN, stored
from tests.web.visitor import configured, shared_with, site_of

GONE: dict[str, Any] = {
    "pg_uri": "postgresql://127.0.0.1:9/x",
    "kafka_bootstrap": "127.0.0.1:9",
    "share_checks": False,
}


def get(monitor: Program, path: str, limit_s: float = 60) -> tuple[int, str]:
    url = monitor.prints(r"web: (http://\S+)/", limit_s=limit_s)[1]
    try:
        with urllib.request.urlopen(f"{url}{path}", timeout=60) as response:  # noqa: S310 - our own
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def ready(monitor: Program) -> None:
    until(lambda: get(monitor, "/readyz") == (200, "ok\n"), "ready")


def metrics(monitor: Program) -> dict[str, list[tuple[dict[str, str], float]]]:
    status, text = get(monitor, "/metrics")
    assert status == 200
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in parse(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def one(program: Program, name: str, /, **labels: str) -> float | None:
    values = [value for own, value in metrics(program).get(name, []) if labels.items() <= own.items()]
    assert len(values) < 2
    return values[0] if values else None


def sites(*names: str) -> list[dict[str, Any]]:
    return [{"name": name, "url": DOWN, "interval_s": 0.5} for name in names]


def test_without_monitors_the_program_makes_the_checks_that_it_is_asked_for(program: Start) -> None:
    monitor = program(modules={"http_2xx": {}}, probe_targets="127.0.0.1", **GONE)
    monitor.start()

    status, page = get(monitor, "/probe?target=127.0.0.1:9&module=http_2xx")

    assert (status, "\nprobe_success 0\n" in page) == (200, True)
    assert get(monitor, "/")[0] == 200
    assert monitor.stop() == 0


def test_prometheus_sees_the_whole_way_from_the_check_to_the_row(program: Start, database: str) -> None:
    probing = {"modules": {"http_2xx": {}}, "probe_targets": "127.0.0.1"}
    monitor = program(pg_uri=database, monitors=sites("shop"), **probing)
    monitor.start()
    stored(database, 3)

    until(lambda: (one(monitor, "website_health_rows_stored_total") or 0) >= 3, "counted")
    ready(monitor)
    found = metrics(monitor)

    assert one(monitor, "config_last_reload_successful") == 1
    assert one(monitor, "website_health_kafka_up") == 1
    assert one(monitor, "website_health_postgresql_up") == 1
    assert one(monitor, "website_health_stalled_stages") == 0
    assert one(monitor, "probe_success", monitor="shop") == 0
    assert (one(monitor, "website_health_check_failures_total", reason="connect_refused") or 0) >= 3
    for name in (
        "config_last_reload_success_timestamp_seconds",
        "process_cpu_seconds_total",
        "website_health_build_info",
        "website_health_check_to_row_seconds_count",
        "website_health_consumer_lag",
        "website_health_dead_letters_total",
        "website_health_event_loop_lag_seconds_count",
        "website_health_forwarder_retries_total",
        "website_health_forwarder_sent_total",
        "website_health_last_save_timestamp_seconds",
        "website_health_oldest_unacknowledged_age_seconds",
        "website_health_outbox_bytes",
        "website_health_outbox_dropped_total",
        "website_health_outbox_rows",
        "website_health_own_troubles_total",
        "website_health_queue_depth",
        "website_health_rows_duplicate_total",
        "website_health_slot_lateness_seconds_count",
        "website_health_slots_skipped_total",
    ):
        assert len(found[name]) == 1, name
    for target in ("shop", "http://127.0.0.1:9", "http://127.0.0.1:9/other"):
        status, text = get(monitor, f"/probe?target={target}&module=http_2xx")
        assert (status, "\nprobe_success 0\n" in text) == (200, True), target
    assert get(monitor, "/probe?target=http://127.0.0.2:9&module=http_2xx")[0] == 404
    assert monitor.stop() == 0


async def test_prometheus_gets_what_is_measured_now(store: ResultStore) -> None:
    looks: list[float] = []

    async def look() -> None:
        looks.append(time.time())

    def measure() -> list[Section]:
        return [Section("Counts", [Measurement("website_health_looks", "Looks.", len(looks))])]

    async with site_of(configured("shop"), store, refresh=look, measure=measure) as visitor:
        for count in (1, 2):
            assert f"\nwebsite_health_looks {count}.0\n" in (await visitor.get("/metrics")).text


def test_a_server_that_is_unavailable_makes_it_not_ready_with_its_age(program: Start) -> None:
    monitor = program(monitors=sites("shop"), shutdown_grace_s=1, **GONE)
    monitor.start()

    until(lambda: "Kafka has been unavailable for " in get(monitor, "/readyz")[1], "Kafka missed")

    assert get(monitor, "/readyz")[0] == 503
    assert get(monitor, "/healthz") == (200, "ok\n")
    assert one(monitor, "website_health_kafka_up") == 0
    until(
        lambda: (one(monitor, "website_health_oldest_unacknowledged_age_seconds") or 0) > 1, "the oldest ages"
    )
    assert (one(monitor, "website_health_outbox_rows") or 0) > 1
    assert monitor.stop() == 0


def test_a_database_that_is_unavailable_shows_in_the_metrics(program: Start) -> None:
    monitor = program(monitors=sites("shop"), shutdown_grace_s=1, pg_uri=GONE["pg_uri"])
    monitor.start()

    until(lambda: one(monitor, "website_health_postgresql_up") == 0, "PostgreSQL missed")

    assert "PostgreSQL has been unavailable for " in get(monitor, "/readyz")[1]
    assert one(monitor, "website_health_kafka_up") == 1
    assert monitor.stop() == 0


def test_a_stage_that_makes_no_progress_is_not_ready() -> None:
    watch = Watch()
    clock = iter((0.0, 61.0))
    stage = Progress("the ingest", lambda: next(clock))
    watch.add(stage)
    stage.begin("PostgreSQL")

    assert list(_missing(watch, ())) == ["the ingest has made no progress for 61 s, it waits for PostgreSQL"]


def test_a_process_that_does_not_know_its_checks_yet_is_not_ready() -> None:
    waiting = fake_sharing("here-1")

    assert list(_unshared(waiting)) == [
        "no checks are made yet: Kafka has not said which of them are made here"
    ]
    assert list(_unshared(shared_with("there-1"))) == []
    assert list(_unshared(None)) == []


def test_a_server_that_several_stages_miss_is_named_once() -> None:
    stages = [Availability("PostgreSQL", "db") for _ in range(3)]
    stages[0].unavailable_since_at = time.time() - 5
    stages[1].unavailable_since_at = time.time() - 1_000

    (line,) = _missing(Watch(), stages)

    assert line.startswith("PostgreSQL has been unavailable for 100")


def test_a_program_that_can_store_and_not_alert_is_not_ready(
    program: Start, database: str, postgres_server: PostgresServer
) -> None:
    monitor = program(monitors=sites("shop"), shutdown_grace_s=1, pg_uri=database)
    monitor.start()
    ready(monitor)

    postgres_server.sql("ALTER TABLE health_deliveries RENAME TO away", urlsplit(database).path[1:])

    until(lambda: "PostgreSQL has been unavailable for " in get(monitor, "/readyz")[1], "missed")
    assert one(monitor, "website_health_postgresql_up") == 1
    assert monitor.stop() == 0


def test_a_reload_shows(program: Start) -> None:
    monitor = program(monitors=sites("kept", "gone"), shutdown_grace_s=1, **GONE)
    monitor.start()
    until(lambda: one(monitor, "probe_success", monitor="gone") == 0, "both are checked")
    taken_at = one(monitor, "config_last_reload_success_timestamp_seconds")

    monitor.path.write_text("{")
    until(lambda: one(monitor, "config_last_reload_successful") == 0, "the bad file shows")
    assert one(monitor, "blackbox_exporter_config_last_reload_successful") == 0
    assert one(monitor, "config_last_reload_success_timestamp_seconds") == taken_at
    rests = {"name": "rests", "url": f"{DOWN}rests", "paused": True}
    monitor.write({"monitors": [*sites("kept", "new"), rests], **GONE})
    until(lambda: one(monitor, "probe_success", monitor="new") == 0, "the new one is checked")

    assert one(monitor, "config_last_reload_successful") == 1
    assert (one(monitor, "config_last_reload_success_timestamp_seconds") or 0) > (taken_at or 0)
    assert '"gone"' not in get(monitor, "/metrics")[1]
    assert (one(monitor, "website_health_checks_total", monitor="kept", result="down") or 0) > 1
    assert get(monitor, "/probe?target=gone")[0] == 404
    assert get(monitor, "/probe?target=new")[0] == 200
    assert get(monitor, "/probe?target=rests") == (200, "# paused\n")
    assert monitor.stop() == 0


def test_a_port_in_use_ends_the_program_with_one_line(program: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monitor = program(url_to_monitor=DOWN, web_port=port)

        code, printed = monitor.run()

    assert (code, printed) == (1, "")
    assert (
        monitor.printed()
        .splitlines()[-1]
        .endswith(f"CRITICAL web_host 127.0.0.1, web_port {port}: Address already in use")
    )
    assert "Traceback" not in monitor.printed()
    assert not (monitor.folder / "d" / "outbox.sqlite").exists()


def test_an_open_server_without_a_token_is_a_mistake(program: Start) -> None:
    monitor = program(url_to_monitor=DOWN, web_host="0.0.0.0")  # noqa: S104

    assert monitor.run("--check-config")[0] == 2
    assert "config.json: web_host: others can reach this without web_token" in monitor.printed()


def test_the_server_can_be_off(program: Start) -> None:
    monitor = program(url_to_monitor=DOWN, web_port=None, shutdown_grace_s=1, **GONE)
    monitor.start()
    monitor.prints("Message produced")

    assert monitor.stop() == 0
    assert "web: " not in monitor.printed()


def test_a_stop_ends_an_open_connection_and_a_probe_that_waits(program: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        monitor = program(
            monitors=[{"name": "hangs", "url": url, "timeout_s": 60}], shutdown_grace_s=2, **GONE
        )
        monitor.start()
        server = monitor.prints(r"web: http://127\.0\.0\.1:(\d+)/")
        address = ("127.0.0.1", int(server[1]))
        with socket.create_connection(address) as idle, socket.create_connection(address) as asking:
            asking.sendall(b"GET /probe?target=hangs HTTP/1.1\r\nHost: localhost\r\n\r\n")
            with silent.accept()[0]:
                monitor.signal(signal.SIGTERM)

                assert monitor.wait() == 0
            assert idle.recv(1) == b""
    assert "Traceback" not in monitor.printed()


def test_a_reload_changes_whether_there_are_histograms(program: Start, database: str) -> None:
    config = {"pg_uri": database, "web_port": 0, "monitors": sites("shop")}
    monitor = program(**config)
    monitor.start()
    name = "website_health_check_duration_seconds_count"
    until(lambda: (one(monitor, name, monitor="shop") or 0) > 0, "a histogram of the monitor")

    monitor.write({**config, "metrics_histograms": "none"})
    until(lambda: name not in metrics(monitor), "no histograms")

    assert one(monitor, "website_health_checks_total", monitor="shop", result="down")
    assert "take effect at the next start" not in monitor.printed()
    assert monitor.stop() == 0
