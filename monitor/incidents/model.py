"""How a monitor is: what is remembered of its results, its open incidents, and the changes of these.

`Health` is stored as JSON with each monitor. The names in that JSON stay as they are, so that what a running
installation has stored can still be read.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import msgspec

from monitor.incidents.location import LocationState

NO_LONGER_CHECKED = "no longer checked"
"""The detail of a change that ends the incident of a monitor that nobody checks any more."""


class Kind(StrEnum):
    """What an incident is about."""

    DOWN = "down"
    PARTIAL = "partial"
    DEGRADED = "degraded"
    NO_DATA = "no_data"
    FLAPPING = "flapping"


ChangeName = Literal["opened", "changed", "resolved", "past"]


@dataclass(frozen=True, slots=True)
class Change:
    """A change of one incident, to be stored.

    People are alerted of it, unless it is `quiet`. `past` is an incident that was over before it was known.
    No one is alerted of an open incident that has another reason since (`changed`).
    """

    change: ChangeName
    kind: Kind
    at: float
    started_at: float
    reason: str | None = None
    detail: str | None = None
    locations: tuple[str, ...] = ()
    quiet: bool = False


class Episode(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """An incident that is not over."""

    kind: Kind
    started_at: float
    decided_at: float
    """Slot of the result that made it certain."""
    observed_at: float = msgspec.field(name="heard_at")
    """When that result came here."""
    reason: str | None = None
    """The present one, as is the detail."""
    detail: str | None = None
    locations: tuple[str, ...] = ()
    was_opened: bool = msgspec.field(default=False, name="told")
    """Whether there is a change `opened` of it; false while all results that show it are old."""
    other_cause: str = ""
    """What the newest failed checks in a row agree on, if that is not the present reason."""
    others: int = 0
    """How many checks these are."""

    def change(self, change: ChangeName, at: float, *, quiet: bool = False) -> Change:
        return Change(change, self.kind, at, self.started_at, self.reason, self.detail, self.locations, quiet)

    def ended(self, at: float, *, quiet: bool = False) -> Change:
        """Return the change that ends it: `resolved`, or `past` if it was never opened."""
        return self.change("resolved" if self.was_opened else "past", max(at, self.started_at), quiet=quiet)

    def opened(self, *, quiet: bool) -> tuple[Change, "Episode"]:
        """Return the change that opens it, and the episode after that."""
        opened = msgspec.structs.replace(self, was_opened=True)
        return self.change("opened", self.decided_at, quiet=quiet), opened


class Health(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What has to be known of a monitor's earlier results when the next one comes."""

    locations: dict[str, LocationState] = {}
    outage: Episode | None = None
    no_data: Episode | None = msgspec.field(default=None, name="silence")
    flapping: Episode | None = None
    turned_at: tuple[float, ...] = ()
    """When outages began and ended, within the last hour."""
    ended_at: float = 0.0
    """When the last outage ended, one of slow answers included: the next one does not begin before that."""
    alone: dict[str, Episode] = {}
    """What goes on at a location whose results come long after those of the others."""

    @property
    def last_at(self) -> float:
        """Slot of the newest result of all locations; minus infinity before the first."""
        return max([state.at for state in self.locations.values()], default=-math.inf)
