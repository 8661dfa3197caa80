from msgspec.structs import replace

from monitor.sharing.assignment import NOTHING
from monitor.sharing.hand_overs import HandOver, hand_overs
from tests.sharing.sharers import NOW, owned

OLD = owned((-10, "a"))


def test_the_first_assignment_is_a_start() -> None:
    assert list(hand_overs(None, OLD, NOW)) == [HandOver(NOW, "start", 64)]
    assert list(hand_overs(None, NOTHING, NOW)) == [HandOver(NOW, "start", 0)]


def test_where_nothing_moves_there_is_no_hand_over() -> None:
    assert list(hand_overs(OLD, OLD, NOW)) == []


def test_what_a_member_hands_over_is_planned() -> None:
    new = replace(owned((-10, "a"), (2, "b")), members=("a", "b"))

    assert list(hand_overs(OLD, new, NOW)) == [HandOver(NOW, "planned", 64)]
    assert list(hand_overs(NOTHING, new, NOW)) == [HandOver(NOW, "planned", 64)]


def test_what_one_that_was_done_has_handed_over_is_planned() -> None:
    new = replace(owned((-10, "a"), (2, "b"), done=["a"]), members=("b",))

    assert list(hand_overs(OLD, new, NOW)) == [HandOver(NOW, "planned", 64)]


def test_what_one_that_was_leaving_has_left_behind_is_planned() -> None:
    new = replace(owned((-10, "a"), (-12, "b")), members=("b",))

    assert list(hand_overs(replace(OLD, leavers=("a",)), new, NOW)) == [HandOver(NOW, "planned", 64)]


def test_what_one_that_is_gone_had_is_taken_over_after_a_death() -> None:
    new = replace(owned((-10, "a"), (-12, "b")), members=("b",))

    assert list(hand_overs(OLD, new, NOW)) == [HandOver(NOW, "death", 64)]
