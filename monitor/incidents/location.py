"""How a monitor is as seen from one location: up until enough checks fail, down until enough pass.

In the same way it is slow until enough checks are fast, where the rules ask for that.

Pure. A location's results count in the order of their slots.
"""

from collections.abc import Mapping

import msgspec

from monitor.incidents.rules import Rules
from monitor.result import CheckResult
from monitor.runtime.text import HOUR_S
from monitor.uptime.sums import Status, UptimePoint, status_of

_FORGOTTEN_S = HOUR_S  # slow checks leave gaps of more than their intervals, but not that long


class Slowness(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Whether the checks of a location are slow, and how many in a row say otherwise."""

    slow: bool = False
    since: float = 0.0
    """Slot of the first result of the streak that made it so."""
    streak: int = 0
    streak_at: float = 0.0

    def after(self, result: CheckResult, rules: Rules) -> "Slowness":
        """Return it after one more result; a failed check is neither slow nor fast, and ends a streak."""
        if not rules.degraded:
            return Slowness(since=result.scheduled_at)
        if not result.up or result.degraded is self.slow:
            return msgspec.structs.replace(self, streak=0) if self.streak else self
        streak, first = self.streak + 1, self.streak_at if self.streak else result.scheduled_at
        if streak >= (rules.successes if self.slow else rules.failures):
            return Slowness(not self.slow, first)
        return Slowness(self.slow, self.since, streak, first)


_NOT_SLOW = Slowness()


class LocationState(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """How the monitor is as seen from one location, and what the next result has to be compared with."""

    at: float
    """Slot of the newest result."""
    until: float
    """The newest result counts until then, or until the next one."""
    status: Status
    """By the newest result alone."""
    known_at: float | None = None
    """Slot of the newest result that shows whether the site is up."""
    down: bool = False
    since: float = 0.0
    """Slot of the first result of the streak that made it `down`, or up."""
    streak: int = 0
    """How many results in a row disagree with `down`."""
    streak_at: float = 0.0
    """Slot of the first of these."""
    failed: tuple[float | None, ...] = ()
    """With a sample: its results while the location is up; of a failed one the slot, of a passed one null."""
    unproven: bool = False
    """Whether no check has passed since the first result, or since the first one after a long time."""
    slowness: Slowness = _NOT_SLOW

    @property
    def is_decided(self) -> bool:
        """Return whether it is known to be up or down: it is not while the very first checks fail."""
        return self.down or not self.unproven

    @property
    def level(self) -> int:
        """Return 2 if it is down, 1 if it is slow, else 0."""
        return 2 if self.down else int(self.slowness.slow)

    @property
    def point(self) -> UptimePoint:
        """Return the newest result, for uptime."""
        return UptimePoint(self.at, self.status, self.until)


def turned_at(before: LocationState | None, after: LocationState) -> float | None:
    """Return when it turned down, slow or back: the first slot of the streak; `None` if it did not."""
    was_down, was_slow = (before.down, before.slowness.slow) if before else (False, False)
    if after.slowness.slow is was_slow:
        return None if after.down is was_down else after.since
    return after.slowness.since if after.down is was_down else max(after.since, after.slowness.since)


def reporting(locations: Mapping[str, LocationState], since: float) -> dict[str, LocationState]:
    """Return the locations with a result about the site at `since` or later."""
    return {
        name: each for name, each in locations.items() if each.known_at is not None and each.known_at >= since
    }


def quorum(rules: Rules, reporting: int) -> int:
    """Return how many locations must be down for the monitor to be down."""
    return min(rules.quorum or (reporting + 1) // 2, reporting)


def point_of(result: CheckResult, rules: Rules) -> UptimePoint:
    """Return what the result means for uptime."""
    at = result.scheduled_at
    return UptimePoint(at, status_of(result.up, result.degraded), at + rules.reach_s)


def next_state(before: LocationState | None, result: CheckResult, rules: Rules) -> LocationState:
    """Return the state of the location after one more result.

    A result that agrees with the state clears the streak: one lucky answer during an outage does not bring
    its end any nearer. A long time without results clears it too: what lies on both sides is not in a row.
    """
    at, up = result.scheduled_at, result.up
    until, status = at + rules.reach_s, status_of(up, result.degraded)
    before = before or LocationState(at, until, status, unproven=True)
    if at > before.until + _FORGOTTEN_S:
        slowness = msgspec.structs.replace(before.slowness, streak=0)
        before = msgspec.structs.replace(before, streak=0, failed=(), unproven=True, slowness=slowness)
    unproven = before.unproven and not up
    if up is None:
        return msgspec.structs.replace(before, at=at, until=until, status=status)
    after = LocationState(at, until, status, at, before.down, before.since, unproven=unproven)
    if rules.degraded or before.slowness.slow:
        after = msgspec.structs.replace(after, slowness=before.slowness.after(result, rules))
    if up != before.down and not rules.sample:
        return after
    streak = 0 if up != before.down else before.streak + 1
    first = before.streak_at if before.streak else at
    failed: tuple[float | None, ...] = ()
    turned = streak >= (rules.successes if before.down else rules.failures)
    if rules.sample and not before.down:
        failed = (*before.failed, None if up else at)[-rules.sample.of :]
        bad = [slot for slot in failed if slot is not None]
        turned = len(bad) >= rules.sample.bad
        first = bad[0] if turned else first
    if turned:
        return msgspec.structs.replace(after, down=not before.down, since=first)
    return msgspec.structs.replace(after, streak=streak, streak_at=first, failed=failed)
