import pytest

from monitor.alerts.decision import decide
from monitor.alerts.situation import Newest, Notified, Plan, Situation
from tests.alerting import NOW, alerted, change, incident, messages, monitor, outcome, plan, situation


def sites(count: int, **rule: float) -> Plan:
    return plan(*(monitor(f"s{number}") for number in range(count)), channels=("mail",), mass_outage=rule)


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


@pytest.mark.parametrize(("of", "count"), [(20, 5), (17, 5), (4, 4), (100, 29)])
def test_a_small_share_or_fewer_than_five_are_each_for_itself(of: int, count: int) -> None:
    assert len(outcome(sites(of), down(*range(count)))) == count


@pytest.mark.parametrize(
    ("of", "count", "which"), [(16, 5, "5 of 16"), (5, 5, "All 5"), (100, 30, "30 of 100")]
)
def test_a_third_of_the_monitors_is_enough(of: int, count: int, which: str) -> None:
    assert outcome(sites(of), down(*range(count))) == [("mail", f"{which} monitors are down")]


@pytest.mark.parametrize(
    ("rule", "messages"),
    [({"share": 0.6}, 1), ({"share": 0.61}, 6), ({"at_least": 6}, 1), ({"at_least": 7}, 6)],
)
def test_the_rule_is_that_of_the_configuration(rule: dict[str, float], messages: int) -> None:
    assert len(outcome(sites(10, **rule), down(*range(6)))) == messages


@pytest.mark.parametrize("kind", ["down", "no_data"])
def test_the_share_is_of_those_that_were_up(kind: str) -> None:
    before = tuple(incident(n, f"s{n}", kind=kind, noticed_at=NOW - 900) for n in range(10, 20))
    facts = situation(
        *(change(incident(n, f"s{n}", noticed_at=NOW - 20)) for n in range(5)),
        incidents=before,
        notified={each.id: alerted("mail") for each in before},
    )

    assert outcome(sites(20), facts) == [("mail", "5 of 20 monitors are down")]


def of_groups(**sizes: int) -> Plan:
    return plan(
        *(monitor(f"{group}{n}", group=group) for group, size in sizes.items() for n in range(size)),
        *(monitor(f"s{n}") for n in range(40)),
        channels=("mail",),
    )


def in_group(*names: str, noticed_at: float = NOW - 20, failing: tuple[str, ...] = ()) -> Situation:
    return situation(
        *(change(incident(n, name, noticed_at=noticed_at)) for n, name in enumerate(names)),
        newest={name: Newest(NOW, failed=True) for name in (*names, *failing)},
    )


def test_many_of_a_group_are_one_message_and_the_others_each_for_itself() -> None:
    found = in_group("web0", "web1", "web2", "web3", "web4", "mail0", "s0")

    assert outcome(of_groups(web=10, mail=9), found) == [
        ("mail", "5 of 10 monitors of web are down"),
        ("mail", "mail0 is down"),
        ("mail", "s0 is down"),
    ]


def test_a_group_is_waited_for_and_the_others_are_not() -> None:
    found = in_group("web0", "s0", noticed_at=NOW - 9, failing=("web1", "web2", "web3", "web4"))

    assert outcome(of_groups(web=10), found) == [("mail", "s0 is down")]


def test_what_fails_elsewhere_does_not_delay_a_group() -> None:
    found = in_group("web0", noticed_at=NOW - 1, failing=("s1", "s2", "s3", "s4", "s5"))

    assert outcome(of_groups(web=10), found) == [("mail", "web0 is down")]


def test_the_end_and_reminders_of_a_group_name_it() -> None:
    over = [incident(n, f"web{n}", ended_at=NOW - 5, noticed_at=NOW - 900) for n in range(5)]
    resolved = [change(each, "resolved", noticed_at=NOW - 5) for each in over]

    found = outcome(
        of_groups(web=10), situation(*resolved, notified={n: alerted("mail", together=0) for n in range(5)})
    )

    assert found == [("mail", "5 of 10 monitors of web are up again")]


class Unfolding:
    """Alerts while monitors go down one after the other, decided on each second."""

    def __init__(self, of: int, failures: int = 3) -> None:
        self.plan = sites(of)
        self.failures = failures
        self.sent: list[tuple[float, str]] = []

    def run(self, downs: dict[int, float], until_s: int = 70) -> list[tuple[float, str]]:
        """Decide from second 0 on; `downs` says when which site is noticed to be down."""
        notified: dict[int, list[Notified]] = {}
        decided: set[int] = set()
        for second in range(until_s):
            known = [
                incident(n, f"s{n}", noticed_at=NOW + at, started_at=NOW + at - 20 * (self.failures - 1))
                for n, at in downs.items()
                if at <= second
            ]
            newest = {f"s{n}": self._newest(second, n, downs.get(n)) for n in range(len(self.plan.monitors))}
            decision = decide(
                self.plan,
                situation(
                    *(each for each in map(change, known) if each.id not in decided),
                    now=NOW + second,
                    incidents=tuple(known),
                    notified=notified,
                    newest=newest,
                ),
            )
            decided |= decision.decided
            for (number, _), each in decision.notified.items():
                notified[number] = [each]
            self.sent += [(second, each.alert.title) for each in decision.deliveries]
        return self.sent

    def _newest(self, second: float, number: int, down_at: float | None) -> Newest:
        """Each site is checked every 20 s, and has failed since its first failed check."""
        phase = number % 20 if down_at is None else down_at % 20
        at = (second - phase) // 20 * 20 + phase
        return Newest(NOW + at, failed=down_at is not None and at >= down_at - 20 * (self.failures - 1))


@pytest.mark.parametrize("failures", [1, 2, 3])
def test_fourteen_of_thirty_within_fourteen_seconds_are_one_message(failures: int) -> None:
    sent = Unfolding(30, failures).run({n: float(n) for n in range(14)})

    assert [title for _, title in sent] == ["14 of 30 monitors are down"]
    assert sent[0][0] <= 13 + 10


def test_one_that_is_down_waits_for_no_one_when_all_others_were_checked_since() -> None:
    assert Unfolding(30).run({0: 0.0}) == [(0, "s0 is down")]


def test_one_that_is_down_waits_ten_seconds_at_most() -> None:
    assert Unfolding(30, failures=1).run({0: 0.0}) == [(10, "s0 is down")]


def test_the_first_of_few_do_not_wait_for_the_last() -> None:
    sent = Unfolding(30).run({n: 3.0 * n for n in range(6)})

    assert [title for _, title in sent] == [f"s{n} is down" for n in range(6)]
    assert all(at <= 3 * n + 10 for n, (at, _) in enumerate(sent))


def test_those_that_follow_a_mass_outage_wait_ten_seconds_at_most() -> None:
    sent = Unfolding(30, failures=1).run({**{n: float(n) for n in range(14)}, 14: 30.0, 15: 33.0})

    assert sent[1:] == [(40, "2 of 30 monitors are down")]


def test_while_more_may_join_nobody_is_alerted() -> None:
    assert outcome(sites(10), down(*range(6), noticed_at=NOW - 9)) == []
    assert outcome(sites(10), down(0, noticed_at=NOW - 9, failing=(1, 2, 3, 4))) == []
    assert len(outcome(sites(10), down(0, noticed_at=NOW - 10, failing=(1, 2, 3, 4)))) == 1
    assert len(outcome(sites(10), down(*range(6), noticed_at=NOW - 10))) == 1


@pytest.mark.parametrize(("kind", "expected"), [("flapping", []), ("down", [("mail", "s0 is down")])])
def test_those_that_fail_are_waited_for_unless_they_are_down_already(
    kind: str, expected: list[tuple[str, str]]
) -> None:
    known = tuple(incident(number, f"s{number}", kind=kind, noticed_at=NOW - 900) for number in range(1, 6))

    facts = situation(
        change(incident(0, "s0", noticed_at=NOW - 9)),
        incidents=known,
        notified={each.id: alerted("mail") for each in known},
        newest={f"s{number}": Newest(NOW, failed=True) for number in range(6)},
    )

    assert outcome(sites(10), facts) == expected


def test_when_all_are_down_there_is_nothing_to_wait_for() -> None:
    assert messages(decide(sites(6), down(*range(6), noticed_at=NOW))) == [
        ("mail", "All 6 monitors are down")
    ]


def test_waiting_ends_after_a_minute() -> None:
    failing = (6, 7)

    assert outcome(sites(10), down(*range(6), noticed_at=NOW - 59, failing=failing)) == []
    assert len(outcome(sites(10), down(*range(6), noticed_at=NOW - 60, failing=failing))) == 1
    assert len(outcome(sites(10, within_s=30), down(*range(6), noticed_at=NOW - 30, failing=failing))) == 1


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

    assert found == [("mail", "s0 is down"), ("chat", "All 6 monitors are down")]


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
