"""Running `tests.embedded.program`, and waiting for what it leaves."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil


async def eventually(is_so: Callable[[], bool], what: str, limit_s: float = 60) -> None:
    until = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < until, f"not so after {limit_s} s: {what}"
        await asyncio.sleep(0.01)


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@contextmanager
def program(
    data_dir: Path, uid: int, path: str | None = None
) -> Iterator[tuple["subprocess.Popen[str]", dict[str, Any]]]:
    """Run it, unseen by coverage, and end it as its user would."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    environ["PATH"] = path or environ["PATH"]
    running = subprocess.Popen(
        [sys.executable, "-m", "tests.embedded.program", str(data_dir), str(uid)],
        cwd=Path(__file__).parents[2],
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert running.stdin
    assert running.stdout
    try:
        line = running.stdout.readline()
        assert line, f"ended with {running.wait(60)}"
        yield running, json.loads(line)
    finally:
        running.stdin.close()
        running.wait(60)
        running.stdout.close()
