"""The clock of a process, to be set while it runs; durations go on as they are.

`python -m tests.chaos.clock FILE MODULE [ARGUMENT ...]` runs a module, with a clock that is ahead by the
seconds in FILE. It is Python's clock only. A library that is preloaded sets that of C, too, but then threads
that wait for the interpreter's lock spin: the event loop gets no processor for seconds, now and then.
"""

import runpy
import sys
import time
from collections.abc import Callable
from pathlib import Path

_LOOK_S = 0.2


class Clock:
    """Right until it is set."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "clock"
        self.set(0)

    def script(self, module: str, *arguments: str) -> tuple[str, ...]:
        """Return what runs this module by the clock, and notices within 0.2 s that it is set."""
        return ("-m", "tests.chaos.clock", str(self._path), module, *arguments)

    def set(self, offset_s: float) -> None:
        """Set it wrong by this much."""
        new = self._path.with_suffix(".new")
        new.write_text(str(offset_s))
        new.replace(self._path)


class _Ahead:
    """A clock that is ahead by what a file says."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._path = path
        self._clock = clock
        self._look_at = 0.0
        self._offset_s = 0.0

    def time(self) -> float:
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at, self._offset_s = now + _LOOK_S, float(self._path.read_text())
        return self._clock() + self._offset_s


if __name__ == "__main__":
    _, file, *sys.argv = sys.argv
    time.time = _Ahead(Path(file), time.time).time
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
