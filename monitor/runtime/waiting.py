"""Waits with a limit, waits that a stop cuts short, and the delays between attempts."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import TypeVar

_END_S = 3.0

_T = TypeVar("_T")


class StoppedError(Exception):
    """The wait was cut short because the program ends."""


class Spacing:
    """Turns of at least `window_s` each, so that work which comes in drops is done in batches.

    The first turn after a quiet time begins at once.
    """

    def __init__(self, window_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._window_s = window_s
        self._now = now
        self._ends_at = 0.0

    def begin(self) -> None:
        """Begin a turn."""
        self._ends_at = self._now() + self._window_s

    @property
    def left_s(self) -> float:
        """Seconds until the next turn may begin."""
        return max(0.0, self._ends_at - self._now())


async def unless_stopped(stop: asyncio.Event, work: Awaitable[_T], limit_s: float | None = None) -> _T:
    """Return the result of the work; cancel it after `limit_s`, or when `stop` is set.

    Raises:
        StoppedError: `stop` was set before the work ended.
        TimeoutError: the limit came first, or the work gave itself up by a cancel that is not ours.

    """
    task = asyncio.ensure_future(work)
    stopped = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({task, stopped}, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        if task.done() and not task.cancelled():
            return task.result()
        raise StoppedError if stop.is_set() else TimeoutError(f"no answer in {limit_s} s")
    finally:
        task.cancel()
        stopped.cancel()
        await asyncio.wait({task, stopped}, timeout=_END_S)


async def pause(stop: asyncio.Event, delay_s: float) -> None:
    """Wait for `delay_s`.

    Raises:
        StoppedError: `stop` is set, or was set meanwhile.

    """
    with suppress(TimeoutError):
        await unless_stopped(stop, asyncio.Event().wait(), delay_s)


async def within(limit_s: float | None, work: Awaitable[object]) -> bool:
    """Wait for the work, and return whether it ended in time; it is cancelled otherwise."""
    try:
        async with asyncio.timeout(limit_s):
            await work
    except TimeoutError:
        return False
    return True


async def first_of(*events: asyncio.Event) -> None:
    """Wait until one of the events is set."""
    waits = [asyncio.ensure_future(each.wait()) for each in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waits:
            each.cancel()


def delays(first_s: float = 0.5, last_s: float = 5.0) -> Iterator[float]:
    """Return without end the seconds before each new attempt: each twice the one before, `last_s` at most."""
    delay_s = first_s
    while True:
        yield delay_s
        delay_s = min(2 * delay_s, last_s)


def one_line(error: BaseException) -> str:
    """Return the first line of the error's text, or its type where it has no text."""
    return (str(error) or type(error).__name__).splitlines()[0]
