"""What one process of a location knows and decides: which slots are its own. Pure.

Slots and clocks are Unix seconds; `monotonic_s` are seconds of a clock that is never set. Start at `take`.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Literal, NamedTuple

from monitor.sharing.assignment import (
    NOTHING,
    Announcement,
    Assignment,
    InvalidBytesError,
    decode_announcement,
    decode_assignment,
    encode,
)
from monitor.sharing.memory import Memory
from monitor.sharing.shards import SHARDS, shard_of

WhenAlone = Literal["continue", "stop"]
Kind = Literal["start", "planned", "death"]

SAME_BYTES_S = 1.0
STOOD_STILL_S = 5.0
HELD_S = 10.0
ALONE_S = 20.0
GOODBYE_S = 1.5
MISSED_S = 14.0
TOLERATED_S = 6.0
"""Configurations may differ for so long: not all processes read a new file at the same time.

Together with a rebalance it is shorter than `MISSED_S`: what the owner no longer checks is not missed.
"""
MISSED = 2


class HandOver(NamedTuple):
    """A change of who owns shards."""

    at: float
    """Unix seconds."""
    kind: Kind
    shards: int


class Process:
    """Decides which slots this process runs. After another start it is another process, with another name."""

    def __init__(
        self,
        name: str,
        configurations: Sequence[int],
        *,
        monotonic_s: float,
        when_alone: WhenAlone = "continue",
        session_s: float = 6.0,
        stored: bytes = b"",
    ) -> None:
        """Begin with what `to_store` returned before the last end of the program, or with nothing."""
        self.name = name
        self.when_alone = when_alone
        self.hand_overs: Counter[Kind] = Counter()
        self.last_hand_over: HandOver | None = None
        self.taken_over = 0
        """Slots that were run late, because they had been another's or were this one's unknown to it."""
        self.version = 0
        """Grows when slots of the past may have become this process's own: look for those `missed`."""
        self._configurations = tuple(configurations)
        self._session_s = session_s
        self._assignment: Assignment | None = None
        self._before: Announcement | None = None
        with suppress(InvalidBytesError):
            self._before = decode_announcement(stored)
        self._ran = Memory()
        self._leaving = self._done = False
        self._done_listed_s: float | None = None
        self._pauses = 0
        self._held_until_s: float | None = None
        self._awake_s = self._answered_s = monotonic_s
        self._announced: object = None
        self._announced_bytes = b""
        self._announced_s = 0.0
        self._alone = False
        self._is_refused = False
        self._differs_since_s: dict[int, float] = {}
        self._checked_too: frozenset[int] = frozenset()

    # What it says to the group.

    def announcement(self, now: float, monotonic_s: float) -> bytes:
        """Return what to join the group with: the same bytes for a second."""
        if not self._announced_bytes or monotonic_s - self._announced_s >= SAME_BYTES_S:
            self._announced, self._announced_s = self._state, monotonic_s
            self._announced_bytes = encode(self._announce(now))
        return self._announced_bytes

    def _announce(self, now: float) -> Announcement:
        return Announcement(
            self.name, self._assignment, self._leaving, self._done, max(0.0, now), self._configurations
        )

    @property
    def _state(self) -> object:
        return self._leaving, self._done, self._pauses, self._configurations

    @property
    def wants_rejoin(self) -> bool:
        """Whether to join again, once no rebalance is under way: the group does not know the newest."""
        return self._announced is not None and self._announced != self._state

    def to_store(self, now: float) -> bytes:
        """Return what `stored` is to be at the next start."""
        return encode(self._announce(now))

    # What it learns.

    def answered(self, monotonic_s: float) -> None:
        """Note that the coordinator answered, be it that there is no assignment yet."""
        self._answered_s = monotonic_s

    def received(self, encoded: bytes, now: float, monotonic_s: float) -> None:
        """Go by this assignment from now on; one that is older, or none, changes nothing."""
        self.answered(monotonic_s)
        with suppress(InvalidBytesError):
            assignment = decode_assignment(encoded)
            if assignment.epoch > self._epoch:
                self._note_hand_over(assignment, now)
                self._assignment = assignment
                self._alone = self._is_refused = False
                self._held_until_s = None
                self.version += 1
                if self.name in assignment.done and self._done_listed_s is None:
                    self._done_listed_s = monotonic_s

    def refused(self) -> None:
        """Run everything until an assignment comes: the cluster lets the processes have no group."""
        self._is_refused = True

    def leave(self) -> None:
        """Begin to hand over everything."""
        self._leaving = True

    def configure(self, configurations: Sequence[int]) -> None:
        """Check by another configuration from now on: its hashes by shard."""
        self._configurations = tuple(configurations)

    def tick(self, now: float, monotonic_s: float) -> None:
        """Notice what time has brought; to be called at least once a second."""
        self._notice_pause(monotonic_s)
        if self._held_until_s is not None and monotonic_s >= self._held_until_s:
            self._held_until_s = None
            self.version += 1
        if not self._alone and self._assignment is None and monotonic_s - self._answered_s >= ALONE_S:
            self._alone = self.when_alone == "continue"
            self.version += self._alone
        if self._leaving and self._handed_over(now):
            self._done = True
        self._notice_differences(monotonic_s)

    def _notice_differences(self, monotonic_s: float) -> None:
        since_s = self._differs_since_s
        self._differs_since_s = {shard: since_s.get(shard, monotonic_s) for shard in self._differing_now()}
        lasting = {
            shard for shard, began_s in self._differs_since_s.items() if monotonic_s - began_s >= TOLERATED_S
        }
        self.version += not lasting <= self._checked_too
        self._checked_too = frozenset(lasting)

    def _notice_pause(self, monotonic_s: float) -> None:
        if monotonic_s - self._awake_s > STOOD_STILL_S:
            self._pauses += 1
            self._held_until_s = monotonic_s + HELD_S
        self._awake_s = monotonic_s

    def _handed_over(self, now: float) -> bool:
        found = self._assignment
        return (
            found is not None
            and self.name in found.leavers
            and now >= found.epoch / 1000
            and not self.shards_of(self.name)
        )

    @property
    def is_done(self) -> bool:
        """Whether a process that leaves has no slot left to run."""
        return self._done

    def may_leave(self, monotonic_s: float) -> bool:
        """Return whether nothing is missed when a process that leaves is gone."""
        if self._done_listed_s is not None:
            return monotonic_s - self._done_listed_s >= GOODBYE_S
        found = self._assignment
        if found is None or self._is_refused:
            return True
        return self._leaving and found.leavers == found.members

    # What is its own.

    def take(self, monitor: str, slot: float, monotonic_s: float) -> bool:
        """Return whether to run this slot now; it counts as run then."""
        self._notice_pause(monotonic_s)
        if self._waits(monotonic_s) or not self.mine(monitor, slot) or self._ran.has(monitor, slot):
            return False
        self._ran.add(monitor, slot)
        return True

    def missed(self, monitor: str, slots: Iterable[float], now: float, monotonic_s: float) -> list[float]:
        """Return which of a monitor's slots to run at once, oldest first; they count as run then."""
        past = [slot for slot in slots if now - MISSED_S <= slot <= now]
        own = [slot for slot in past if self.mine(monitor, slot) and not self._ran.has(monitor, slot)]
        newest = sorted(own)[-MISSED:]
        taken = [slot for slot in newest if self.take(monitor, slot, monotonic_s)]
        self.taken_over += len(taken)
        return taken

    def mine(self, monitor: str, slot: float) -> bool:
        """Return whether a slot is this process's own, also where its owner has another configuration."""
        if self._is_refused:
            return True
        if self._assignment is None:
            return self._alone and self._was_mine(monitor, slot)
        return self._owns(self._assignment, self.name, monitor, slot)

    def _was_mine(self, monitor: str, slot: float) -> bool:
        before = self._before
        if before is None or before.assignment is None:
            return True
        return self._owns(before.assignment, before.process, monitor, slot)

    def _owns(self, assignment: Assignment, name: str, monitor: str, slot: float) -> bool:
        shard = shard_of(monitor)
        entry = assignment.owner(shard, slot)
        if entry is None:
            return False
        return entry.process == name or (shard in self._checked_too and name not in assignment.leavers)

    def _waits(self, monotonic_s: float) -> bool:
        if self._held_until_s is not None and monotonic_s < self._held_until_s:
            return True
        if self._is_refused:
            return False
        return self.when_alone == "stop" and monotonic_s - self._answered_s > self._session_s

    # What is shown of it.

    @property
    def _epoch(self) -> int:
        return (self._assignment or NOTHING).epoch

    @property
    def epoch(self) -> int | None:
        """Milliseconds of Unix time; `None` before the first assignment."""
        return self._assignment.epoch if self._assignment else None

    @property
    def members(self) -> dict[str, list[int]]:
        """The processes of the location, each with the shards that are its own by the newest entries."""
        return {name: self.shards_of(name) for name in (self._assignment or NOTHING).members}

    def shards_of(self, name: str) -> list[int]:
        assignment = self._assignment or NOTHING
        last = [assignment.last(shard) for shard in range(SHARDS)]
        return [shard for shard, entry in enumerate(last) if entry and entry.process == name]

    @property
    def differing(self) -> list[int]:
        """The shards that this process checks as well: their owner has had another configuration for 6 s."""
        return sorted(self._checked_too)

    def _differing_now(self) -> list[int]:
        assignment = self._assignment or NOTHING
        last = [assignment.last(shard) for shard in range(SHARDS)]
        return [
            shard
            for shard, entry in enumerate(last)
            if entry and entry.process != self.name and entry.configuration != self._configurations[shard]
        ]

    def _note_hand_over(self, new: Assignment, now: float) -> None:
        old = self._assignment
        if old is None:
            self._count(HandOver(now, "start", len(_moved(NOTHING, new))))
            return
        moved = _moved(old, new)
        dead = [shard for shard, owner in moved if owner not in {*new.members, *new.done}]
        if dead:
            self._count(HandOver(now, "death", len(dead)))
        if len(moved) > len(dead):
            self._count(HandOver(now, "planned", len(moved) - len(dead)))

    def _count(self, hand_over: HandOver) -> None:
        self.hand_overs[hand_over.kind] += 1
        self.last_hand_over = hand_over


def _moved(old: Assignment, new: Assignment) -> list[tuple[int, str]]:
    """Return the shards that have another owner now, each with the former one."""
    pairs = [(shard, old.last(shard), new.last(shard)) for shard in range(SHARDS)]
    return [
        (shard, before.process if before else "")
        for shard, before, after in pairs
        if after and (before is None or before.process != after.process)
    ]
