import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.sharing.assignment import (
    MAX_BYTES,
    NOTHING,
    Announcement,
    Assignment,
    Entry,
    InvalidBytesError,
    decode_announcement,
    decode_assignment,
    encode,
)
from tests.sharing.sharers import HASHES, NOW, announced, owned


def test_a_slot_belongs_to_the_last_entry_that_begins_before_it() -> None:
    assignment = owned((-10, "a"), (2, "b"))

    assert assignment.owner(0, NOW - 11) is None
    assert assignment.owner(0, NOW - 10) == Entry(NOW - 10, "a")
    assert assignment.owner(0, NOW + 1.999) == Entry(NOW - 10, "a")
    assert assignment.owner(0, NOW + 2) == Entry(NOW + 2, "b")


def test_what_is_sent_arrives() -> None:
    assignment = owned((-10, "a"), (2, "b"))

    assert decode_assignment(encode(assignment)) == assignment
    assert decode_announcement(announced("a", assignment)).assignment == assignment
    assert decode_assignment(encode(NOTHING)) == NOTHING


@pytest.mark.parametrize(
    "wrong",
    [
        Announcement("", None, leaving=False, done=False, clock=NOW, configurations=HASHES),
        Announcement("a b", None, leaving=False, done=False, clock=NOW, configurations=HASHES),
        Announcement("a\n", None, leaving=False, done=False, clock=NOW, configurations=HASHES),
        Announcement("a" * 101, None, leaving=False, done=False, clock=NOW, configurations=HASHES),
        Announcement("a", None, leaving=False, done=False, clock=-1.0, configurations=HASHES),
        Announcement("a", None, leaving=False, done=False, clock=float("nan"), configurations=HASHES),
        Announcement("a", None, leaving=False, done=False, clock=float("inf"), configurations=HASHES),
        Announcement("a", None, leaving=False, done=False, clock=NOW, configurations=HASHES[1:]),
    ],
)
def test_an_announcement_out_of_bounds_is_none(wrong: Announcement) -> None:
    with pytest.raises(InvalidBytesError):
        decode_announcement(encode(wrong))


@pytest.mark.parametrize(
    "wrong",
    [
        Assignment(-1, (), (), (), NOTHING.owners),
        Assignment(1, ("a",) * 1_001, (), (), NOTHING.owners),
        Assignment(1, (), (), (), NOTHING.owners[1:]),
        Assignment(1, (), (), (), ((Entry(NOW, "a"),) * 1_001, *NOTHING.owners[1:])),
    ],
)
def test_an_assignment_out_of_bounds_is_none(wrong: Assignment) -> None:
    with pytest.raises(InvalidBytesError):
        decode_assignment(encode(wrong))


def test_too_many_bytes_are_not_looked_at() -> None:
    with pytest.raises(InvalidBytesError, match="1000001 bytes are too many"):
        decode_assignment(b"\x00" * (MAX_BYTES + 1))


@given(st.binary())
def test_other_bytes_are_neither(encoded: bytes) -> None:
    for decode in (decode_assignment, decode_announcement):
        with pytest.raises(InvalidBytesError):
            decode(encoded)
