"""True outages of the site, at random, whatever else goes on."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.chaos.site import Site

FAILURES = 3  # what `failures_to_open` is by default
SUCCESSES = 2  # and `successes_to_resolve`
_APART_S = (0.5, 2.0)
_GOOD_BETWEEN = 20  # so that what a fault may take along does not join two
_EACH = 3  # with more in an hour a monitor is flapping
# As short as can be, one check too short, and longer.
_CHECKS = (FAILURES, FAILURES, FAILURES - 1, FAILURES + 1, 6, 10)
_OVER_S = 120.0


class Outages:
    """Lets some monitors fail for some checks in a row."""

    def __init__(self, site: Site, chance: random.Random) -> None:
        self._site = site
        self._chance = chance
        self._held = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Let them come until the end of the context, which waits until the last is over."""
        coming = asyncio.create_task(self._run())
        try:
            yield
            await self._over()
        finally:
            coming.cancel()
            with suppress(asyncio.CancelledError):
                await coming

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Wait until those that go on are over, and let none begin."""
        self._held = True
        try:
            await self._over()
            yield
        finally:
            self._held = False

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._chance.uniform(*_APART_S))
            monitor = self._chance.choice(list(self._site.answered))
            checks = self._chance.choice(_CHECKS)
            before = len(self._site.outages[monitor])
            rested = not before or self._site.good_since(monitor) >= _GOOD_BETWEEN
            if not self._held and before < _EACH and rested:
                self._site.fail(monitor, checks)

    async def _over(self) -> None:
        self._held = True
        async with asyncio.timeout(_OVER_S):
            for monitor in [monitor for monitor, ones in self._site.outages.items() if ones]:
                while True:
                    if self._site.good_since(monitor) >= SUCCESSES:
                        break
                    await asyncio.sleep(0.1)
