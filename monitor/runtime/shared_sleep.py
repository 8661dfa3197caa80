"""Sleeping tasks that wake up together: to wake an idle process costs more than what most of them then do."""

import asyncio
import math
import time
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

_WINDOW_S = 0.005


class SharedSleep:
    """Lets tasks sleep, with one timer for all, and wakes all that are due: once in `window_s` at most.

    None wakes early. The first one after a quiet time wakes when it is due, others `window_s` later at most.
    """

    def __init__(self, window_s: float = _WINDOW_S, now: Callable[[], float] = time.monotonic) -> None:
        self._window_s = window_s
        self._now = now
        self._sleeping: list[tuple[float, int, asyncio.Future[None]]] = []  # a heap
        self._next_number = count().__next__
        self._window_ends_at = -math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at = math.inf

    async def sleep(self, delay_s: float) -> None:
        """Wait for so many seconds."""
        woken = asyncio.get_running_loop().create_future()
        due_at = max(self._now() + delay_s, self._window_ends_at)
        heappush(self._sleeping, (due_at, self._next_number(), woken))
        if due_at < self._wakes_at:
            self._set_timer(due_at)
        await woken

    def _set_timer(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._wakes_at = at
        # uvloop's clock shows whole milliseconds: a timer runs from the beginning of the one that has begun.
        delay_s = (math.ceil(at * 1_000) - math.floor(self._now() * 1_000)) / 1_000
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._wake)

    def _wake(self) -> None:
        self._timer, self._wakes_at = None, math.inf
        now = self._now()
        while self._sleeping and self._sleeping[0][0] <= now:
            self._window_ends_at = now + self._window_s
            _, _, woken = heappop(self._sleeping)
            if not woken.done():  # it is cancelled with its task
                woken.set_result(None)
        if self._sleeping:
            self._set_timer(max(self._sleeping[0][0], self._window_ends_at))
