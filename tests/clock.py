"""Time that a test sets, or that goes on by itself."""

import asyncio
import selectors


class Clock:
    """Returns `now`, until the test sets it."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class NeverWaiting(asyncio.SelectorEventLoop):
    """An event loop whose time goes on to the next timer at once."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(_Jumps(self))

    def time(self) -> float:
        return self.now


class _Jumps(selectors.DefaultSelector):
    def __init__(self, loop: NeverWaiting) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout:
            self._loop.now += timeout
        return super().select(timeout and 0)
