"""What is known of a monitor's health, what is wrong with it, and what is stored and told of that."""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import msgspec

from monitor.standing import Standing


class Kind(StrEnum):
    """What an incident is about."""

    DOWN = "down"
    PARTIAL = "partial"
    NO_DATA = "no_data"
    FLAPPING = "flapping"


@dataclass(frozen=True, slots=True)
class Change:
    """One thing to store and, unless `quiet`, to tell; one that is `moved` is told by nobody."""

    change: Literal["opened", "resolved", "past", "moved"]
    kind: Kind
    at: float
    started_at: float
    reason: str | None = None
    detail: str | None = None
    locations: tuple[str, ...] = ()
    quiet: bool = False
    seen_from: float | None = None
    """What is known to have begun before then did not begin later."""


class Episode(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """An incident that is not over."""

    kind: Kind
    started_at: float
    decided_at: float
    """Slot of the result that made it certain."""
    heard_at: float
    """When that result was observed."""
    reason: str | None = None
    detail: str | None = None
    locations: tuple[str, ...] = ()
    told: bool = False
    """Whether it was opened; false while all that speaks for it is old news."""

    def change(
        self, change: Literal["opened", "resolved", "past", "moved"], at: float, *, quiet: bool = False
    ) -> Change:
        """Say what becomes of it."""
        return Change(change, self.kind, at, self.started_at, self.reason, self.detail, self.locations, quiet)

    def ended(self, at: float, *, quiet: bool = False) -> Change:
        """Say that it is over; one that was never opened is past."""
        return self.change("resolved" if self.told else "past", at, quiet=quiet)

    def opened(self, *, quiet: bool) -> tuple[Change, "Episode"]:
        """Say that it goes on."""
        return self.change("opened", self.decided_at, quiet=quiet), msgspec.structs.replace(self, told=True)


class Health(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What the next result of a monitor needs to know of those before."""

    locations: dict[str, Standing] = {}
    outage: Episode | None = None
    silence: Episode | None = None
    flapping: Episode | None = None
    turned_at: tuple[float, ...] = ()
    """When its outages began and ended, within an hour."""
    rested_at: float = 0.0
    """Slot of the newest result before nobody watched it for a while."""

    @property
    def last_at(self) -> float:
        """Slot of the newest result of all locations; minus infinity before the first."""
        return max((standing.at for standing in self.locations.values()), default=-math.inf)
