"""The site: it fails for a while, for whoever asks."""

import asyncio
import random
import time

from tests.chaos.site import Site

_APART_S = (1.0, 3.0)
_OUTAGE_S = (15.0, 60.0)


class FailingSite(Site):
    """Answers 500 to a monitor within its outage, whichever process asks, and however often."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self._chance = chance
        self._spans: dict[str, tuple[float, float]] = {}

    async def fail_now_and_then(self) -> None:
        """Let each monitor have one outage, one after the other: with more it would be flapping."""
        while left := [monitor for monitor in self.answered if monitor not in self._spans]:
            await asyncio.sleep(self._chance.uniform(*_APART_S))
            began_at = time.time()
            self._spans[self._chance.choice(left)] = (
                began_at,
                began_at + self._chance.uniform(*_OUTAGE_S),
            )

    @property
    def outages_so_far(self) -> int:
        return len(self._spans)

    def _fails(self, monitor: str, number: int) -> bool:
        del number
        began_at, ends_at = self._spans.get(monitor, (0.0, 0.0))
        return began_at <= time.time() < ends_at
