"""How many alerts to each channel were sent and failed since the start, and how many wait."""

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

READ_EVERY_S = 15.0
_VALID_S = 30.0  # older numbers are not shown


class Waiting(NamedTuple):
    """Alerts that are not sent yet, also those that are being sent now."""

    number: int = 0
    oldest_at: float | None = None

    def age_s(self, now: float) -> float:
        """Return how long the oldest has waited; 0 if none waits."""
        return 0.0 if self.oldest_at is None else max(0.0, now - self.oldest_at)


class AlertCounts:
    """Counts by the name of the channel: what this process sent, and what it could not send."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.sent: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        """Alerts that will never be sent: they were given up."""
        self.failed_attempts: Counter[str] = Counter()
        self._monotonic = monotonic
        self._waiting: Mapping[str, Waiting] = {}
        self._read_at = -math.inf

    @property
    def waiting(self) -> Mapping[str, Waiting] | None:
        """The alerts of all processes that wait, by channel; `None` while that is not known."""
        return self._waiting if self._age_s() <= _VALID_S else None

    def is_due(self) -> bool:
        """Return whether the waiting alerts should be counted again."""
        return self._age_s() >= READ_EVERY_S

    def note_waiting(self, waiting: Mapping[str, Waiting]) -> None:
        self._waiting, self._read_at = waiting, self._monotonic()

    def _age_s(self) -> float:
        return self._monotonic() - self._read_at
