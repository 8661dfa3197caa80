"""The processes that share the checks of this location, for the page of the pipeline and for the API."""

from collections.abc import Sequence

import msgspec

from monitor.sharing import Sharing


class ProcessShown(msgspec.Struct, frozen=True):
    """A process of this location, and the shards that it checks; `own` is the process that answers."""

    process: str
    own: bool
    shards: Sequence[int]


class ProcessList(msgspec.Struct, frozen=True):
    """The processes in the order of their names; none while checks are not shared, or not assigned yet."""

    processes: Sequence[ProcessShown]


def processes_of(sharing: Sharing | None) -> ProcessList:
    """Return what this process knows of those that it shares its checks with."""
    members = sorted(sharing.members.items()) if sharing else ()
    return ProcessList(
        [ProcessShown(name, name == sharing.name, shards) for name, shards in members if sharing]
    )
