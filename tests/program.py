"""The program as its users run it: a process, a configuration file, what it prints."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import pytest

ROOT = Path(__file__).parent.parent


class Program:
    """`main.py` with one configuration; `stderr` collects what all its runs print."""

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        self.folder = folder
        self.path = folder / "config.json"
        self.script: tuple[str, ...] = ("main.py",)
        self.stderr = folder / "stderr"
        self.stderr.touch()
        self.environ: dict[str, str] = {}
        self.write(config)
        self._process: subprocess.Popen[bytes] | None = None

    def write(self, config: dict[str, Any]) -> None:
        """Replace the configuration as an editor does: all at once."""
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps({"data_dir": "d", "shutdown_grace_s": 8, "web_port": 0} | config))
        new.replace(self.path)

    @property
    def process(self) -> psutil.Process:
        assert self._process
        return psutil.Process(self._process.pid)

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, *arguments: str) -> None:
        self._close_output()
        with self.stderr.open("ab") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, *self.script, "--config", str(self.path), *arguments],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=os.environ | {"COLUMNS": "200"} | self.environ,
            )

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, limit_s: float = 60) -> int:
        assert self._process
        return self._process.wait(limit_s)

    def run(self, *arguments: str, limit_s: float = 90) -> tuple[int, str]:
        """Run to the end; return the exit code and what it printed to stdout."""
        self.start(*arguments)
        assert self._process
        output, _ = self._process.communicate(timeout=limit_s)
        return self._process.returncode, output.decode()

    def stop(self) -> int:
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> list[psutil.Process]:
        """End it as a power cut would; return the servers that it had started."""
        servers = self.process.children(recursive=True)
        self.signal(signal.SIGKILL)
        self.wait()
        return servers

    def end(self) -> None:
        if self._process and self._process.poll() is None:
            servers = self.process.children(recursive=True)
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
            try:
                self.wait()
            except subprocess.TimeoutExpired:
                self.kill()
            _, alive = psutil.wait_procs(servers, timeout=60)
            assert not alive
        self._close_output()

    def _close_output(self) -> None:
        if self._process and self._process.stdout:
            self._process.stdout.close()

    def printed(self) -> str:
        return self.stderr.read_text(errors="replace")

    def prints(self, pattern: str, times: int = 1, limit_s: float = 60) -> "re.Match[str]":
        """Wait until it has printed this so many times; return the last."""
        until(lambda: len(re.findall(pattern, self.printed())) >= times, f"{pattern!r} printed", limit_s)
        return list(re.finditer(pattern, self.printed()))[-1]

    def database(self) -> str:
        return str(self.prints(r" database: (\S+)")[1])


def until(holds: Callable[[], bool], what: str, limit_s: float = 60) -> None:
    """Poll with a limit."""
    ends = time.monotonic() + limit_s
    while not holds():
        if time.monotonic() > ends:
            raise TimeoutError(f"not {what} within {limit_s} s")
        time.sleep(0.05)


def need(*programs: str) -> None:
    """Skip the test where these are not installed."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"needs {' and '.join(missing)}")


Start = Callable[..., Program]


@contextmanager
def programs() -> Iterator[Start]:
    """Make programs, each in a folder of its own; they are ended in the end."""
    with ExitStack() as after:

        def make(**config: Any) -> Program:
            folder = Path(after.enter_context(TemporaryDirectory(prefix="whm-")))
            made = Program(folder, config)
            after.callback(made.end)
            return made

        yield make


@pytest.fixture
def program() -> Iterator[Start]:
    """Make a test's programs."""
    with programs() as make:
        yield make
