import pytest

from monitor.alerts.decision import decide
from monitor.alerts.situation import Newest, Plan, Situation
from tests.alerting import NOW, alerted, change, incident, messages, monitor, outcome, plan, situation


def sites(count: int) -> Plan:
    return plan(*(monitor(f"s{number}") for number in range(count)), channels=("mail",))


def down(
    *numbers: int, noticed_at: float = NOW - 20, now: float = NOW, failing: tuple[int, ...] = ()
) -> Situation:
    return situation(
        *(change(incident(number, f"s{number}", noticed_at=noticed_at)) for number in numbers),
        now=now,
        newest={f"s{number}": Newest(NOW, failed=True) for number in (*numbers, *failing)},
    )


def test_many_that_go_down_at_once_are_one_message_with_the_list() -> None:
    decision = decide(sites(10), down(*range(6)))

    assert messages(decision) == [("mail", "6 of 10 monitors are down")]
    text = decision.deliveries[0].alert.text
    assert all(f"- s{number}, 2027-01-15 07:57:50 UTC: status 500" in text for number in range(6))
    assert "http://127.0.0.1:8080/" in text.splitlines()
    assert [each.monitor for each in decision.deliveries[0].alert.monitors] == [f"s{n}" for n in range(6)]
    assert decision.decided == {10 * number for number in range(6)}


@pytest.mark.parametrize(("of", "count"), [(10, 5), (7, 4), (4, 4)])
def test_half_of_the_monitors_or_fewer_than_five_are_each_for_itself(of: int, count: int) -> None:
    assert len(outcome(sites(of), down(*range(count)))) == count


def test_while_more_may_join_nobody_is_alerted() -> None:
    assert outcome(sites(10), down(*range(6), noticed_at=NOW - 9)) == []
    assert outcome(sites(10), down(0, failing=(1, 2, 3, 4, 5))) == []
    assert len(outcome(sites(10), down(*range(6), noticed_at=NOW - 10))) == 1


@pytest.mark.parametrize(("kind", "expected"), [("flapping", []), ("down", [("mail", "s0 is down")])])
def test_those_that_fail_are_waited_for_unless_they_are_down_already(
    kind: str, expected: list[tuple[str, str]]
) -> None:
    known = tuple(incident(number, f"s{number}", kind=kind, noticed_at=NOW - 900) for number in range(1, 6))

    facts = situation(
        change(incident(0, "s0", noticed_at=NOW - 20)),
        incidents=known,
        notified={each.id: alerted("mail") for each in known},
        newest={f"s{number}": Newest(NOW, failed=True) for number in range(6)},
    )

    assert outcome(sites(10), facts) == expected


def test_when_all_are_down_there_is_nothing_to_wait_for() -> None:
    assert messages(decide(sites(6), down(*range(6), noticed_at=NOW))) == [
        ("mail", "6 of 6 monitors are down")
    ]


def test_waiting_ends_after_a_minute() -> None:
    failing = (6, 7)

    assert outcome(sites(10), down(*range(6), noticed_at=NOW - 59, failing=failing)) == []
    assert len(outcome(sites(10), down(*range(6), noticed_at=NOW - 60, failing=failing))) == 1
    assert outcome(sites(10), down(0, noticed_at=NOW - 60, failing=(1, 2, 3, 4, 5))) == [
        ("mail", "s0 is down")
    ]


def test_those_that_were_sent_within_the_minute_count() -> None:
    before = tuple(incident(number, f"s{number}", noticed_at=NOW - 50) for number in range(5))
    known = {number: alerted("mail") for number in range(5)}
    last = change(incident(5, "s5", noticed_at=NOW - 20))

    found = decide(sites(10), situation(last, incidents=before, notified=known))

    assert messages(found) == [("mail", "s5 is down")]
    assert found.notified[5, "mail"].together == 5


def test_those_that_wait_for_a_parent_are_no_mass_outage() -> None:
    children = [monitor(f"c{number}", depends_on="gateway") for number in range(9)]
    family = plan(monitor("gateway"), *children, channels=("mail",))
    changes = [change(incident(number, f"c{number}")) for number in range(9)]

    decision = decide(
        family,
        situation(
            change(incident(9, "gateway")),
            *changes,
            newest={name: Newest(NOW, failed=True) for name in family.monitors},
        ),
    )

    assert messages(decision) == [("mail", "gateway is down")]
    assert decision.deliveries[0].alert.held_back == [f"c{number}" for number in range(9)]


def test_for_want_of_data_of_many_there_is_one_message_too() -> None:
    changes = [change(incident(n, f"s{n}", kind="no_data", noticed_at=NOW - 20)) for n in range(6)]

    failing = {f"s{n}": Newest(NOW, failed=True) for n in (6, 7)}

    found = outcome(sites(10), situation(*changes, newest=failing))

    assert found == [("mail", "6 of 10 monitors: no data")]


def test_each_channel_gets_the_list_of_its_own_monitors() -> None:
    monitors = [monitor(f"s{n}", notify={"channels": "chat" if n else ["mail", "chat"]}) for n in range(6)]

    found = outcome(plan(*monitors), down(*range(6)))

    assert found == [("mail", "s0 is down"), ("chat", "6 of 6 monitors are down")]


def test_its_end_is_one_message_as_well() -> None:
    over = [incident(n, f"s{n}", ended_at=NOW - 5, noticed_at=NOW - 900) for n in range(5)]
    resolved = [change(each, "resolved", noticed_at=NOW - 5) for each in over]
    known = {n: alerted("mail", together=0) for n in range(6)}
    still = incident(5, "s5")

    early = situation(*resolved, incidents=(still,), notified=known)
    later = situation(*resolved, incidents=(still,), notified=known, now=NOW + 55)
    all_over = situation(*resolved, notified=known)

    assert outcome(sites(10), early) == []
    assert outcome(sites(10), later) == [("mail", "5 of 10 monitors are up again")]
    decision = decide(sites(10), all_over)
    assert messages(decision) == [("mail", "5 of 10 monitors are up again")]
    assert decision.deliveries[0].subject == "incident 0"
    assert decision.decided == {each.id for each in resolved}


@pytest.mark.parametrize(("first_s", "is_sent"), [(59, False), (60, True)])
def test_of_ends_that_come_one_by_one_the_first_one_waits_a_minute(first_s: float, is_sent: bool) -> None:
    ends = {0: NOW - first_s, 1: NOW - 30, 2: NOW - 1}
    over = [incident(n, f"s{n}", ended_at=at, noticed_at=NOW - 900) for n, at in ends.items()]
    resolved = [change(each, "resolved", noticed_at=ends[each.id]) for each in over]
    known = {n: alerted("mail", together=0) for n in range(6)}

    found = outcome(sites(10), situation(*resolved, incidents=(incident(5, "s5"),), notified=known))

    assert found == ([("mail", "3 of 10 monitors are up again")] if is_sent else [])


def test_its_end_is_sent_at_once_before_one_of_them_is_down_again() -> None:
    over = [incident(n, f"s{n}", ended_at=NOW - 30) for n in range(2)]
    resolved = [change(each, "resolved", noticed_at=NOW - 30) for each in over]
    known = {n: alerted("mail", together=0) for n in range(6)}
    changes = *resolved, change(incident(9, "s0"))

    found = outcome(sites(10), situation(*changes, incidents=(incident(5, "s5"),), notified=known))

    assert found == [("mail", "2 of 10 monitors are up again"), ("mail", "s0 is down")]


def test_reminders_of_it_are_one_message() -> None:
    reminded = [monitor(f"s{n}", notify={"remind_every_s": 60}) for n in range(9)]
    open_ones = tuple(incident(n, f"s{n}") for n in range(1, 7))

    decision = decide(
        plan(*reminded),
        situation(incidents=open_ones, notified={n: alerted("mail", together=1) for n in range(1, 7)}),
    )

    assert messages(decision) == [("mail", "6 of 9 monitors have been down for 2 min 10 s")]
    assert {known.together for known in decision.notified.values()} == {1}
