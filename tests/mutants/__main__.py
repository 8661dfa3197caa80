"""Change `monitor/` at random places, one at a time, and count how often the tests notice.

`python -m tests.mutants [--seed 1] [--count 200] [--jobs 2] [--only monitor/alerts/ monitor/reload.py]`
"""

import argparse
import compileall
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.mutants.changes import Change, changes, compiles
from tests.mutants.choice import Choice
from tests.mutants.reach import Reach, copy, reach, sources
from tests.mutants.trial import Outcome, attempt

ROOT = Path(__file__).parents[2]
EQUIVALENT = Path(__file__).with_name("equivalent.toml")
LEAST_PERCENT = 90


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one file."""

    path: str
    source: str
    change: Change

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.path, *self.change.shown(self.source))

    def __str__(self) -> str:
        line = self.source.count("\n", 0, self.change.start) + 1
        before, after = self.change.shown(self.source)
        return f"{self.path}:{line}\n    {before}\n    {after}"


def mutants(sources: Mapping[str, str]) -> Iterator[list[Mutant]]:
    """Yield the mutants of each line where there are any."""
    for path, source in sources.items():
        lines: dict[int, list[Mutant]] = {}
        for change in changes(source):
            lines.setdefault(source.count("\n", 0, change.start), []).append(Mutant(path, source, change))
        yield from lines.values()


def draw(sources: Mapping[str, str], seed: int) -> Iterator[Mutant]:
    """Yield one mutant of each line, in an order that only the seed and the texts of the lines decide.

    So a line that is added elsewhere leaves the others where they are.
    """
    times: Counter[str] = Counter()
    ranked = []
    for line in mutants(sources):
        path, before, _ = line[0].key
        place = f"{seed}\0{path}\0{before}"
        times[place] += 1
        place += f"\0{times[place]}"
        ranked.append((_rank(place), sorted(line, key=lambda each: _rank(place + each.key[2]))))
    for _, line in sorted(ranked, key=itemgetter(0)):
        yield from islice((each for each in line if compiles(each.change.apply(each.source))), 1)


def _rank(text: str) -> bytes:
    return sha256(text.encode()).digest()


def equivalent(file: Path = EQUIVALENT) -> dict[tuple[str, str, str], str]:
    entries = tomllib.loads(file.read_text()).get("equivalent", [])
    return {(entry["path"], entry["before"], entry["after"]): entry["why"] for entry in entries}


@dataclass(frozen=True, slots=True)
class Sample:
    """The mutants that were run, and how it went; those that are known to change nothing."""

    outcomes: list[tuple[Mutant, Outcome]]
    same: list[Mutant]

    def count(self, *outcomes: Outcome) -> int:
        return sum(outcome in outcomes for _, outcome in self.outcomes)

    @property
    def killed(self) -> int:
        return self.count(Outcome.KILLED, Outcome.TIMED_OUT)

    @property
    def judged(self) -> int:
        return len(self.outcomes) - self.count(Outcome.BROKEN)

    @property
    def enough(self) -> bool:
        return self.killed * 100 >= self.judged * LEAST_PERCENT and not self.count(Outcome.UNCLEAR)

    def summary(self, seed: int) -> str:
        percent = self.killed * 100 // max(1, self.judged)
        return (
            f"Mutants killed: {percent} %, {self.killed} of {self.judged} that change behaviour "
            f"({self.count(Outcome.TIMED_OUT)} timed out); {len(self.same)} more are equivalent; seed {seed}"
        )


def run(tree: Path, reached: Reach, drawn: Iterator[Mutant], count: int, jobs: int) -> Sample:
    """Run as many of the drawn mutants as asked for; one that cannot be imported is replaced by the next."""
    known = equivalent()
    choice = Choice(tree, reached)
    sample = Sample([], [])

    def attempted(mutant: Mutant) -> tuple[Mutant, Outcome]:
        tests = choice.tests(mutant.path, mutant.change)
        outcome = attempt(tree, mutant.path, mutant.change.apply(mutant.source), tests, reached.took_s)
        print(f"{outcome}, {len(tests)} tests: {mutant}", flush=True)
        return mutant, outcome

    with ThreadPoolExecutor(jobs) as pool:
        while more := list(islice(drawn, count - sample.judged - len(sample.same))):
            sample.same.extend(mutant for mutant in more if mutant.key in known)
            sample.outcomes.extend(
                pool.map(attempted, (mutant for mutant in more if mutant.key not in known))
            )
    return sample


def options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=2, help="how many at the same time (2)")
    parser.add_argument("--only", nargs="+", default=["monitor/"], help="files and folders to change (all)")
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    chosen = options(argv)
    with TemporaryDirectory(prefix="mutants-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        tree = folder / "tree"
        copy(ROOT, tree)
        texts = sources(tree)
        chosen_texts = {path: text for path, text in texts.items() if path.startswith(tuple(chosen.only))}
        every = {mutant.key for line in mutants(texts) for mutant in line}
        for key in equivalent().keys() - every:
            print(f"{EQUIVALENT.name}: no longer there: {' | '.join(key)}")
        reached = reach(tree, folder, ROOT / ".mutants_cache")
        compileall.compile_dir(tree, quiet=2)
        print(f"{len(reached.took_s)} tests; now the mutants", flush=True)
        sample = run(tree, reached, draw(chosen_texts, chosen.seed), chosen.count, chosen.jobs)
    print("\nSurvivors:")
    for mutant, outcome in sample.outcomes:
        if outcome in {Outcome.SURVIVED, Outcome.UNCLEAR}:
            print(f"{outcome}: {mutant}")
    print(sample.summary(chosen.seed))
    return 0 if sample.enough else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
