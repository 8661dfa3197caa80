"""How late the event loop is: what every timer, and so every measured time, suffers."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

from monitor.buckets import Buckets

_BOUNDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_EVERY_S = 0.25


class LoopLag:
    """Counts, four times a second while `watched`, by how much a timer came too late."""

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
