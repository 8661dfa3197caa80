"""What the processes of a location send each other: the assignment, and what each announces. Pure.

Both are bytes that come from outside: they are bounded in length and in every part before they are used.
"""

from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from monitor.sharing.shards import SHARDS

MAX_BYTES = 1_000_000
MAX_EPOCH = 2 * 10**14  # twice what the furthest clock can lead to
MAX_SKEW_S = 10.0
"""A clock that is further from another than this is wrong."""
KEPT_S = 40.0
"""How far back an assignment lists owners."""

SET_BACK_S = 60.0
"""What lies so far ahead was assigned before the clocks were set back."""

ProcessName = Annotated[str, Meta(pattern=r"^[!-~]{1,100}\Z")]
Instant = Annotated[float, Meta(ge=0, le=1e11)]
Hash = Annotated[int, Meta(ge=0, lt=2**32)]
_Processes = Annotated[tuple[ProcessName, ...], Meta(max_length=1_000)]


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """From `from_at` (Unix seconds) until the next entry, a shard belongs to this process."""

    from_at: Annotated[float, Meta(ge=-1e3, le=2e11)]
    process: ProcessName
    configuration: Hash = 0
    """The owner's hash of how it checks the shard's monitors."""


Entries = Annotated[tuple[Entry, ...], Meta(max_length=1_000)]


class Assignment(msgspec.Struct, frozen=True, array_like=True):
    """Who owns each shard, for the last 40 s and from now on."""

    epoch: Annotated[int, Meta(ge=0, le=MAX_EPOCH)]
    """By when its newest entries begin, in milliseconds of Unix time; grows with each assignment."""
    members: _Processes
    leavers: _Processes
    """Members that own nothing from the epoch on, because they end."""
    done: _Processes
    """Processes that ran all their slots before they left."""
    owners: Annotated[tuple[Entries, ...], Meta(min_length=SHARDS, max_length=SHARDS)]
    """By shard, oldest first."""

    def owner(self, shard: int, slot: float) -> Entry | None:
        """Return the entry that a slot (Unix seconds) belongs to; `None` where nobody owned the shard yet.

        Slots long before the first entry are its own: the clock was set back.
        """
        entries = self.owners[shard]
        if entries and slot < entries[0].from_at - SET_BACK_S:
            return entries[0]
        return next((each for each in reversed(entries) if each.from_at <= slot), None)


NOTHING = Assignment(0, (), (), (), ((),) * SHARDS)


class Announcement(msgspec.Struct, frozen=True, array_like=True):
    """What a member tells the leader when it joins."""

    process: ProcessName
    assignment: Assignment | None
    """The newest that it has."""
    leaving: bool
    done: bool
    clock: Instant
    """Its wall clock when it joined, or the newest slot that it has run, if that is further."""
    configurations: Annotated[tuple[Hash, ...], Meta(min_length=SHARDS, max_length=SHARDS)]
    """By shard, a hash of how it checks the shard's monitors."""
    received_at: Instant = 0.0
    """What its clock was when it got its assignment."""


class InvalidBytesError(ValueError):
    """The bytes are no assignment, or no announcement; the text says what is wrong."""


_T = TypeVar("_T")

_encoder = msgspec.msgpack.Encoder()
_assignments = msgspec.msgpack.Decoder(Assignment)
_announcements = msgspec.msgpack.Decoder(Announcement)


def encode(what: Assignment | Announcement) -> bytes:
    return _encoder.encode(what)


def decode_assignment(encoded: bytes) -> Assignment:
    """Return the assignment.

    Raises:
        InvalidBytesError: the bytes are none.

    """
    return _decode(_assignments, encoded)


def decode_announcement(encoded: bytes) -> Announcement:
    """Return the announcement.

    Raises:
        InvalidBytesError: the bytes are none.

    """
    return _decode(_announcements, encoded)


def _decode(decoder: msgspec.msgpack.Decoder[_T], encoded: bytes) -> _T:
    if len(encoded) > MAX_BYTES:
        raise InvalidBytesError(f"{len(encoded)} bytes are too many")
    try:
        return decoder.decode(encoded)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidBytesError(str(error)) from error
