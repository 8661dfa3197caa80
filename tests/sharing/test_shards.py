from collections.abc import Sequence

from monitor.config.model import Monitor
from monitor.sharing.shards import SHARDS, configuration_hashes, shard_of


def changed(before: Monitor, after: Monitor) -> Sequence[int]:
    pairs = zip(configuration_hashes([before]), configuration_hashes([after]), strict=True)
    return [shard for shard, (one, other) in enumerate(pairs) if one != other]


def test_the_names_of_many_monitors_fill_all_shards_alike() -> None:
    shards = [shard_of(f"m{number}") for number in range(6_400)]

    assert {shards.count(shard) > 50 for shard in range(SHARDS)} == {True}


def test_another_url_changes_the_hash_of_its_shard_alone() -> None:
    before = Monitor(name="a", url="http://a.example/")

    assert changed(before, before.model_copy(update={"url": "http://b.example/"})) == [shard_of("a")]


def test_another_secret_changes_nothing() -> None:
    before = Monitor(name="a", url="http://u:p@a.example/?token=1", bearer_token="one")  # type: ignore[arg-type]
    after = Monitor(name="a", url="http://u:q@a.example/?token=2", bearer_token="two")  # type: ignore[arg-type]

    assert changed(before, after) == []
    assert changed(before, Monitor(name="a", url=before.url)) == [shard_of("a")]
