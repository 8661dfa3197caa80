"""The processes that share the checks of this location, for the page of the pipeline and for the API."""

from collections.abc import Sequence

import msgspec

from monitor.sharing.hand_overs import Kind
from monitor.sharing.process import Process


class ProcessShown(msgspec.Struct, frozen=True):
    """A process of this location, and the shards that it checks; `own` is the process that answers."""

    process: str
    own: bool
    shards: Sequence[int]


class HandOverShown(msgspec.Struct, frozen=True):
    """When shards last changed their owner, how many, and why."""

    at: float
    kind: Kind
    shards: int


class ProcessList(msgspec.Struct, frozen=True):
    """The processes in the order of their names; none while checks are not shared, or not assigned yet.

    `epoch` grows with each assignment: it is when the newest takes effect, in milliseconds of Unix time.
    `differing` are the shards whose owner has another configuration than the process that answers.
    """

    processes: Sequence[ProcessShown]
    epoch: int | None
    last_hand_over: HandOverShown | None
    differing: Sequence[int]


def processes_of(sharing: Process | None) -> ProcessList:
    """Return what this process knows of those that it shares its checks with."""
    if sharing is None:
        return ProcessList((), None, None, ())
    last = sharing.last_hand_over
    return ProcessList(
        [
            ProcessShown(name, name == sharing.name, shards)
            for name, shards in sorted(sharing.members.items())
        ],
        sharing.epoch,
        None if last is None else HandOverShown(last.at, last.kind, last.shards),
        sharing.differing,
    )
