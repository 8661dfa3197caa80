import socket
from pathlib import Path

import msgspec
import pytest
from pydantic import SecretStr, ValidationError

from monitor.config.expect import Expect
from monitor.config.model import BasicAuth, Config, Monitor, MonitorSettings
from monitor.config.reading.load import load
from tests.config.conftest import Read


def test_the_file_of_the_repository_runs_as_it_is() -> None:
    folder = Path(__file__).parents[2]

    config = load(folder / "config.json", {})

    assert [(monitor.name, monitor.interval_s) for monitor in config.monitors] == [
        ("https://www.python.org/", 60)
    ]
    assert config.pg_uri.get_secret_value() == config.kafka_bootstrap == "embedded"
    assert config.kafka_security_protocol == "PLAINTEXT"


def test_the_defaults_are_those_of_the_contract(read: Read, tmp_path: Path) -> None:
    config = read(url_to_monitor="https://example.org/")

    monitor = Monitor(name="https://example.org/", url="https://example.org/")
    assert config == Config(
        monitors=(monitor,),
        location=socket.gethostname(),
        data_dir=tmp_path / "data",
        kafka_ssl_dir=tmp_path / "ssl_kafka",
    )
    assert (config.web_host, config.web_port, config.web_token) == ("127.0.0.1", 8080, None)
    assert (config.kafka_partitions, config.kafka_group) == (6, "website-health-store")
    assert (config.max_concurrent_checks, config.max_checks_per_host, config.retention_days) == (500, 6, 90)
    assert config.metrics_histograms == "auto"
    assert (monitor.timeout_s, monitor.method, monitor.max_redirects, monitor.max_body_bytes) == (
        10,
        "GET",
        10,
        1048576,
    )
    assert (monitor.store_body, monitor.store_body_bytes, monitor.expect.status) == (
        "always",
        65536,
        ("200-399",),
    )
    assert (monitor.failures_to_open, monitor.successes_to_resolve) == (3, 2)


def test_a_list_of_urls_and_monitors_go_together(read: Read) -> None:
    config = read(
        url_to_monitor=["https://a.example/", "https://b.example/"],
        monitors=[{"name": "c", "url": "https://c.example/"}],
    )

    assert [monitor.name for monitor in config.monitors] == ["https://a.example/", "https://b.example/", "c"]


def test_a_monitor_wins_over_the_defaults_and_they_over_the_sleep_duration(read: Read) -> None:
    config = read(
        sleep_duration=5,
        monitors=[
            {"url": "https://a.example/", "interval_s": 7},
            {
                "url": "https://b.example/",
                "headers": {"B": "2"},
                "expect": {"body_regex": "b"},
                "group": None,
            },
        ],
        defaults={"timeout_s": 3, "headers": {"A": "1"}, "expect": {"status": [200]}, "group": "g"},
    )

    a, b = config.monitors
    assert (a.interval_s, a.timeout_s, a.expect.status, a.group) == (7, 3, (200,), "g")
    assert (b.interval_s, b.timeout_s, b.expect.status, b.group) == (5, 3, ("200-399",), None)
    assert b.headers == {"B": SecretStr("2")}


def test_an_interval_among_the_defaults_wins_over_the_sleep_duration(read: Read) -> None:
    config = read(url_to_monitor="https://a.example/", sleep_duration=5, defaults={"interval_s": 6})

    assert config.monitors[0].interval_s == 6


def test_what_has_several_spellings_is_kept_in_one(read: Read) -> None:
    config = read(
        kafka_bootstrap="a.example:9092, [::1]:9093",
        monitors=[
            {
                "url": "https://a.example/",
                "method": "post",
                "expect": {"status": "2XX", "body_regex": "one", "json": ["length(a) > `1`", "b[0:2]"]},
            },
            {"url": "https://[::1]:8443/", "expect": {"status": ["204", 301, "400-499"]}, "ip_family": 6},
        ],
    )

    a, b = config.monitors
    assert config.kafka_bootstrap == "a.example:9092,[::1]:9093"
    assert (a.method, a.expect.status, a.expect.body_regex) == ("POST", ("2xx",), ("one",))
    assert a.expect.json == ("length(a) > `1`", "b[0:2]")
    assert (b.expect.status, b.ip_family) == ((204, 301, "400-499"), 6)


def test_variables_and_dollars_are_replaced_in_strings_only(read: Read) -> None:
    config = read(
        {"NAME": "shop", "EMPTY": ""},
        url_to_monitor="https://example.org/",
        location="$$${NAME}$$${EMPTY} $ costs",
        defaults={"expect": {"body_regex": ["^total: 5$", "$${NAME}"]}},
        alerts={"channels": {"${NAME}": "json://${NAME}/"}},
    )

    assert config.location == "$shop$ $ costs"
    assert config.alerts.channels == {"${NAME}": SecretStr("json://shop/")}
    assert config.monitors[0].expect.body_regex == ("^total: 5$", "${NAME}")


def test_secrets_come_from_files_beside_the_configuration(read: Read, tmp_path: Path) -> None:
    (tmp_path / "password").write_bytes(b"\xef\xbb\xbfs3cret\r\n")
    (tmp_path / "uri").write_text("postgresql://user:s3cret@db/x?sslmode=require\n")
    password = {"file": "password"}

    config = read(
        {"DIR": str(tmp_path)},
        pg_uri={"file": "${DIR}/uri"},
        web_token=password,
        monitors=[
            {
                "url": "https://a.example/",
                "basic_auth": {"username": "u", "password": password},
                "headers": {"X-Key": password},
                "body": password,
                "proxy": "http://u:p@proxy.example:3128",
            },
            {"url": "https://b.example/", "bearer_token": password},
        ],
    )

    s3cret = SecretStr("s3cret")
    a, b = config.monitors
    assert config.pg_uri.get_secret_value() == "postgresql://user:s3cret@db/x?sslmode=require"
    assert a.basic_auth == BasicAuth(username="u", password=s3cret)
    assert a.headers["X-Key"] == a.body == b.bearer_token == config.web_token == s3cret
    assert a.proxy == SecretStr("http://u:p@proxy.example:3128")
    assert "s3cret" not in f"{config} {config!r} {config.monitors!r}"


def test_paths_are_relative_to_the_file(read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")

    config = read(url_to_monitor="https://a.example/", data_dir="d", kafka_ssl_dir="/k")

    assert (config.data_dir, config.kafka_ssl_dir) == (tmp_path / "d", Path("/k"))


def test_a_byte_order_mark_and_a_schema_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"$schema": "x", "url_to_monitor": "http://münchen.example/"}', encoding="utf-8-sig")

    assert load(path, {}).monitors[0].name == "http://münchen.example/"


def test_a_name_that_comes_from_a_long_url_is_cut(read: Read) -> None:
    config = read(url_to_monitor="https://a.example/" + "a" * 300)

    assert len(config.monitors[0].name) == 200
    assert config.monitors[0].name.endswith("a…")
    assert len(config.monitors[0].url) == 318


def test_the_default_name_shows_no_secret(read: Read) -> None:
    config = read(
        {"TOKEN": "s3cret", "EMPTY": ""},
        url_to_monitor=[
            "https://user:s3cret@a.example/?key=s3cret&q=1",
            "https://b.example/${TOKEN}/x${EMPTY}",
        ],
    )

    assert [monitor.name for monitor in config.monitors] == [
        "https://a.example/?key=***&q=1",
        "https://b.example/***/x",
    ]
    assert [monitor.public_url for monitor in config.monitors] == [
        monitor.name for monitor in config.monitors
    ]
    assert config.monitors[1].url == "https://b.example/s3cret/x"
    assert "s3cret" not in repr(config)


def test_what_is_built_in_code_is_checked_as_well() -> None:
    with pytest.raises(ValidationError, match="JMESPath"):
        Expect(json=("(",))
    with pytest.raises(ValidationError, match="url") as refused:
        Monitor(name="a", url="ftp://user:s3cret@a.example/")

    assert "s3cret" not in str(refused.value)


def test_a_configuration_cannot_be_changed() -> None:
    monitor = Monitor(name="a", url="http://a.example/")

    with pytest.raises(ValidationError):
        monitor.name = "b"


def test_a_runbook_is_for_people_and_not_masked(read: Read) -> None:
    config = read(
        {"WIKI": "https://wiki.example"},
        url_to_monitor="https://a.example",
        defaults={"runbook": "${WIKI}/shop"},
    )

    runbook = config.monitors[0].runbook

    assert runbook == "https://wiki.example/shop"
    assert msgspec.json.encode(runbook) == b'"https://wiki.example/shop"'


def test_a_module_has_the_defaults_of_monitors_and_its_own_settings(read: Read) -> None:
    config = read(
        url_to_monitor="https://a.example/",
        sleep_duration=30,
        defaults={"timeout_s": 5, "method": "HEAD", "deny_addresses": "private"},
        modules={"http_post": {"method": "post", "expect": {"status": "2xx"}}, "http_2xx": {}},
    )

    assert config.modules == {
        "http_2xx": MonitorSettings(interval_s=30, timeout_s=5, method="HEAD", deny_addresses=("private",)),
        "http_post": MonitorSettings(
            interval_s=30,
            timeout_s=5,
            method="POST",
            deny_addresses=("private",),
            expect=Expect(status=("2xx",)),
        ),
    }
