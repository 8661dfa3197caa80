"""Which slots a process ran, so that it runs none twice. Pure, and bounded."""

import math

KEPT_S = 60.0
_MOVED_S = 0.05  # a slot that comes again because the clock was set back is moved by milliseconds


class Memory:
    """The slots of each monitor that were run, as far as they lie within 60 s of the last one that was."""

    def __init__(self) -> None:
        self.newest = -math.inf
        """The newest slot that was run, of any monitor; not one of before the clock was set back far."""
        self._slots: dict[str, list[float]] = {}

    @property
    def is_empty(self) -> bool:
        return not self._slots

    def has(self, monitor: str, slot: float) -> bool:
        """Return whether the slot was run, be it under an instant that was moved by milliseconds."""
        return any(abs(slot - each) < _MOVED_S for each in self._slots.get(monitor, ()))

    def add(self, monitor: str, slot: float) -> None:
        """Remember the slot. One that is far from the others makes them forgotten: the clock was set."""
        if not self.newest - KEPT_S < slot < self.newest:
            self.newest = slot
        near = [each for each in self._slots.get(monitor, ()) if abs(slot - each) < KEPT_S]
        self._slots[monitor] = [*near, slot]
