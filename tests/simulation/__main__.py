"""Simulate the processes of a location in virtual time, and count what becomes of the slots.

`python -m tests.simulation [--seeds 100] [--first 1] [--only NAME]`
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence

from tests.simulation.account import Account
from tests.simulation.process import virtual_time
from tests.simulation.scenarios import SCENARIOS, Scenario


def broken(account: Account) -> Iterator[str]:
    """Yield what was promised and is not so."""
    if missing := account.missing:
        yield f"{len(missing)} slots missing: {missing[:3]}"
    if account.repeated:
        yield f"{account.repeated} slots run twice by one process"


def main(arguments: Sequence[str]) -> int:
    """Print a table; return 1 when a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="of each scenario")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--only", default="", help="scenarios with this in their names")
    chosen = parser.parse_args(arguments)
    wrong = False
    print("| scenario | slots | missing | twice | more often | taken over after: median, 99 %, longest |")
    print("| --- | --- | --- | --- | --- | --- |")
    with virtual_time():
        for scenario in SCENARIOS:
            if chosen.only in scenario.name:
                wrong |= report(scenario, range(chosen.first, chosen.first + chosen.seeds))
    return int(wrong)


def report(scenario: Scenario, seeds: Sequence[int]) -> bool:
    """Print the row of a scenario, and after it each seed that broke a promise; return whether one did."""
    times: Counter[int] = Counter()
    taken_over_s: list[float] = []
    lines = []
    slots = missing = 0
    for seed in seeds:
        account = scenario.simulate(seed)
        lines += [f"seed {seed}: {why}" for why in broken(account)]
        times.update(account.times)
        taken_over_s += account.taken_over_s
        slots += len(account.needed)
        missing += len(account.missing)
    taken_over_s.sort()
    spread = "-"
    if taken_over_s:
        late_s = taken_over_s[len(taken_over_s) * 99 // 100]
        spread = f"{taken_over_s[len(taken_over_s) // 2]:.1f}, {late_s:.1f}, {taken_over_s[-1]:.1f}"
        if late_s > scenario.taken_over_s:
            lines.append(f"a hundredth of the deaths is noticed after {late_s:.1f} s or more")
    more = sum(amount for each, amount in times.items() if each > 2)
    print(f"| {scenario.name} | {slots:,} | {missing:,} | {times[2]:,} | {more:,} | {spread} |", flush=True)
    for line in lines:
        print(line, file=sys.stderr)
    return bool(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
