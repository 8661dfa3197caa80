"""Places for so many tasks at once; nobody overtakes those who wait.

As `asyncio.Semaphore`, for half of its cost where nobody has to wait.
"""

import asyncio
from collections import deque


class Places:
    """Use as a context for the time in which a place is taken."""

    def __init__(self, number: int) -> None:
        self._free = number
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def __aenter__(self) -> None:
        if self._free:
            self._free -= 1
        else:
            await self._wait()

    async def __aexit__(self, *_: object) -> None:
        self._leave()

    async def _wait(self) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self._leave()  # it got the place before it was cancelled
            raise

    def _leave(self) -> None:
        """Hand the place over to the one who waits longest."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
