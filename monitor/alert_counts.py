"""What became of the alerts to each channel: counted since the start, and what waits, as it was read last."""

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

READ_EVERY_S = 15.0
_KNOWN_S = 30.0  # for which what was read stands for what is


class Waiting(NamedTuple):
    """Alerts that are not told yet, those that are just being sent too."""

    number: int = 0
    oldest_at: float | None = None

    def age_s(self, now: float) -> float:
        """How long the oldest waits; 0 when none does."""
        return 0.0 if self.oldest_at is None else max(0.0, now - self.oldest_at)


class AlertCounts:
    """Counts by the names of channels: what this process told, and what it could not."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.sent: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        """Alerts that will never be told: refused for good, or given up after a day."""
        self.failed_attempts: Counter[str] = Counter()
        self._monotonic = monotonic
        self._waiting: Mapping[str, Waiting] = {}
        self._read_at = -math.inf

    @property
    def waiting(self) -> Mapping[str, Waiting] | None:
        """What waits, by channel, of all processes; `None` while that is not known."""
        return self._waiting if self._age_s() <= _KNOWN_S else None

    def is_due(self) -> bool:
        """Whether what waits should be read again."""
        return self._age_s() >= READ_EVERY_S

    def note_waiting(self, waiting: Mapping[str, Waiting]) -> None:
        """Take what was read just now."""
        self._waiting, self._read_at = waiting, self._monotonic()

    def _age_s(self) -> float:
        return self._monotonic() - self._read_at
