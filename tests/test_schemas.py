import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from monitor import schemas
from monitor.config.reading.load import load
from monitor.result import encode
from monitor.schemas import config_schema, result_schema
from tests.test_result import result

FOLDER = Path(__file__).parent / "config" / "reading" / "mistakes"
FILE = Path(schemas.__file__).with_name("config.schema.json")
VALIDATOR = Draft202012Validator(config_schema())


def test_the_schemas_of_the_repository_are_those_made_from_the_code(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "monitor.schemas", tmp_path], check=True, cwd=FILE.parent.parent)

    for name in ("config.schema.json", "result.schema.json"):
        made = (tmp_path / name).read_text(encoding="utf-8")
        assert FILE.with_name(name).read_text(encoding="utf-8") == made


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(config_schema())


def test_the_file_of_the_repository_is_valid_and_names_the_schema() -> None:
    path = Path(__file__).parent.parent / "config.json"
    document = json.loads(path.read_text(encoding="utf-8"))

    VALIDATOR.validate(document)
    assert (path.parent / document["$schema"]).samefile(FILE)


GOOD: list[dict[str, Any]] = [
    {"url_to_monitor": ["https://a.example/", "HTTP://b.example"]},
    {"url_to_monitor": "${URL}", "log_level": "${LEVEL}", "pg_uri": {"file": "secret"}},
    {
        "monitors": [
            {
                "name": "a",
                "url": "https://a.example/",
                "headers": {"A": "1", "B": {"file": "secret"}},
                "basic_auth": {"username": "u", "password": {"file": "secret"}},
                "bearer_token": None,
                "ip_family": 4,
                "expect": {"status": [200, "2xx", "300-399"], "body_regex": "a", "json": ["a", "b"]},
            }
        ],
        "defaults": {"timeout_s": 1.5, "labels": {"a": "b"}, "expect": {"status": "2xx"}},
        "web_port": None,
    },
    {
        "monitors": [
            {
                "steps": [
                    {
                        "name": "a",
                        "url": "https://a.example/",
                        "save": {"b": {"header": "B", "regex": "(b)"}},
                    },
                    {"name": "b", "url": "https://a.example/?b={{b}}", "json": {"b": ["{{b}}", 1]}},
                    {
                        "name": "c",
                        "url": "${URL}",
                        "form": {"c": {"file": "secret"}},
                        "expect": {"status": 302},
                    },
                ]
            }
        ]
    },
    {
        "url_to_monitor": "https://a.example/",
        "monitors": [
            {
                "url": "https://b.example/",
                "group": "web",
                "notify": {"channels": "mail", "escalate_after_s": 60, "escalate_to": ["hook"]},
                "maintenance": [
                    {"starts_at": "2026-12-01T02:00:00+01:00", "ends_at": "2026-12-01T03:00:00Z"},
                    {"weekly": "sun", "at": "02:00", "duration_s": 60, "time_zone": "Europe/Berlin"},
                ],
                "depends_on": ["https://a.example/"],
            }
        ],
        "groups": {"web": {"maintenance": {"cron": "0 2 * * *", "duration_s": 60}}},
        "alerts": {
            "channels": {
                "mail": "json://alerts.example/",
                "file": {"file": "channel"},
                "hook": {"webhook": "https://hooks.example/", "secret": {"file": "secret"}},
            },
            "page_url": "https://status.example/",
        },
        "heartbeat_url": "https://beats.example/1",
    },
]


@pytest.mark.parametrize("document", GOOD)
def test_what_the_program_accepts_the_schema_accepts(document: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(document))
    (tmp_path / "secret").write_text("embedded")
    (tmp_path / "channel").write_text("json://alerts.example/")

    load(path, {"URL": "https://a.example/", "LEVEL": "debug"})
    VALIDATOR.validate(document)


@pytest.mark.parametrize(
    "name",
    [
        "half_a_surrogate_pair",
        "key_given_twice",
        "mistake_in_defaults_is_said_once",
        "monitor_is_a_string",
        "monitors_is_an_object",
        "name_used_twice",
        "no_url",
        "not_a_number",
        "not_an_object",
        "nothing_to_monitor",
        "secret_is_a_number",
        "status_illegal",
        "steps_illegal",
        "too_small_and_too_large",
        "unknown_choice",
        "unknown_key",
        "unknown_key_in_basic_auth",
        "unknown_key_in_expect",
        "unknown_key_like_no_other",
        "unknown_key_that_needs_quotes",
        "url_in_defaults",
        "url_is_a_number",
        "url_of_another_scheme",
        "url_without_host",
        "wrong_types",
    ],
)
def test_an_editor_sees_mistakes_of_structure(name: str) -> None:
    document = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))

    assert not VALIDATOR.is_valid(document)


def test_a_message_is_valid_and_a_wrong_one_is_not() -> None:
    message = json.loads(encode(result()).value)
    validator = Draft202012Validator(result_schema())

    validator.validate(message)
    assert not validator.is_valid(message | {"up": "yes"})
    assert not validator.is_valid({name: value for name, value in message.items() if name != "id"})
