"""When a monitor's results become an incident, and when that is over."""

import msgspec
import pytest

from monitor.incidents.course import observe, status
from monitor.incidents.location import LocationState
from monitor.incidents.model import Episode, Health, Kind
from monitor.incidents.no_data import end_unchecked, open_no_data
from monitor.incidents.rules import Rules, Sample
from tests.observing import (
    DOWN,
    FLAPPING,
    NO_DATA,
    RULES,
    START,
    check,
    checks,
    in_slots,
    live,
    slot_of,
)


def changes(signs: str, rules: Rules = RULES) -> list[tuple[str, Kind, float, float]]:
    return in_slots(live(checks(signs), rules)[1])


def test_three_failures_in_a_row_open_an_incident_as_of_the_first() -> None:
    assert changes("+--+-+---") == [("opened", DOWN, 6, 8)]


def test_two_passes_in_a_row_resolve_it_as_of_the_first() -> None:
    assert changes("---+-++") == [("opened", DOWN, 0, 2), ("resolved", DOWN, 0, 5)]


def test_thresholds_are_the_monitors_own() -> None:
    assert changes("-+", Rules(failures=1, successes=1)) == [
        ("opened", DOWN, 0, 0),
        ("resolved", DOWN, 0, 1),
    ]


def test_a_failure_between_passes_does_not_bring_the_next_incident_nearer() -> None:
    assert changes("---++--+--") == [("opened", DOWN, 0, 2), ("resolved", DOWN, 0, 3)]


def test_a_change_has_its_reason_and_locations() -> None:
    _, (opened,) = live(checks("---"))

    assert (opened.reason, opened.detail) == ("status", "status 500, expected 200-399")
    assert opened.locations == ("here",)
    assert not opened.quiet


def test_slow_answers_are_no_incident() -> None:
    assert changes("~~~~") == []


def test_a_check_that_shows_nothing_of_the_site_changes_nothing() -> None:
    assert changes("--?-?+?+?+") == [("opened", DOWN, 0, 3), ("resolved", DOWN, 0, 5)]


def test_bad_results_among_the_last_ones_open_an_incident() -> None:
    rules = Rules(sample=Sample(of=5, bad=3))

    assert changes("-+-+-", rules) == [("opened", DOWN, 0, 4)]
    assert changes("-++--++-+-", rules) == [("opened", DOWN, 0, 4), ("resolved", DOWN, 0, 5)]
    assert changes("-+++-+-++-+", rules) == []
    assert changes("-----++", rules) == [("opened", DOWN, 0, 2), ("resolved", DOWN, 0, 5)]


def test_what_an_ended_incident_saw_does_not_count_for_the_next_one() -> None:
    rules = Rules(sample=Sample(of=5, bad=3))

    assert changes("---++--+", rules) == [("opened", DOWN, 0, 2), ("resolved", DOWN, 0, 3)]


def test_a_result_that_came_before_does_not_count_twice() -> None:
    health, _ = live(checks("--"))
    again = check(1, "-")

    health, new, _, late, _ = observe(health, [again], Rules(), again.timestamp + 1)

    assert (new, late) == ([], [again])
    assert health.locations["here"].streak == 2


def test_an_outage_that_is_over_when_its_results_come_is_past() -> None:
    health, new, *_ = observe(Health(), checks("+---++"), Rules(), START + 86_400)

    assert in_slots(new) == [("past", DOWN, 1, 4)]
    assert health.outage is None


def test_an_old_outage_that_goes_on_is_opened_with_the_first_news_of_it() -> None:
    replayed, none, *_ = observe(Health(), checks("---"), Rules(), START + 86_400)
    _, new, *_ = observe(replayed, [check(1_440, "-")], Rules(), START + 86_400)

    assert none == []
    assert in_slots(new) == [("opened", DOWN, 0, 2)]


def test_an_old_outage_that_is_over_by_the_first_news_is_past() -> None:
    health, _, *_ = observe(Health(), checks("---"), Rules(), START + 86_400)

    _, new = live([check(1_440), check(1_441)], health=health)

    assert in_slots(new) == [("past", DOWN, 0, 1_440)]


def test_checks_that_take_long_are_news_when_they_end() -> None:
    slow = [msgspec.structs.replace(each, response_time=300.0) for each in checks("---")]

    _, new, *_ = observe(Health(), slow, Rules(), slow[-1].timestamp + 300)

    assert in_slots(new) == [("opened", DOWN, 0, 2)]


def test_a_short_interval_does_not_make_news_old() -> None:
    failing = checks("---")
    rules = Rules(interval_s=1)

    assert observe(Health(), failing, rules, failing[-1].timestamp + 60).changes
    assert not observe(Health(), failing, rules, failing[-1].timestamp + 61).changes


@pytest.mark.parametrize("behind_s", [1, 7_200])
def test_a_batch_with_failures_opens_an_outage_though_its_last_check_passed(behind_s: float) -> None:
    health, *_ = observe(Health(), checks("---"), RULES, START + 3_540)
    batch = checks("-+", first=60)

    _, opened, *_ = observe(health, batch, RULES, batch[-1].timestamp + behind_s)

    assert in_slots(opened) == [("opened", DOWN, 0, 2)]


@pytest.mark.parametrize("rules", [RULES, Rules(sample=Sample(of=5, bad=3))])
@pytest.mark.parametrize(("gap", "since"), [(63, 2), (64, 67)])
def test_failures_on_both_sides_of_a_long_gap_are_not_in_a_row(rules: Rules, gap: int, since: int) -> None:
    _, changed = live([*checks("++--"), *checks("---", first=3 + gap)], rules)

    assert in_slots(changed)[0][2] == since


def test_passed_checks_on_both_sides_of_a_long_gap_are_not_in_a_row() -> None:
    _, changed = live([*checks("---+"), *checks("++", first=100)])

    assert in_slots(changed) == [("opened", DOWN, 0, 2), ("resolved", DOWN, 0, 100)]


def test_many_changes_within_an_hour_are_flapping_and_then_quiet() -> None:
    health, changed = live(checks("---++" * 4))

    assert in_slots(changed)[-2:] == [("opened", FLAPPING, 0, 15), ("resolved", DOWN, 15, 18)]
    assert [each.quiet for each in changed] == [False] * 6 + [True, False, True]
    assert health.flapping
    assert [slot_of(at) for at in health.turned_at] == [3, 5, 8, 10, 13, 15, 18]  # no more are needed


def test_flapping_is_over_when_changes_are_half_as_many() -> None:
    health, _ = live(checks("---++" * 4))
    health, changed = live(checks("+" * 60, first=20), health=health)

    assert in_slots(changed) == [("resolved", FLAPPING, 0, 70)]
    assert in_slots(live(checks("---", first=80), health=health)[1]) == [("opened", DOWN, 80, 82)]


def test_six_changes_an_hour_are_not_flapping() -> None:
    assert FLAPPING not in [kind for _, kind, _, _ in changes("---++" * 3)]
    assert FLAPPING not in [kind for _, kind, _, _ in changes(("---++" + "+" * 16) * 9)]


def test_old_flapping_is_past() -> None:
    _, new, *_ = observe(Health(), checks("---++" * 4 + "+" * 60), Rules(), START + 86_400)

    assert in_slots(new)[-1] == ("past", FLAPPING, 0, 70)
    assert [each.quiet for each in new] == [False, False, False, True, False]


def test_no_data_is_an_incident_of_its_own_kind() -> None:
    quiet, change = open_no_data(live(checks("+++"))[0], 0, START + 400)

    assert (change.change, change.kind) == ("opened", NO_DATA)
    assert (change.started_at, change.at) == (START + 120, START + 400)
    assert change.detail == "no result for 3 intervals"
    assert status(quiet, Rules()) == "unknown"


def test_no_data_of_a_monitor_without_results_began_when_it_was_to_be_checked() -> None:
    _, change = open_no_data(Health(), START, START + 400)

    assert change.started_at == START


def test_no_data_ends_with_the_first_news() -> None:
    quiet, _ = open_no_data(live(checks("+++"))[0], 0, START + 400)
    old, none, *_ = observe(quiet, [check(3)], Rules(), START + 86_400)
    offline, none_either, *_ = observe(old, [check(1_439, "?")], Rules(), START + 86_400)
    after, new, *_ = observe(offline, [check(1_440)], Rules(), START + 86_400)

    assert (none, none_either) == ([], [])
    assert in_slots(new) == [("resolved", NO_DATA, 2, 1_440)]
    assert after.no_data is None


def test_an_outage_outlasts_a_time_without_data() -> None:
    quiet, _ = open_no_data(live(checks("---"))[0], 0, START + 600)

    _, changed = live(checks("-++", first=20), health=quiet)

    assert in_slots(changed) == [("resolved", NO_DATA, 2, 20), ("resolved", DOWN, 0, 21)]


def test_what_is_open_ends_when_nobody_checks_any_more() -> None:
    failing, _ = live(checks("---"))
    quiet, _ = open_no_data(failing, 0, START + 600)

    rested, ended = end_unchecked(quiet, START + 720)

    assert in_slots(ended) == [("resolved", DOWN, 0, 12), ("resolved", NO_DATA, 2, 12)]
    assert {(each.reason, each.detail) for each in ended} == {(None, "no longer checked")}
    assert in_slots(live(checks("---", first=20), health=rested)[1]) == [("opened", DOWN, 20, 22)]


def test_what_was_never_opened_is_past_when_nobody_checks_any_more() -> None:
    held, _, *_ = observe(Health(), checks("---"), Rules(), START + 86_400)

    _, (change,) = end_unchecked(held, START + 86_400)

    assert in_slots([change]) == [("past", DOWN, 0, 1_440)]
    assert change.reason == "status"


def test_an_episode_survives_the_database() -> None:
    health = Health(
        {"here": LocationState(1.5, 2.5, "down", failed=(None, 1.0))}, outage=Episode(DOWN, 1.0, 2.0, 3.0)
    )

    assert msgspec.json.decode(msgspec.json.encode(health), type=Health) == health


def test_what_an_earlier_version_stored_is_read() -> None:
    episode = b'{"kind":"no_data","started_at":1.0,"decided_at":2.0,"heard_at":3.0,"told":true}'

    health = msgspec.json.decode(b'{"silence":%s,"rested_at":4.0}' % episode, type=Health)

    assert health == Health(no_data=Episode(NO_DATA, 1.0, 2.0, 3.0, was_opened=True))
    assert msgspec.json.encode(health) == b'{"silence":%s}' % episode


def test_what_is_not_stored_of_a_location_is_as_usual() -> None:
    stored = b'{"at":1.0,"until":2.0,"status":"up"}'

    assert msgspec.json.decode(stored, type=LocationState) == LocationState(
        1.0,
        2.0,
        "up",
        known_at=None,
        down=False,
        since=0.0,
        streak=0,
        streak_at=0.0,
        failed=(),
        unproven=False,
    )
