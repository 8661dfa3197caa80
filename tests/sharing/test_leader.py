from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.sharing.assignment import MAX_EPOCH, NOTHING, Assignment, Entry, decode_assignment
from monitor.sharing.leader import assign
from tests.sharing.sharers import NOW, announced, entries, owned


def assigned(*announcements: bytes, clock: float = NOW, known_s: float = 0.0) -> Assignment:
    named = {f"m{n}": each for n, each in enumerate(announcements)}
    return decode_assignment(assign(named, clock, known_s))


def last_owners(assignment: Assignment) -> Counter[str]:
    return Counter(each[-1].process for each in assignment.owners)


def test_the_first_process_has_all_from_now_on() -> None:
    first = assigned(announced("a"))

    assert entries(first) == [(0.0, "a")]
    assert last_owners(first) == {"a": 64}


def test_the_first_slots_are_those_of_the_slowest_clock() -> None:
    assert {entries(assigned(announced("a"), announced("b", clock=NOW - 3)), n)[0][0] for n in range(64)} == {
        -3.0
    }


def test_nobody_who_can_be_understood_is_a_member_of_an_empty_assignment() -> None:
    assert assigned(b"\xff", b"") == NOTHING


def test_a_broken_announcement_does_not_count() -> None:
    assignment = assigned(announced("a"), b"\xff")

    assert assignment.members == ("a",)
    assert last_owners(assignment) == {"a": 64}


def test_a_newcomer_has_its_shards_from_two_seconds_on() -> None:
    shared = assigned(announced("a", owned((-50, "a"))), announced("b"))

    assert entries(shared, 0) == [(-50.0, "a"), (2.0, "b")]
    assert entries(shared, 63) == [(-50.0, "a")]
    assert shared.epoch == (NOW + 2) * 1000
    assert last_owners(shared) == {"a": 36, "b": 28}


def test_a_leaver_keeps_its_slots_until_the_others_have_them() -> None:
    shared = assigned(announced("a", owned((-50, "a")), leaving=True), announced("b"))

    assert shared.leavers == ("a",)
    assert entries(shared) == [(-50.0, "a"), (2.0, "b")]
    assert last_owners(shared) == {"b": 64}


def test_where_all_leave_the_shards_stay() -> None:
    shared = assigned(announced("a", owned((-50, "a")), leaving=True), announced("b", leaving=True))

    assert last_owners(shared) == {"a": 36, "b": 28}


def test_what_a_process_that_is_gone_may_have_missed_goes_to_the_new_owner() -> None:
    shared = assigned(announced("b", owned((-50, "a"))))

    assert entries(shared) == [(-50.0, "a"), (-12.0, "b")]


def test_so_do_parts_of_shards_that_had_moved_on() -> None:
    shared = assigned(announced("b", owned((-50, "a"), (-5, "b"))))

    assert entries(shared) == [(-50.0, "a"), (-12.0, "b")]


def test_a_part_that_ended_long_ago_is_left_as_it_was() -> None:
    shared = assigned(announced("b", owned((-50, "a"), (-13, "b"))))

    assert entries(shared) == [(-50.0, "a"), (-13.0, "b")]


def test_a_part_that_begins_in_the_future_is_handed_on_whole() -> None:
    shared = assigned(announced("b", owned((-50, "b"), (1, "a"))))

    assert entries(shared) == [(-50.0, "b")]


def test_a_process_that_was_done_missed_nothing() -> None:
    shared = assigned(announced("b", owned((-50, "a"), (-5, "b"), done=["a"])))

    assert entries(shared) == [(-50.0, "a"), (-5.0, "b")]
    assert shared.done == ("a",)


def test_a_process_that_is_done_and_gone_while_it_still_owned_a_shard_may_have_missed_something() -> None:
    shared = assigned(announced("b", owned((-50, "a"), done=["a"])))

    assert entries(shared) == [(-50.0, "a"), (-12.0, "b")]


def test_a_process_is_forgotten_after_forty_seconds() -> None:
    shared = assigned(announced("c", owned((-90, "a"), (-60, "b"), (-40, "c"), done=["a", "b"])))

    assert entries(shared) == [(-40.0, "c")]
    assert shared.done == ()


def test_owners_of_the_last_forty_seconds_are_listed() -> None:
    shared = assigned(announced("c", owned((-90, "a"), (-60, "b"), (-39, "c"), done=["a", "b"])))

    assert entries(shared) == [(-60.0, "b"), (-39.0, "c")]
    assert shared.done == ("b",)


def test_who_is_done_is_listed_while_it_is_a_member() -> None:
    assert assigned(announced("a", owned((-50, "b")), leaving=True, done=True), announced("b")).done == ("a",)


def test_the_assignment_of_the_highest_epoch_is_the_base() -> None:
    old, new = owned((-50, "a"), epoch=1), owned((-50, "b"), epoch=2)

    assert entries(assigned(announced("a", old), announced("b", new)), 63) == [(-50.0, "b")]
    assert entries(assigned(announced("a", new), announced("b", old)), 63) == [(-50.0, "b")]


def test_an_epoch_follows_the_one_before_also_when_clocks_were_set_back() -> None:
    epoch = round((NOW + 100) * 1000)

    assert assigned(announced("a", owned((0, "a"), epoch=epoch))).epoch == epoch + 1


def test_an_epoch_that_none_can_follow_is_no_base() -> None:
    assert assigned(announced("a", owned((0, "a"), epoch=MAX_EPOCH))).epoch == (NOW + 2) * 1000


def test_the_furthest_clock_counts() -> None:
    assert assigned(announced("a"), announced("b", clock=NOW + 3)).epoch == (NOW + 5) * 1000


def handed_over(*, clock: float = 0.0, received: float = -9.0, known_s: float = 8.0) -> float:
    """Return when a leaver's shards are another's; it announced `clock`, the leader's is 3 s ahead."""
    base = owned((-50, "a"))
    leaver = announced("a", base, leaving=True, clock=NOW + clock, received_at=NOW + received)
    leader = announced("b", base, clock=NOW + 1, received_at=NOW + 3 - known_s)
    return entries(assigned(leaver, leader, clock=NOW + 3, known_s=known_s))[-1][0]


def test_a_former_owner_goes_on_for_two_seconds_by_its_own_clock() -> None:
    assert handed_over() == 2.0


def test_the_time_that_it_has_waited_for_the_others_is_added() -> None:
    assert handed_over(received=-6.0) == 4.0


def test_what_it_has_said_last_counts_if_that_is_more() -> None:
    assert handed_over(clock=0.5) == 2.5


def test_nobody_goes_on_for_longer_than_by_the_furthest_clock() -> None:
    assert handed_over(received=-2.0) == 8.0


def test_a_clock_that_was_set_by_hours_since_is_what_it_is_now() -> None:
    assert handed_over(received=3_600.0) == 2.0


def test_of_a_former_owner_that_lacks_the_last_assignment_the_clock_is_not_known() -> None:
    before, base = owned((-50, "a"), epoch=1), owned((-50, "a"))
    leaver = announced("a", before, leaving=True, clock=NOW - 2, received_at=NOW - 20)

    assert entries(assigned(leaver, announced("b", base), known_s=8.0))[-1] == (2.0, "b")


@pytest.mark.parametrize("wrong", [-86_400.0, 86_400.0])
def test_one_clock_that_is_wrong_by_a_day_does_not_count_even_if_it_is_the_leader_s(wrong: float) -> None:
    others = announced("a"), announced("b")

    assert assigned(*others, announced("c", clock=NOW + wrong)).epoch == (NOW + 2) * 1000
    assert assigned(*others, clock=NOW + wrong).epoch == (NOW + 2) * 1000


def test_a_process_that_is_a_member_twice_is_one_and_its_newest_word_counts() -> None:
    older, newer = announced("a", clock=NOW - 1), announced("a", leaving=True)

    assert assigned(older, newer, announced("b")).leavers == ("a",)
    assert assigned(newer, older, announced("b")).leavers == ("a",)
    assert assigned(newer, older, announced("b")).members == ("a", "b")


@given(st.dictionaries(st.text(), st.binary()), st.floats())
def test_whatever_members_send_there_is_an_assignment(announcements: dict[str, bytes], clock: float) -> None:
    decode_assignment(assign(announcements, clock))


INSTANTS = st.floats(0, 1e11)
ASSIGNMENTS = st.builds(
    Assignment,
    st.integers(0, MAX_EPOCH),
    st.just(()),
    st.just(()),
    st.just(()),
    st.lists(st.builds(Entry, INSTANTS, st.sampled_from("abc")), max_size=4).map(lambda each: (each,) * 64),
)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.none() | ASSIGNMENTS, INSTANTS)), INSTANTS)
def test_whatever_members_announce_all_can_read_the_assignment(
    said: list[tuple[str, Assignment | None, float]], clock: float
) -> None:
    after = assigned(*(announced(name, base, clock=its) for name, base, its in said), clock=clock)

    assert set(after.members) == {name for name, _, _ in said}
    assert all(after.owners) is bool(said)


NAMES = st.sampled_from(["a", "b", "c", "d"])
HISTORIES = st.lists(st.tuples(st.integers(-60, 2), NAMES), max_size=5, unique_by=lambda each: each[0])


@given(HISTORIES.map(sorted), st.sets(NAMES, min_size=1), st.sets(NAMES), st.sets(NAMES))
def test_each_slot_has_one_owner_that_is_there_or_ran_it(
    history: list[tuple[int, str]], present: set[str], leaving: set[str], done: set[str]
) -> None:
    base = owned(*history, done=sorted(done))
    members = sorted(present)
    after = assigned(*(announced(name, base, leaving=name in leaving) for name in members))

    for shard, found in enumerate(after.owners):
        assert [each.from_at for each in found] == sorted({each.from_at for each in found})
        assert found[-1].process in (present - leaving or present)
        for slot in range(-11, 5):
            before, owner = base.owner(shard, NOW + slot), after.owner(shard, NOW + slot)
            if before and before.process in present and slot < 2:
                assert owner
                assert owner.process == before.process
            if before and owner and owner.process not in present:
                assert owner.process in done


DAY_S = 86_400


def test_when_clocks_were_set_back_who_would_own_a_shard_tomorrow_owns_it_now() -> None:
    tomorrow = owned((-100, "gone"), (DAY_S, "a"), (2 * DAY_S, "b"), done=["gone", "a"])

    set_back = assigned(announced("b", tomorrow))

    assert entries(set_back) == [(-100.0, "gone"), (-12.0, "b")]
    assert set_back.epoch == tomorrow.epoch + 1


def test_after_clocks_were_set_back_hand_overs_are_as_before() -> None:
    tomorrow = owned((DAY_S, "a"))
    first = assigned(announced("a", tomorrow), announced("b"))
    again = assigned(announced("a", first, leaving=True), announced("b", first))

    assert entries(first) == [(-12.0, "a"), (2.0, "b")]
    assert entries(again) == [(-12.0, "a"), (2.0, "b")]
    assert entries(again, 63) == [(-12.0, "a"), (2.0, "b")]
    assert again.epoch == tomorrow.epoch + 2


def test_an_owner_of_before_the_clocks_were_wrong_stays_one() -> None:
    assert entries(assigned(announced("a", owned((-100, "a"), epoch=round((NOW + DAY_S) * 1_000))))) == [
        (-100.0, "a")
    ]
