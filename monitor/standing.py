"""Where one location stands with a monitor: up until enough checks fail, down until enough pass.

Pure. A location's results count in the order in which they were made, whenever they come: in that of their
slots, unless the clock was set back.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import merge

import msgspec

from monitor.maintenance import Windows
from monitor.result import CheckResult
from monitor.uptime import REACH, Point, Status, status_of

_FORGOTTEN_S = 3_600.0  # slow checks leave gaps of more than their intervals, but not that long


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

    @property
    def memory(self) -> int:
        """How many results tell for certain how a location stands, and some more."""
        return 10 + self.failures + self.successes + (self.window.of if self.window else 0)


class Standing(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What the results of one location come to."""

    at: float
    """Slot of the newest result."""
    until: float
    """The newest result speaks until then, or until the next."""
    status: Status
    """What the newest result says by itself."""
    process: str = ""
    """Which process made it, and its number there."""
    number: int = 0
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
    ahead: Point | None = None
    """What the result of the latest slot says, where the clock was set back since."""
    unproven: bool = False
    """Whether no check has passed since it was first heard of, or again after a long time."""

    def precedes(self, result: CheckResult) -> bool:
        """Whether the result was made later than the newest one; two processes go by their slots."""
        if self.process and self.process == result.process:
            return result.number > self.number
        return result.scheduled_at > self.at

    @property
    def is_decided(self) -> bool:
        """Whether it is known how it stands: not while the first checks of all fail."""
        return self.down or not self.unproven

    @property
    def may_turn(self) -> bool:
        """Whether its newest results say otherwise than it does, or it is down."""
        return self.down or self.streak > 0 or any(slot is not None for slot in self.failed)

    @property
    def latest(self) -> Point:
        """What the result of the latest slot says."""
        return self.ahead or Point(self.at, self.status, self.until)


def reporting(locations: Mapping[str, Standing], since: float) -> dict[str, Standing]:
    """Choose those that said something about the site at `since` or later."""
    return {
        name: each for name, each in locations.items() if each.known_at is not None and each.known_at >= since
    }


def needed(rules: Rules, reporting: int) -> int:
    """How many locations make the monitor down."""
    return min(rules.quorum or (reporting + 1) // 2, reporting)


def in_order(results: Iterable[CheckResult]) -> list[CheckResult]:
    """Put results of one monitor in the order in which they were made, as far as that is known.

    A process numbers what it makes, also while its clock is set; those of several go by their slots.
    """
    made_by: defaultdict[tuple[str, str], list[CheckResult]] = defaultdict(list)
    for result in results:
        made_by[result.location, result.process].append(result)
    for made in made_by.values():
        made.sort(key=lambda result: (result.number, result.scheduled_at))
    return list(merge(*made_by.values(), key=lambda result: result.scheduled_at))


def point(result: CheckResult, rules: Rules) -> Point:
    """Say what the result means for the account of time."""
    at = result.scheduled_at
    return Point(at, status_of(result.up, result.degraded), at + rules.reach_s)


def is_long_after(at: float, until: float) -> bool:
    """Tell whether a result of that slot says nothing of one that spoke until then."""
    return at > until + _FORGOTTEN_S


def stand(before: Standing | None, result: CheckResult, rules: Rules) -> Standing:
    """Take one result of the location into account.

    A result that agrees with the standing clears the streak: one lucky answer during an outage does not bring
    its end any nearer. So does a long time without results: what lies on both sides of it is not in a row.
    """
    at, up, process, number = result.scheduled_at, result.up, result.process, result.number
    until, said = at + REACH * rules.interval_s, status_of(up, result.degraded)
    before = before or Standing(at, until, said, unproven=True)
    if is_long_after(at, before.until):
        before = msgspec.structs.replace(before, streak=0, failed=(), unproven=True)
    unproven = before.unproven and not up
    if up is None:
        return msgspec.structs.replace(
            before, at=at, until=until, status=said, process=process, number=number, ahead=None
        )
    if up != before.down and not rules.window:
        return Standing(at, until, said, process, number, at, before.down, before.since, unproven=unproven)
    streak = 0 if up != before.down else before.streak + 1
    first = before.streak_at if before.streak else at
    failed: tuple[float | None, ...] = ()
    turned = streak >= (rules.successes if before.down else rules.failures)
    if rules.window and not before.down:
        failed = (*before.failed, None if up else at)[-rules.window.of :]
        bad = [slot for slot in failed if slot is not None]
        turned = len(bad) >= rules.window.bad
        first = bad[0] if turned else first
    after = Standing(at, until, said, process, number, at, before.down, before.since, unproven=unproven)
    if turned:
        return msgspec.structs.replace(after, down=not before.down, since=first)
    return msgspec.structs.replace(after, streak=streak, streak_at=first, failed=failed)
