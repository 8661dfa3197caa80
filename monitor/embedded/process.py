"""A server that this program starts as a child process, watches, and ends."""

import asyncio
import logging
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from monitor.embedded.account import EmbeddedError, ServerUser
from monitor.runtime.tasks import Tasks
from monitor.runtime.waiting import delays

_LOOK_S = 1.0
_SHORT_LOOK_S = 0.01
_MAX_LOG_BYTES = 10_000_000
_TAIL_BYTES = 4_000

# What a server gets of our environment, which has secrets of the configuration in it.
_INHERITED = {
    "DYLD_LIBRARY_PATH",
    "HOME",
    "LANG",
    "LANGUAGE",
    "LD_LIBRARY_PATH",
    "LOGNAME",
    "PATH",
    "TEMP",
    "TMP",
    "TMPDIR",
    "TZ",
    "USER",
    "XDG_RUNTIME_DIR",
}

_log = logging.getLogger(__name__)

Endings = Sequence[tuple[signal.Signals, float]]


class Child:
    """One server, as at most one process at a time.

    `endings` are the signals that end it, each with the seconds to wait for that. On Linux it gets
    `death_signal` when this program dies; therefore, `launch` it from the main thread only.
    """

    def __init__(
        self,
        name: str,
        log_path: Path,
        endings: Endings,
        death_signal: signal.Signals,
        user: ServerUser | None = None,
    ) -> None:
        self.name = name
        self._log_path = log_path
        self._endings = endings
        self._death_signal = death_signal
        self._user = user
        self._process: psutil.Popen | None = None

    @property
    def process(self) -> psutil.Popen:
        """The process that was started last."""
        assert self._process is not None, f"{self.name} was never launched"  # noqa: S101 - a bug of ours
        return self._process

    def launch(self, command: Sequence[str | Path], cwd: Path) -> None:
        """Start the process; Ctrl-C in the terminal does not reach it.

        Raises:
            OSError: the program cannot be run.

        """
        self._bound_log()
        setpriv = shutil.which("setpriv")
        guard = (setpriv, "--pdeathsig", self._death_signal.name[3:], "--") if setpriv else ()
        credentials: dict[str, Any] = {}
        if self._user and self._user.uid != os.geteuid():
            credentials = {"user": self._user.uid, "group": self._user.gid, "extra_groups": []}
        with self._log_path.open("ab") as log:
            self._process = psutil.Popen(
                [*guard, *command],
                cwd=cwd,
                env={
                    name: value
                    for name, value in os.environ.items()
                    if name in _INHERITED or name.startswith("LC_")
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **credentials,
            )

    async def until(self, is_ready: Callable[[], bool], limit_s: float) -> None:
        """Wait until it is ready.

        Raises:
            EmbeddedError: it ended before that, or was not ready in time.

        """
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                while self.process.poll() is None:
                    with suppress(psutil.Error):  # it may end while we look at it
                        if is_ready():
                            return
                    await asyncio.sleep(_SHORT_LOOK_S)
        raise self._failure(limit_s)

    async def succeeds(self, limit_s: float) -> None:
        """Wait until it has ended with exit code 0.

        Raises:
            EmbeddedError: it failed, or did not end in time.

        """
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                while (code := self.process.poll()) is None:  # noqa: ASYNC110 - it has no event
                    await asyncio.sleep(_SHORT_LOOK_S)
                if code == 0:
                    return
        raise self._failure(limit_s)

    def _failure(self, limit_s: float) -> EmbeddedError:
        code = self.process.poll()
        reason = f"takes more than {limit_s:g} s" if code is None else f"ended with exit code {code}"
        return EmbeddedError(f"{self.name} {reason}; {self._log_path} ends with: {self._last_line()}")

    async def ended(self) -> int:
        """Wait until it ends by itself, and return the exit code; meanwhile keep its log bounded."""
        while self.process.poll() is None:
            await asyncio.sleep(_LOOK_S)
            self._bound_log()
        return int(self.process.returncode)

    async def end(self) -> None:
        """End the process, if there is one, and return when it is gone. When cancelled, kill it at once."""
        if self._process is not None:
            await end(self._process, self._endings)

    def _bound_log(self) -> None:
        with suppress(FileNotFoundError):
            if self._log_path.stat().st_size > _MAX_LOG_BYTES:
                os.truncate(self._log_path, 0)

    def _last_line(self) -> str:
        lines = self._log_path.read_bytes()[-_TAIL_BYTES:].decode(errors="replace").splitlines()
        return next((line for line in reversed(lines) if line.strip()), "(nothing)")


async def end(process: psutil.Process, endings: Endings) -> None:
    """End a process, ours or an orphan, by one signal after the other. When cancelled, kill it at once."""
    try:
        for number, patience_s in endings:
            with suppress(psutil.NoSuchProcess, TimeoutError):
                process.send_signal(number)
                async with asyncio.timeout(patience_s):
                    while not _is_gone(process):  # noqa: ASYNC110 - it has no event
                        await asyncio.sleep(_SHORT_LOOK_S)
                    return
    finally:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _is_gone(process: psutil.Process) -> bool:
    if isinstance(process, psutil.Popen):
        return process.poll() is not None
    return process.status() == psutil.STATUS_ZOMBIE


def running(pid_file: Path, belongs: Callable[[psutil.Process], bool]) -> psutil.Process | None:
    """Return the process whose number is the file's first line, if it runs and belongs to us."""
    try:
        process = psutil.Process(int(pid_file.read_text().splitlines()[0]))
        return process if belongs(process) else None
    except (OSError, ValueError, IndexError, OverflowError, psutil.Error):
        return None


@asynccontextmanager
async def kept_running(
    child: Child, start: Callable[[], Awaitable[None]], restart: Callable[[], Awaitable[None]]
) -> AsyncIterator[None]:
    """Start the server, start it again whenever it ends, and end it on leaving.

    Raises:
        EmbeddedError: the first start failed. A later start that fails is repeated.

    """
    try:
        try:
            await start()
        except OSError as error:
            raise EmbeddedError(f"{child.name} cannot be started: {error}") from error
        async with Tasks() as tasks:
            watch = tasks.start(f"the watch of {child.name}", _watch(child, restart))
            yield
            tasks.end(watch)
    finally:
        await child.end()


async def _watch(child: Child, restart: Callable[[], Awaitable[None]]) -> None:
    while True:
        _log.warning("%s ended with exit code %d, starting it again", child.name, await child.ended())
        await _restart(child, restart)
        _log.info("%s runs again", child.name)


async def _restart(child: Child, restart: Callable[[], Awaitable[None]]) -> None:
    delays_s = delays()
    while True:
        try:
            return await restart()
        except (EmbeddedError, OSError) as error:
            await child.end()
            delay_s = next(delays_s)
            _log.warning("%s, trying again in %g s: %s", child.name, delay_s, error)
            await asyncio.sleep(delay_s)
