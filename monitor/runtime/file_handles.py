"""How many files and connections this process may have open."""

import resource
from contextlib import suppress

_MOST = 65_536  # of which tables in the kernel and in other libraries may be made


def raise_limit() -> int:
    """Raise the limit of open files as far as the system allows, and return it."""
    allowed, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
    if allowed != resource.RLIM_INFINITY and allowed < wanted:
        with suppress(OSError, ValueError):  # macOS allows less than it says
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return limit()


def limit() -> int:
    """Return how many files may be open at the same time."""
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return _MOST if allowed == resource.RLIM_INFINITY else allowed
