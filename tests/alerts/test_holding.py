from typing import Any

import pytest

from monitor.alerts.decision import decide
from monitor.alerts.situation import Newest
from tests.alerting import NOW, alerted, change, incident, monitor, outcome, plan, situation

WINDOW = {"starts_at": "2027-01-15T07:59:00Z", "ends_at": "2027-01-15T08:01:00Z"}
ENDS_AT = NOW + 60

GATEWAY = monitor("gateway", interval_s=60, timeout_s=10)
SHOP = monitor("shop", depends_on="gateway", interval_s=60, timeout_s=10)
BOTH = plan(GATEWAY, SHOP, channels=("mail",))


def test_in_maintenance_nobody_is_alerted_until_it_ends() -> None:
    maintained = plan(monitor("shop", maintenance=WINDOW), channels=("mail",))
    opened = change(incident())

    during = decide(maintained, situation(opened))
    after = decide(maintained, situation(opened, now=ENDS_AT))

    assert (during.deliveries, during.decided) == ([], set())
    assert [each.alert.title for each in after.deliveries] == ["shop is down"]


def test_what_began_and_ended_in_maintenance_is_never_sent() -> None:
    maintained = plan(monitor("shop", maintenance=WINDOW))
    over = incident(started_at=NOW - 50, ended_at=NOW + 50)
    changes = change(over, at=NOW - 30), change(over, "resolved", at=NOW + 50)

    decision = decide(maintained, situation(*changes, now=ENDS_AT + 1_000))

    assert (decision.deliveries, decision.decided) == ([], {10, 11})


def test_what_began_in_maintenance_and_outlasted_it_is_sent_also_when_it_is_over_by_then() -> None:
    maintained = plan(monitor("shop", maintenance=WINDOW), channels=("mail",))
    over = incident(started_at=NOW - 50, ended_at=ENDS_AT)
    changes = change(over, at=NOW - 30), change(over, "resolved")

    assert outcome(maintained, situation(*changes, now=ENDS_AT + 1_000)) == [("mail", "shop was down")]


def test_a_past_incident_in_maintenance_is_not_sent() -> None:
    maintained = plan(monitor("shop", maintenance=WINDOW))
    past = change(incident(started_at=NOW - 50, ended_at=NOW + 50), "past")

    decision = decide(maintained, situation(past, now=ENDS_AT + 1_000))

    assert (decision.deliveries, decision.decided) == ([], {12})


def test_a_past_incident_that_only_ended_in_maintenance_is_sent() -> None:
    maintained = plan(monitor("shop", maintenance=WINDOW), channels=("mail",))
    past = change(incident(started_at=NOW - 7_200, ended_at=NOW + 50), "past")

    assert outcome(maintained, situation(past, now=ENDS_AT + 1_000)) == [("mail", "shop was down")]


def test_the_end_is_sent_in_maintenance_and_silence_where_the_beginning_was() -> None:
    maintained = plan(monitor("shop", maintenance=WINDOW))
    resolved = change(incident(ended_at=NOW - 1), "resolved")

    found = outcome(
        maintained, situation(resolved, notified={1: alerted("mail")}, silenced_until={"shop": NOW + 9})
    )

    assert found == [("mail", "shop is up again")]


def test_a_silence_holds_alerts_until_its_time() -> None:
    opened = change(incident())

    assert outcome(BOTH, situation(opened, silenced_until={"shop": NOW + 1})) == []
    assert outcome(BOTH, situation(opened, silenced_until={"shop": NOW})) == [("mail", "shop is down")]


def test_while_the_parent_is_down_the_childs_alert_is_held_back_and_named_in_the_parents() -> None:
    parent, child = change(incident(1, "gateway")), change(incident(2, "shop"))

    decision = decide(BOTH, situation(parent, child))

    assert decision.decided == {parent.id}
    (delivery,) = decision.deliveries
    assert delivery.alert.title == "gateway is down"
    assert delivery.alert.held_back == ["shop"]
    assert "Alerts held back, since they depend on it: shop" in delivery.alert.text


def test_a_child_that_fails_and_is_not_down_yet_is_named_in_the_parents_alert() -> None:
    parent = change(incident(1, "gateway"))

    family = plan(GATEWAY, SHOP, monitor("other"), channels=("mail",))
    failed = Newest(NOW, failed=True)

    decision = decide(family, situation(parent, newest={"shop": failed, "other": failed}))

    assert decision.deliveries[0].alert.held_back == ["shop"]


@pytest.mark.parametrize(
    ("newest", "noticed_at", "expected"),
    [
        (Newest(NOW, failed=False), NOW - 1, ["shop is down"]),
        (Newest(NOW, failed=True), NOW - 249, []),
        (Newest(NOW, failed=True), NOW - 250, ["shop is down"]),
        (Newest(NOW - 200, failed=False), NOW - 69, []),
        (Newest(NOW - 200, failed=False), NOW - 70, ["shop is down"]),
        (None, NOW - 1, ["shop is down"]),
    ],
)
def test_a_child_waits_until_it_is_known_how_the_parent_is(
    newest: Newest | None, noticed_at: float, expected: list[str]
) -> None:
    child = change(incident(2, "shop", noticed_at=noticed_at))
    known = {} if newest is None else {"gateway": newest}

    assert [title for _, title in outcome(BOTH, situation(child, newest=known))] == expected


def test_a_parent_that_is_not_checked_holds_nothing() -> None:
    alone = plan(SHOP, monitor("gateway", paused=True), channels=("mail",))

    found = outcome(alone, situation(change(incident(2)), newest={"gateway": Newest(NOW, failed=True)}))

    assert found == [("mail", "shop is down")]


@pytest.mark.parametrize(("ended_at", "expected"), [(NOW - 189, []), (NOW - 190, ["shop is down"])])
def test_a_child_gets_time_to_recover_after_the_parent(ended_at: float, expected: list[str]) -> None:
    parent = incident(1, "gateway", started_at=NOW - 900, ended_at=ended_at)
    child = change(incident(2, "shop"))

    found = outcome(
        BOTH, situation(child, incidents=(parent,), newest={"gateway": Newest(NOW, failed=False)})
    )

    assert [title for _, title in found] == expected


def test_a_child_that_recovered_with_its_parent_is_never_sent() -> None:
    parent = incident(1, "gateway", started_at=NOW - 900, ended_at=NOW - 100)
    child = incident(2, "shop", started_at=NOW - 850, ended_at=NOW - 60)
    changes = change(child, at=NOW - 700), change(child, "resolved")

    decision = decide(BOTH, situation(*changes, incidents=(parent,)))

    assert (decision.deliveries, decision.decided) == ([], {20, 21})


def test_a_child_that_was_down_for_longer_than_its_parent_is_alerted_of_also_when_it_is_over() -> None:
    parent = incident(1, "gateway", started_at=NOW - 900, ended_at=NOW - 500)
    child = incident(2, "shop", started_at=NOW - 850, ended_at=NOW - 310)

    found = outcome(BOTH, situation(change(child, at=NOW - 700), incidents=(parent,)))

    assert found == [("mail", "shop was down")]


@pytest.mark.parametrize("ended_at", [NOW - 300, NOW - 50])
def test_a_child_that_was_down_before_its_parent_is_alerted_of(ended_at: float) -> None:
    parent = incident(1, "gateway", started_at=NOW - 100)
    child = incident(2, "shop", started_at=NOW - 850, ended_at=ended_at)

    found = outcome(BOTH, situation(change(child, at=NOW - 700), incidents=(parent,)))

    assert found == [("mail", "shop was down")]


def test_grandparents_count_as_well_and_other_kinds_do_not() -> None:
    page = monitor("page", depends_on="shop")
    family = plan(GATEWAY, SHOP, page, channels=("mail",))

    def found(**facts: Any) -> list[tuple[str, str]]:
        return outcome(family, situation(change(incident(3, "page")), incidents=(incident(1, **facts),)))

    assert found(monitor="gateway") == []
    assert found(monitor="gateway", kind="no_data") == [("mail", "page is down")]
    assert found(monitor="other") == [("mail", "page is down")]


def test_reminders_of_a_child_stop_while_the_parent_is_down() -> None:
    shop = monitor("shop", depends_on="gateway", notify={"remind_every_s": 60})
    open_ones = (incident(1, "gateway"), incident(2, "shop"))

    assert outcome(plan(GATEWAY, shop), situation(incidents=open_ones, notified={2: alerted("mail")})) == []
