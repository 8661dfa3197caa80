import asyncio
from typing import Any

import msgspec
import pytest

from monitor.alerts.decision import Delivery, decide
from monitor.alerts.expiring import SeenChain
from monitor.alerts.message import compose
from monitor.alerts.situation import Plan, Situation
from monitor.alerts.store import PROVEN_S, REFUSALS, AlertStore, Silence
from monitor.storage.database import Database
from monitor.storage.results import ResultStore
from tests.alerting import NOW, monitor, plan
from tests.alerts.test_message import subject
from tests.bookkeeping import Book
from tests.storage.test_results import result

SHOP = plan(monitor("shop"), channels=("mail",))


def delivery(number: int = 1, channel: str = "mail", monitors: str = "") -> Delivery:
    alert = compose("opened", [subject(name) for name in monitors.split() or [f"s{number}"]], NOW)
    return Delivery(channel, f"opened {number}", f"incident {number}", alert)


async def claim(store: AlertStore, *channels: str, lease_s: float = 180) -> list[tuple[int, int]]:
    return [(each.id, each.attempts) for each in await store.claim(channels or ("mail",), lease_s)]


async def test_what_is_decided_is_stored_whole(alert_store: AlertStore, book: Book) -> None:
    await book.opened("shop")
    await book.past("shop", NOW - 5_000)

    assert await alert_store.decide(SHOP, NOW, decide) == 2
    assert await alert_store.decide(SHOP, NOW, decide) == 0

    assert await book.outcome() == [("mail", "shop was down", "waits"), ("mail", "shop is down", "waits")]


async def test_one_process_decides_at_a_time(alert_store: AlertStore, database: str, book: Book) -> None:
    await book.opened("shop")
    other = AlertStore(Database(database))
    situations = []

    def note(plan: Plan, situation: Situation) -> Any:
        situations.append(situation)
        return decide(plan, situation)

    async with alert_store.database.transaction() as connection:
        await connection.execute("SELECT pg_advisory_xact_lock($1)", 0x616C65727473)
        assert await other.decide(SHOP, NOW, note) == 0
    counts = await asyncio.gather(*(store.decide(SHOP, NOW, note) for store in (alert_store, other)))

    await other.database.close()
    assert sorted(counts) == [0, 1]
    assert len([each for each in situations if each.changes]) == 1


async def test_a_decision_sees_what_is_sent_acknowledged_silenced_and_newest(
    alert_store: AlertStore, book: Book
) -> None:
    family = plan(monitor("gateway"), monitor("shop", depends_on="gateway"), channels=("mail",))
    shop = await book.opened("shop")
    await alert_store.decide(family, NOW, decide)
    over = await book.opened("gateway")
    await book.resolved(over, NOW - 3_000)
    older = await book.opened("gateway")
    await book.resolved(older, NOW - 9_000)
    await alert_store.acknowledge(shop, "ann", "known", NOW)
    await alert_store.silence(Silence("gateway", NOW + 9, NOW, "bob", "noise"))
    await alert_store.silence(Silence("shop", NOW + 9, NOW, "bob", "noise"))
    await alert_store.silence(Silence("shop", NOW, NOW, "bob", "enough"))
    await book.state("gateway", NOW - 7, "down")
    await book.state("shop", NOW - 3, "up", failed_at=NOW - 200)
    await book.connection.execute("UPDATE health_changes SET decided_at = 1 WHERE incident_id = $1", older)
    seen = []

    def note(plan: Plan, situation: Situation) -> Any:
        seen.append(situation)
        return decide(plan, situation)

    await alert_store.decide(family, NOW, note)

    (situation,) = seen
    assert [(change.change, change.incident.id) for change in situation.changes] == [
        ("opened", over),
        ("resolved", over),
    ]
    assert {each.id for each in situation.incidents} == {shop, over}
    assert [each.id for each in situation.open] == [shop]
    assert [(each.channel, each.alerted_at) for each in situation.notified[shop]] == [("mail", NOW)]
    assert situation.acknowledged == {shop}
    assert situation.silenced_until == {"gateway": NOW + 9}
    assert situation.newest == {"gateway": (NOW - 7, True), "shop": (NOW - 3, False)}
    assert situation.down_or_partial == {"gateway"}


async def test_a_monitor_without_results_is_no_failure(alert_store: AlertStore, book: Book) -> None:
    await book.opened("shop")
    await book.connection.execute("INSERT INTO health_states VALUES ('shop', 'unknown', '-infinity', '{}')")

    assert await alert_store.decide(SHOP, NOW, decide) == 1


async def test_a_delivery_is_claimed_once_until_its_lease_is_over(alert_store: AlertStore) -> None:
    await alert_store.add([delivery()], NOW)

    assert await claim(alert_store, "chat") == []
    assert await claim(alert_store, lease_s=0) == [(1, 1)]
    assert await claim(alert_store) == [(1, 2)]
    assert await claim(alert_store) == []


@pytest.mark.parametrize(("set_back_s", "found"), [(400, []), (86_400, [(1, 2)])])
async def test_a_clock_of_the_database_that_is_set_back_delays_no_alert_for_long(
    alert_store: AlertStore, book: Book, set_back_s: float, found: list[tuple[int, int]]
) -> None:
    await alert_store.add([delivery()], NOW)
    assert await claim(alert_store) == [(1, 1)]

    await book.connection.execute("UPDATE health_deliveries SET due_at = due_at + $1", set_back_s)

    assert await claim(alert_store) == found


async def test_a_channel_gets_one_at_a_time_in_their_order(alert_store: AlertStore) -> None:
    await alert_store.add([delivery(1), delivery(2), delivery(1, "chat")], NOW)

    assert sorted(await claim(alert_store, "mail", "chat")) == [(1, 1), (3, 1)]
    assert await claim(alert_store) == [(2, 1)]


async def test_one_of_a_monitor_waits_for_those_before_it(alert_store: AlertStore) -> None:
    all_ = (delivery(number, monitors=names) for number, names in enumerate(("a", "b a", "c b"), 1))
    await alert_store.add(all_, NOW)

    for number in range(1, 4):
        (claimed,) = await alert_store.claim(["mail"], 0)
        assert (claimed.id, claimed.attempts) == (number, 1)
        await alert_store.postpone(claimed, "the answer was 500", 600)
        assert await claim(alert_store) == []
        await alert_store.mark_sent(claimed)


async def test_one_that_a_channel_refuses_again_and_again_while_it_takes_others_is_given_up(
    alert_store: AlertStore, book: Book
) -> None:
    await alert_store.add([delivery(1, monitors="a"), delivery(2, monitors="a"), delivery(3)], NOW)

    async def refuse() -> bool:
        await book.connection.execute("UPDATE health_deliveries SET due_at = 0 WHERE id = 1")
        (refused,) = await alert_store.claim(["mail"])
        assert refused.id == 1
        return await alert_store.postpone(refused, "the answer was 500", 600)

    assert [await refuse() for _ in range(REFUSALS)] == [False] * REFUSALS  # the channel may be unavailable
    (other,) = await alert_store.claim(["mail"])
    await alert_store.mark_sent(other)
    assert (other.id, await claim(alert_store)) == (3, [])
    assert not await refuse()  # it may be busy with what waited

    await book.connection.execute("UPDATE health_deliveries SET refused_at = refused_at - $1", PROVEN_S)
    await book.connection.execute("UPDATE health_deliveries SET sent_at = sent_at - $1", PROVEN_S)
    assert await refuse()

    assert await claim(alert_store) == [(2, 1)]
    assert (await book.outcome())[0][2] == "the answer was 500; given up: the channel takes others"
    assert alert_store.counts.failed == {"mail": 1}


async def test_what_became_of_it_is_noted(alert_store: AlertStore, book: Book) -> None:
    await alert_store.add([delivery(1), delivery(2)], NOW)
    sent, later = [(await alert_store.claim(["mail"]))[0] for _ in range(2)]

    await alert_store.mark_sent(sent)
    await alert_store.postpone(later, "the answer was 500", -1)

    assert [fate for _, _, fate in await book.outcome()] == ["sent", "the answer was 500"]
    assert await claim(alert_store) == [(2, 2)]


async def test_who_comes_late_changes_nothing(alert_store: AlertStore, book: Book) -> None:
    await alert_store.add([delivery()], NOW)
    (late,) = await alert_store.claim(["mail"], lease_s=0)
    (second,) = await alert_store.claim(["mail"])

    await alert_store.postpone(late, "the answer was 500", 0)
    assert await claim(alert_store) == []
    await alert_store.mark_sent(second)

    assert [fate for _, _, fate in await book.outcome()] == ["sent"]


async def test_a_refusal_after_it_was_delivered_changes_nothing(alert_store: AlertStore, book: Book) -> None:
    await alert_store.add([delivery()], NOW)
    (slow,) = await alert_store.claim(["mail"])
    await alert_store.mark_sent(slow)
    (before,) = await book.deliveries()

    assert not await alert_store.postpone(slow, "the answer was 500", -1)
    await alert_store.mark_sent(slow)

    assert await claim(alert_store) == []
    assert await book.deliveries() == [before]


async def test_what_was_delivered_at_last_is_not_given_up(alert_store: AlertStore, book: Book) -> None:
    await alert_store.add([delivery(1), delivery(2)], NOW)
    for _ in range(REFUSALS):
        (refused,) = await alert_store.claim(["mail"])
        await alert_store.postpone(refused, "the answer was 500", -1)
    (slow,) = await alert_store.claim(["mail"])
    (other,) = await alert_store.claim(["mail"])
    await alert_store.mark_sent(other)
    await alert_store.mark_sent(slow)
    long_ago = "UPDATE health_deliveries SET refused_at = refused_at - $1, sent_at = sent_at - $1"
    await book.connection.execute(long_ago, PROVEN_S)

    assert not await alert_store.postpone(slow, "the answer was 500", 600)

    assert [fate for _, _, fate in await book.outcome()] == ["sent", "sent"]
    assert alert_store.counts.failed.total() == 0


async def test_what_was_added_is_not_added_again(alert_store: AlertStore, book: Book) -> None:
    await alert_store.add([delivery()], NOW)
    await alert_store.add([delivery(), delivery(1, "chat")], NOW)
    await alert_store.add([], NOW)

    assert [channel for channel, _, _ in await book.outcome()] == ["mail", "chat"]


async def test_after_a_day_it_is_given_up_and_what_is_long_done_is_forgotten(
    alert_store: AlertStore, book: Book
) -> None:
    expiring = [delivery()._replace(about=about) for about in ("certificate ab 1 7", "domain a.example 1 7")]
    await alert_store.add([delivery(1), delivery(2), *expiring], NOW)
    (first,) = await alert_store.claim(["mail"])
    await alert_store.postpone(first, "the answer was 500", 0)
    age = "UPDATE health_deliveries SET created_at = extract(epoch FROM now()) - $1"
    await book.connection.execute(age, 3_500)
    assert await alert_store.tidy(3_600, 7_200) == 0

    await book.connection.execute(age, 3_700)
    assert await alert_store.tidy(3_600, 7_200) == 4
    assert alert_store.counts.failed == {"mail": 4}
    assert [fate for _, _, fate in await book.outcome()] == [
        "the answer was 500; given up",
        *["given up: no process has this channel"] * 3,
    ]
    await book.connection.execute(age, 7_300)
    await alert_store.tidy(3_600, 7_200)
    abouts = [each["about"] for each in await book.deliveries()]
    assert abouts == ["certificate ab 1 7", "domain a.example 1 7"]
    await book.connection.execute(age, 36_001)
    await alert_store.tidy(3_600, 7_200)
    assert await book.deliveries() == []


async def test_only_an_open_incident_can_be_acknowledged_and_once(
    alert_store: AlertStore, book: Book
) -> None:
    over, still = await book.opened("shop"), await book.opened("blog")
    await book.resolved(over)

    assert await alert_store.acknowledge(still, "ann", "on it", NOW)
    assert not await alert_store.acknowledge(still, "bob", "me too", NOW + 1)
    assert not await alert_store.acknowledge(over, "ann", "late", NOW)
    assert not await alert_store.acknowledge(999, "ann", "what?", NOW)

    rows = await book.connection.fetch("SELECT * FROM health_acknowledgements")
    assert [tuple(row) for row in rows] == [(still, NOW, "ann", "on it")]


async def test_silences_are_kept_and_the_newest_holds(alert_store: AlertStore, book: Book) -> None:
    first = Silence("shop", NOW + 600, NOW, "ann", "deploy")
    await alert_store.silence(first)

    assert await alert_store.silences(NOW) == [first]
    assert await alert_store.silences(NOW + 600) == []
    await alert_store.silence(Silence("shop", NOW + 5, NOW + 5, "ann", "done"))
    assert await alert_store.silences(NOW + 6) == []
    assert await book.connection.fetchval("SELECT count(*) FROM health_silences") == 2


async def test_the_newest_certificates_are_found(alert_store: AlertStore, store: ResultStore) -> None:
    await store.save(
        [
            result(NOW - 60, certificate_expires_at=NOW + 1),
            result(NOW - 30, certificate_expires_at=NOW + 2),
            result(NOW - 10, certificate_expires_at=None),
            result(NOW - 90_000, monitor="old", certificate_expires_at=NOW),
        ]
    )

    found = await alert_store.chains(["shop", "old", "other"], NOW - 86_400)

    assert found == [SeenChain("shop", NOW - 30, NOW + 2, None, None)]
    assert await alert_store.chains(["shop"], NOW - 86_400, among=2) == found
    assert await alert_store.chains(["shop"], NOW - 86_400, among=1) == []


async def test_an_escalation_counts_from_the_alert_of_what_the_outage_became(
    alert_store: AlertStore, book: Book
) -> None:
    notify = {"channels": "mail", "escalate_after_s": 600, "escalate_to": "boss"}
    escalating = plan(monitor("shop", notify=notify), channels=("mail", "boss"), mass_outage={"at_least": 1})
    partial = await book.opened("shop", "partial")
    await alert_store.decide(escalating, NOW, decide)
    await book.resolved(partial, NOW + 550)
    down = await book.opened("shop", noticed_at=NOW + 550)
    await alert_store.silence(Silence("shop", NOW + 580, NOW, "ann", "known"))

    counts = [await alert_store.decide(escalating, NOW + each, decide) for each in (550, 580, 1_179, 1_180)]

    assert counts == [0, 1, 0, 1]
    titles = ["shop is down from some locations", "shop is down", "shop has been down for 12 min 40 s"]
    assert [each["title"] for each in await book.deliveries()] == titles
    told = await book.connection.fetch("SELECT channel, told_at, reminded_at, together FROM health_told")
    assert sorted(map(tuple, told))[-2:] == [
        ("mail", NOW, NOW, partial),
        ("mail", NOW + 580, NOW + 580, down),
    ]


async def test_there_is_no_reminder_of_what_still_waits(alert_store: AlertStore, book: Book) -> None:
    reminded = plan(
        monitor("shop", notify={"remind_every_s": 60}), monitor("blog"), channels=("mail", "chat")
    )
    await book.opened("shop")
    await alert_store.decide(reminded, NOW, decide)
    (mail,) = await alert_store.claim(["mail"])
    await alert_store.mark_sent(mail)
    await book.opened("blog")

    for each in (30, 60, 119, 120):
        await alert_store.decide(reminded, NOW + each, decide)

    assert await book.outcome() == [
        ("mail", "shop is down", "sent"),
        ("chat", "shop is down", "waits"),
        ("mail", "blog is down", "waits"),
        ("chat", "blog is down", "waits"),
        ("mail", "shop has been down for 3 min 10 s", "waits"),
    ]


async def test_a_claim_has_the_alert_as_it_was(alert_store: AlertStore) -> None:
    await alert_store.add([delivery()], NOW)

    (claimed,) = await alert_store.claim(["mail"])

    assert msgspec.json.encode(claimed.alert) == msgspec.json.encode(delivery().alert)
