from collections.abc import Sequence
from pathlib import Path

import pytest
from pydantic import SecretStr

from monitor.config.expect import Expect
from monitor.config.model import Monitor
from monitor.config.public_url import Expanded
from monitor.config.steps.step import Step
from monitor.sharing.shards import SHARDS, configuration_hashes, shard_of

BEFORE = Monitor(name="a", url="http://a.example/")
OLD, NEW = Expanded("key one", ((4, 7),)), Expanded("key two", ((4, 7),))


def changed(before: Monitor | Sequence[Monitor], after: Monitor | Sequence[Monitor]) -> Sequence[int]:
    hashes = [configuration_hashes([each] if isinstance(each, Monitor) else each) for each in (before, after)]
    return [shard for shard in range(SHARDS) if hashes[0][shard] != hashes[1][shard]]


def test_the_names_of_many_monitors_fill_all_shards_alike() -> None:
    shards = [shard_of(f"m{number}") for number in range(6_400)]

    assert {shards.count(shard) > 50 for shard in range(SHARDS)} == {True}


@pytest.mark.parametrize(
    "change",
    [
        {"url": "http://b.example/"},
        {"interval_s": 10.0},
        {"headers": {"Accept": SecretStr("text/plain")}},
        {"resolver": ("127.0.0.1",)},
        {"expect": Expect(status=("204",))},
        {"expect": Expect(body_regex=("up",))},
        {"ca_file": Path("/etc/ca.pem")},
        {"proxy": SecretStr("http://proxy.example")},
        {"steps": (Step(name="a", url="http://a.example/"),)},
    ],
)
def test_another_way_to_check_changes_the_hash_of_the_shard_alone(change: dict[str, object]) -> None:
    assert changed(BEFORE, BEFORE.model_copy(update=change)) == [shard_of("a")]


def test_a_monitor_more_changes_the_hash_of_its_shard() -> None:
    other = BEFORE.model_copy(update={"name": "b"})

    assert changed([BEFORE], [BEFORE, other]) == [shard_of("b")]
    assert changed([BEFORE, other], [other, BEFORE]) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"url": "http://u:p@a.example/?token=1"}, {"url": "http://u:q@a.example/?token=2"}),
        ({"bearer_token": SecretStr("one")}, {"bearer_token": SecretStr("two")}),
        ({"headers": {"Cookie": SecretStr("one")}}, {"headers": {"Cookie": SecretStr("two")}}),
        ({"expect": Expect(body_regex=(OLD,))}, {"expect": Expect(body_regex=(NEW,))}),
        (
            {"steps": (Step(name="a", url="http://a.example/?token=1", body=SecretStr("1")),)},
            {"steps": (Step(name="a", url="http://a.example/?token=2", body=SecretStr("2")),)},
        ),
    ],
)
def test_another_secret_does_not_show(before: dict[str, object], after: dict[str, object]) -> None:
    assert changed(BEFORE.model_copy(update=before), BEFORE.model_copy(update=after)) == []
    assert changed(BEFORE, BEFORE.model_copy(update=before)) == [shard_of("a")]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"ca_file": Path("/etc/one/ca.pem")}, {"ca_file": Path("/etc/two/ca.pem")}),
        ({"failures_to_open": 3}, {"failures_to_open": 5}),
        ({"labels": {}}, {"labels": {"team": "shop"}}),
    ],
)
def test_what_the_checks_do_not_depend_on_does_not_show(
    before: dict[str, object], after: dict[str, object]
) -> None:
    assert changed(BEFORE.model_copy(update=before), BEFORE.model_copy(update=after)) == []
