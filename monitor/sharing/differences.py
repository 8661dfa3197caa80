"""Shards whose owner has another configuration than this process. Pure."""

from collections.abc import Sequence

from monitor.sharing.assignment import Assignment

TOLERATED_S = 7.0
"""Configurations may differ for so long: not all processes read a new file at the same time.

A round that waits for one that stands still takes 6 s. Together with that it is less than the time that is
caught up with, so nothing is missed meanwhile.
"""


class Differences:
    """Shards that a process checks though they are another's, as the owner may not know its monitors."""

    def __init__(self) -> None:
        self.lasting: frozenset[int] = frozenset()
        """Those that have differed for 7 s."""
        self._since_s: dict[int, float] = {}

    def note(self, differing: Sequence[int], monotonic_s: float) -> bool:
        """Note which shards differ now; return whether there are more lasting ones than before."""
        self._since_s = {shard: self._since_s.get(shard, monotonic_s) for shard in differing}
        before = self.lasting
        self.lasting = frozenset(
            shard for shard, since_s in self._since_s.items() if monotonic_s - since_s >= TOLERATED_S
        )
        return not self.lasting <= before


def differing(assignment: Assignment, process: str, configurations: Sequence[int]) -> list[int]:
    """Return the shards whose newest owner is another process, with another configuration."""
    last = [(shard, entries[-1]) for shard, entries in enumerate(assignment.owners) if entries]
    return [
        shard
        for shard, entry in last
        if entry.process != process and entry.configuration != configurations[shard]
    ]
