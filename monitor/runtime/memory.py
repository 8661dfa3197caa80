"""Memory that was needed for a moment goes back to the system."""

import asyncio
import ctypes

_EVERY_S = 60.0


async def give_back_free_memory(every_s: float = _EVERY_S) -> None:
    """Return free memory to the system each minute, until cancelled; it takes a few milliseconds.

    The C library keeps what lies between used parts: after a start with 2,000 monitors some megabytes.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it
    while trim is not None:
        await asyncio.sleep(every_s)
        trim(0)
