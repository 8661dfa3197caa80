"""What results that come late change of what was said about a monitor.

Pure. What is stored is gone through once more, in the order of its slots. An outage that nobody saw is past,
or is opened if it goes on; one that was seen with other times gets those of its results. What was told is not
taken back: an outage that late results deny goes on until enough checks pass.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import msgspec

from monitor.health import Change, Episode, Health, Kind
from monitor.incident import Observed, retrace
from monitor.result import CheckResult
from monitor.standing import Rules, Standing

_OUTAGES = (Kind.DOWN, Kind.PARTIAL)
_Now = tuple[Episode | None, list[Change]]  # the outage that goes on, and what is to be stored


class Stretch(NamedTuple):
    """A part of the past: how it ends, and the outages that ended in it."""

    start: float
    health: Health
    outages: list[Change]

    def standing(self, location: str, rules: Rules) -> Standing | None:
        """Where the location stands at its end, if it is long enough to tell."""
        found = self.health.locations.get(location)
        return found if found and found.at >= self.start + rules.memory * rules.interval_s else None

    def retells(self, change: Change) -> bool:
        """Whether it tells of the same outage, which was over before anybody was told."""
        return (
            change.change == "past"
            and change.kind in _OUTAGES
            and any(each.started_at < change.at and change.started_at < each.at for each in self.outages)
        )


def stretch(start: float, stored: Sequence[CheckResult], before: Health, rules: Rules) -> Stretch:
    """Go through all results since then, in the order of their slots.

    `before` is what was known before the late ones came.
    """
    return Stretch(start, *retrace(_as_of(start, before, stored, rules), stored, rules))


def _as_of(start: float, before: Health, stored: Sequence[CheckResult], rules: Rules) -> Health:
    """Say what was known then of an outage that went on: who saw it, and who did not."""
    outage = before.outage
    if not outage or outage.started_at > start:
        return Health()
    reporting = {result.location for result in stored}
    locations = {
        name: Standing(
            start,
            start + rules.reach_s,
            "unknown",
            known_at=start,
            down=standing.down is (standing.since <= start),  # it may have turned since
            since=min(standing.since, start),
            unproven=standing.unproven,
        )
        for name, standing in before.locations.items()
        if name in reporting
    }
    return Health(locations, outage)


def look_back(
    before: Health, observed: Observed, seen: Stretch, rules: Rules, now: float
) -> tuple[Health, list[Change]]:
    """Say how the monitor is, and what to store of it, now that late results are in their places."""
    health, quiet = observed.health, observed.health.flapping is not None
    outages = [replace(each, change="past", quiet=quiet, seen_from=seen.start) for each in seen.outages]
    known = _known_now(before.outage, observed, seen, now) if _ends_alike(seen.health, health) else None
    if known is None:
        held_at = health.outage.started_at if health.outage else math.inf
        changes = [each for each in observed.changes if not seen.retells(each)]
        return health, changes + [each for each in outages if each.at <= held_at]
    outage, changes = known
    locations = {
        name: _corrected(standing, seen.standing(name, rules)) for name, standing in health.locations.items()
    }
    turned_at = seen.health.turned_at
    corrected = msgspec.structs.replace(health, locations=locations, outage=outage, turned_at=turned_at)
    return corrected, changes + outages


def _ends_alike(seen: Health, health: Health) -> bool:
    """Whether it ends with the newest results; slots do not tell which are, where a clock was set back."""
    newest = {name: standing.at for name, standing in health.locations.items()}
    return seen.last_at > health.rested_at and all(
        standing.at == newest.get(name) for name, standing in seen.locations.items()
    )


def _known_now(was: Episode | None, observed: Observed, seen: Stretch, now: float) -> _Now | None:
    """Compare the outage that goes on with what was told; none: that is denied, and stays."""
    found, quiet = seen.health.outage, observed.health.flapping is not None
    changes = [each for each in observed.changes if each.kind not in _OUTAGES]
    if was and was.told:
        if found and found.kind is was.kind:
            moved = msgspec.structs.replace(was, started_at=found.started_at)
            return moved, changes if moved == was else [*changes, moved.change("moved", was.decided_at)]
        ended_at = *(each.at for each in seen.outages), *seen.health.turned_at[-1:]
        over = [at for at in ended_at if at > was.started_at]
        if not over:
            return None
        goes_on = found is not None and found.started_at == over[0]
        changes.append(was.ended(over[0], quiet=quiet or goes_on))
    if not found:
        return None, changes
    found = msgspec.structs.replace(found, heard_at=was.heard_at if was else now)
    opened = [each for each in observed.changes if each.change == "opened" and each.kind is found.kind]
    if not opened and (not observed.failing or found.kind is not Kind.DOWN):
        return found, changes
    change, told = found.opened(quiet=quiet)
    return told, [*changes, change]


def _corrected(standing: Standing, seen: Standing | None) -> Standing:
    if not seen:
        return standing
    return msgspec.structs.replace(
        standing,
        known_at=seen.known_at,
        down=seen.down,
        since=seen.since,
        streak=seen.streak,
        streak_at=seen.streak_at,
        failed=seen.failed,
        unproven=standing.unproven and seen.unproven,
    )
