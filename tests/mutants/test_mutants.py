from itertools import islice
from pathlib import Path

import pytest

from tests.mutants.__main__ import Mutant, Sample, draw, run
from tests.mutants.changes import changes
from tests.mutants.choice import Choice
from tests.mutants.reach import Reach, reach, sources
from tests.mutants.trial import Outcome, Run, judge

ROOT = Path(__file__).parents[2]
LEVELS = """\
LIMIT = 3


def high(level):
    return level > LIMIT


def main():
    print(high(LIMIT + 1))
"""
TESTS = """\
import subprocess, sys

from monitor.levels import high

def test_more_is_high():
    assert high(40)

def test_the_program_prints_it():
    command = [sys.executable, "-c", "from monitor.levels import main; main()"]
    assert subprocess.run(command, check=True, capture_output=True).stdout == b"True\\n"
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A project with one module, whose tests do not look at the limit itself."""
    for path, text in (
        ("monitor/__init__.py", ""),
        ("monitor/levels.py", LEVELS),
        ("tests/test_levels.py", TESTS),
    ):
        (tmp_path / "tree" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / path).write_text(text)
    return tmp_path / "tree"


def test_a_seed_draws_the_same_mutants_and_another_draws_others() -> None:
    texts = {path: text for path, text in sources(ROOT).items() if "/delivery/" in path}
    first, again, other = (list(islice(draw(texts, seed), 20)) for seed in (1, 1, 2))

    assert first == again
    assert first != other


def test_a_line_more_leaves_the_others_of_the_sample() -> None:
    longer = {"monitor/levels.py": "LEAST = 1\n" + LEVELS}
    before = [mutant.key for mutant in draw({"monitor/levels.py": LEVELS}, 1)]

    after = [mutant.key for mutant in draw(longer, 1)]

    assert [key for key in after if key in before] == before


@pytest.mark.timeout(600)  # pytest starts four times
def test_what_the_tests_notice_is_killed_and_what_they_do_not_survives(tree: Path, tmp_path: Path) -> None:
    reached = reach(tree, tmp_path, tmp_path / "cache", suite=())
    drawn = [
        Mutant("monitor/levels.py", LEVELS, change)
        for change in changes(LEVELS)
        if change.shown(LEVELS)[1] in {"return level >= LIMIT", "print(high(LIMIT - 1))"}
    ]

    sample = run(tree, reached, iter(drawn), 2, 2)

    assert {mutant.key[2]: outcome for mutant, outcome in sample.outcomes} == {
        "return level >= LIMIT": Outcome.SURVIVED,
        "print(high(LIMIT - 1))": Outcome.KILLED,
    }
    assert not sample.enough
    assert "Mutants killed: 50 %, 1 of 2 that change behaviour (0 timed out)" in sample.summary(1)
    assert (tree / "monitor/levels.py").read_text() == LEVELS


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("return level > LIMIT", ["fast"]),
        ("LIMIT = 3", ["fast", "slow", "tests/test_limit.py::test_it"]),
        ("print(high(LIMIT + 1))", ["tests/test_levels.py::test_main", "fast", "slow"]),
    ],
)
def test_a_line_is_reached_by_who_runs_it_or_mentions_its_name(
    tree: Path, line: str, expected: list[str]
) -> None:
    """Only the functions count where the name is, not what imports the line; some run at import, too."""
    (tree / "tests/test_limit.py").write_text("from monitor.levels import LIMIT")
    (tree / "fast").touch()
    (tree / "slow").touch()
    ran = {"1": ["tests/test_limit.py::test_other"], "5": ["fast"], "9": ["", "slow", "fast"]}
    took_s = {"fast": 1, "slow": 2, "tests/test_limit.py::test_it": 3, "tests/test_levels.py::test_main": 4}
    reached = Reach({"monitor/levels.py": ran}, took_s)
    change = next(change for change in changes(LEVELS) if change.shown(LEVELS)[0] == line)

    assert Choice(tree, reached).tests("monitor/levels.py", change) == expected


def outcome(*, failed: bool, timed_out: bool = False) -> dict[str, object]:
    return {"test": "one", "took_s": 1, "failed": failed, "timed_out": timed_out}


@pytest.mark.parametrize(
    ("ended", "expected"),
    [
        (Run(0, [outcome(failed=False)]), Outcome.SURVIVED),
        (Run(1, [outcome(failed=True)]), Outcome.KILLED),
        (Run(1, [outcome(failed=True, timed_out=True)]), Outcome.TIMED_OUT),
        (Run(None, []), Outcome.TIMED_OUT),
        (Run(-15, [outcome(failed=False)]), Outcome.KILLED),
        (Run(2, []), Outcome.BROKEN),
        (Run(4, []), Outcome.BROKEN),
        (Run(5, []), Outcome.BROKEN),
        (Run(3, [outcome(failed=False)]), Outcome.UNCLEAR),
    ],
)
def test_only_a_test_that_fails_or_hangs_has_noticed(ended: Run, expected: Outcome) -> None:
    assert judge(ended) == expected


def test_a_sample_that_is_not_judged_to_its_end_is_not_enough() -> None:
    mutant = next(draw({"monitor/levels.py": LEVELS}, 1))

    assert Sample([(mutant, Outcome.KILLED)] * 9 + [(mutant, Outcome.SURVIVED)], []).enough
    assert not Sample([(mutant, Outcome.KILLED)] * 8 + [(mutant, Outcome.SURVIVED)], []).enough
    assert not Sample([(mutant, Outcome.KILLED)] * 99 + [(mutant, Outcome.UNCLEAR)], []).enough
