import pytest

from monitor.sharing.differences import TOLERATED_S
from monitor.sharing.leader import assign
from monitor.sharing.process import MISSED_S, Process
from monitor.sharing.shards import SHARDS, shard_of

OLD = (0,) * SHARDS
NEW = (1,) * SHARDS
NOW = 1_000_000.0
FOREIGN = "shop"  # whose shard the other process has


def joined(*processes: Process, at_s: float) -> None:
    """Let these form a group, so many seconds after the start."""
    announced = {each.name: each.announcement(NOW + at_s, at_s) for each in processes}
    assignment = assign(announced, NOW + at_s)
    for each in processes:
        each.received(assignment, NOW + at_s, at_s)


def ticked(process: Process, since_s: float, until_s: float) -> None:
    at_s = since_s
    while at_s <= until_s:
        process.tick(NOW + at_s, at_s)
        at_s += 1.0


@pytest.fixture
def pair() -> tuple[Process, Process]:
    """Two processes with one configuration; the first owns the monitor's shard."""
    one, other = (Process(name, OLD, monotonic_s=0.0) for name in ("a", "b"))
    joined(one, other, at_s=0.0)
    return (one, other) if shard_of(FOREIGN) in one.members["a"] else (other, one)


def reload(process: Process, at_s: float, *all_of_them: Process) -> None:
    process.configure(NEW)
    joined(*all_of_them, at_s=at_s)


def test_a_file_that_all_read_within_seconds_makes_no_double_check(pair: tuple[Process, Process]) -> None:
    owner, other = pair
    ticked(other, 1.0, 10.0)

    reload(other, 10.0, owner, other)
    ticked(other, 10.0, 10.0 + TOLERATED_S - 1)
    reload(owner, 10.0 + TOLERATED_S - 1, owner, other)
    ticked(other, 10.0 + TOLERATED_S, 30.0)

    assert other.differing == []
    assert not other.take(FOREIGN, NOW + 12.0, 30.0)
    assert not other.take(FOREIGN, NOW + 29.0, 30.0)


def test_a_file_that_is_read_while_one_stands_still_makes_no_double_check(
    pair: tuple[Process, Process],
) -> None:
    owner, other = pair
    ticked(other, 1.0, 10.0)

    other.configure(NEW)
    owner.configure(NEW)
    ticked(other, 10.0, 16.0)  # for as long the group waits for the one that stands still
    joined(owner, other, at_s=16.5)
    ticked(other, 17.0, 30.0)

    assert other.differing == []


def test_what_the_owner_checks_otherwise_for_long_is_checked_here_too(pair: tuple[Process, Process]) -> None:
    owner, other = pair
    ticked(other, 1.0, 10.0)
    version = other.version

    reload(owner, 10.0, owner, other)
    ticked(other, 10.0, 10.0 + TOLERATED_S - 1)
    assert (other.differing, other.mine(FOREIGN, NOW + 12)) == ([], False)
    ticked(other, 10.0 + TOLERATED_S, 10.0 + TOLERATED_S)

    assert shard_of(FOREIGN) in other.differing
    assert len(other.differing) == SHARDS / 2
    assert other.version == version + 2  # the assignment, and what is its own now
    assert other.missed(FOREIGN, [NOW + 11.0], NOW + 10 + MISSED_S, 10 + TOLERATED_S) == [NOW + 11.0]


def test_the_last_owners_configuration_counts_for_no_slot_of_the_past(pair: tuple[Process, Process]) -> None:
    owner, other = pair
    ticked(other, 1.0, 10.0)
    other.configure(NEW)
    ticked(other, 10.0, 11.0)

    owner.leave()
    joined(owner, other, at_s=11.0)
    ticked(other, 11.0, 30.0)

    assert other.differing == []
    assert not other.mine(FOREIGN, NOW + 5)
    assert other.mine(FOREIGN, NOW + 14)


def test_one_that_leaves_does_not_check_what_others_check_otherwise(pair: tuple[Process, Process]) -> None:
    owner, other = pair
    reload(owner, 2.0, owner, other)
    ticked(other, 2.0, 12.0)
    assert other.mine(FOREIGN, NOW + 12)

    other.leave()
    joined(owner, other, at_s=13.0)

    assert not other.mine(FOREIGN, NOW + 12)
