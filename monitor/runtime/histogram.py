"""A histogram that costs a check next to nothing."""

from bisect import bisect_left
from collections.abc import Iterator
from functools import cache
from itertools import accumulate


class Buckets:
    """Counts of what was observed: each bucket goes up to its bound, inclusive; the last one has no bound."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    @property
    def mean(self) -> float | None:
        """The mean of what was observed; `None` before the first."""
        count = sum(self.counts)
        return self.total / count if count else None

    def cumulative(self) -> Iterator[tuple[str, int]]:
        """Return each bound, as Prometheus writes it, and how many were not above it."""
        return zip(_texts(self.bounds), accumulate(self.counts), strict=True)


@cache
def _texts(bounds: tuple[float, ...]) -> tuple[str, ...]:
    return (*(repr(float(bound)) for bound in bounds), "+Inf")
