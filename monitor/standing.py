"""Where one location stands with a monitor: up until enough checks fail, down until enough pass.

Pure. A location's results count in the order of their slots, whenever they come.
"""

from dataclasses import dataclass

import msgspec

from monitor.maintenance import Windows
from monitor.result import CheckResult
from monitor.uptime import REACH, Point, Status, status_of


@dataclass(frozen=True, slots=True)
class Window:
    """So many bad results among the last ones."""

    of: int
    bad: int


@dataclass(frozen=True, slots=True)
class Rules:
    """When a monitor's results make an incident, and when they are left out of its uptime."""

    interval_s: float = 60.0
    failures: int = 3  # failed checks in a row that open an incident
    successes: int = 2  # passed checks in a row that resolve it
    window: Window | None = None  # opens an incident instead of `failures`
    quorum: int | None = None  # locations that must agree; half of them, rounded up
    windows: Windows | None = None  # of maintenance

    @property
    def reach_s(self) -> float:
        """How long a result speaks for its location."""
        return REACH * self.interval_s


class Standing(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What the results of one location come to."""

    at: float
    """Slot of the newest result."""
    until: float
    """The newest result speaks until then, or until the next."""
    status: Status
    """What the newest result says by itself."""
    known_at: float | None = None
    """Slot of the newest result that says something about the site."""
    down: bool = False
    since: float = 0.0
    """Slot of the first result of the run that turned it."""
    streak: int = 0
    """Results in a row that disagree with it."""
    streak_at: float = 0.0
    failed: tuple[float | None, ...] = ()
    """With a window: the last results since it is up; the slot of a failed one, null for a passed one."""


def point(result: CheckResult, rules: Rules) -> Point:
    """Say what the result means for the account of time."""
    at = result.scheduled_at
    return Point(at, status_of(result.up, result.degraded), at + rules.reach_s)


def stand(before: Standing | None, result: CheckResult, rules: Rules) -> Standing:
    """Take one result of the location into account.

    A result that agrees with the standing clears the streak: one lucky answer during an outage does not bring
    its end any nearer.
    """
    at, up = result.scheduled_at, result.up
    until, said = at + REACH * rules.interval_s, status_of(up, result.degraded)
    before = before or Standing(at, until, said)
    if up is None:
        return msgspec.structs.replace(before, at=at, until=until, status=said)
    if up != before.down and not rules.window:
        return Standing(at, until, said, at, before.down, before.since)
    streak = 0 if up != before.down else before.streak + 1
    first = before.streak_at if before.streak else at
    failed: tuple[float | None, ...] = ()
    turned = streak >= (rules.successes if before.down else rules.failures)
    if rules.window and not before.down:
        failed = (*before.failed, None if up else at)[-rules.window.of :]
        bad = [slot for slot in failed if slot is not None]
        turned = len(bad) >= rules.window.bad
        first = bad[0] if turned else first
    if turned:
        return Standing(at, until, said, at, not before.down, first)
    return Standing(at, until, said, at, before.down, before.since, streak, first, failed)
