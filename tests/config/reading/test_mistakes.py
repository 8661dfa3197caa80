import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.config.model import Config, MonitorSettings, WrittenConfig, WrittenMonitor
from monitor.config.reading.load import MAX_MISTAKES, MAX_MONITORS, ConfigError, load

FOLDER = Path(__file__).with_name("mistakes")
ENVIRON = {"SECRET": "s3cret", "NOT_UTF8": "\udcff", "EMPTY": ""}


def mistakes(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        load(path, ENVIRON)
    return refused.value.mistakes


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.json")))
def test_each_mistake_is_one_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = (FOLDER / f"{name}.txt").read_text(encoding="utf-8").replace("{folder}", str(FOLDER))
    monkeypatch.chdir(FOLDER)

    found = mistakes(Path(f"{name}.json"))

    assert found == expected.splitlines()
    assert "s3cret" not in "".join(found)


def test_every_expectation_has_its_file() -> None:
    assert {path.stem for path in FOLDER.glob("*.txt")} == {path.stem for path in FOLDER.glob("*.json")}


def test_a_missing_file_is_a_mistake(tmp_path: Path) -> None:
    assert mistakes(tmp_path / "no.json") == [f"{tmp_path}/no.json: No such file or directory"]


def test_a_directory_is_a_mistake(tmp_path: Path) -> None:
    assert mistakes(tmp_path) == [f"{tmp_path}: a directory, not a regular file"]


def test_a_device_is_a_mistake() -> None:
    assert mistakes(Path("/dev/zero")) == ["/dev/zero: a device, not a regular file"]


def test_a_file_that_is_too_large_is_a_mistake(tmp_path: Path) -> None:
    with (tmp_path / "config.json").open("wb") as file:
        file.truncate(16_000_001)

    assert mistakes(tmp_path / "config.json") == [
        f"{tmp_path}/config.json: too large; at most 16000000 bytes are read"
    ]


def test_a_named_pipe_in_the_place_of_any_file_is_a_mistake_and_nobody_waits_for_it(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "ssl_kafka").mkdir()
    os.mkfifo(tmp_path / "ssl_kafka" / "ca.pem")
    path = tmp_path / "config.json"
    path.write_text(
        json.dumps(
            {
                "kafka_bootstrap": "kafka.example:9092",
                "kafka_security_protocol": "SSL",
                "web_token": {"file": "pipe"},
                "pg_uri": f"postgresql://me:s3cret@db.example/health?sslcert=absent&sslrootcert={pipe}",
                "monitors": [
                    {
                        "url": "https://a.example/",
                        "ca_file": "pipe",
                        "client_cert": "pipe",
                        "client_key": "pipe",
                    }
                ],
            }
        )
    )

    found = mistakes(path)

    assert mistakes(pipe) == [f"{pipe}: a named pipe, not a regular file"]
    assert [line.removeprefix(f"{path}: ") for line in found] == [
        f"pg_uri: cannot read {pipe} (a named pipe, not a regular file); must be a readable PEM file",
        f"web_token: {pipe}: a named pipe, not a regular file; must be a readable file of UTF-8",
        *(
            f"monitors[0].{key}: cannot read {pipe} (a named pipe, not a regular file);"
            " must be a readable PEM file"
            for key in ("ca_file", "client_cert", "client_key")
        ),
        (
            f"kafka_ssl_dir: cannot read {tmp_path}/ssl_kafka/ca.pem (a named pipe, not a regular file);"
            " must be a readable PEM file"
        ),
    ]


def test_the_error_has_all_lines_as_its_text() -> None:
    assert str(ConfigError(["a", "b"])) == "a\nb"


@pytest.mark.parametrize("monitors", [[], [{"url": "https://b.example/"}, {"url": "https://c.example/"}]])
def test_a_mistake_in_defaults_that_shows_in_several_monitors_is_reported_once(
    tmp_path: Path, monitors: list[Any]
) -> None:
    path = tmp_path / "config.json"
    path.write_text(
        json.dumps(
            {
                "url_to_monitor": "https://a.example/",
                "monitors": monitors,
                "defaults": {"client_key": "config.json"},
            }
        )
    )

    assert mistakes(path) == [f"{path}: defaults.client_key: given without client_cert; must be together"]


def test_beside_a_mistake_files_are_still_looked_for_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret")
    path = tmp_path / "config.json"
    path.write_text(
        json.dumps(
            {"url_to_monitor": "https://a.example/", "web_token": {"file": "token"}, "retention_days": "x"}
        )
    )

    assert [line.split(": ")[1] for line in mistakes(path)] == ["retention_days"]


def written(path: Path, **document: Any) -> Path:
    path.write_text(json.dumps(document))
    return path


def test_after_a_hundred_mistakes_the_others_are_counted(tmp_path: Path) -> None:
    unknown = {f"monitor_of_{number}": 1 for number in range(20_000)}

    found = mistakes(written(tmp_path / "config.json", url_to_monitor="ftp://a/", **unknown))

    assert found[1] == f'{tmp_path}/config.json: monitor_of_0: unknown key; did you mean "monitors"?'
    assert found[-1] == f"{tmp_path}/config.json: and 19901 more mistakes"
    assert len(found) == 101


def test_mistakes_of_all_kinds_are_counted_together(tmp_path: Path) -> None:
    found = mistakes(written(tmp_path / "config.json", url_to_monitor=["http://a/"] * 90 + [""] * 30))

    assert len(found) == 101
    assert found[-1] == f"{tmp_path}/config.json: and 19 more mistakes"


def test_more_monitors_than_one_program_takes_are_one_mistake(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    urls = [""] * (MAX_MONITORS - 1)

    assert mistakes(written(path, url_to_monitor=urls, monitors=[{}, {}])) == [
        f"{path}: too many monitors; must be at most 100000"
    ]
    assert len(mistakes(written(path, url_to_monitor=urls, monitors=[{}]))) == MAX_MISTAKES + 1


def test_of_many_names_that_are_known_a_mistake_shows_some(tmp_path: Path) -> None:
    channels = {f"channel-{number}": "json://localhost" for number in range(21)}
    path = tmp_path / "config.json"

    found = mistakes(
        written(
            path,
            url_to_monitor="http://a/",
            alerts={"channels": channels},
            defaults={"notify": {"channels": "no"}},
        )
    )

    assert len(found) == 1
    assert found[0].endswith(", channel-18, channel-19, …")


def test_a_url_of_any_length_gets_an_answer(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    url = "http://a/?"

    assert load(written(path, url_to_monitor=f"{url:x<8192}"), {})
    assert mistakes(written(path, url_to_monitor=[f"{url:x<8193}"] * 2)) == [
        f"{path}: url_to_monitor[0]: too long; must be at most 8192 characters",
        f"{path}: url_to_monitor[1]: too long; must be at most 8192 characters",
    ]


KEYS = sorted(
    {
        field.alias or name
        for model in (WrittenConfig, WrittenMonitor, MonitorSettings)
        for name, field in model.model_fields.items()
    }
    | {"file", "status", "json", "body_regex", "username", "password"}
)
STRINGS = st.one_of(
    st.text(st.characters()),
    st.text(alphabet="${}NAME(a[|`?.*+:/@"),
    st.sampled_from(
        ["http://example.org/", "embedded", "a:1", "SSL", "SASL_SSL", "postgres://", ".", "200-399"]
    ),
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.integers(10**306, 10**310) | STRINGS
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(STRINGS, inner, max_size=4)
        | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6)
    ),
    max_leaves=20,
)
DOCUMENTS = VALUES | st.fixed_dictionaries(
    {"url_to_monitor": STRINGS},
    optional={key: VALUES for key in KEYS if key in WrittenConfig.model_fields and key != "url_to_monitor"},
)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("any") / "config.json"


def outcome(path: Path) -> Config | list[str]:
    try:
        return load(path, ENVIRON)
    except ConfigError as error:
        return error.mistakes


def accepts_or_lists_the_mistakes(path: Path) -> None:
    found = outcome(path)

    if isinstance(found, Config):
        assert found.monitors
    else:
        assert 0 < len(found) == len(set(found))
        others = b'"include"' in path.read_bytes()  # have their own names
        assert all(line.isprintable() and (others or line.startswith(f"{path}: ")) for line in found)


@pytest.mark.timeout(600)
@settings(deadline=None, max_examples=300)
@given(document=DOCUMENTS)
def test_any_json_is_accepted_or_refused_with_its_mistakes(document: Any, scratch: Path) -> None:
    scratch.write_text(json.dumps(document))

    accepts_or_lists_the_mistakes(scratch)


@pytest.mark.timeout(600)
@settings(deadline=None, max_examples=300)
@given(
    monitor=st.fixed_dictionaries(
        {"url": STRINGS},
        optional={key: VALUES for key in KEYS if key in WrittenMonitor.model_fields and key != "url"},
    )
)
def test_any_monitor_is_accepted_or_refused_with_its_mistakes(monitor: Any, scratch: Path) -> None:
    scratch.write_text(json.dumps({"monitors": [monitor], "url_to_monitor": "http://example.org/"}))

    accepts_or_lists_the_mistakes(scratch)


@settings(deadline=None)
@given(content=st.binary() | st.text().map(str.encode))
def test_any_bytes_are_accepted_or_refused_with_their_mistakes(content: bytes, scratch: Path) -> None:
    scratch.write_bytes(content)

    accepts_or_lists_the_mistakes(scratch)
