"""How the leader of the group assigns the shards: what the members announced in, one assignment out. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import zip_longest
from statistics import median_low

from msgspec.structs import replace

from monitor.sharing.assignment import (
    KEPT_S,
    MAX_EPOCH,
    MAX_SKEW_S,
    NOTHING,
    SET_BACK_S,
    Announcement,
    Assignment,
    Entry,
    InvalidBytesError,
    decode_announcement,
    encode,
)
from monitor.sharing.balance import balanced

AHEAD_S = 2.0
"""Seconds until an assignment takes effect: no former owner may have passed that instant when it gets it."""
UNSURE_S = 12.0
"""Of a process that is gone, nobody knows which slots of these last seconds it ran."""


def assign(announcements: Mapping[str, bytes], own_clock: float, known_s: float = 0.0) -> bytes:
    """Return the assignment for all members, from what each announced.

    The clock is the leader's, in Unix seconds; for `known_s` it has had its newest assignment. Bytes that are
    no announcement are left out.
    """
    members = _members(announcements.values())
    if not members:
        return encode(NOTHING)
    return encode(_Round(members, own_clock, known_s).assignment())


def _members(announcements: Iterable[bytes]) -> dict[str, Announcement]:
    """Return what each process announced last: one that had to join again may be a member twice."""
    members: dict[str, Announcement] = {}
    for encoded in announcements:
        with suppress(InvalidBytesError):
            each = decode_announcement(encoded)
            if each.process not in members or each.clock >= members[each.process].clock:
                members[each.process] = each
    return members


class _Round:
    def __init__(self, members: Mapping[str, Announcement], own_clock: float, known_s: float) -> None:
        self._members = members
        newest = _newest(each.assignment for each in members.values())
        self._clocks = {
            name: _clock(each, known_s) for name, each in members.items() if each.assignment == newest
        }
        clocks = [own_clock, *(self._clocks.get(name, each.clock) for name, each in members.items())]
        self._slowest, self._now = _slowest_and_furthest(clocks)
        self._epoch = max(round((self._now + AHEAD_S) * 1000), newest.epoch + 1)
        self._base = newest
        if newest.epoch / 1000 > self._now + SET_BACK_S:
            self._base = _set_back(newest, self._now)
        self._leavers = tuple(name for name, each in members.items() if each.leaving)
        self._done = {*self._base.done, *(name for name, each in members.items() if each.done)}

    def assignment(self) -> Assignment:
        owners = tuple(tuple(self._entries(shard, owner)) for shard, owner in enumerate(self._new_owners()))
        listed = {entry.process for entries in owners for entry in entries}
        done = self._done & listed.union(self._members)
        return Assignment(self._epoch, tuple(self._members), self._leavers, tuple(sorted(done)), owners)

    def _new_owners(self) -> Sequence[str]:
        staying = [name for name in self._members if name not in self._leavers]
        last = [entries[-1].process if entries else None for entries in self._base.owners]
        return balanced(last, staying or list(self._members))

    def _entries(self, shard: int, owner: str) -> Sequence[Entry]:
        """Return the shard's entries with its new owner: those of the last 40 s, one for each change."""
        entries: list[Entry] = []
        for entry in self._handed_over(self._base.owners[shard], owner):
            if entry.from_at <= self._now - KEPT_S:
                entries.clear()
            if not entries or entries[-1].process != entry.process:
                entries.append(self._with_configuration(entry, shard))
        return entries

    def _handed_over(self, entries: Sequence[Entry], owner: str) -> Iterator[Entry]:
        if not entries:
            yield Entry(self._slowest, owner)
            return
        unsure_at = self._now - UNSURE_S
        for entry, following in zip_longest(entries, entries[1:]):
            ran_all = self._ran_all(entry, ended=following is not None)
            if ran_all or entry.from_at < unsure_at:
                yield entry
            if not ran_all and (following is None or following.from_at > unsure_at):
                yield Entry(max(entry.from_at, unsure_at), owner)
        yield Entry(max(self._known_at(entries[-1].process), entries[-1].from_at + 0.001), owner)

    def _known_at(self, process: str) -> float:
        """Return an instant by which a process has this assignment, by its own clock."""
        clock = self._clocks.get(process, self._now)
        return round(min(max(clock, self._slowest), self._now) + AHEAD_S, 3)

    def _ran_all(self, entry: Entry, *, ended: bool) -> bool:
        return entry.process in self._members or (ended and entry.process in self._done)

    def _with_configuration(self, entry: Entry, shard: int) -> Entry:
        if entry.process not in self._members:
            return entry
        return replace(entry, configuration=self._members[entry.process].configurations[shard])


def _newest(assignments: Iterable[Assignment | None]) -> Assignment:
    known = (each for each in assignments if each and each.epoch < MAX_EPOCH)
    return max(known, key=lambda each: each.epoch, default=NOTHING)


def _set_back(assignment: Assignment, now: float) -> Assignment:
    """Return the assignment by clocks that were set back: who would own a shard much later owns it now."""

    def owners_now(entries: Sequence[Entry]) -> tuple[Entry, ...]:
        near = tuple(each for each in entries if each.from_at <= now + SET_BACK_S)
        if len(near) == len(entries):
            return near
        return (*near, replace(entries[-1], from_at=max([now - UNSURE_S, *(each.from_at for each in near)])))

    return replace(assignment, owners=tuple(map(owners_now, assignment.owners)))


def _clock(member: Announcement, known_s: float) -> float:
    """Return a member's clock now: all got the newest assignment at about the same time, `known_s` ago."""
    now = member.received_at + known_s
    return max(now, member.clock) if now <= member.clock + MAX_SKEW_S else member.clock


def _slowest_and_furthest(clocks: Sequence[float]) -> tuple[float, float]:
    """Return the slowest and the furthest clock, but of those that are not wrong."""
    usual = median_low(clocks)
    likely = [clock for clock in clocks if abs(clock - usual) <= MAX_SKEW_S]
    return min(likely), max(likely)
