"""How late the event loop is, and what keeps it in time: every measured time suffers from a late loop."""

import asyncio
import gc
import sys
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from monitor.runtime.histogram import Buckets

PIECE_S = 0.001
_CLOCK_EVERY = 10
_BOUNDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_EVERY_S = 0.5
_YOUNG = 5_000  # new objects, before the garbage collector looks at them; 700 by default
_COLLECTIONS = 15  # of lately made objects, before it looks at all objects; 10 by default
_SWITCH_S = 0.000_5  # for which a thread that makes a page keeps the event loop waiting; 5 ms by default

T = TypeVar("T")


class LoopLag:
    """Counts, twice a second while `watched`, by how much a timer came too late."""

    def __init__(self) -> None:
        self.lag_s = Buckets(_BOUNDS)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch the loop that runs now."""
        self._wait(asyncio.get_running_loop())
        try:
            yield
        finally:
            self._timer.cancel()

    def _wait(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(_EVERY_S, self._tick, loop, time.monotonic() + _EVERY_S)

    def _tick(self, loop: asyncio.AbstractEventLoop, due_at: float) -> None:
        self.lag_s.observe(max(0.0, time.monotonic() - due_at))
        self._wait(loop)


async def in_pieces(things: Iterable[T], piece_s: float = PIECE_S) -> AsyncIterator[T]:
    """Return all of them; after each `piece_s` of processor time, the loop does what else is due."""
    began = time.thread_time()
    for number, thing in enumerate(things, 1):
        yield thing
        if number % _CLOCK_EVERY == 0 and time.thread_time() - began >= piece_s:
            await asyncio.sleep(0)
            began = time.thread_time()


def shorten_pauses() -> None:
    """Set up the interpreter so that garbage collector and threads stop the event loop for short times only.

    The collector never looks at the modules, and seldom at others: checks leave no cycles, pages few.
    """
    gc.collect()
    gc.freeze()
    _, middle, _ = gc.get_threshold()
    gc.set_threshold(_YOUNG, middle, _COLLECTIONS)
    sys.setswitchinterval(_SWITCH_S)
