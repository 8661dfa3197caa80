"""The parts of the rule, each with what the program is without it: the simulation must find each."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import NamedTuple
from unittest.mock import patch

from monitor.sharing import assignment, differences, leader, process
from monitor.sharing.assignment import NOTHING, Announcement, Assignment, Entry
from monitor.sharing.memory import Memory
from monitor.sharing.process import Process


class Part(NamedTuple):
    """A part of the rule."""

    shown_by: str
    """A scenario whose promise is broken without it."""
    without: Callable[[], AbstractContextManager[object]]


def _newest_owner(found: Assignment, shard: int, _: float) -> Entry | None:
    entries = found.owners[shard]
    return entries[-1] if entries else None


def _is_present(its_round: leader._Round, entry: Entry, *, ended: bool) -> bool:
    del ended
    return entry.process in its_round._members


def _is_present_or_ended(its_round: leader._Round, entry: Entry, *, ended: bool) -> bool:
    return ended or entry.process in its_round._members


def _own_clock(clocks: Sequence[float]) -> tuple[float, float]:
    return clocks[0], clocks[0]


def _furthest_clock(clocks: Sequence[float]) -> tuple[float, float]:
    return max(clocks), max(clocks)


def _oldest(assignments: Iterable[Assignment | None]) -> Assignment:
    return min((each for each in assignments if each), key=lambda each: each.epoch, default=NOTHING)


def _when_it_joined(member: Announcement, _: float) -> float:
    return member.clock


_may_leave = Process.may_leave


def _leaves_without_its_name(one: Process, monotonic_s: float) -> bool:
    return one.epoch is None or _may_leave(one, monotonic_s)


@contextmanager
def _as_if_set_little() -> Iterator[None]:
    with patch.object(leader, "SET_BACK_S", math.inf), patch.object(assignment, "SET_BACK_S", math.inf):
        yield


PARTS: Mapping[str, Part] = {
    "an instant from which it holds": Part(
        "planned changes", lambda: patch.object(Assignment, "owner", _newest_owner)
    ),
    "two seconds until then": Part(
        "planned, clocks up to 3 s apart", lambda: patch.object(leader, "AHEAD_S", 0.0)
    ),
    "the last 40 s": Part("a kill of a leaver", lambda: patch.object(leader, "KEPT_S", 0.0)),
    "the highest epoch": Part("a freeze of 3 to 30 s", lambda: patch.object(leader, "_newest", _oldest)),
    "the furthest clock": Part(
        "planned, clocks up to 3 s apart", lambda: patch.object(leader, "_slowest_and_furthest", _own_clock)
    ),
    "a former owner's clock": Part(
        "planned, clocks up to 3 s apart",
        lambda: patch.object(leader._Round, "_known_at", lambda each, _: each._now + leader.AHEAD_S),
    ),
    "the time since it joined": Part(
        "a start while one pauses, clocks up to 3 s apart",
        lambda: patch.object(leader, "_clock", _when_it_joined),
    ),
    "the slowest clock": Part(
        "started without a coordinator for long",
        lambda: patch.object(leader, "_slowest_and_furthest", _furthest_clock),
    ),
    "clocks that are set far": Part(
        "started with clocks that are an hour ahead, then set",
        _as_if_set_little,
    ),
    "parts of processes that are gone": Part(
        "a kill of a leaver", lambda: patch.object(leader._Round, "_ran_all", _is_present_or_ended)
    ),
    "the last 12 s of them": Part("a kill, loops pause", lambda: patch.object(leader, "UNSURE_S", 5.0)),
    "done": Part("planned changes", lambda: patch.object(leader._Round, "_ran_all", _is_present)),
    "leaving": Part("planned changes", lambda: patch.object(Process, "may_leave", lambda *_: True)),
    "1.5 s before it leaves": Part(
        "a new version, one process after the other", lambda: patch.object(process, "GOODBYE_S", 0.0)
    ),
    "its name before it leaves": Part(
        "processes that come and go", lambda: patch.object(Process, "may_leave", _leaves_without_its_name)
    ),
    "past slots": Part("a kill", lambda: patch.object(Process, "missed", lambda *_: [])),
    "two of them": Part("a kill, the others pause", lambda: patch.object(process, "MISSED", 1)),
    "14 s of them": Part("a kill, loops pause", lambda: patch.object(process, "MISSED_S", 6.0)),
    "each slot once": Part("planned changes", lambda: patch.object(Memory, "has", lambda *_: False)),
    "standing still": Part("a freeze of 3 to 30 s", lambda: patch.object(process, "STOOD_STILL_S", math.inf)),
    "20 s without a coordinator": Part(
        "started without a coordinator for up to 15 s", lambda: patch.object(process, "ALONE_S", 5.0)
    ),
    "everything without a coordinator": Part(
        "started without a coordinator for long", lambda: patch.object(process, "ALONE_S", math.inf)
    ),
    "other configurations": Part(
        "files that differ for up to 30 s", lambda: patch.object(differences, "TOLERATED_S", math.inf)
    ),
    "seven seconds of them": Part(
        "all read a new file within 3 s", lambda: patch.object(differences, "TOLERATED_S", 0.0)
    ),
    "the same bytes for a second": Part(
        "a kill, 30 % of SyncGroups lost", lambda: patch.object(process, "SAME_BYTES_S", 0.0)
    ),
}


def without(name: str | None) -> AbstractContextManager[object]:
    """Return a context in which the program lacks this part."""
    return PARTS[name].without() if name else nullcontext()
