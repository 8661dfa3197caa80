from monitor.sharing.assignment import Announcement, Assignment, decode_assignment, encode
from monitor.sharing.leader import assign
from monitor.sharing.shards import SHARDS


def announced(process: str, clock: float = 1_000.0, assignment: Assignment | None = None) -> bytes:
    return encode(
        Announcement(
            process, assignment, leaving=False, done=False, clock=clock, configurations=(0,) * SHARDS
        )
    )


def test_a_broken_announcement_does_not_count() -> None:
    assignment = decode_assignment(assign({"m1": announced("a"), "m2": b"\xff"}, 1_000.0))

    assert assignment.members == ("a",)
    assert {entry.process for entries in assignment.owners for entry in entries} == {"a"}
