"""One mutant, in a tree of its own, and the tests that should notice it."""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from tests.mutants.reach import FAILED, RUN, environment, outcomes
from tests.mutants.recording import OUTCOMES


class Outcome(StrEnum):
    KILLED = "killed"
    TIMED_OUT = "timed out"
    SURVIVED = "SURVIVED"
    BROKEN = "no test can run"
    UNCLEAR = "UNCLEAR"


@dataclass(frozen=True, slots=True)
class Run:
    """How pytest ended, or None where it did not end in time; and what the tests said."""

    code: int | None
    tests: list[dict[str, Any]]

    @property
    def failed(self) -> dict[str, Any] | None:
        return next((test for test in self.tests if test["failed"]), None)


def attempt(tree: Path, path: str, text: str, tests: Sequence[str], took_s: Mapping[str, float]) -> Outcome:
    """Run the tests with this text at this path of a copy of the tree, until one fails.

    A test that fails must fail again by itself: on a busy machine one may fail without a reason.
    """
    with TemporaryDirectory(prefix="mutant-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)  # for the user that PostgreSQL runs as
        shutil.copytree(tree, folder / "tree")
        (folder / "tree" / path).write_text(text)
        left = list(tests)
        while left:
            run = run_tests(folder, left, took_s)
            if run.code == FAILED and run.failed and not run.failed["timed_out"]:
                again = run_tests(folder, [run.failed["test"]], took_s)
                if again.code == 0:
                    left = left[left.index(run.failed["test"]) + 1 :] if run.failed["test"] in left else []
                    continue
            return judge(run)
        return Outcome.SURVIVED


def judge(run: Run) -> Outcome:
    if run.code is None or (run.failed and run.failed["timed_out"]):
        return Outcome.TIMED_OUT
    if run.code == 0:
        return Outcome.SURVIVED
    if run.failed or run.code < 0:
        return Outcome.KILLED
    return Outcome.UNCLEAR if run.tests else Outcome.BROKEN


def run_tests(folder: Path, tests: Sequence[str], took_s: Mapping[str, float]) -> Run:
    run = _run(folder, tests, took_s)
    if run.code and run.code > 0 and not run.tests:  # the parameters of a test may come from what was changed
        run = _run(folder, list(dict.fromkeys(re.sub(r"\[.*", "", test) for test in tests)), took_s)
    return run


def _run(folder: Path, tests: Sequence[str], took_s: Mapping[str, float]) -> Run:
    (folder / "tests").write_text("\n".join(tests))
    (folder / "outcomes").write_text("")
    times = [took_s.get(test, 1.0) for test in tests]
    limits = f"--timeout={min(120, 30 + 10 * max(times)):.0f}", "--hypothesis-seed=0"
    environ = environment(folder)
    with (folder / "printed").open("w") as printed:
        process = subprocess.Popen(
            [*RUN, "-x", *limits, f"@{folder / 'tests'}"],
            cwd=folder / "tree",
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
        )
        try:
            code: int | None = process.wait(120 + 4 * sum(times))
        except subprocess.TimeoutExpired:
            code = None
        finally:
            end_all(environ[OUTCOMES])
            process.wait()
    return Run(code, outcomes(folder))


def end_all(marker: str) -> None:
    """End what a run of tests has started, however far away: the environment tells."""
    for process in psutil.process_iter():
        try:
            if process.environ().get(OUTCOMES) == marker:
                process.kill()
        except psutil.Error:
            pass  # not ours, or gone
