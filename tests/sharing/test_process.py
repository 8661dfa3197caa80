import pytest
from msgspec.structs import replace

from monitor.sharing.assignment import MAX_EPOCH, Assignment, decode_announcement, encode
from monitor.sharing.hand_overs import HandOver
from monitor.sharing.process import Process
from monitor.sharing.shards import SHARDS, shard_of
from tests.sharing.sharers import HASHES, NOW, joined, owned, process, ticked

SHOP = "shop"
SLOTS = [NOW + at_s for at_s in (-15.0, -14.0, -10.0, -5.0, 0.0, 5.0)]


def taking(assignment: Assignment, *, name: str = "a") -> Process:
    """Make a process that has got this assignment at its start."""
    one = process(name)
    one.received(encode(assignment), NOW, 0.0)
    return one


class TestSlots:
    def test_a_slot_belongs_to_the_owner_of_its_instant(self) -> None:
        one, other = (taking(owned((-10, "a"), (2, "b")), name=name) for name in "ab")

        assert [one.take(SHOP, NOW + at_s, 0.0) for at_s in (-11, 1, 3)] == [False, True, False]
        assert [other.take(SHOP, NOW + at_s, 0.0) for at_s in (-11, 1, 3)] == [False, False, True]

    def test_before_the_first_assignment_no_slot_is_its_own(self) -> None:
        assert not process("a").take(SHOP, NOW, 0.0)

    def test_slots_of_a_clock_that_was_set_back_far_are_the_first_owners(self) -> None:
        one, other = (taking(owned((-10, "a"), (2, "b")), name=name) for name in "ab")

        assert [one.take(SHOP, NOW + at_s, 0.0) for at_s in (-3_600, -71, -69)] == [True, True, False]
        assert not other.take(SHOP, NOW - 3_600, 0.0)

    @pytest.mark.parametrize(("set_s", "is_far"), [(9.0, False), (-9.0, False), (11.0, True), (-11.0, True)])
    def test_after_its_clock_was_set_far_it_asks_what_is_its_own(self, set_s: float, is_far: bool) -> None:
        one = taking(owned((-50, "a")))
        one.announcement(NOW, 0.0)
        one.tick(NOW, 0.0)
        one.tick(NOW + 1 + set_s, 1.0)

        assert one.wants_rejoin is is_far
        assert one.waits(1.0) is is_far

    def test_a_slot_is_run_once(self) -> None:
        one = taking(owned((-50, "a")))

        assert one.take(SHOP, NOW, 0.0)
        assert not one.take(SHOP, NOW, 0.0)
        assert one.missed(SHOP, [NOW], NOW, 0.0) == []

    def test_an_assignment_holds_until_the_next(self) -> None:
        one = taking(owned((-50, "a")))
        ticked(one, 0.0, 3_600.0)

        assert one.take(SHOP, NOW + 3_600, 3_600.0)

    def test_an_older_assignment_changes_nothing(self) -> None:
        one = taking(owned((-50, "a"), epoch=2))
        one.received(encode(owned((-50, "b"), epoch=1)), NOW, 0.0)
        one.received(b"\xff", NOW, 0.0)

        assert one.take(SHOP, NOW, 0.0)
        assert one.epoch == 2

    def test_after_the_last_epoch_they_begin_anew(self) -> None:
        one, wrong = process("a"), taking(owned((-50, "x"), epoch=MAX_EPOCH - 1), name="x")

        last = joined(one, wrong, at_s=0.0)
        anew = joined(one, at_s=10.0)

        assert (last.epoch, anew.epoch) == (MAX_EPOCH, (NOW + 12) * 1_000)
        assert one.members == {"a": list(range(SHARDS))}

    def test_the_two_newest_of_its_own_past_slots_are_run_late(self) -> None:
        one = taking(owned((-50, "a")))

        assert one.missed(SHOP, SLOTS, NOW, 0.0) == [NOW - 5, NOW]
        assert one.missed(SHOP, SLOTS, NOW, 0.0) == [NOW - 14, NOW - 10]
        assert one.missed(SHOP, SLOTS, NOW, 0.0) == []
        assert one.taken_over == 4

    def test_slots_of_others_are_not(self) -> None:
        assert taking(owned((-50, "b"), (-7, "a"))).missed(SHOP, SLOTS, NOW, 0.0) == [NOW - 5, NOW]
        assert taking(owned((-50, "b"))).missed(SHOP, SLOTS, NOW, 0.0) == []

    def test_each_assignment_is_a_reason_to_look_for_missed_slots(self) -> None:
        one = process("a")
        versions = [one.version]
        for epoch in (1, 2):
            one.received(encode(owned((-50, "a"), epoch=epoch)), NOW, 0.0)
            versions.append(one.version)

        assert versions == [0, 1, 2]


class TestAnnouncement:
    def test_it_says_what_the_process_knows(self) -> None:
        one = taking(owned((-50, "a")))
        said = decode_announcement(one.announcement(NOW, 0.0))

        assert (said.process, said.assignment, said.clock) == ("a", owned((-50, "a")), NOW)
        assert (said.leaving, said.done, said.configurations) == (False, False, HASHES)

    def test_it_is_the_same_for_a_second(self) -> None:
        one = process("a")
        first = one.announcement(NOW, 0.0)

        assert one.announcement(NOW + 0.9, 0.9) == first
        assert one.announcement(NOW + 1.0, 1.0) != first

    def test_it_says_when_it_got_its_assignment(self) -> None:
        one = process("a")
        for at_s in (1.0, 5.0):  # the same one again, when it alone has joined again
            one.received(encode(owned((-50, "a"))), NOW + at_s, at_s)

        assert decode_announcement(one.announcement(NOW + 9, 9.0)).received_at == NOW + 1
        assert one.known_s(9.0) == 8.0

    def test_news_are_said_at_once(self) -> None:
        one = process("a")
        said = [one.announcement(NOW, 0.0)]
        one.leave()
        said.append(one.announcement(NOW, 0.1))
        one.received(encode(owned((-50, "a"))), NOW, 0.2)
        said.append(one.announcement(NOW, 0.2))

        assert len(set(said)) == 3

    def test_news_are_a_reason_to_join_again(self) -> None:
        one = process("a")
        one.leave()
        wants = [one.wants_rejoin]
        one.announcement(NOW, 0.0)
        wants.append(one.wants_rejoin)
        one.configure((1,) * SHARDS)
        wants.append(one.wants_rejoin)
        one.announcement(NOW, 0.1)
        wants.append(one.wants_rejoin)

        assert wants == [False, False, True, False]

    def test_an_assignment_is_no_reason_to_join_again(self) -> None:
        one = process("a")
        one.announcement(NOW, 0.0)
        one.received(encode(owned((-50, "a"))), NOW, 0.2)

        assert not one.wants_rejoin

    @pytest.mark.parametrize(("set_back_s", "announced_s"), [(3.0, 0.0), (10.0, -10.0), (3_600.0, -3_600.0)])
    def test_after_its_clock_was_set_back_it_says_how_far_it_has_come(
        self, set_back_s: float, announced_s: float
    ) -> None:
        one = taking(owned((-50, "a")))
        assert one.take(SHOP, NOW, 0.0)

        said = decode_announcement(one.announcement(NOW - set_back_s, 0.1))
        assert said.clock == NOW + announced_s

    def test_a_clock_before_1970_is_one_of_1970(self) -> None:
        assert decode_announcement(process("a").announcement(-5.0, 0.0)).clock == 0.0


class TestLeaving:
    def test_all_slots_before_the_hand_over_are_still_its_own(self) -> None:
        one, other = process("a"), process("b")
        joined(one, at_s=0.0)
        assert one.take(SHOP, NOW + 1, 1.0)
        one.leave()
        joined(one, other, at_s=2.0)

        one.tick(NOW + 3.9, 3.9)
        done = [one.is_done]
        assert one.take(SHOP, NOW + 3.9, 3.9)
        one.tick(NOW + 4.0, 4.0)
        done.append(one.is_done)

        assert done == [False, True]
        assert one.wants_rejoin
        assert not one.take(SHOP, NOW + 4.1, 4.1)
        assert other.take(SHOP, NOW + 4.1, 4.1)

    def test_it_stays_for_a_moment_when_all_know_that_it_is_done(self) -> None:
        one, other = process("a"), process("b")
        joined(one, at_s=0.0)
        assert one.take(SHOP, NOW + 1, 1.0)
        one.leave()
        joined(one, other, at_s=2.0)
        one.tick(NOW + 4.0, 4.0)
        assert not one.may_leave(4.0)
        joined(one, other, at_s=4.5)

        assert not one.may_leave(5.9)
        joined(one, other, at_s=5.9)
        assert one.may_leave(6.0)
        after = joined(other, at_s=6.1)
        assert after.done == ("a",)
        assert after.owner(shard_of(SHOP), NOW + 3.9).process == "a"  # type: ignore[union-attr]

    def test_it_is_not_done_before_the_others_have_heard_that_it_leaves(self) -> None:
        one = taking(owned((-50, "a"), (-20, "b")))
        one.leave()
        one.tick(NOW, 0.0)

        assert not one.is_done

    def test_it_is_not_done_without_an_assignment(self) -> None:
        one = process("a")
        one.leave()
        one.tick(NOW, 0.0)

        assert not one.is_done

    def test_who_ran_nothing_may_leave_when_the_others_have_heard_that_it_leaves(self) -> None:
        one, other = process("a"), process("b")
        joined(one, at_s=0.0)
        joined(one, other, at_s=1.0)
        other.leave()
        may = [other.may_leave(1.0)]
        joined(one, other, at_s=1.1)
        may.append(other.may_leave(1.1))

        assert may == [False, True]

    def test_so_may_the_last_one(self) -> None:
        one = process("a")
        joined(one, at_s=0.0)
        assert one.take(SHOP, NOW + 1, 1.0)
        assert not one.may_leave(1.0)
        one.leave()
        joined(one, at_s=1.5)

        assert one.may_leave(1.5)
        assert not one.is_done

    def test_who_may_be_a_member_already_waits_to_know(self) -> None:
        one = process("a")
        one.leave()
        may = [one.may_leave(0.0)]
        one.answered(0.1)
        may += [one.may_leave(0.2), one.may_leave(12.1), one.may_leave(12.2)]

        assert may == [True, False, False, True]


class TestStandingStill:
    def test_a_process_that_stood_still_runs_nothing_until_it_has_an_assignment(self) -> None:
        one = taking(owned((-50, "a"), epoch=1))
        one.announcement(NOW, 0.0)

        assert not one.take(SHOP, NOW + 5, 5.1)
        assert one.wants_rejoin
        assert one.missed(SHOP, [NOW], NOW + 6, 6.0) == []
        one.received(encode(owned((-50, "a"), epoch=2)), NOW + 6, 6.0)
        assert one.missed(SHOP, [NOW, NOW + 5], NOW + 6, 6.0) == [NOW, NOW + 5]

    def test_it_waits_for_ten_seconds_at_most(self) -> None:
        one = taking(owned((-50, "a")))
        one.tick(NOW + 5.1, 5.1)
        version = one.version
        ticked(one, 6.1, 15.0)
        assert one.version == version
        assert not one.take(SHOP, NOW + 15, 15.0)

        one.tick(NOW + 15.2, 15.2)
        assert one.version == version + 1
        assert one.take(SHOP, NOW + 15, 15.2)

    def test_five_seconds_are_no_reason(self) -> None:
        one = taking(owned((-50, "a")))

        assert one.take(SHOP, NOW + 5, 5.0)


class TestAlone:
    def test_without_a_coordinator_it_runs_everything_after_twenty_seconds(self) -> None:
        one = process("a")
        ticked(one, 0.0, 19.0)
        assert not one.take(SHOP, NOW + 19, 19.0)
        one.tick(NOW + 20, 20.0)

        assert one.take(SHOP, NOW + 20, 20.0)

    def test_a_coordinator_that_answers_is_waited_for(self) -> None:
        one = process("a")
        ticked(one, 0.0, 10.0)
        one.answered(10.0)
        ticked(one, 10.0, 29.0)
        assert not one.take(SHOP, NOW + 29, 29.0)
        ticked(one, 30.0, 30.0)
        one.answered(31.0)

        ticked(one, 31.0, 31.0)
        assert one.take(SHOP, NOW + 31, 31.0)

    def test_it_goes_by_what_was_stored_under_the_name_that_it_had(self) -> None:
        before = taking(owned((-50, "b"), (-20, "a")))
        one = process("c", stored=before.to_store(NOW))
        ticked(one, 0.0, 20.0)

        assert [one.take(SHOP, NOW + at_s, 20.0) for at_s in (-30, 20)] == [False, True]

    def test_what_was_stored_may_be_no_assignment(self) -> None:
        one = process("c", stored=process("a").to_store(NOW))
        ticked(one, 0.0, 20.0)

        assert one.take(SHOP, NOW + 20, 20.0)

    def test_an_assignment_ends_it(self) -> None:
        one, other = process("a"), process("b")
        ticked(one, 0.0, 20.0)
        joined(one, other, at_s=20.0)
        ticked(one, 21.0, 60.0)
        ticked(other, 0.0, 60.0)

        assert one.take(SHOP, NOW + 60, 60.0) + other.take(SHOP, NOW + 60, 60.0) == 1

    def test_one_that_is_to_stop_runs_nothing_then(self) -> None:
        one = process("a", when_alone="stop")
        ticked(one, 0.0, 60.0)

        assert not one.take(SHOP, NOW + 60, 60.0)

    def test_nor_after_a_session_without_an_answer_until_the_next_assignment(self) -> None:
        one = process("a", when_alone="stop")
        one.received(encode(owned((-50, "a"), epoch=1)), NOW, 0.0)
        ticked(one, 0.0, 6.0)
        assert one.take(SHOP, NOW + 6, 6.0)
        ticked(one, 7.0, 8.0)
        assert not one.take(SHOP, NOW + 8, 8.0)

        one.answered(8.5)
        assert not one.take(SHOP, NOW + 8, 8.5)
        one.received(encode(owned((-50, "a"), epoch=2)), NOW + 9, 9.0)
        assert one.take(SHOP, NOW + 8, 9.0)

    def test_where_there_can_be_no_group_it_runs_everything(self) -> None:
        one = process("a", when_alone="stop")
        one.refused()
        ticked(one, 0.0, 60.0)

        assert one.take(SHOP, NOW + 60, 60.0)
        assert one.may_leave(0.0)

    def test_also_after_it_had_a_group(self) -> None:
        one = taking(owned((-50, "b"), epoch=1))
        one.refused()
        assert one.take(SHOP, NOW, 0.0)

        one.received(encode(owned((-50, "b"), epoch=2)), NOW, 0.0)
        assert not one.take(SHOP, NOW + 1, 0.0)


class TestShown:
    def test_nothing_is_known_at_the_start(self) -> None:
        one = process("a")

        assert (one.epoch, one.members, one.last_hand_over, one.differing) == (None, {}, None, [])

    def test_the_members_are_shown_with_their_shards(self) -> None:
        one, other = process("a"), process("b")
        joined(one, at_s=0.0)
        joined(one, other, at_s=1.0)

        assert one.members == other.members
        assert {name: len(shards) for name, shards in one.members.items()} == {"a": 36, "b": 28}
        assert one.last_hand_over == HandOver(NOW + 1, "planned", 28)
        assert one.hand_overs == {"start": 1, "planned": 1}

    def test_who_is_gone_is_not_shown_though_it_still_owns_shards(self) -> None:
        one = taking(replace(owned((-50, "b")), members=("a",)))

        assert one.members == {"a": []}

    def test_an_owner_with_another_configuration_matters_not_to_one_that_leaves(self) -> None:
        one = taking(owned((-50, "b")))
        one.configure((1,) * SHARDS)
        ticked(one, 0.0, 7.0)
        assert len(one.differing) == 64
        assert one.take(SHOP, NOW + 7, 7.0)

        one.leave()
        assert not one.take(SHOP, NOW + 8, 8.0)


@pytest.mark.parametrize("share", [1, 2, 3, 7, 64, 70])
def test_each_slot_has_one_owner_however_many_share(share: int) -> None:
    processes = [process(f"p{number}") for number in range(share)]
    joined(*processes, at_s=0.0)

    for monitor in map(str, range(100)):
        assert sum(each.take(monitor, NOW + 1, 1.0) for each in processes) == 1
