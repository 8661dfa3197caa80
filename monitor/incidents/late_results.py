"""What late results change of the incidents of a monitor.

Pure. The stored results are gone through once more, in the order of their slots. An outage that is found in
this way is `past`, or is opened if it goes on; a known one gets the times that the results give it. What
people were alerted of is not taken back: an open outage goes on until enough checks pass, even if late
results show that there was none.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import msgspec

from monitor.incidents.course import Observed, retrace
from monitor.incidents.location import LocationState, Slowness
from monitor.incidents.model import Change, Episode, Health, Kind
from monitor.incidents.rules import Rules
from monitor.result import CheckResult

_OUTAGES = (Kind.DOWN, Kind.PARTIAL, Kind.DEGRADED)
_Present = tuple[Episode | None, list[Change]]  # the open outage, and the changes to store


class Retraced(NamedTuple):
    """A part of the past, gone through once more: how it ends, and the outages that ended in it."""

    start: float
    health: Health
    outages: list[Change]

    def state_of(self, location: str, rules: Rules) -> LocationState | None:
        """Return the state of the location at the end; `None` if the part is too short to know it."""
        found = self.health.locations.get(location)
        return found if found and found.at >= self.start + rules.memory * rules.interval_s else None

    def has(self, change: Change) -> bool:
        """Return whether the change is a `past` outage that was found here, too."""
        return (
            change.change == "past"
            and change.kind in _OUTAGES
            and any(each.started_at < change.at and change.started_at < each.at for each in self.outages)
        )


def retrace_stored(start: float, stored: Sequence[CheckResult], before: Health, rules: Rules) -> Retraced:
    """Go through all stored results since `start`, in the order of their slots.

    `before` is the health before the late ones came.
    """
    return Retraced(start, *retrace(_health_at(start, before, stored, rules), stored, rules))


def _health_at(start: float, before: Health, stored: Sequence[CheckResult], rules: Rules) -> Health:
    """Return the outage that was open at `start`, and which locations were down then."""
    outage = before.outage
    if not outage or outage.started_at > start:
        return Health()
    reporting = {result.location for result in stored}
    locations = {
        name: LocationState(
            start,
            start + rules.reach_s,
            "unknown",
            known_at=start,
            down=state.down is (state.since <= start),  # it may have turned since
            since=min(state.since, start),
            unproven=state.unproven,
            slowness=Slowness(
                state.slowness.slow is (state.slowness.since <= start), min(state.slowness.since, start)
            ),
        )
        for name, state in before.locations.items()
        if name in reporting
    }
    return Health(locations, outage)


def correct(
    before: Health, observed: Observed, retraced: Retraced, rules: Rules, now: float
) -> tuple[Health, list[Change]]:
    """Return how the monitor is, and the changes to store, now that late results are in their places."""
    health, quiet = observed.health, observed.health.flapping is not None
    outages = [
        replace(each, change="past", quiet=quiet, seen_from=retraced.start) for each in retraced.outages
    ]
    present = (
        _present(before.outage, observed, retraced, now) if _ends_alike(retraced.health, health) else None
    )
    if present is None:
        held_at = health.outage.started_at if health.outage else math.inf
        changes = [each for each in observed.changes if not retraced.has(each)]
        return health, changes + [each for each in outages if each.at <= held_at]
    outage, changes = present
    locations = {
        name: _corrected(state, retraced.state_of(name, rules)) for name, state in health.locations.items()
    }
    turned_at = retraced.health.turned_at
    corrected = msgspec.structs.replace(health, locations=locations, outage=outage, turned_at=turned_at)
    return corrected, changes + outages


def _ends_alike(retraced: Health, health: Health) -> bool:
    """Return whether both end with the same results; they do not where a clock was set back."""
    newest = {name: state.at for name, state in health.locations.items()}
    return retraced.last_at > health.unchecked_after and all(
        state.at == newest.get(name) for name, state in retraced.locations.items()
    )


def _present(was: Episode | None, observed: Observed, retraced: Retraced, now: float) -> _Present | None:
    """Compare the open outage with what was found; `None` if there was no such one: it stays open."""
    found, quiet = retraced.health.outage, observed.health.flapping is not None
    changes = [each for each in observed.changes if each.kind not in _OUTAGES]
    if was and was.was_opened:
        if found and found.kind is was.kind:
            moved = msgspec.structs.replace(was, started_at=found.started_at)
            return moved, changes if moved == was else [*changes, moved.change("moved", was.decided_at)]
        ended_at = *(each.at for each in retraced.outages), *retraced.health.turned_at[-1:]
        over = [at for at in ended_at if at > was.started_at]
        if not over:
            return None
        goes_on = found is not None and found.started_at == over[0]
        changes.append(was.ended(over[0], quiet=quiet or goes_on))
    if not found:
        return None, changes
    found = msgspec.structs.replace(found, observed_at=was.observed_at if was else now)
    opened = [each for each in observed.changes if each.change == "opened" and each.kind is found.kind]
    if not opened and (not observed.failing or found.kind is not Kind.DOWN):
        return found, changes
    change, outage = found.opened(quiet=quiet)
    return outage, [*changes, change]


def _corrected(state: LocationState, retraced: LocationState | None) -> LocationState:
    if not retraced:
        return state
    return msgspec.structs.replace(
        state,
        known_at=retraced.known_at,
        down=retraced.down,
        since=retraced.since,
        streak=retraced.streak,
        streak_at=retraced.streak_at,
        failed=retraced.failed,
        unproven=state.unproven and retraced.unproven,
        slowness=retraced.slowness,
    )
