"""Long lists in pieces: between two of them, the event loop does what else is due."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

PIECE_S = 0.001
_CLOCK_EVERY = 10

T = TypeVar("T")


async def in_pieces(things: Iterable[T], piece_s: float = PIECE_S) -> AsyncIterator[T]:
    """Give all of them, and the loop a turn after so much time of the processor."""
    began = time.thread_time()
    for number, thing in enumerate(things, 1):
        yield thing
        if number % _CLOCK_EVERY == 0 and time.thread_time() - began >= piece_s:
            await asyncio.sleep(0)
            began = time.thread_time()
