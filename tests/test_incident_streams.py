"""What holds of every stream of results."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from monitor.health import Health, Kind
from monitor.incident import observe
from monitor.result import CheckResult
from monitor.standing import Rules, Window
from tests.observing import (
    START,
    check,
    live,
)

RESULTS = st.lists(
    st.tuples(st.integers(0, 120), st.sampled_from("++++---~?"), st.sampled_from("abc")),
    max_size=120,
    unique_by=lambda drawn: (drawn[0], drawn[2]),
).map(lambda drawn: [check(*each) for each in sorted(drawn)])
ANY_RULES = st.sampled_from(
    [Rules(), Rules(failures=1, successes=1), Rules(window=Window(of=5, bad=3)), Rules(quorum=2, failures=2)]
)


def incidents(batches: Sequence[Sequence[CheckResult]], rules: Rules, late_s: float) -> Any:
    """Every incident that is found, with its end or None."""
    health, ended = Health(), []
    for batch in batches:
        health, new, _, overtaken, *_ = observe(health, batch, rules, START + 7_201 + late_s)
        assert not overtaken
        ended += [(each.kind, each.started_at, each.at) for each in new if each.change != "opened"]
        health = msgspec.json.decode(msgspec.json.encode(health), type=Health)
    going_on = [each for each in (health.outage, health.flapping) if each]
    return ended, [(each.kind, each.started_at) for each in going_on], health.locations


@given(RESULTS, ANY_RULES, st.lists(st.integers(0, 120), max_size=6), st.sampled_from([0, 86_400]))
def test_batches_and_delays_change_no_incident(
    results: list[CheckResult], rules: Rules, cuts: list[int], late_s: float
) -> None:
    edges = [0, *sorted(cuts), len(results)]
    batches = [results[start:end] for start, end in pairwise(edges)]

    assert incidents(batches, rules, late_s) == incidents([results], rules, 0)


@given(RESULTS, ANY_RULES)
def test_results_that_come_twice_change_no_incident(results: list[CheckResult], rules: Rules) -> None:
    once, _, *_ = observe(Health(), results, rules, START + 7_201)
    twice, new, *_ = observe(once, results, rules, START + 7_201)

    assert twice == once
    assert new == []


@given(RESULTS, ANY_RULES)
def test_incidents_of_one_kind_never_overlap(results: list[CheckResult], rules: Rules) -> None:
    _, changed = live(results, rules)

    for kind in Kind:
        ended_at = -math.inf
        for each in changed:
            if each.kind is kind and each.change != "opened":
                assert ended_at <= each.started_at <= each.at
                ended_at = each.at
