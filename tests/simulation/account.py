"""Which slots were to be run, which were, and how long things took."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import NamedTuple

from monitor.schedule import Slots, offset_s

CERTAIN_S = 10.0
"""Of monitors with a shorter interval a slot may be missed."""
APART_S = 12.0
"""Deaths that are less than this apart are more than what is promised for."""


class Watched(NamedTuple):
    """A monitor, as far as it matters here."""

    name: str
    interval_s: float

    @property
    def slots(self) -> Slots:
        return Slots(first_s(self), self.interval_s)

    def number(self, slot: float) -> int:
        """Return the slot's number, also of one that was moved because the clock was set back."""
        return round((slot - first_s(self)) / self.interval_s)


@cache
def first_s(monitor: Watched) -> float:
    return offset_s(monitor.name, monitor.interval_s)


@dataclass(slots=True)
class Account:
    """What came of one seed of a scenario."""

    runs: dict[tuple[Watched, int], list[str]] = field(default_factory=lambda: defaultdict(list))
    """By slot, the processes that ran it."""
    needed: set[tuple[Watched, int]] = field(default_factory=set)
    joined_s: list[float] = field(default_factory=list)
    """From a start to the first instant from which the process has a share."""
    stopped_s: list[float] = field(default_factory=list)
    """From the order to stop to the end."""
    taken_over_s: list[float] = field(default_factory=list)
    """From a death to the first assignment without the dead one."""
    frozen: set[str] = field(default_factory=set)
    """Processes that stood still: others have run their slots meanwhile."""
    deaths_at: list[float] = field(default_factory=list)
    rounds: int = 0
    _killed_at: dict[str, float] = field(default_factory=dict)

    def need(self, monitor: Watched, since: float, until: float) -> None:
        """Note that the monitor's slots of this time are to be run."""
        slots = monitor.slots.past(until, until - since)
        self.needed.update((monitor, monitor.number(slot)) for slot in slots)

    def ran(self, monitor: Watched, slot: float, process: str) -> None:
        self.runs[monitor, monitor.number(slot)].append(process)

    def killed(self, process: str, at: float) -> None:
        self.deaths_at.append(at)
        self._killed_at[process] = at

    def members(self, members: set[str], at: float) -> None:
        """Note who the members are, as one of them learns it."""
        for gone in self._killed_at.keys() - members:
            self.taken_over_s.append(at - self._killed_at.pop(gone))

    @property
    def times(self) -> Counter[int]:
        """How many slots were run how often; 0: those that were needed."""
        return Counter(
            len(self.runs.get(slot, ()))
            for slot in self.needed.union(self.runs)
            if slot[0].interval_s >= CERTAIN_S
        )

    @property
    def repeated(self) -> int:
        """How many slots were run twice by one process."""
        return sum(len(set(processes)) < len(processes) for processes in self.runs.values())

    @property
    def run_by_frozen(self) -> int:
        """How many slots were run again by a process that had stood still."""
        return sum(not self.frozen.isdisjoint(processes[1:]) for processes in self.runs.values())

    @property
    def deaths_together(self) -> bool:
        return any(later - earlier < APART_S for earlier, later in pairwise(sorted(self.deaths_at)))
