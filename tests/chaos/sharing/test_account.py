from monitor.schedule import offset_s
from tests.chaos.account import Row
from tests.chaos.incidents import Incident
from tests.chaos.sharing.account import Asked, Change, Counts, account, attributed, between, doubled
from tests.chaos.sharing.incidents import wrong_incidents
from tests.chaos.sharing.report import Outcome

INTERVAL_S = 10.0
FIRST = round(offset_s("shop", INTERVAL_S) + 1_000.0, 6)
SLOTS = [round(FIRST + n * INTERVAL_S, 6) for n in range(8)]
CHANGES = [Change("stop", FIRST - 1, planned=True), Change("kill", FIRST + 38, planned=False)]
OPENED = ("opened", "resolved")


def counted(asked: list[Asked], rows: list[float] = SLOTS) -> list[Counts]:
    stored = [("shop", slot) for slot in rows]
    return account(["shop"], INTERVAL_S, asked, stored, CHANGES, FIRST + 59)


def at(*slots: float, late_s: float = 0.01) -> list[Asked]:
    return [Asked("shop", slot, slot + late_s) for slot in slots]


def test_a_slot_that_one_process_asked_for_is_right() -> None:
    stop, kill = counted(at(*SLOTS))

    assert (stop.slots, kill.slots) == (3, 3)
    assert [*stop.missing, *stop.twice, *stop.more, *stop.without_row] == []
    assert stop.latest_s < 0.02
    assert stop.taken_over_s == 0


def test_slots_that_nobody_or_several_asked_for_count_for_their_change() -> None:
    stop, kill = counted(at(*SLOTS[1:], SLOTS[2], SLOTS[4], SLOTS[4]))

    assert stop.missing == [("shop", SLOTS[0])]
    assert stop.twice == [("shop", SLOTS[2])]
    assert kill.more == [("shop", SLOTS[4])]


def test_a_slot_shortly_before_a_death_counts_for_it() -> None:
    _, kill = counted(at(*SLOTS[:3], *SLOTS[4:]))

    assert kill.missing == [("shop", SLOTS[3])]


def test_the_last_late_start_ends_the_take_over() -> None:
    _, kill = counted([*at(*SLOTS[:4], *SLOTS[5:]), *at(SLOTS[4], late_s=5)])

    assert kill.latest_s == 5
    assert round(kill.taken_over_s, 3) == 7


def test_a_slot_may_be_asked_for_and_have_no_row() -> None:
    stop, _ = counted(at(*SLOTS), rows=SLOTS[1:])

    assert stop.without_row == [("shop", SLOTS[0])]


def test_a_request_has_the_slot_of_its_result_or_the_one_before_it() -> None:
    answered = {"shop": [SLOTS[1] + 3, SLOTS[1] + 0.01, SLOTS[2] - 0.001]}

    asked = attributed(answered, {("shop", 1): SLOTS[0]}, INTERVAL_S)

    assert [each.slot for each in asked] == SLOTS[:3]


def test_an_instant_between_two_slots_is_none() -> None:
    assert not between("shop", INTERVAL_S, Asked("shop", SLOTS[0], 0))
    assert between("shop", INTERVAL_S, Asked("shop", SLOTS[0] + 1, 0))


def test_two_rows_of_a_slot_are_doubled() -> None:
    assert doubled([("shop", 1.0), ("blog", 1.0), ("shop", 1.0)]) == [("shop", 1.0)]


def test_a_missing_slot_is_a_broken_promise_a_second_request_is_none() -> None:
    def broken(asked: list[Asked]) -> list[str]:
        return Outcome(counted(asked), 0, (), ()).broken

    assert not broken(at(*SLOTS))
    assert not broken(at(*SLOTS, SLOTS[0], SLOTS[4], SLOTS[4]))
    assert len(broken(at(*SLOTS[1:]))) == 1


def test_incidents_are_those_of_the_rows_in_the_order_of_their_slots() -> None:
    ups = [True, False, False, False, False, True, True, True]
    rows = [Row("shop", n, up, None, SLOTS[n]) for n, up in reversed(list(enumerate(ups)))]
    right = Incident("shop", "down", SLOTS[1], SLOTS[5], OPENED)

    assert not wrong_incidents(rows, [right])
    assert wrong_incidents(rows, [])
    assert wrong_incidents(rows, [right, right._replace(kind="no_data")])
    assert wrong_incidents(rows, [right._replace(ended_at=None)])
    assert not wrong_incidents(rows[2:], [right._replace(ended_at=None)])
    assert wrong_incidents(rows[5:], [right])
