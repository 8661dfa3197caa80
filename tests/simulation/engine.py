"""Virtual time: what is to happen, in the order in which it happens."""

import heapq
import random
from collections.abc import Callable
from itertools import count

Do = Callable[[], None]


class Engine:
    """Runs what was put in, each at its instant; chance comes from the seed alone."""

    def __init__(self, seed: str, begins_at: float) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self.now = begins_at
        self._waiting: list[tuple[float, int, Do]] = []
        self._number = count().__next__

    def at(self, when: float, do: Do) -> None:
        heapq.heappush(self._waiting, (max(when, self.now), self._number(), do))

    def after(self, delay_s: float, do: Do) -> None:
        self.at(self.now + delay_s, do)

    def run(self, until: float) -> None:
        while self._waiting and self._waiting[0][0] <= until:
            self.now, _, do = heapq.heappop(self._waiting)
            do()
        self.now = until
