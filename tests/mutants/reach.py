"""Which tests reach which lines, and how long each takes: one run of the whole suite, kept for the same tree.

The program's own processes count too: pytest names its current test in their environment.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import coverage

from tests.mutants.recording import OUTCOMES

FAILED = 1  # pytest's exit code
SUITE = ("-n", "logical", "--dist", "worksteal", "-m", "not kafka and not clients")
RUN = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "-p", "recording")
SETTINGS = """\
[run]
context = ${{PYTEST_CURRENT_TEST-}}
data_file = {folder}/coverage
parallel = true
patch = _exit
source = {tree}/monitor
"""


@dataclass(frozen=True, slots=True)
class Reach:
    """`tests[path][line]`: who runs it, and "" where that is no test but an import; `took_s[test]`."""

    tests: Mapping[str, Mapping[str, list[str]]]
    took_s: Mapping[str, float]

    def of(self, path: str, lines: Iterable[int]) -> set[str]:
        reached = self.tests.get(path, {})
        return {test for line in lines for test in reached.get(str(line), ())} - {""}

    def at_import(self, path: str, lines: Iterable[int]) -> bool:
        reached = self.tests.get(path, {})
        return any("" in reached.get(str(line), ()) for line in lines)


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Return what a run of pytest gets: nothing of a run of pytest or coverage around this one.

    It compiles to no file: a mutant as long and, to the second, as old as its source would not be read.
    """
    ours = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("COV", "PYTEST_CURRENT_TEST", "PYTEST_XDIST"))
    }
    set_here = {"PYTHONPATH": str(Path(__file__).parent), "PYTHONDONTWRITEBYTECODE": "1"}
    return ours | set_here | {OUTCOMES: str(folder / "outcomes"), **more}


def copy(root: Path, to: Path) -> None:
    """Copy the files that git knows, or would."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        check=True,
        capture_output=True,
    )
    for name in sorted(set(listed.stdout.decode().split("\0")) - {""}):
        if (root / name).exists():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, to / name)


def sources(tree: Path) -> dict[str, str]:
    files = sorted((tree / "monitor").rglob("*.py"))
    return {str(file.relative_to(tree)): file.read_text() for file in files}


def digest(tree: Path) -> str:
    seen = hashlib.sha256()
    for file in sorted(
        path for path in tree.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    ):
        seen.update(f"{file.relative_to(tree)}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return seen.hexdigest()[:16]


def reach(tree: Path, folder: Path, cache: Path, suite: Iterable[str] = SUITE) -> Reach:
    """Return it from the cache, or from a run in this copy of the tree; the run must be green."""
    kept = cache / f"{digest(tree)}.json"
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(asdict(_record(tree, folder, suite))))
    return Reach(**json.loads(kept.read_text()))


def _record(tree: Path, folder: Path, suite: Iterable[str]) -> Reach:
    settings = folder / "coveragerc"
    settings.write_text(SETTINGS.format(folder=folder, tree=tree))
    environ = environment(folder, COVERAGE_PROCESS_START=str(settings))
    run = subprocess.run([*RUN, *suite], cwd=tree, env=environ, check=False)
    failed = {each["test"] for each in outcomes(folder) if each["failed"]}
    if run.returncode == FAILED and failed:  # again, without others at the same time
        run = subprocess.run([*RUN, *sorted(failed)], cwd=tree, env=environ, check=False)
    run.check_returncode()
    return read(tree, folder)


def outcomes(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "outcomes").read_text().splitlines()]


def read(tree: Path, folder: Path) -> Reach:
    settings = folder / "coveragerc"
    measured = coverage.Coverage(config_file=str(settings))
    measured.combine()
    data = measured.get_data()
    tests = {
        str(Path(file).relative_to(tree)): {
            str(line): sorted({_test(context) for context in contexts})
            for line, contexts in data.contexts_by_lineno(file).items()
        }
        for file in sorted(data.measured_files())
    }
    took_s: dict[str, float] = defaultdict(float)
    for outcome in outcomes(folder):
        took_s[outcome["test"]] += outcome["took_s"]
    return Reach(tests, dict(took_s))


def _test(context: str) -> str:
    """Return the test's name; pytest adds the phase for processes: `… (call)`."""
    for phase in ("setup", "call", "teardown"):
        context = context.removesuffix(f" ({phase})")
    return context
