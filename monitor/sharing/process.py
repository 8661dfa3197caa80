"""What one process of a location knows and decides: which slots are its own. Pure.

Slots and clocks are Unix seconds. `monotonic_s` are seconds of a clock that is never set.
Start at `take`: everything else serves it.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import zip_longest
from typing import Literal

from monitor.sharing.assignment import (
    MAX_EPOCH,
    MAX_SKEW_S,
    NOTHING,
    Announcement,
    Assignment,
    InvalidBytesError,
    decode_announcement,
    decode_assignment,
    encode,
)
from monitor.sharing.differences import Differences, differing
from monitor.sharing.hand_overs import HandOver, Kind, hand_overs
from monitor.sharing.memory import Memory
from monitor.sharing.shards import shard_of

WhenAlone = Literal["continue", "stop"]

SAME_BYTES_S = 1.0
"""Another announcement forces another round: one that only has another clock is not made so soon."""
STOOD_STILL_S = 5.0
"""A process that stood still for longer may have lost its shards."""
HELD_S = 10.0
"""It waits so long for an assignment that says so."""
ALONE_S = 20.0
"""A process that starts waits so long for the coordinator."""
ROUNDS = 2
"""A newcomer waits at most for so many sessions: for the end of a round, and for one of its own."""
GOODBYE_S = 1.5
"""What a process announced last reaches everybody within this time."""
MISSED = 2
MISSED_S = 14.0
"""Of each monitor, so many slots of so many seconds are caught up with: those that a death leaves open."""


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
        self.hand_overs: Counter[Kind] = Counter()
        self.last_hand_over: HandOver | None = None
        self.taken_over = 0
        """Slots that were run late: they were another's, or this process did not know them as its own."""
        self.version = 0
        """Grows when slots of the past may have become this process's own: look for those `missed`."""
        self._configurations = tuple(configurations)
        self._differences = Differences()
        self._differing: Sequence[int] = ()
        self._when_alone = when_alone
        self._session_s = session_s
        self._assignment: Assignment | None = None
        self._stored = _stored(stored)
        self._ran = Memory()
        self._has_asked = False
        self._is_alone = self._is_refused = False
        self._is_leaving = self._is_done = False
        self._done_is_known_s: float | None = None
        self._pauses = 0
        self._clock_at_zero: float | None = None
        self._received_at = self._received_s = 0.0
        self._held_until_s = 0.0
        self._awake_s = self._answered_s = monotonic_s
        self._announced: tuple[object, object] | None = None
        self._announced_s = 0.0
        self._announcement = b""

    # Which slots it runs.

    def take(self, monitor: str, slot: float, monotonic_s: float) -> bool:
        """Return whether to run this slot now; it counts as run then, and is never run again."""
        self._notice_pause(monotonic_s)
        if self.waits(monotonic_s) or not self.mine(monitor, slot) or self._ran.has(monitor, slot):
            return False
        self._ran.add(monitor, slot)
        return True

    def missed(self, monitor: str, slots: Iterable[float], now: float, monotonic_s: float) -> list[float]:
        """Return which of these slots to run late, oldest first: at most the two newest of the last 14 s.

        They count as run then.
        """
        past = (slot for slot in slots if now - MISSED_S <= slot <= now)
        own = (slot for slot in past if self.mine(monitor, slot) and not self._ran.has(monitor, slot))
        taken = [slot for slot in sorted(own)[-MISSED:] if self.take(monitor, slot, monotonic_s)]
        self.taken_over += len(taken)
        return taken

    def mine(self, monitor: str, slot: float) -> bool:
        """Return whether a slot is this process's own, also where its owner may not know the monitor."""
        if self._assignment:
            return self._is_refused or self._owns(self._assignment, self.name, shard_of(monitor), slot)
        if self._is_alone and self._stored and self._stored.assignment:
            return self._owns(self._stored.assignment, self._stored.process, shard_of(monitor), slot)
        return self._is_alone or self._is_refused

    def _owns(self, assignment: Assignment, name: str, shard: int, slot: float) -> bool:
        entry = assignment.owner(shard, slot)
        if entry is None or entry.process == name:
            return entry is not None
        return shard in self._differences.lasting and not self._is_leaving

    def waits(self, monotonic_s: float) -> bool:
        """Return whether it runs nothing for now, since others may have its slots."""
        if self._is_refused:
            return False
        return monotonic_s < self._held_until_s or (
            self._when_alone == "stop" and monotonic_s - self._answered_s > self._session_s
        )

    # What it announces to the group.

    def announcement(self, now: float, monotonic_s: float) -> bytes:
        """Return what to join the group with: for a second the same bytes, while only time goes on."""
        says = self._assignment, self._news
        if says != self._announced or monotonic_s - self._announced_s >= SAME_BYTES_S:
            self._announced, self._announced_s = says, monotonic_s
            self._announcement = self.to_store(now)
        return self._announcement

    def known_s(self, monotonic_s: float) -> float:
        """Return for how long it has had its newest assignment."""
        return monotonic_s - self._received_s

    def to_store(self, now: float) -> bytes:
        """Return what to keep for the next start."""
        return encode(
            Announcement(
                self.name,
                self._assignment,
                self._is_leaving,
                self._is_done,
                self._furthest(now),
                self._configurations,
                self._received_at,
            )
        )

    def _furthest(self, now: float) -> float:
        """Return how far this process has come: after its clock was set back, beyond what that shows."""
        newest = self._ran.newest
        return max(0.0, now, newest if newest < now + MAX_SKEW_S else 0.0)

    @property
    def _news(self) -> object:
        return self._is_leaving, self._is_done, self._pauses, self._configurations

    @property
    def wants_rejoin(self) -> bool:
        """Whether there is something new to announce: join again, once no rebalance is under way."""
        return self._announced is not None and self._announced[1] != self._news

    # What it learns.

    def answered(self, monotonic_s: float) -> None:
        """Note that the coordinator answered, be it that there is no assignment yet."""
        if self._when_alone == "stop" and monotonic_s - self._answered_s > self._session_s:
            self._wait_for_assignment(monotonic_s)
        self._answered_s = monotonic_s
        self._has_asked = True

    def received(self, encoded: bytes, now: float, monotonic_s: float) -> None:
        """Go by this assignment from now on; an older one, or bytes that are none, change nothing.

        After the last epoch, which only a wrong member can lead to, the leader begins anew.
        """
        self.answered(monotonic_s)
        with suppress(InvalidBytesError):
            assignment = decode_assignment(encoded)
            if assignment.epoch >= (self.epoch or 0) or self.epoch == MAX_EPOCH:
                self._go_by(assignment, now, monotonic_s)

    def _go_by(self, assignment: Assignment, now: float, monotonic_s: float) -> None:
        for hand_over in hand_overs(self._assignment, assignment, now):
            self.hand_overs[hand_over.kind] += 1
            self.last_hand_over = hand_over
        if assignment != self._assignment:
            self._assignment = assignment
            self._received_at, self._received_s = now, monotonic_s
        self._differing = differing(assignment, self.name, self._configurations)
        self._is_alone = self._is_refused = False
        self._held_until_s = 0.0
        self.version += 1
        if self._done_is_known_s is None and self.name in assignment.done:
            self._done_is_known_s = monotonic_s

    def refused(self) -> None:
        """Run everything until an assignment comes: the cluster does not let the processes have a group."""
        self._is_refused = True

    def configure(self, configurations: Sequence[int]) -> None:
        """Go by another configuration from now on: its hashes by shard."""
        self._configurations = tuple(configurations)
        self._differing = differing(self._assignment or NOTHING, self.name, self._configurations)

    def tick(self, now: float, monotonic_s: float) -> None:
        """Notice what time has brought; to be called about once a second, while it leaves more often."""
        self._notice_pause(monotonic_s)
        self._notice_set_clock(now, monotonic_s)
        if self._held_until_s and monotonic_s >= self._held_until_s:
            self._held_until_s = 0.0
            self.version += 1
        if self._assignment is None and self._when_alone == "continue":
            self._is_alone = monotonic_s - self._answered_s >= ALONE_S or self._is_alone
        self.version += self._differences.note(self._differing, monotonic_s)
        self._is_done = self._is_done or (self._is_leaving and self._has_no_slot_left(now))

    def _notice_pause(self, monotonic_s: float) -> None:
        if monotonic_s - self._awake_s > STOOD_STILL_S:
            self._wait_for_assignment(monotonic_s)
        self._awake_s = monotonic_s

    def _notice_set_clock(self, now: float, monotonic_s: float) -> None:
        """Notice a clock that was set far, or a machine that slept: what is assigned may be another's now."""
        before, self._clock_at_zero = self._clock_at_zero, now - monotonic_s
        if before is not None and abs(self._clock_at_zero - before) > MAX_SKEW_S:
            self._wait_for_assignment(monotonic_s)

    def _wait_for_assignment(self, monotonic_s: float) -> None:
        self._pauses += 1
        self._held_until_s = monotonic_s + HELD_S

    # How it ends.

    def leave(self) -> None:
        """Begin to hand over everything."""
        self._is_leaving = True

    @property
    def is_done(self) -> bool:
        """Whether a process that leaves has no slot left to run."""
        return self._is_done

    def _has_no_slot_left(self, now: float) -> bool:
        if self._assignment is None or self.name not in self._assignment.leavers:
            return False
        return not any(
            entry.process == self.name and (following is None or following.from_at > now)
            for entries in self._assignment.owners
            for entry, following in zip_longest(entries, entries[1:])
        )

    def may_leave(self, monotonic_s: float) -> bool:
        """Return whether nothing is missed, and nobody is held up, when a process that leaves is gone."""
        if self._is_refused:
            return True
        if self._assignment is None:  # it may be a member already, without knowing its name in the group
            return not self._has_asked or monotonic_s - self._answered_s > ROUNDS * self._session_s
        if self._done_is_known_s is not None:
            return monotonic_s - self._done_is_known_s >= GOODBYE_S
        nobody_stays = self._assignment.leavers == self._assignment.members
        return self.name in self._assignment.leavers and (nobody_stays or self._ran.is_empty)

    # What is shown of it.

    @property
    def is_waiting(self) -> bool:
        """Whether nothing is run yet, as nothing is known of the others."""
        return self._assignment is None and not self._is_alone and not self._is_refused

    @property
    def epoch(self) -> int | None:
        """Milliseconds of Unix time; `None` before the first assignment."""
        return self._assignment.epoch if self._assignment else None

    @property
    def members(self) -> dict[str, list[int]]:
        """The processes of the location, each with the shards of which it is the newest owner."""
        assignment = self._assignment or NOTHING
        shards: dict[str, list[int]] = {name: [] for name in assignment.members}
        for shard, entries in enumerate(assignment.owners):
            if entries and entries[-1].process in shards:
                shards[entries[-1].process].append(shard)
        return shards

    @property
    def differing(self) -> list[int]:
        """The shards that this process checks as well: their owner has had another configuration for 7 s."""
        return sorted(self._differences.lasting)


def _stored(encoded: bytes) -> Announcement | None:
    with suppress(InvalidBytesError):
        return decode_announcement(encoded)
    return None
