"""How long a busy machine lets a process wait for a processor: time that the process cannot be blamed for."""

import threading
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import psutil

if TYPE_CHECKING:
    from tests.program import Program

_LOOK_S = 0.02
_REMEMBERED = 500


def waits(pid: int | str = "self") -> dict[str, int]:
    """Return how long each of its threads has waited so far, in ns."""
    found: dict[str, int] = {}
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError, IndexError):  # it has just ended
                found[thread.name] = int((thread / "schedstat").read_text().split()[1])
    return found


def starved_s(before: dict[str, int], after: dict[str, int]) -> float:
    """Sum up what the threads that are still there waited in between."""
    return sum(max(0, ns - before.get(thread, 0)) for thread, ns in after.items()) / 1e9


class Starvation:
    """Watches a program, also over its restarts."""

    def __init__(self, program: "Program") -> None:
        self._program = program
        self._seen: deque[tuple[float, dict[str, int]]] = deque(maxlen=_REMEMBERED)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def span_s(self, own_s: float) -> float:
        """Return in how many of the last seconds the program had only so many for itself."""
        seen = list(self._seen)
        now, waited = seen[-1]
        for at, before in reversed(seen):
            if now - at - starved_s(before, waited) > own_s:
                return now - at
        return now - seen[0][0]

    def _watch(self) -> None:
        while not self._end.wait(_LOOK_S):
            with suppress(psutil.NoSuchProcess):  # it ends just now
                if self._program.runs:
                    self._seen.append((time.time(), waits(self._program.process.pid)))
