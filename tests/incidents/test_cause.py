"""Which reason an open incident has."""

import msgspec

from monitor.incidents.course import observe
from monitor.incidents.model import Health
from monitor.incidents.rules import Rules
from tests.observing import RULES, START, check, checks, live, slot_of, together


def causes(signs: str, rules: Rules = RULES) -> list[tuple[str, float, str | None]]:
    return [(each.change, slot_of(each.at), each.reason) for each in live(checks(signs), rules)[1]]


def test_an_open_incident_gets_the_reason_of_two_failed_checks_in_a_row() -> None:
    assert causes("---tt---") == [
        ("opened", 2, "status"),
        ("changed", 4, "response_timeout"),
        ("changed", 6, "status"),
    ]


def test_another_status_code_is_another_reason() -> None:
    _, (_, changed) = live(checks("---33"))

    assert (changed.change, changed.reason) == ("changed", "status")
    assert changed.detail == "status 503, expected 200-399; took 9 s, expected 2 s"
    assert changed.locations == ("here",)


def test_another_detail_alone_is_no_other_reason() -> None:
    slow = [
        msgspec.structs.replace(each, reason="too_slow", detail=f"took {each.scheduled_at} s, expected 2 s")
        for each in checks("------")
    ]

    assert [each.change for each in live(slow)[1]] == ["opened"]


def test_reasons_that_take_turns_change_nothing() -> None:
    assert causes("---t-t-t3t3t") == [("opened", 2, "status")]


def test_a_passed_check_between_them_does_not_matter() -> None:
    assert causes("---t+t") == [("opened", 2, "status"), ("changed", 5, "response_timeout")]


def test_an_incident_ends_with_its_latest_reason() -> None:
    assert causes("---tt++")[-1] == ("resolved", 5, "response_timeout")


def test_as_many_checks_agree_as_locations_are_down() -> None:
    _, apart = live(together(a="---tttt", b="-------", c="---tttt"))
    _, agreed = live(together(a="---tttt", b="----ttt", c="---tttt"))

    assert [each.change for each in apart] == ["opened"]
    assert [(each.change, slot_of(each.at)) for each in agreed] == [("opened", 2), ("changed", 4)]


def test_a_location_that_is_not_down_yet_has_no_say() -> None:
    _, changed = live(together(a="-------", b="++++++++", c="+++++tt"), Rules(quorum=1))

    assert [each.change for each in changed] == ["opened"]


def test_an_incident_that_a_passed_check_makes_partial_keeps_its_reason() -> None:
    _, changed = live(together(a="---ttttttt", b="---tt+++++", c="++++++++++"))

    assert [(each.change, each.kind, each.reason) for each in changed] == [
        ("opened", "down", "status"),
        ("changed", "down", "response_timeout"),
        ("resolved", "down", "response_timeout"),
        ("opened", "partial", "response_timeout"),
    ]


def test_the_opening_has_the_first_reason_also_when_all_is_seen_at_once() -> None:
    seen = observe(Health(), checks("---tt"), RULES, START + 300)
    later = observe(seen.health, checks("tt", first=5), RULES, START + 420)

    assert [(each.change, each.reason) for each in seen.changes] == [("opened", "status")]
    assert [(each.change, each.reason) for each in later.changes] == [("changed", "response_timeout")]


def test_what_was_seen_of_another_reason_is_stored() -> None:
    seen, _ = live(checks("---t"))
    health = msgspec.json.decode(msgspec.json.encode(seen), type=Health)

    _, (changed,) = live([check(4, "t")], health=health)

    assert changed.change == "changed"
