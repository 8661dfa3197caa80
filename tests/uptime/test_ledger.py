"""What batches add to the sums of hours, however results are cut into them and whenever they come."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.incidents.course import observe
from monitor.incidents.location import point_of
from monitor.incidents.model import Health
from monitor.incidents.rules import Rules
from monitor.result import CheckResult, Phases
from monitor.runtime.text import HOUR_S
from monitor.uptime.ledger import Ledger
from monitor.uptime.maintenance import Windows
from monitor.uptime.sums import UptimePoint, status_of
from tests.observing import START, check, checks, once

HOUR = int(START // HOUR_S)
SPENT = ("up", "degraded", "down", "maintenance")
TURN = (HOUR + 1) * HOUR_S
REACH_S = 12
Stretch = tuple[int, int]


def rules(stretches: Iterable[Stretch] = ()) -> Rules:
    """Return rules with windows from and to seconds after `TURN`."""
    windows = [once(TURN + start, TURN + end) for start, end in stretches]
    return Rules(interval_s=4, windows=Windows(windows) if windows else None)


def made(second: int, sign: str, location: str) -> CheckResult:
    """A result for a second after `TURN`."""
    at = float(TURN + second)
    return msgspec.structs.replace(check(second, sign, location), scheduled_at=at, timestamp=at)


def booked(batches: Iterable[Sequence[CheckResult]], rules: Rules) -> Iterator[Ledger]:
    """Yield the ledger of one shop after each batch."""
    ledger, health = Ledger(), Health()
    stored: list[CheckResult] = []
    for batch in batches:
        observed = observe(health, sorted(batch, key=lambda each: each.scheduled_at), rules, now=2 * START)
        health = observed.health
        stored += batch
        ledger.count_checks("shop", batch)
        ledger.count_time("shop", observed.superseded, rules.windows)
        for location in sorted({each.location for each in observed.late}):
            late = [point_of(each, rules) for each in observed.late if each.location == location]
            others = [
                UptimePoint(
                    each.scheduled_at, status_of(each.up, each.degraded), each.scheduled_at + rules.reach_s
                )
                for each in stored
                if each.location == location and each not in observed.late
            ]
            ledger.insert_late("shop", location, late, others, rules.windows)
        yield ledger


def seconds(ledger: Ledger) -> dict[tuple[str, int, str], float]:
    """Seconds by location, hour and what they count as."""
    found = {
        (location, hour, spent): round(length_s, 6)
        for (_, location, hour), entry in ledger.entries.items()
        for spent, length_s in zip(SPENT, entry.seconds, strict=True)
    }
    return {key: length_s for key, length_s in found.items() if length_s}


def recount(
    results: Iterable[CheckResult], stretches: Iterable[Stretch]
) -> dict[tuple[str, int, str], float]:
    """The same, each second by itself."""
    found: Counter[tuple[str, int, str]] = Counter()
    by_location: dict[str, dict[int, CheckResult]] = {}
    for result in results:
        by_location.setdefault(result.location, {})[int(result.scheduled_at)] = result
    for location, slots in by_location.items():
        for second in range(min(slots), max(slots)):
            latest = next((slots[at] for at in range(second, second - REACH_S, -1) if at in slots), None)
            if latest and latest.up is not None:
                is_open = any(start <= second - TURN < end for start, end in stretches)
                spent = "maintenance" if is_open else status_of(latest.up, latest.degraded)
                found[location, second // HOUR_S, spent] += 1
    return dict(found)


STRETCHES = st.lists(
    st.tuples(st.integers(-60, 50), st.integers(1, 40)).map(lambda given: (given[0], sum(given))), max_size=3
)


@st.composite
def arrivals(draw: st.DrawFn) -> list[list[CheckResult]]:
    """Results around a full hour, in any order, cut into batches anyhow."""
    slots = draw(
        st.lists(
            st.tuples(st.integers(-40, 40), st.sampled_from(["here", "there"])), unique=True, max_size=25
        )
    )
    results = [made(second, draw(st.sampled_from("+~-?")), location) for second, location in slots]
    cuts = sorted(draw(st.lists(st.integers(0, len(results)), max_size=5)))
    return [
        results[start:end]
        for start, end in zip([0, *cuts], [*cuts, len(results)], strict=True)
        if start < end
    ]


@given(arrivals(), STRETCHES)
def test_sums_are_those_of_a_count_by_the_second(
    batches: list[list[CheckResult]], stretches: list[Stretch]
) -> None:
    results: list[CheckResult] = []

    for batch, ledger in zip(batches, booked(batches, rules(stretches)), strict=True):
        results += batch
        assert seconds(ledger) == recount(results, stretches)


@given(arrivals(), STRETCHES)
def test_maintenance_takes_time_from_results_and_no_checks(
    batches: list[list[CheckResult]], stretches: list[Stretch]
) -> None:
    plain, ledger = Ledger(), Ledger()
    for plain in booked(batches, rules()):  # noqa: B007 - the last one is meant
        pass
    for ledger in booked(batches, rules(stretches)):  # noqa: B007
        pass

    assert ledger.entries.keys() == plain.entries.keys()
    for key, entry in ledger.entries.items():
        assert sum(entry.seconds) == pytest.approx(sum(plain.entries[key].seconds), abs=1e-6)
        assert entry.seconds[3] <= HOUR_S
        assert (entry.counts, entry.response_times) == (
            plain.entries[key].counts,
            plain.entries[key].response_times,
        )


def test_results_are_counted_by_their_status() -> None:
    ledger = Ledger()

    ledger.count_checks("shop", checks("+++~~-????"))

    (entry,) = ledger.entries.values()
    assert entry.counts == [3, 2, 1, 4]
    assert sum(entry.response_times.values()) == 5


def test_phases_of_results_that_are_up_are_summed_each_by_itself() -> None:
    whole, none = Phases(1.0, 2.0, 4.0, 8.0, 16.0), Phases()
    results = [
        msgspec.structs.replace(check(0, sign), phases=phases)
        for sign, phases in (("+", whole), ("~", whole), ("+", none), ("-", whole), ("?", whole))
    ]
    ledger = Ledger()

    ledger.count_checks("shop", results)

    (entry,) = ledger.entries.values()
    assert entry.phases == [2, 4, 8, 16, 32]


def test_a_window_begins_and_ends_in_the_middle_of_what_a_result_covers() -> None:
    results = [made(0, "+", "here"), made(10, "-", "here"), made(20, "+", "here")]

    (ledger,) = booked([results], rules([(3, 5), (8, 14)]))

    (entry,) = ledger.entries.values()
    assert entry.seconds == [6, 0, 6, 8]


def test_a_late_result_in_a_window_takes_nothing_from_it() -> None:
    books = booked([[made(0, "+", "here"), made(10, "+", "here")], [made(4, "-", "here")]], rules([(3, 7)]))

    assert [ledger.entries["shop", "here", HOUR + 1].seconds[:] for ledger in books] == [
        [6, 0, 0, 4],
        [3, 0, 3, 4],
    ]
