"""How the leader of the group assigns the shards: what the members announced in, one assignment out. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import zip_longest

from msgspec.structs import replace

from monitor.sharing.assignment import (
    KEPT_S,
    NOTHING,
    Announcement,
    Assignment,
    Entry,
    InvalidBytesError,
    decode_announcement,
    encode,
)
from monitor.sharing.balance import balanced
from monitor.sharing.shards import SHARDS

AHEAD_S = 2.0
"""Seconds until an assignment takes effect: longer than it takes to reach all members."""
MAX_SKEW_S = 10.0
"""A clock that is further ahead of the leader's is wrong."""
UNSURE_S = 12.0
"""Of a process that is gone, nobody knows which slots of these last seconds it ran."""


def assign(announcements: Mapping[str, bytes], own_clock: float) -> bytes:
    """Return the assignment for all members, from what each announced.

    The clock is the leader's, in Unix seconds. Bytes that are no announcement are left out.
    """
    members = _members(announcements.values())
    if not members:
        return encode(NOTHING)
    return encode(_Round(members, own_clock).assignment())


def _members(announcements: Iterable[bytes]) -> dict[str, Announcement]:
    """Return what each process announced last; one that joined again may still be a member twice."""
    members: dict[str, Announcement] = {}
    for encoded in announcements:
        with suppress(InvalidBytesError):
            each = decode_announcement(encoded)
            if each.process not in members or each.clock >= members[each.process].clock:
                members[each.process] = each
    return members


class _Round:
    def __init__(self, members: Mapping[str, Announcement], own_clock: float) -> None:
        self._members = members
        known = [each.assignment for each in members.values() if each.assignment]
        self._base = max(known, key=lambda each: each.epoch, default=NOTHING)
        clocks = [each.clock for each in members.values() if each.clock <= own_clock + MAX_SKEW_S]
        self._now = max(own_clock, *clocks)
        self._epoch = max(round((self._now + AHEAD_S) * 1000), self._base.epoch + 1)
        self._done = {*self._base.done, *(name for name, each in members.items() if each.done)}

    def assignment(self) -> Assignment:
        leavers = tuple(name for name, each in self._members.items() if each.leaving)
        staying = [name for name in self._members if name not in leavers]
        last = [self._base.last(shard) for shard in range(SHARDS)]
        owners = balanced([each.process if each else None for each in last], staying or list(self._members))
        entries = tuple(tuple(self._entries(shard, owner)) for shard, owner in enumerate(owners))
        listed = {entry.process for each in entries for entry in each} | set(self._members)
        return Assignment(
            self._epoch, tuple(self._members), leavers, tuple(sorted(self._done & listed)), entries
        )

    def _entries(self, shard: int, owner: str) -> Sequence[Entry]:
        """Return the shard's entries with its new owner: the last 40 s, one for each change of owner."""
        entries: list[Entry] = []
        for entry in self._handed_over(self._base.owners[shard], owner):
            if entries and entry.from_at <= self._now - KEPT_S:
                entries.clear()
            if not entries or entries[-1].process != entry.process:
                entries.append(self._with_configuration(entry, shard))
        return entries

    def _handed_over(self, entries: Sequence[Entry], owner: str) -> Iterator[Entry]:
        if not entries:
            yield Entry(self._now, owner)
        for entry, following in zip_longest(entries, entries[1:]):
            if self._ran_its_slots(entry, ended=following is not None):
                yield entry
                continue
            unsure_at = self._now - UNSURE_S
            if entry.from_at < unsure_at:
                yield entry
            if following is None or following.from_at > unsure_at:
                yield Entry(max(entry.from_at, unsure_at), owner)
        yield Entry(self._epoch / 1000, owner)

    def _ran_its_slots(self, entry: Entry, *, ended: bool) -> bool:
        return entry.process in self._members or (ended and entry.process in self._done)

    def _with_configuration(self, entry: Entry, shard: int) -> Entry:
        if entry.process not in self._members:
            return entry
        return replace(entry, configuration=self._members[entry.process].configurations[shard])
