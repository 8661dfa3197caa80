"""The configuration as it is shown."""

import json
from pathlib import Path
from typing import Any

from monitor.config.model import Config, Monitor
from monitor.config.public_url import MASK
from monitor.config.reading.load import load
from monitor.config.show import shown
from tests.config.conftest import Read

SECRETS: dict[str, Any] = {
    "pg_uri": "postgresql://ada:s3cret@db.example:6432/health?sslmode=require&sslpassword=s3cret",
    "kafka_bootstrap": "kafka.example:9092",
    "kafka_sasl_mechanism": "PLAIN",
    "kafka_security_protocol": "SASL_SSL",
    "kafka_username": "ada",
    "kafka_password": "s3cret",
    "web_token": {"file": "token"},
    "heartbeat_url": "https://beats.example/s3cret",
    "connectivity_check": "https://ada:s3cret@up.example/?key=s3cret",
    "alerts": {
        "page_url": "https://ada:s3cret@status.example/",
        "channels": {
            "mail": "json://alerts.example/s3cret",
            "hook": {"webhook": "https://hooks.example/s3cret", "secret": "s3cret"},
        },
    },
    "monitors": [
        {
            "url": "https://ada:s3cret@shop.example/?token=s3cret&page=1&x=${SECRET}",
            "headers": {"X-Key": "s3cret"},
            "body": "s3cret",
            "basic_auth": {"username": "ada", "password": "s3cret"},
            "proxy": "http://ada:s3cret@proxy.example:1/",
            "expect": {"body_regex": "${SECRET}!", "status": [200, "3xx"]},
            "maintenance": {"starts_at": "2026-12-01T02:00:00+01:00", "ends_at": "2026-12-01T03:00:00Z"},
        },
        {
            "url": "https://api.example/",
            "oauth2": {
                "token_url": "https://idp.example/s3cret",
                "client_id": "me",
                "client_secret": "s3cret",
                "endpoint_params": {"audience": "s3cret"},
            },
        },
        {"url": "https://blog.example/", "bearer_token": "s3cret", "name": "blog", "proxy": "environment"},
        {
            "steps": [
                {"name": "a", "url": "https://ada:s3cret@shop.example/${SECRET}", "body": "s3cret"},
                {"name": "b", "url": "https://shop.example/?token=s3cret", "json": {"a": "s3cret"}},
                {"name": "c", "url": "https://shop.example/", "form": {"a": "s3cret"}},
            ],
            "proxy": "environment",
        },
    ],
}


def test_no_secret_is_shown(read: Read, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret")

    found = shown(read({"SECRET": "s3cret"}, **SECRETS))

    assert "s3cret" not in json.dumps(found)
    assert found["pg_uri"] == "postgresql://db.example:6432/health?sslmode=require&sslpassword=***"
    assert found["web_token"] == MASK
    assert found["connectivity_check"] == "https://up.example/?key=***"
    assert found["alerts"]["channels"] == {"mail": "***", "hook": {"webhook": "***", "secret": "***"}}
    shop = found["monitors"][0]
    assert shop["url"] == "https://shop.example/?token=***&page=1&x=***"
    assert shop["headers"] == {"X-Key": "***"}
    assert shop["basic_auth"] == {"username": "ada", "password": "***"}
    assert shop["expect"]["body_regex"] == ["***!"]
    assert (shop["proxy"], found["monitors"][2]["proxy"]) == ("***", "environment")
    assert found["monitors"][1]["oauth2"] == {
        "token_url": "***",
        "client_id": "me",
        "client_secret": "***",
        "scopes": [],
        "auth_method": "client_secret_basic",
        "endpoint_params": {"audience": "***"},
    }
    steps = found["monitors"][3]["steps"]
    assert [step["url"] for step in steps] == [
        "https://shop.example/***",
        "https://shop.example/?token=***",
        "https://shop.example/",
    ]
    assert [steps[0]["body"], steps[1]["json"], steps[2]["form"]] == ["***", "***", {"a": "***"}]
    assert shop["maintenance"][0]["starts_at"] == "2026-12-01T02:00:00+01:00"


def test_every_key_that_has_a_value_is_shown_with_the_names_first(read: Read) -> None:
    config = read(
        monitors=[{"url": "https://a.example/", "timeout_s": 5}], defaults={"timeout_s": 7, "group": "web"}
    )

    found = shown(config)

    assert set(found) == {key for key in Config.model_fields if getattr(config, key) is not None} - {
        "web_port_is_given"
    }
    (monitor,) = found["monitors"]
    assert set(monitor) == {
        key for key in Monitor.model_fields if getattr(config.monitors[0], key) is not None
    } - {"steps"}
    assert list(monitor)[:2] == ["name", "url"]
    assert (monitor["timeout_s"], monitor["group"], monitor["interval_s"]) == (5, "web", 60)
    assert found["pg_uri"] == "embedded"


def test_what_is_shown_is_a_configuration_that_means_the_same(read: Read, tmp_path: Path) -> None:
    config = read(
        monitors=[
            {
                "name": "a",
                "url": "https://a.example/",
                "window": {"of": 5, "bad": 3},
                "resolver": "9.9.9.9:53",
            },
            {
                "name": "b",
                "steps": [
                    {"name": "c", "url": "https://b.example/", "save": {"d": {"json": "d"}}},
                    {"name": "e", "url": "https://b.example/{{d}}", "always": True},
                ],
            },
        ],
        groups={},
        web_port=9,
        data_dir="here",
    )
    (tmp_path / "shown.json").write_text(json.dumps(shown(config)))

    assert load(tmp_path / "shown.json", {}) == config
