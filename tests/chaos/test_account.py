from tests.chaos.account import Row, account
from tests.chaos.faults import FAULTS, NEED_BROKERS, NEED_DISKS, SHORT, can_mix
from tests.chaos.site import Outage

ANSWERED = {"shop": [100.0, 101.0, 102.0], "blog": [100.5]}


def row(monitor: str, number: int | None, *, up: bool = True) -> Row:
    return Row(monitor, number, up, None if up else "status")


ALL = [row("shop", 1), row("blog", 1), row("shop", 2), row("shop", 3)]


def test_all_that_was_answered_and_nothing_else_is_there() -> None:
    found = account(ANSWERED, ALL, [])

    assert found.holds
    assert (found.answered, found.rows, found.disordered, found.largest_gap_s) == (4, 4, 0, 1.0)


def test_a_missing_row_is_a_loss() -> None:
    found = account(ANSWERED, ALL[:-1], [])

    assert (found.holds, found.lost) == (False, [("shop", 3)])


def test_only_the_last_instants_before_a_kill_are_forgiven() -> None:
    assert account(ANSWERED, ALL[:-1], [(101.9, 102.05)]).forgiven == 1
    assert account(ANSWERED, ALL[:-1], [(102.1, 102.3)]).lost == [("shop", 3)]


def test_what_was_deleted_unread_is_no_loss() -> None:
    found = account(ANSWERED, ALL[1:], [], [(99.0, 100.2)])

    assert (found.holds, found.deleted) == (True, 1)
    assert account(ANSWERED, ALL[:-1], [], [(99.0, 100.2)]).lost == [("shop", 3)]


def test_a_second_row_of_an_answer_is_a_double() -> None:
    found = account(ANSWERED, [*ALL, row("blog", 1)], [])

    assert (found.holds, found.doubled) == (False, [("blog", 1)])


def test_rows_that_changed_places_are_counted() -> None:
    found = account(ANSWERED, [ALL[0], ALL[3], ALL[2], ALL[1]], [])

    assert (found.holds, found.disordered) == (True, 1)


def test_a_site_that_answered_is_not_down() -> None:
    found = account(ANSWERED, [*ALL, row("shop", None, up=False)], [])

    assert (found.holds, found.wrongly_judged) == (False, [("shop", "status")])


def test_a_site_that_failed_is_not_up() -> None:
    outages = {"shop": [Outage(2, 1)]}
    failed = row("shop", 2, up=False)

    assert account(ANSWERED, [ALL[0], ALL[1], failed, ALL[3]], [], outages=outages).holds
    assert account(ANSWERED, ALL, [], outages=outages).wrongly_judged == [("shop", None)]


def test_faults_that_touch_the_same_do_not_mix() -> None:
    assert can_mix("kill_program", "kill_postgres")
    assert not can_mix("kill_program", "set_clock")
    assert not any(can_mix("remake_topic", other) for other in FAULTS)


def test_all_chosen_faults_exist() -> None:
    assert {*SHORT, *NEED_BROKERS, *NEED_DISKS} <= FAULTS.keys()
