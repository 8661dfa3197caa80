"""How much processor time the steps of tasks take: how long one callback keeps the loop, on any machine.

A step is what a task does from one `await` that waits to the next.
"""

import asyncio
import gc
import json
import time
from collections.abc import Callable, Coroutine, Generator
from pathlib import Path
from typing import Any, NamedTuple

_LONG_S = 0.02


class Step(NamedTuple):
    """The time that it took of a processor, with the garbage collector's, and where it began and ended."""

    cpu_s: float
    collector_s: float
    task: str
    began: str
    ended: str


class Measured(Coroutine[Any, Any, Any]):
    """Another coroutine, each of whose steps is measured."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], report: Path, collector: "Collector") -> None:
        self._coroutine = coroutine
        self._report = report
        self._collector = collector

    def __getattr__(self, name: str) -> Any:
        """Be like the other to those who look at its frame."""
        return getattr(self._coroutine, name)

    def send(self, value: Any) -> Any:
        return self._step(self._coroutine.send, value)

    def throw(self, *error: Any) -> Any:
        return self._step(self._coroutine.throw, *error)

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._coroutine.__await__()

    def _step(self, step: Callable[..., Any], *arguments: Any) -> Any:
        at, began, collected_s = _where(self._coroutine), time.thread_time(), self._collector.cpu_s
        try:
            return step(*arguments)
        finally:
            cpu_s = time.thread_time() - began
            if cpu_s > _LONG_S:
                name = getattr(self._coroutine, "__qualname__", "?")
                collector_s = self._collector.cpu_s - collected_s
                long = Step(cpu_s, collector_s, name, _line(at), _line(_where(self._coroutine)))
                with self._report.open("a") as file:
                    file.write(json.dumps(long) + "\n")


class Collector:
    """Measures what the garbage collector takes, wherever it comes by."""

    def __init__(self) -> None:
        self.cpu_s = 0.0
        self._began = 0.0
        gc.callbacks.append(self._called)

    def _called(self, phase: str, _info: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.thread_time()
        else:
            self.cpu_s += time.thread_time() - self._began


def measure(loop: asyncio.AbstractEventLoop, report: Path) -> None:
    """Measure all tasks that the loop will have."""
    collector = Collector()

    def task(loop: asyncio.AbstractEventLoop, coroutine: Any, **arguments: Any) -> "asyncio.Task[Any]":
        return asyncio.Task(Measured(coroutine, report, collector), loop=loop, **arguments)

    loop.set_task_factory(task)


def steps(report: Path) -> list[Step]:
    """Read what was reported, the longest last."""
    lines = report.read_text().splitlines() if report.exists() else []
    return sorted(Step(*json.loads(line)) for line in lines)


def _where(coroutine: Any) -> tuple[str, int]:
    """Find the innermost of its frames, which waits."""
    found = ("the end", 0)
    while frame := getattr(coroutine, "cr_frame", None):
        found = frame.f_code.co_filename, frame.f_lineno
        coroutine = coroutine.cr_await
    return found


def _line(where: tuple[str, int]) -> str:
    return f"{'/'.join(where[0].rsplit('/', 2)[1:]) or where[0]}:{where[1]}"
