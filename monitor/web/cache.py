"""A cache of pages, so that many readers cost as much as one.

A page is cached for fifty times as long as it took to make. This time begins when that of the page before it
ends: however many readers ask for however many pages, making them takes a fiftieth of the time. No page is
cached for less than half a second, or for more than ten. When something has changed, all are made again.
"""

import asyncio
import gzip
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import NamedTuple

_FACTOR = 50
_LEAST_S, _MOST_S = 0.5, 10.0
_MAX_PAGES = 200
_AT_ONCE = 2  # being made: the database's connections and the threads are for results in the first place


class CachedPage(NamedTuple):
    """A page as it is sent, plain and compressed."""

    plain: bytes
    compressed: bytes
    good_until: float


class PageCache:
    """The newest pages by their key. Readers who want the same page at the same time share one making."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pages: dict[Hashable, CachedPage] = {}
        self._making: dict[Hashable, asyncio.Future[CachedPage]] = {}
        self._changes = 0
        self._paid_at = 0.0
        self._at_once = asyncio.Semaphore(_AT_ONCE)

    async def get(self, key: Hashable, make: Callable[[], Awaitable[str]]) -> CachedPage:
        """Return the cached page, or make it; what `make` raises reaches all who wait for it."""
        key = (self._changes, key)
        page = self._pages.get(key)
        if page and self._clock() < page.good_until:
            return page
        if key not in self._making:
            self._making[key] = asyncio.ensure_future(self._make(key, make))
        return await asyncio.shield(self._making[key])

    def forget(self) -> None:
        """Empty the cache; a page that is being made now does not get into it."""
        self._changes += 1
        self._paid_at = 0.0
        self._pages.clear()

    async def _make(self, key: Hashable, make: Callable[[], Awaitable[str]]) -> CachedPage:
        try:
            async with self._at_once:
                page = await self._made(make)
            self._pages.pop(key, None)
            self._pages[key] = page
            if len(self._pages) > _MAX_PAGES:
                del self._pages[next(iter(self._pages))]
            return page
        finally:
            del self._making[key]

    async def _made(self, make: Callable[[], Awaitable[str]]) -> CachedPage:
        began = self._clock()
        plain, compressed = await asyncio.to_thread(_packed, await make())
        now = self._clock()
        self._paid_at = min(max(self._paid_at, now) + _FACTOR * (now - began), now + _MOST_S)
        return CachedPage(plain, compressed, max(self._paid_at, now + _LEAST_S))


def _packed(page: str) -> tuple[bytes, bytes]:
    plain = page.encode("utf-8", "replace")
    return plain, gzip.compress(plain, 3)
