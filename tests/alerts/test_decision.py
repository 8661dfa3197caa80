from typing import Any

import pytest

from monitor.alerts.decision import decide
from monitor.alerts.situation import Notified
from tests.alerting import NOW, alerted, change, incident, messages, monitor, outcome, plan, situation

SHOP = monitor("shop")


def test_every_channel_is_alerted_of_an_incident_and_noted() -> None:
    opened = change(incident())

    decision = decide(plan(SHOP), situation(opened))

    assert [(each.channel, each.about, each.subject) for each in decision.deliveries] == [
        ("mail", "opened 1", "incident 1"),
        ("chat", "opened 1", "incident 1"),
    ]
    assert {each.alert.title for each in decision.deliveries} == {"shop is down"}
    assert decision.decided == {opened.id}
    assert decision.notified == {
        (1, channel): Notified(channel, NOW, NOW, None) for channel in ("mail", "chat")
    }


def test_a_monitor_may_choose_its_channels_or_none() -> None:
    opened = change(incident())

    assert outcome(plan(monitor("shop", notify={"channels": "chat"})), situation(opened)) == [
        ("chat", "shop is down")
    ]
    decision = decide(plan(monitor("shop", notify={"channels": []})), situation(opened))
    assert (decision.deliveries, decision.notified, decision.decided) == ([], {}, {opened.id})


@pytest.mark.parametrize(
    ("kind", "began", "ended"),
    [
        ("down", "shop is down", "shop is up again"),
        ("partial", "shop is down from some locations", "shop is up everywhere again"),
        ("degraded", "shop is degraded", "shop is no longer degraded"),
        ("no_data", "shop: no data", "shop: there is data again"),
        ("flapping", "shop is flapping", "shop has settled"),
    ],
)
def test_kinds_of_incidents_are_distinguished(kind: str, began: str, ended: str) -> None:
    over = incident(kind=kind, ended_at=NOW - 1)

    assert outcome(plan(SHOP), situation(change(incident(kind=kind))))[0] == ("mail", began)
    assert outcome(plan(SHOP), situation(change(over, "resolved"), notified={1: alerted("mail")})) == [
        ("mail", ended)
    ]


def test_the_end_is_sent_to_those_who_know_of_the_beginning_and_to_nobody_else() -> None:
    resolved = change(incident(ended_at=NOW - 1), "resolved")

    assert outcome(plan(SHOP), situation(resolved, notified={1: alerted("boss")})) == [
        ("boss", "shop is up again")
    ]
    decision = decide(plan(SHOP), situation(resolved))
    assert (decision.deliveries, decision.decided) == ([], {resolved.id})


def test_what_is_over_before_anybody_was_alerted_is_sent_as_past() -> None:
    over = incident(ended_at=NOW - 10)

    decision = decide(plan(SHOP), situation(change(over), change(over, "resolved")))

    assert [each.alert.title for each in decision.deliveries] == ["shop was down"] * 2
    assert decision.notified == {}
    assert decision.decided == {10, 11}


def test_an_incident_that_came_late_and_is_over_is_sent_as_past() -> None:
    late = incident(started_at=NOW - 9_000, noticed_at=NOW - 1, ended_at=NOW - 8_000)

    decision = decide(plan(SHOP), situation(change(late, "past")))

    assert [(each.about, each.alert.title) for each in decision.deliveries] == [
        ("past 1", "shop was down")
    ] * 2
    assert decision.decided == {12}


def test_quiet_changes_of_a_flapping_monitor_are_not_sent() -> None:
    flapping = incident(2, kind="flapping")
    over = incident(ended_at=NOW - 10)

    decision = decide(
        plan(SHOP),
        situation(change(over, quiet=True), change(over, "resolved", quiet=True), incidents=(flapping,)),
    )

    assert (decision.deliveries, decision.decided) == ([], {10, 11})


def test_what_is_still_down_when_flapping_has_settled_is_sent_then() -> None:
    flapping = incident(2, kind="flapping")
    opened = change(incident(), quiet=True)

    held = decide(plan(SHOP), situation(opened, incidents=(flapping,)))
    settled = decide(plan(SHOP), situation(opened, incidents=(flapping._replace(ended_at=NOW),)))

    assert (held.deliveries, held.decided) == ([], set())
    assert [each.alert.title for each in settled.deliveries] == ["shop is down"] * 2


def test_going_from_down_to_partial_is_no_recovery() -> None:
    resolved = change(incident(ended_at=NOW - 10), "resolved")
    partial = change(incident(2, kind="partial", started_at=NOW - 10))
    known = {1: alerted("mail", "chat")}

    early = decide(plan(SHOP), situation(resolved, notified=known, down_or_partial=frozenset({"shop"})))
    found = outcome(
        plan(SHOP), situation(resolved, partial, notified=known, down_or_partial=frozenset({"shop"}))
    )

    assert (early.deliveries, early.decided) == ([], set())
    assert {title for _, title in found} == {"shop is down from some locations"}


def test_the_end_of_what_is_no_longer_checked_waits_for_nothing() -> None:
    resolved = change(incident(ended_at=NOW - 10), "resolved")
    last_seen = situation(resolved, notified={1: alerted("mail")}, down_or_partial=frozenset({"shop"}))

    for others in (plan(monitor("blog")), plan(monitor("shop", paused=True))):
        assert outcome(others, last_seen) == [("mail", "shop: no longer checked")]


@pytest.mark.parametrize(
    ("was", "now", "title"),
    [
        ("degraded", "down", "shop is down"),
        ("degraded", "partial", "shop is down from some locations"),
        ("down", "degraded", "shop is degraded"),
    ],
)
def test_an_outage_that_goes_on_as_another_one_is_one_alert(was: str, now: str, title: str) -> None:
    over = change(incident(kind=was, ended_at=NOW - 10), "resolved", quiet=was == "degraded")
    other = change(incident(2, kind=now, started_at=NOW - 10))

    decision = decide(plan(SHOP, channels=("mail",)), situation(over, other, notified={1: alerted("mail")}))

    assert messages(decision) == [("mail", title)]
    assert decision.decided == {over.id, other.id}
    assert list(decision.notified) == [(2, "mail")]


def test_an_end_is_sent_where_partial_was_over_before_anybody_was_alerted() -> None:
    resolved = change(incident(ended_at=NOW - 60), "resolved")
    never_sent = incident(2, kind="partial", started_at=NOW - 60, ended_at=NOW - 1)
    known = {1: alerted("mail")}

    for situation_ in (
        situation(resolved, incidents=(never_sent,), notified=known),
        situation(resolved, change(never_sent, "past"), notified=known),
    ):
        assert ("mail", "shop is up again") in outcome(plan(SHOP, channels=("mail",)), situation_)


def test_the_end_is_sent_before_an_outage_that_is_none_of_its_own() -> None:
    resolved = change(incident(ended_at=NOW - 60), "resolved")
    later = incident(2)

    found = outcome(
        plan(SHOP),
        situation(
            resolved, incidents=(later,), notified={1: alerted("mail")}, down_or_partial=frozenset({"shop"})
        ),
    )

    assert found == [("mail", "shop is up again")]


def test_the_end_is_sent_also_where_a_later_outage_is_over_too() -> None:
    first = change(incident(ended_at=NOW - 60), "resolved")
    later = change(incident(2, kind="partial", started_at=NOW - 50, ended_at=NOW - 1), "resolved")

    found = outcome(
        plan(SHOP, channels=("mail",)),
        situation(first, later, notified={1: alerted("mail"), 2: alerted("mail")}),
    )

    assert found == [("mail", "shop is up again"), ("mail", "shop is up everywhere again")]


def test_who_was_alerted_of_partial_gets_the_end_of_down_which_nobody_was_alerted_of() -> None:
    gateway, shop = monitor("gateway"), monitor("shop", depends_on="gateway")
    both = plan(gateway, shop, channels=("mail",))
    over = incident(kind="partial", ended_at=NOW - 100)
    down = incident(2, started_at=NOW - 100, ended_at=NOW - 1)
    escalated = change(over, "resolved", quiet=True)
    changes = change(down, at=NOW - 90), change(down, "resolved")
    parent = incident(3, "gateway", started_at=NOW - 500, ended_at=NOW - 1)

    at_once = decide(
        both, situation(escalated, *changes, incidents=(parent,), notified={1: alerted("mail", "boss")})
    )

    assert messages(at_once) == [("mail", "shop is up again"), ("boss", "shop is up again")]
    assert list(at_once.notified) == [(2, "mail"), (2, "boss")]
    assert at_once.decided == {11, 20, 21}


def test_who_was_alerted_of_partial_stays_known_when_it_is_down() -> None:
    escalated = change(incident(kind="partial", ended_at=NOW - 9), "resolved", quiet=True)
    down = change(incident(2, started_at=NOW - 9))

    decision = decide(
        plan(SHOP, channels=("mail",)), situation(escalated, down, notified={1: alerted("mail", "boss")})
    )

    assert messages(decision) == [("mail", "shop is down")]
    assert decision.notified == {
        (2, "mail"): alerted("mail", at=NOW)[0],
        (2, "boss"): alerted("boss")[0],
    }


def test_who_was_alerted_of_an_outage_is_alerted_that_flapping_has_settled() -> None:
    flapping = incident(2, kind="flapping")
    quiet = change(incident(ended_at=NOW - 9), "resolved", quiet=True)
    known = {1: alerted("mail", "boss"), 2: alerted("mail")}

    decision = decide(plan(SHOP), situation(quiet, incidents=(flapping,), notified=known))

    assert (decision.deliveries, decision.decided) == ([], {11})
    assert decision.notified == {(2, "boss"): alerted("boss")[0]}


def test_an_end_from_before_the_flapping_is_sent() -> None:
    flapping = incident(2, kind="flapping")
    resolved = change(incident(ended_at=NOW - 9), "resolved")

    found = outcome(plan(SHOP), situation(resolved, incidents=(flapping,), notified={1: alerted("mail")}))

    assert found == [("mail", "shop is up again")]


def test_what_was_sent_with_others_goes_on_as_one_of_its_own() -> None:
    resolved = change(incident(ended_at=NOW - 9), "resolved")
    partial = incident(2, kind="partial", started_at=NOW - 9)

    decision = decide(
        plan(SHOP), situation(resolved, incidents=(partial,), notified={1: alerted("mail", together=1)})
    )

    assert decision.notified == {(2, "mail"): alerted("mail")[0]}


def test_the_end_of_what_is_no_longer_checked_is_no_recovery() -> None:
    resolved = change(incident(ended_at=NOW - 1), "resolved", detail="no longer checked")

    decision = decide(plan(monitor("blog")), situation(resolved, notified={1: alerted("mail")}))

    assert [each.alert.title for each in decision.deliveries] == ["shop: no longer checked"]


def test_changes_of_monitors_that_only_another_process_knows_are_left_to_it_for_an_hour() -> None:
    over = incident(ended_at=NOW - 3_700)
    fresh = change(over, noticed_at=NOW - 3_600)
    stale = change(over._replace(id=2), noticed_at=NOW - 3_601)

    decision = decide(plan(monitor("blog")), situation(fresh, stale))

    assert (decision.deliveries, decision.decided) == ([], {stale.id})


def test_a_process_without_channels_leaves_changes_to_others_for_an_hour() -> None:
    over = incident(ended_at=NOW - 3_700)
    fresh = change(over, "resolved", noticed_at=NOW - 3_600)
    stale = change(over._replace(id=2), noticed_at=NOW - 3_601)

    assert decide(plan(SHOP, channels=()), situation(fresh, stale)).decided == {stale.id}


def test_a_process_without_channels_keeps_what_another_one_may_hold_back() -> None:
    held = change(incident(), noticed_at=NOW - 100_000)

    assert decide(plan(SHOP, channels=()), situation(held)).decided == set()


REMINDED = monitor("shop", notify={"remind_every_s": 600})


def test_the_end_of_an_incident_is_sent_before_the_beginning_of_the_next() -> None:
    over = incident(1, ended_at=NOW - 60)
    changes = change(over, "resolved"), change(incident(2))

    found = outcome(plan(SHOP, channels=("mail",)), situation(*changes, notified={1: alerted("mail")}))

    assert found == [("mail", "shop is up again"), ("mail", "shop is down")]


def test_reminders_come_at_their_time() -> None:
    def found(reminded_at: float) -> Any:
        known = {1: alerted("mail", reminded_at=reminded_at)}
        return decide(plan(REMINDED), situation(incidents=(incident(),), notified=known))

    assert found(NOW - 599).deliveries == []
    decision = found(NOW - 600)
    assert [(each.channel, each.about, each.subject) for each in decision.deliveries] == [
        ("mail", f"reminder 1 {NOW}", "incident 1")
    ]
    assert decision.deliveries[0].alert.title == "shop has been down for 2 min 10 s"
    assert decision.notified == {(1, "mail"): Notified("mail", NOW - 3_600, NOW, None)}


@pytest.mark.parametrize(
    "calm",
    [
        {"acknowledged": frozenset({1})},
        {"silenced_until": {"shop": NOW + 1}},
        {"incidents": (incident(kind="flapping"),)},
        {"incidents": (incident(ended_at=NOW - 1),)},
    ],
)
def test_acknowledging_silencing_and_the_end_stop_reminders_and_escalation(calm: dict[str, Any]) -> None:
    escalating = monitor(
        "shop", notify={"remind_every_s": 600, "escalate_after_s": 60, "escalate_to": "boss"}
    )
    facts = {"incidents": (incident(),), "notified": {1: alerted("mail")}, **calm}

    assert outcome(plan(escalating, channels=("mail", "boss")), situation(**facts)) == []


def test_maintenance_stops_reminders() -> None:
    window = {"starts_at": "2027-01-15T07:59:00Z", "ends_at": "2027-01-15T08:01:00Z"}
    maintained = monitor("shop", notify={"remind_every_s": 600}, maintenance=window)

    assert outcome(plan(maintained), situation(incidents=(incident(),), notified={1: alerted("mail")})) == []


def test_escalation_alerts_further_channels_once() -> None:
    shop = monitor("shop", notify={"channels": "mail", "escalate_after_s": 3_600, "escalate_to": ["boss"]})
    open_one = (incident(),)

    early = situation(incidents=open_one, notified={1: alerted("mail", at=NOW - 3_599)})
    due = situation(incidents=open_one, notified={1: alerted("mail", at=NOW - 3_600)})
    done = situation(incidents=open_one, notified={1: alerted("mail") + alerted("boss")})

    assert outcome(plan(shop), early) == outcome(plan(shop), done) == []
    decision = decide(plan(shop), due)
    assert [(each.channel, each.about) for each in decision.deliveries] == [("boss", "escalation 1")]
    assert "Nobody has acknowledged it so far." in decision.deliveries[0].alert.text
    assert decision.notified == {(1, "boss"): Notified("boss", NOW, NOW, None)}


def test_escalation_counts_from_the_incident_where_nobody_is_alerted_at_first() -> None:
    shop = monitor("shop", notify={"channels": [], "escalate_after_s": 60, "escalate_to": ["boss"]})

    assert outcome(plan(shop), situation(incidents=(incident(noticed_at=NOW - 60),))) == [
        ("boss", "shop has been down for 2 min 10 s")
    ]


def test_escalation_counts_from_the_first_alert() -> None:
    shop = monitor("shop", notify={"escalate_after_s": 3_600, "escalate_to": ["boss"]})
    known = alerted("mail", at=NOW - 3_600) + alerted("chat", at=NOW - 10)

    found = outcome(plan(shop), situation(incidents=(incident(),), notified={1: known}))

    assert found == [("boss", "shop has been down for 2 min 10 s")]


def test_what_is_held_back_is_not_escalated() -> None:
    shop = monitor("shop", notify={"escalate_after_s": 1, "escalate_to": ["boss"]})
    opened = change(incident(2, kind="partial", noticed_at=NOW - 90), quiet=True)

    assert outcome(plan(shop), situation(opened, incidents=(incident(3, kind="flapping"),))) == []


def test_incidents_of_monitors_that_are_no_longer_checked_are_not_reminded_of() -> None:
    assert (
        outcome(plan(SHOP), situation(incidents=(incident(monitor="gone"),), notified={1: alerted("mail")}))
        == []
    )
