import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.config.checks import LabelNames, metric_label
from monitor.config.load import load


@given(st.text(min_size=1))
def test_every_name_becomes_one_that_prometheus_allows(name: str) -> None:
    assert re.fullmatch("[a-zA-Z_][a-zA-Z0-9_]*", metric_label(name))


@given(st.lists(st.text()))
def test_names_that_are_taken_stay_apart(names: list[str]) -> None:
    labels = LabelNames()

    taken = {name for name in names if not list(labels.mistakes({name: ""}))}

    assert len({metric_label(name) for name in taken}) == len(taken)


@pytest.mark.parametrize("name", ["", "__name__", "é-x", "le", "monitor"])
def test_names_that_mean_something_else_are_refused(name: str) -> None:
    assert [refused for refused, _ in LabelNames().mistakes({name: ""})] == [name]


def test_the_same_label_may_be_used_by_many(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    monitors = [{"url": f"https://{name}.example/", "labels": {"team-name": name}} for name in "ab"]
    path.write_text(json.dumps({"monitors": monitors, "defaults": {"labels": {"team-name": "c"}}}))

    assert [monitor.labels for monitor in load(path, {}).monitors] == [{"team-name": "a"}, {"team-name": "b"}]


def test_a_token_opens_the_server_to_others(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(
        json.dumps({"url_to_monitor": "http://a.example/", "web_host": "0.0.0.0", "web_token": "t0ken"})  # noqa: S104
    )

    assert load(path, {}).web_host == "0.0.0.0"  # noqa: S104


def test_a_server_that_is_off_needs_no_token(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(
        json.dumps({"url_to_monitor": "http://a.example/", "web_host": "monitor.example", "web_port": None})
    )

    assert load(path, {}).web_port is None
