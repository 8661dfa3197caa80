"""Which slots were to be run, which were, and how long others took to notice a death."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from monitor.schedule import Slots, offset_s


class Watched(NamedTuple):
    """A monitor, as far as it matters here."""

    name: str
    interval_s: float


@cache
def slots_of(monitor: Watched) -> Slots:
    return Slots(offset_s(monitor.name, monitor.interval_s), monitor.interval_s)


Slot = tuple[Watched, float]


@dataclass(slots=True)
class Account:
    """What came of one seed of a scenario."""

    runs: dict[Slot, list[str]] = field(default_factory=lambda: defaultdict(list))
    """By slot, the processes that ran it."""
    skipped: set[Slot] = field(default_factory=set)
    """Slots that passed while a check of the monitor was under way, as the program counts them."""
    needed: set[Slot] = field(default_factory=set)
    taken_over_s: list[float] = field(default_factory=list)
    """From a death to the first assignment without the dead one."""
    _stored_at: dict[Slot, float] = field(default_factory=dict)
    _killed_at: dict[str, float] = field(default_factory=dict)

    def need(self, monitor: Watched, since: float, until: float) -> None:
        """Note that the monitor's slots of this time are to be run."""
        self.needed.update((monitor, slot) for slot in slots_of(monitor).between(since, until))

    def ran(
        self, monitor: Watched, slot: float, process: str, took: tuple[float, float], stored_at: float
    ) -> None:
        """Note a check, from when to when it ran, and when it has its row."""
        self.runs[monitor, slot].append(process)
        self.skipped.update((monitor, passed) for passed in slots_of(monitor).between(*took))
        self._stored_at.setdefault((monitor, slot), stored_at)

    def is_stored(self, monitor: Watched, slot: float, now: float) -> bool:
        return self._stored_at.get((monitor, slot), now) < now

    def killed(self, member: str, at: float) -> None:
        self._killed_at[member] = at

    def members(self, members: set[str], at: float) -> None:
        """Note who the members are, as one of them learns it."""
        for gone in self._killed_at.keys() - members:
            self.taken_over_s.append(at - self._killed_at.pop(gone))

    @property
    def missing(self) -> list[Slot]:
        return sorted(slot for slot in self.needed if not self.runs[slot] and slot not in self.skipped)

    @property
    def times(self) -> Counter[int]:
        """How many of the slots that were to be run were run how often."""
        return Counter(len(self.runs[slot]) for slot in self.needed)

    @property
    def repeated(self) -> int:
        """How many slots were run twice by one process."""
        return sum(len(set(processes)) < len(processes) for processes in self.runs.values())
