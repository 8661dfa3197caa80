"""Pages that were made a moment ago, so that many readers cost as much as one.

A page is kept for twenty times as long as it took to make, and for half a second at least: however many ask,
making pages takes a twentieth of the time.
"""

import asyncio
import gzip
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import NamedTuple

_FACTOR = 20
_LEAST_S = 0.5
_MAX_PAGES = 200


class Made(NamedTuple):
    """A page as it is sent, plain and compressed."""

    plain: bytes
    compressed: bytes
    good_until: float


class KeptPages:
    """The newest pages by their key; each is made by one reader at a time, the others wait for it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pages: OrderedDict[Hashable, Made] = OrderedDict()
        self._making: dict[Hashable, asyncio.Future[Made]] = {}

    async def get(self, key: Hashable, make: Callable[[], Awaitable[str]]) -> Made:
        """Return the page, made now unless it was just now; what `make` raises reaches all who wait."""
        page = self._pages.get(key)
        if page and self._clock() < page.good_until:
            return page
        if key not in self._making:
            self._making[key] = asyncio.ensure_future(self._make(key, make))
        return await asyncio.shield(self._making[key])

    async def _make(self, key: Hashable, make: Callable[[], Awaitable[str]]) -> Made:
        began = self._clock()
        try:
            plain = (await make()).encode("utf-8", "replace")
            compressed = await asyncio.to_thread(gzip.compress, plain, 3)
            now = self._clock()
            page = Made(plain, compressed, now + max(_LEAST_S, _FACTOR * (now - began)))
            self._pages[key] = page
            self._pages.move_to_end(key)
            if len(self._pages) > _MAX_PAGES:
                self._pages.popitem(last=False)
            return page
        finally:
            del self._making[key]
