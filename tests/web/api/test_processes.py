"""The processes of a location, through the API."""

from tests.web.api.client import Client


async def test_processes_are_listed_with_their_shards(api: Client) -> None:
    api.share_with("there-1")

    found = (await api("/processes")).json

    assert [(each["process"], each["own"], len(each["shards"])) for each in found["processes"]] == [
        ("here-1", True, 32),
        ("there-1", False, 32),
    ]
    assert sorted(shard for each in found["processes"] for shard in each["shards"]) == list(range(64))


async def test_nobody_is_listed_where_checks_are_not_shared(api: Client) -> None:
    assert (await api("/processes")).json == {"processes": []}


async def test_processes_are_a_table(api: Client) -> None:
    api.share_with()

    lines = (await api("/processes?format=csv")).lines

    assert lines[0] == "process,own,shards"
    assert lines[1].startswith('here-1,true,"0, 1, 2')
