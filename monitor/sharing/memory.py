"""Which slots a process ran, so that it runs none twice. Pure, and bounded."""

KEPT_S = 60.0


class Memory:
    """The slots of each monitor that were run, as far as they lie within 60 s of the last one."""

    def __init__(self) -> None:
        self._slots: dict[str, list[float]] = {}

    def has(self, monitor: str, slot: float) -> bool:
        return slot in self._slots.get(monitor, ())

    def add(self, monitor: str, slot: float) -> None:
        """Remember this slot, and forget those that are far from it: also when the clock was set back far."""
        near = [each for each in self._slots.get(monitor, ()) if abs(each - slot) < KEPT_S]
        self._slots[monitor] = [*near, slot]

    def forget(self, monitor: str) -> None:
        """Forget a monitor that is no longer checked."""
        self._slots.pop(monitor, None)
