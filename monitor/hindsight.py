"""What results that come late change of what was said about a monitor.

Pure. What is stored is gone through once more, in the order of its slots. An outage that nobody saw is past,
or is opened if it goes on; one that was seen with other times gets those of its results. What was told is not
taken back: an outage that late results deny goes on until enough checks pass.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from monitor.health import Change, Episode, Health, Kind
from monitor.incident import Observed, retrace
from monitor.result import CheckResult
from monitor.standing import Rules, Standing

_Now = tuple[Episode | None, list[Change]]  # the outage that goes on, and what is to be stored


class Stretch(NamedTuple):
    """A part of the past: how it ends, and the outages that began and ended in it."""

    start: float
    health: Health
    outages: list[Change]
    is_cut: bool
    """Whether it begins in an outage, which may have begun before."""

    def standing(self, location: str, rules: Rules) -> Standing | None:
        """Where the location stands at its end, if it is long enough to tell."""
        found = self.health.locations.get(location)
        return found if found and found.at >= self.start + rules.memory * rules.interval_s else None

    def retells(self, change: Change) -> bool:
        """Whether it tells of the same outage, which was over before anybody was told."""
        return (
            change.change == "past"
            and change.kind is not Kind.FLAPPING
            and any(each.started_at < change.at and change.started_at < each.at for each in self.outages)
        )


def stretch(start: float, stored: Sequence[CheckResult], rules: Rules) -> Stretch:
    """Go through all results since then, at least one, in the order of their slots."""
    health, outages = retrace(stored, rules)
    began_at = [outage.started_at for outage in (*outages, health.outage) if outage]
    first_at = stored[0].scheduled_at + rules.reach_s
    return Stretch(start, health, outages, is_cut=any(at < first_at for at in began_at))


def look_back(observed: Observed, seen: Stretch, rules: Rules, now: float) -> tuple[Health, list[Change]]:
    """Say how the monitor is, and what to store of it, now that late results are in their places."""
    observed = observed._replace(changes=[each for each in observed.changes if not seen.retells(each)])
    health = observed.health
    known = _known_now(observed, seen, now) if _ends_alike(seen.health, health) else None
    if known is None:
        held_at = health.outage.started_at if health.outage else math.inf
        return health, [*observed.changes, *(each for each in seen.outages if each.at <= held_at)]
    outage, changes = known
    locations = {
        name: _corrected(standing, seen.standing(name, rules)) for name, standing in health.locations.items()
    }
    corrected = Health(locations, outage, health.silence, health.flapping, seen.health.turned_at)
    return corrected, [*changes, *seen.outages]


def _ends_alike(seen: Health, health: Health) -> bool:
    """Whether it ends with the newest results; slots do not tell which are, where a clock was set back."""
    newest = {name: standing.at for name, standing in health.locations.items()}
    return all(standing.at == newest.get(name) for name, standing in seen.locations.items())


def _known_now(observed: Observed, seen: Stretch, now: float) -> _Now | None:
    """Compare the outage that goes on with the one that was known; none: what is known stays."""
    was, found, changes = observed.health.outage, seen.health.outage, observed.changes
    quiet = observed.health.flapping is not None
    if was and found and was.kind is found.kind:
        started_at = min(was.started_at, found.started_at) if seen.is_cut else found.started_at
        outage = msgspec.structs.replace(was, started_at=started_at)
        moved = [outage.change("moved", outage.decided_at)] if was.told and outage != was else []
        return outage, [*changes, *moved]
    opened = [each for each in changes if each.change == "opened" and was and each.kind is was.kind]
    if was and was.told and not opened:
        over = [each.at for each in seen.outages if each.at > was.started_at]
        return None if found or not over else (None, [*changes, was.ended(over[-1], quiet=quiet)])
    if was and was.started_at < seen.start:
        return None
    changes = [each for each in changes if each not in opened]
    if not found:
        return None, changes
    found = msgspec.structs.replace(found, heard_at=now)
    if not observed.failing or found.kind is not Kind.DOWN:
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
    )
