"""Long lists in pieces: between two of them, the event loop does what else is due."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

PIECE = 50  # rows, monitors and the like, each a few microseconds

T = TypeVar("T")


async def in_pieces(things: Iterable[T], size: int = PIECE) -> AsyncIterator[T]:
    """Give all of them, and the loop a turn after each piece."""
    for number, thing in enumerate(things, 1):
        yield thing
        if number % size == 0:
            await asyncio.sleep(0)
