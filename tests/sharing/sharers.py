"""Processes of a location, and the rounds in which they learn who has what."""

from collections.abc import Sequence

from monitor.sharing.assignment import (
    Announcement,
    Assignment,
    Entry,
    decode_assignment,
    encode,
)
from monitor.sharing.leader import assign
from monitor.sharing.process import Process, WhenAlone
from monitor.sharing.shards import SHARDS

NOW = 1_000_000.0
HASHES = (0,) * SHARDS


def process(name: str, *, when_alone: WhenAlone = "continue", stored: bytes = b"") -> Process:
    return Process(name, HASHES, monotonic_s=0.0, when_alone=when_alone, stored=stored)


def joined(*processes: Process, at_s: float) -> Assignment:
    """Let these form a group, so many seconds after the start."""
    announced = {each.name: each.announcement(NOW + at_s, at_s) for each in processes}
    assignment = assign(announced, NOW + at_s)
    for each in processes:
        each.received(assignment, NOW + at_s, at_s)
    return decode_assignment(assignment)


def ticked(one: Process, since_s: float, until_s: float) -> None:
    """Let time go on for a process that does not stand still."""
    at_s = since_s
    while at_s <= until_s:
        one.tick(NOW + at_s, at_s)
        at_s += 1.0


def announced(
    name: str,
    assignment: Assignment | None = None,
    *,
    leaving: bool = False,
    done: bool = False,
    clock: float = NOW,
    received_at: float = 0.0,
) -> bytes:
    return encode(Announcement(name, assignment, leaving, done, clock, HASHES, received_at))


def owned(*entries: tuple[float, str], epoch: int = 0, done: Sequence[str] = ()) -> Assignment:
    """Make an assignment in which each shard has these entries: seconds after NOW, and the owner."""
    listed = tuple(Entry(NOW + at_s, name) for at_s, name in entries)
    newest = max((round(each.from_at * 1000) for each in listed), default=0)
    return Assignment(epoch or newest, (), (), tuple(done), (listed,) * SHARDS)


def entries(assignment: Assignment, shard: int = 0) -> list[tuple[float, str]]:
    """Return a shard's entries in seconds after NOW."""
    return [(round(each.from_at - NOW, 6), each.process) for each in assignment.owners[shard]]
