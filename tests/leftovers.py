"""A test that leaves something behind fails, with a list of what it left.

Threads, tasks, processes (detached ones, too), open files and sockets, files, and changed settings of the
process count. What the fixtures of a module or of the run make is theirs, and has to be gone after the run.
"""

import asyncio
import gc
import logging
import os
import resource
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import pytest
import uvloop

_MEMORY, _DISK = "/dev/shm", "/tmp"  # noqa: S108 - a folder of our own is made there
_ROOM_BYTES = 3 << 30
_LOOKS = 4  # on a busy machine the time may be over before anything had a turn

Trace = tuple[str, Any]  # a kind, and what tells one of this kind from another

_PROC = Path("/proc")  # where there is none, processes and descriptors are not watched
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR1)
LOGGERS = ("monitor", "aiohttp", "aiokafka", "asyncio")  # others configure themselves where they are imported
_KERNEL = (0, 2)  # the parents of what has no environment at all
LIMITS = ("RLIMIT_NOFILE", "RLIMIT_FSIZE", "RLIMIT_AS", "RLIMIT_CORE")


class Watch:
    """Looks at this process, those that come from it, its temporary files, and the tree of the repository."""

    def __init__(self, tree: Path, temporary: str, limit_s: float) -> None:
        self.kept: set[Trace] = set()
        self._temporary = temporary
        self._limit_s = limit_s
        self._folders = [Path(temporary), tree]
        self._foreign: set[str] = set()
        self._last = self.look()

    def look(self) -> set[Trace]:
        threads: set[Trace] = {("thread", thread) for thread in threading.enumerate()}
        return threads | self._processes() | _descriptors() | self._files()

    def fail_for_what_is_left(self, settings: dict[str, object]) -> None:
        """Fail where something has come since the last time, or a setting is another, and stays so.

        What comes and goes meanwhile is of the servers of wider fixtures.
        """
        ends = time.monotonic() + self._limit_s
        traces, looks = self.look(), 1
        left = traces - self._last - self.kept
        while (described := [*self._described(left), *_changes(settings)]) and (
            looks < _LOOKS or time.monotonic() < ends
        ):
            gc.collect()  # what Python has to close itself is a ResourceWarning, hence a failure of its own
            time.sleep(0.01)  # what ends now has no event of ours
            traces, looks = self.look(), looks + 1
            left &= traces
        self._last = traces
        if described:
            _fail(described)

    def _described(self, traces: set[Trace]) -> list[str]:
        described: dict[str, Callable[[Any], str | None]] = {
            "thread": lambda thread: thread.name if thread.is_alive() else None,
            "process": _process,
            "descriptor": lambda descriptor: _descriptor(*descriptor),
            "file": str,
        }
        lines = ((kind, described[kind](what)) for kind, what in traces)
        return sorted(f"{kind} {line}" for kind, line in lines if line)

    def _processes(self) -> set[Trace]:
        """Find the processes that this one has started, and those that these have.

        All inherit TMPDIR. One whose environment cannot be read yet, as it just begins, is looked at again.
        """
        ours: set[Trace] = set()
        running = {each.name for each in _PROC.glob("[0-9]*")}
        self._foreign &= running
        for name in running - self._foreign - {str(os.getpid())}:
            with suppress(psutil.NoSuchProcess):
                if self._is_ours(psutil.Process(int(name))):
                    ours.add(("process", int(name)))
                elif _environment(name) is not None:
                    self._foreign.add(name)
        return ours

    def _is_ours(self, process: psutil.Process) -> bool:
        if process.ppid() == os.getpid():
            return True
        inherited = f"TMPDIR={self._temporary}" in (_environment(str(process.pid)) or "").split("\0")
        return inherited or self._temporary in " ".join(process.cmdline())

    def _files(self) -> set[Trace]:
        found = (path for folder in self._folders for path in folder.iterdir())
        return {("file", path) for path in found if not path.name.startswith((".", "__pycache__"))}


def _environment(pid: str) -> str | None:
    """Return a process's environment; "" where that is nobody's business, `None` while there is none yet."""
    try:
        written = (_PROC / pid / "environ").read_text(errors="replace")
    except OSError:
        return ""
    if written or psutil.Process(int(pid)).ppid() in _KERNEL:
        return written
    return None


def _fail(left: list[str]) -> None:
    pytest.fail("left behind:\n" + "\n".join(f"  {line}" for line in left), pytrace=False)


def _process(pid: int) -> str | None:
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        return f"{pid}: " + (" ".join(process.cmdline()) or f"({process.name()}, {process.status()})")
    return None


def _descriptors() -> set[Trace]:
    found: set[Trace] = set()
    if _PROC.exists():
        for link in (_PROC / "self/fd").iterdir():
            with suppress(FileNotFoundError):  # the one that lists them
                found.add(("descriptor", (int(link.name), str(link.readlink()))))
    return found


def _descriptor(number: int, target: str) -> str:
    for connection in psutil.Process().net_connections() if target.startswith("socket:") else ():
        if connection.fd == number:
            return f"{number}: {connection.status} {connection.laddr} {connection.raddr}"
    return f"{number}: {target}"


def _settings() -> dict[str, object]:
    """Return what a test may change for those after it."""
    environ = {f"environment variable {name}": value for name, value in os.environ.items()}
    environ.pop("environment variable PYTEST_CURRENT_TEST", None)
    root = logging.getLogger()
    levels = {
        f"logger {name}": (logger.level, logger.disabled)
        for name, logger in root.manager.loggerDict.items()
        if isinstance(logger, logging.Logger) and name.startswith(LOGGERS)
    }
    return {
        **environ,
        **{name: value for name, value in levels.items() if value != (logging.NOTSET, False)},
        "logger root": (root.level, *root.handlers),
        **{f"handler of {number.name}": signal.getsignal(number) for number in SIGNALS},
        **{name: resource.getrlimit(getattr(resource, name)) for name in LIMITS},
        "working directory": str(Path.cwd()),
    }


def _changes(before: dict[str, object]) -> list[str]:
    now = _settings()
    return [
        f"{name}: {now.get(name)!r}, was {before.get(name)!r}"
        for name in sorted(now.keys() | before.keys())
        if now.get(name) != before.get(name)
    ]


def _fail_for_tasks(runner: asyncio.Runner, limit_s: float) -> None:
    """Fail where tasks still run after all fixtures; the runner would cancel them in silence."""
    tasks = asyncio.all_tasks(runner.get_loop())
    if tasks:
        _, running = runner.run(asyncio.wait(tasks, timeout=limit_s))
        if running:
            _fail([f"task {task.get_name()}: {task.get_coro()!r}" for task in running])


WATCH = pytest.StashKey[Watch]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("leftovers_end_within_s", "how long what a test started may take to end", default="10")


@pytest.fixture(scope="session", autouse=True)
def _watch(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    tmp_path_factory.getbasetemp()  # is to outlive the run, and so to be outside of our folder
    limit_s = float(request.config.getini("leftovers_end_within_s"))
    with TemporaryDirectory(prefix="t-", dir=_roomy()) as folder, pytest.MonkeyPatch.context() as patch:
        Path(folder).chmod(0o755)  # some servers run under other users
        patch.setenv("TMPDIR", folder)
        patch.setattr(tempfile, "tempdir", folder)
        uvloop.new_event_loop().close()  # the first makes a pipe for signals that stays with the process
        ignored = signal.signal(
            signal.SIGINT, signal.default_int_handler
        )  # as where a shell began it with `&`
        watch = Watch(request.config.rootpath, folder, limit_s)
        first, settings = watch.look(), _settings()
        request.config.stash[WATCH] = watch
        yield watch
        watch.kept.clear()
        watch._last = first
        watch.fail_for_what_is_left(settings)
        signal.signal(signal.SIGINT, ignored)


def _roomy() -> str:
    """Return the memory where it has room: there, making a database takes a tenth of the time.

    The path is short, as those of sockets in it have to be.
    """
    with suppress(OSError):
        found = os.statvfs(_MEMORY)
        if found.f_bavail * found.f_frsize >= _ROOM_BYTES and not found.f_flag & os.ST_NOEXEC:
            return _MEMORY if os.access(_MEMORY, os.W_OK) else _DISK
    return _DISK


@pytest.fixture(autouse=True)
def _leaves_nothing(_watch: Watch) -> Iterator[None]:
    settings = _settings()
    yield
    _watch.fail_for_what_is_left(settings)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, Any, Any]:
    """What wider fixtures make is not the test's."""
    watch = request.config.stash.get(WATCH, None)
    before = watch.look() if watch and fixturedef.scope != "function" else set()
    try:
        made = yield
    finally:
        if watch and fixturedef.scope != "function":
            watch.kept |= watch.look() - before
    if isinstance(made, asyncio.Runner):
        limit_s = float(request.config.getini("leftovers_end_within_s"))
        fixturedef.addfinalizer(partial(_fail_for_tasks, made, limit_s))
    return made
