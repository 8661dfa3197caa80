"""What an assignment changes, for people: who has got shards, and why. Pure."""

from collections import Counter
from collections.abc import Iterator
from typing import Literal, NamedTuple

from monitor.sharing.assignment import Assignment

Kind = Literal["start", "planned", "death"]


class HandOver(NamedTuple):
    """A change of the owners of shards."""

    at: float
    """Unix seconds."""
    kind: Kind
    shards: int


def hand_overs(old: Assignment | None, new: Assignment, at: float) -> Iterator[HandOver]:
    """Yield what the new assignment changes: `start` is the first one that this process has.

    It is a death for the shards whose owner is gone, and did not say that it was leaving.
    """
    if old is None:
        yield HandOver(at, "start", sum(map(bool, new.owners)))
        return
    known = {"", *old.leavers, *new.members, *new.done}
    moved = Counter[Kind](
        "planned" if before in known else "death" for before, after in _last(old, new) if before != after
    )
    for kind, shards in moved.items():
        yield HandOver(at, kind, shards)


def _last(old: Assignment, new: Assignment) -> Iterator[tuple[str, str]]:
    for before, after in zip(old.owners, new.owners, strict=True):
        yield before[-1].process if before else "", after[-1].process if after else ""
