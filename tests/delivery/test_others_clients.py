import json
import re
import subprocess

import pytest

from tests.apache_kafka import ApacheKafka
from tests.program import Start, need, until

pytestmark = [pytest.mark.kafka, pytest.mark.clients]
DOWN = "http://127.0.0.1:9/"


def psql(uri: str, query: str) -> str:
    done = subprocess.run(["psql", uri, "-XAtc", query], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_kcat_reads_the_topic_and_psql_the_table(
    program: Start, apache_kafka: ApacheKafka, database: str
) -> None:
    need("kcat", "psql")
    monitor = program(
        monitors=[{"name": "gone", "url": DOWN, "interval_s": 0.5}],
        pg_uri=database,
        kafka_bootstrap=apache_kafka.bootstrap("PLAINTEXT"),
        kafka_topic="for_kcat",
    )
    monitor.start()
    until(lambda: psql(database, "SELECT count(*) FROM health_data") not in ("0", "1"), "two rows stored")
    assert monitor.stop() == 0

    brokers = apache_kafka.bootstrap("PLAINTEXT")
    consumed = subprocess.run(
        ["kcat", "-C", "-b", brokers, "-t", "for_kcat", "-e", "-q", "-f", "%k %s\n"],
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    )
    keys, values = zip(*(line.split(" ", 1) for line in consumed.stdout.splitlines()), strict=True)
    messages = [json.loads(value) for value in values]
    stored = psql(database, "SELECT result_id FROM health_data ORDER BY id").splitlines()

    assert set(keys) == {"gone"}
    ids = [message["id"] for message in messages]
    assert ids[: len(stored)] == stored  # the next run may store what came last
    assert {message["reason"] for message in messages} == {"connect_refused"}
    head = psql(database, "SELECT id, status, time > 0 FROM health_data ORDER BY id LIMIT 1")
    assert head.endswith("||t")


def test_the_three_files_are_all_that_tls_needs(
    program: Start, apache_kafka: ApacheKafka, database: str
) -> None:
    monitor = program(
        url_to_monitor=DOWN,
        pg_uri=database,
        kafka_bootstrap=apache_kafka.bootstrap("SSL"),
        kafka_topic="with_tls",
    )
    (monitor.folder / "ssl_kafka").mkdir()
    apache_kafka.client_files(monitor.folder / "ssl_kafka")

    monitor.start()

    monitor.prints("AIOKafka Consumer fetched: b'")
    assert monitor.stop() == 0


def test_a_wrong_authority_gives_a_clear_line_and_checks_go_on(
    program: Start, apache_kafka: ApacheKafka, database: str
) -> None:
    need("openssl")
    monitor = program(
        url_to_monitor=DOWN,
        sleep_duration=0.5,
        pg_uri=database,
        kafka_bootstrap=apache_kafka.bootstrap("SSL"),
    )
    folder = monitor.folder / "ssl_kafka"
    folder.mkdir()
    apache_kafka.client_files(folder)
    other = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=other", "-days", "1"]
    files = ["-keyout", str(folder / "unused.key"), "-out", str(folder / "ca.pem")]
    subprocess.run([*other, *files], check=True, capture_output=True)

    monitor.start()

    monitor.prints("Kafka is unavailable", times=2)
    lines = re.findall("Kafka is unavailable.*", monitor.printed())
    assert all("certificate is not accepted" in line and "ca.pem" in line for line in lines)
    monitor.prints("Message produced", times=4)
    assert monitor.stop() == 0
