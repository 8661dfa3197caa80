"""Simulate the processes of a location in virtual time, and count what becomes of the slots.

`python -m tests.simulation [--seeds 100] [--first 1] [--only NAME] [--without PART]`
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

from tests.simulation.account import Account
from tests.simulation.parts import PARTS, without
from tests.simulation.scenarios import SCENARIOS, Scenario

ENOUGH = 20  # seeds for an average


@dataclass(slots=True)
class Sum:
    """What came of all seeds of a scenario."""

    scenario: Scenario
    times: Counter[int] = field(default_factory=Counter)
    accounts: list[Account] = field(default_factory=list)

    def add(self, account: Account) -> None:
        self.times.update(account.times)
        self.accounts.append(account)
        account.runs.clear()

    def row(self) -> list[object]:
        twice, more = self.times[2], sum(slots for times, slots in self.times.items() if times > 2)
        return [
            self.scenario.name,
            f"{self.times.total():,}",
            f"{self.times[0]:,} / {twice:,} / {more:,}",
            spread(chain.from_iterable(each.taken_over_s for each in self.accounts)),
            spread(chain.from_iterable(each.stopped_s for each in self.accounts)),
            spread(chain.from_iterable(each.joined_s for each in self.accounts)),
            f"{self.rounds:.1f}",
        ]

    @property
    def rounds(self) -> float:
        return sum(each.rounds for each in self.accounts) / len(self.accounts)


def spread(seconds: Iterator[float]) -> str:
    """Return the median and the longest."""
    found = sorted(seconds)
    return f"{found[len(found) // 2]:.1f}, {found[-1]:.1f}" if found else "-"


def broken(scenario: Scenario, account: Account) -> Iterator[str]:
    """Yield what was promised and is not so.

    Two deaths at a time excuse much, but not where all is planned: there a stop that is cut off is one, too.
    """
    times = account.times
    if account.repeated:
        yield f"{account.repeated} slots run twice by one process"
    if account.run_by_frozen:
        yield f"{account.run_by_frozen} slots run again by a process that stood still"
    if scenario.most != 1 and account.deaths_together:
        return
    if scenario.complete and times[0]:
        yield f"{times[0]} slots missing"
    if scenario.most and (more := sum(slots for each, slots in times.items() if each > scenario.most)):
        yield f"{more} slots run more than {scenario.most} times"
    yield from late(scenario, account)


def late(scenario: Scenario, account: Account) -> Iterator[str]:
    """Yield what took longer than is promised."""
    if max(account.taken_over_s, default=0) > scenario.taken_over_s:
        yield f"taken over after {max(account.taken_over_s):.1f} s"
    if scenario.most == 1 and account.deaths_at and not scenario.cut_off:
        yield f"{len(account.deaths_at)} stops cut off"
    if max(account.joined_s, default=0) > scenario.joined_s:
        yield f"a share after {max(account.joined_s):.1f} s"


def main(arguments: Sequence[str]) -> int:
    """Print a table; return 1 when a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="of each scenario")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--only", default="", help="scenarios with this in their names")
    parser.add_argument("--without", choices=PARTS, help="leave a part of the rule out")
    chosen = parser.parse_args(arguments)
    wrong = False
    print("| scenario | slots | missing / twice / more often | taken over | stopped | joined | rounds |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    with without(chosen.without):
        for scenario in SCENARIOS:
            if chosen.only in scenario.name:
                wrong |= report(scenario, range(chosen.first, chosen.first + chosen.seeds))
    return int(wrong)


def report(scenario: Scenario, seeds: Sequence[int]) -> bool:
    """Print the row of a scenario, and after it each seed that broke a promise; return whether one did."""
    total = Sum(scenario)
    lines = []
    for seed in seeds:
        account = scenario.simulate(seed)
        lines += [f"seed {seed}: {why}" for why in broken(scenario, account)]
        total.add(account)
    if len(seeds) >= ENOUGH and total.rounds > scenario.rounds:
        lines.append(f"{total.rounds:.1f} rounds on an average")
    print("|", " | ".join(map(str, total.row())), "|", flush=True)
    for line in lines:
        print(line, file=sys.stderr)
    return bool(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
