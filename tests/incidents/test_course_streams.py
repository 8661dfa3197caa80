"""What holds of every stream of results."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from monitor.incidents.course import observe
from monitor.incidents.model import Health, Kind
from monitor.incidents.rules import Rules, Sample
from monitor.result import CheckResult
from tests.observing import (
    START,
    check,
    checks,
    live,
)


def stretch(first: int, last: int, signs: str, most: int) -> Any:
    """Some results of three locations, between two slots."""
    drawn = st.tuples(st.integers(first, last), st.sampled_from(signs), st.sampled_from("abc"))
    return st.lists(drawn, max_size=most, unique_by=lambda each: (each[0], each[2]))


STEADY = stretch(0, 120, "++++---~?", 120) | stretch(0, 120, "++~~~--", 120)
INTERRUPTED = st.builds(list.__add__, stretch(0, 100, "+--~", 6), stretch(105, 120, "+-~?", 12))
RESULTS = (STEADY | INTERRUPTED).map(lambda drawn: [check(*each) for each in sorted(drawn)])
CUTS = st.lists(st.integers(0, 120), max_size=6)
ANY_RULES = st.sampled_from(
    [
        Rules(),
        Rules(failures=1, successes=1),
        Rules(sample=Sample(of=5, bad=3)),
        Rules(quorum=2, failures=2),
        Rules(failures=2, degraded=True),
    ]
)


def batches(results: list[CheckResult], cuts: Sequence[int]) -> list[list[CheckResult]]:
    return [results[start:end] for start, end in pairwise([0, *sorted(cuts), len(results)])]


def incidents(parts: Sequence[Sequence[CheckResult]], rules: Rules, late_s: float) -> Any:
    """Every incident that is found, with its end or None."""
    health, ended = Health(), []
    for batch in parts:
        health, new, _, late, _ = observe(health, batch, rules, START + 7_201 + late_s)
        assert not late
        ended += [(each.kind, each.started_at, each.at) for each in new if each.change != "opened"]
        health = msgspec.json.decode(msgspec.json.encode(health), type=Health)
    going_on = [each for each in (health.outage, health.flapping) if each]
    return ended, [(each.kind, each.started_at) for each in going_on], health.locations


@given(RESULTS, ANY_RULES, CUTS, st.sampled_from([0, 86_400]))
def test_batches_and_delays_change_no_incident(
    results: list[CheckResult], rules: Rules, cuts: list[int], late_s: float
) -> None:
    assert incidents(batches(results, cuts), rules, late_s) == incidents([results], rules, 0)


@given(RESULTS, ANY_RULES, CUTS, st.integers(0, 600))
@example(
    [*checks("---", "b"), check(6, "+", "a"), check(118, "-", "a"), check(119, "+", "b")], Rules(), [], 60
)
def test_results_that_come_twice_change_no_incident(
    results: list[CheckResult], rules: Rules, cuts: list[int], later_s: float
) -> None:
    once, now = Health(), START
    for batch in batches(results, cuts):
        now = max([now, *(result.timestamp + 1 for result in batch)])
        once, *_ = observe(once, batch, rules, now)

    twice, new, *_ = observe(once, results, rules, now + later_s)

    assert twice == once
    assert new == []


@given(RESULTS, ANY_RULES)
@example(
    [
        check(*each)
        for each in [(0, "~", "b"), (0, "~", "c"), (1, "~", "b"), (2, "+", "a"), (2, "~", "c"), (6, "+", "a")]
    ],
    Rules(failures=2, degraded=True),
)
def test_incidents_of_one_kind_never_overlap(results: list[CheckResult], rules: Rules) -> None:
    _, changed = live(results, rules)

    for kind in Kind:
        ended_at = -math.inf
        for each in changed:
            if each.kind is kind and each.change in {"resolved", "past"}:
                assert ended_at <= each.started_at <= each.at
                ended_at = each.at
