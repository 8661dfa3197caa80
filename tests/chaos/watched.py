"""`main.py` with a watch on its event loop: `python -m tests.chaos.watched REPORT [ARGUMENT ...]`.

REPORT gets a line of JSON for each time that the loop was stuck for more than 50 ms, and a file beside it for
each step of a task that took more than 20 ms of a processor.
"""

import json
import sys
import threading
import time
import traceback
from asyncio import AbstractEventLoop
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import main  # noqa: F401 - it handles a stop while the program loads
from monitor import cli
from tests.chaos.starvation import starved_s, waits
from tests.chaos.steps import measure

_TICK_S = 0.02
_LONG_S = 0.05


@dataclass
class Stall:
    """A time in which the loop did nothing new, and where it was in the middle of it.

    For `starved_s` of it they waited for a processor; for `cpu_s` the loop's own had one.
    """

    lasted_s: float
    starved_s: float
    cpu_s: float
    stack: list[str] = field(repr=False)

    @property
    def own_s(self) -> float:
        """What a machine with enough processors would have shown."""
        return max(self.cpu_s, self.lasted_s - self.starved_s)


class Watch:
    """Expects to be called by the loop every 20 ms; a thread looks at where the loop is when it does not."""

    def __init__(self, loop: AbstractEventLoop, report: Path) -> None:
        self._loop = loop
        self._report = report
        self._thread = threading.get_ident()
        self._stack: list[str] = []

    def begin(self) -> None:
        self._last, self._cpu, self._waits = self._now()
        threading.Thread(target=self._look, daemon=True).start()
        self._loop.call_later(_TICK_S, self._tick)

    def _tick(self) -> None:
        last, cpu, waited = self._now()
        lasted_s = last - self._last - _TICK_S
        if lasted_s > _LONG_S:
            stall = Stall(lasted_s, starved_s(self._waits, waited), cpu - self._cpu, self._stack)
            with self._report.open("a") as file:
                file.write(json.dumps(asdict(stall)) + "\n")
        self._stack = []
        self._last, self._cpu, self._waits = self._now()
        self._loop.call_later(_TICK_S, self._tick)

    def _look(self) -> None:
        never = threading.Event()
        while not never.wait(_TICK_S):
            if not self._stack and time.monotonic() - self._last > _TICK_S + _LONG_S:
                frame = sys._current_frames().get(self._thread)
                self._stack = traceback.format_list(traceback.extract_stack(frame)[-6:])

    def _now(self) -> tuple[float, float, dict[str, int]]:
        """Return the time, what this thread had of processors, and what each has waited for one."""
        return time.monotonic(), time.thread_time(), waits()


def stalls(report: Path) -> list[Stall]:
    """Read what was reported, the worst last."""
    lines = report.read_text().splitlines() if report.exists() else []
    return sorted((Stall(**json.loads(line)) for line in lines), key=lambda stall: stall.own_s)


def run(argv: Sequence[str]) -> int:
    report, *arguments = argv
    make_loop = vars(cli)["new_event_loop"]

    def watched_loop() -> AbstractEventLoop:
        loop: AbstractEventLoop = make_loop()
        loop.call_soon(Watch(loop, Path(report)).begin)
        measure(loop, Path(report).with_suffix(".steps"))
        return loop

    vars(cli)["new_event_loop"] = watched_loop
    return cli.main(arguments)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
