"""What the system lends to this process: file handles, and memory."""

import asyncio
import ctypes
import resource
from contextlib import suppress

_MOST_FILES = 65_536  # of which tables in the kernel and in other libraries may be made
_EVERY_S = 60.0


def raise_file_limit() -> int:
    """Raise the limit of open files as far as the system allows, and return it."""
    allowed, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if allowed != resource.RLIM_INFINITY and allowed < wanted:
        with suppress(OSError, ValueError):  # macOS allows less than it says
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return file_limit()


def file_limit() -> int:
    """Return how many files may be open at the same time."""
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return _MOST_FILES if allowed == resource.RLIM_INFINITY else allowed


async def give_back_free_memory(every_s: float = _EVERY_S) -> None:
    """Return free memory to the system each minute, until cancelled; it takes a few milliseconds.

    The C library keeps what lies between used parts: after a start with 2,000 monitors some megabytes.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it
    while trim is not None:
        await asyncio.sleep(every_s)
        trim(0)
