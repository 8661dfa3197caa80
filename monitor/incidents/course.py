"""When failed checks become an incident, and when it is over.

Pure: results in, changes out; storing them and alerting people are done elsewhere. A monitor is down when a
quorum of the locations that reported within `REACH` intervals is down. It is partial when fewer are down and
the others had an interval to agree. It is degraded when none is down and a quorum is slow. Instants are those
of the results' slots. Results of one location come in the order of their slots; what comes after a newer one
changes no incident. A location whose results come long after those of the others, since it was cut off, is
judged by itself until it has caught up. An incident that is over when this program first sees it is `past`.
"""

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

import msgspec

from monitor.incidents.cause import follow_cause
from monitor.incidents.location import (
    LocationState,
    next_state,
    quorum,
    reporting,
    turned_at,
)
from monitor.incidents.model import Change, Episode, Health, Kind
from monitor.incidents.rules import Rules
from monitor.result import CheckResult
from monitor.runtime.text import HOUR_S
from monitor.uptime.sums import UptimePoint

_FRESH_S = 60.0  # a result that is not older is news, however short the interval
_SKEW_S = 60.0  # by which a clock may be ahead; later slots are of one that is wrong
_FLAPPING_S = HOUR_S
_FLAPPING_CHANGES = 6  # more than these within an hour is flapping, half as many is not
_FLAPS = f"went up or down more than {_FLAPPING_CHANGES} times within an hour"
_SLOW, _FAILED = 1, 2  # how bad a result is

_STATUSES: dict[Kind, Literal["degraded", "partial", "down"]] = {
    Kind.DEGRADED: "degraded",
    Kind.PARTIAL: "partial",
    Kind.DOWN: "down",
}
_FROM_BAD_TO_WORSE = tuple(_STATUSES)


class Observed(NamedTuple):
    """The health after new results, the changes, and what is to be done for uptime."""

    health: Health
    changes: list[Change]
    superseded: list[tuple[str, UptimePoint, float]]
    """A location, its newest result until now, and the slot of the result that follows it."""
    late: list[CheckResult]
    """Results that are no newer than one that their location already had."""
    ahead: list[CheckResult]
    """Results of a wrong clock: their slots are still to come."""


def observe(health: Health, results: Iterable[CheckResult], rules: Rules, now: float) -> Observed:
    """Return what follows from new results, in this order, at `now` (Unix seconds).

    Those that are late or ahead change no incident. How the results are cut into batches decides at most
    whether an incident is opened and resolved, or `past`.
    """
    course = _Course(_believed(health, now), rules, now)
    for result in results:
        course.apply(result)
    course.open_incidents()
    return course.observed()


def _believed(health: Health, now: float) -> Health:
    """Forget locations whose newest result is of the future: the clock here was ahead when it came."""
    until = now + _SKEW_S
    if health.last_at <= until:
        return health
    locations = {name: state for name, state in health.locations.items() if state.at <= until}
    outage = health.outage
    if outage:
        started_at, decided_at = min(outage.started_at, now), min(outage.decided_at, now)
        outage = msgspec.structs.replace(outage, started_at=started_at, decided_at=decided_at)
    return msgspec.structs.replace(
        health,
        locations=locations,
        outage=outage,
        alone={name: each for name, each in health.alone.items() if name in locations},
        turned_at=tuple(at for at in health.turned_at if at <= until),
    )


def _kind(down: int, bad: int, enough: int) -> Kind | None:
    """Return the kind of outage; `bad` is the number of locations that are down, or slow if none is down."""
    if down:
        return Kind.DOWN if down >= enough else Kind.PARTIAL
    return Kind.DEGRADED if bad >= enough else None


def _is_up(kind: Kind | None) -> bool:
    return kind in {None, Kind.DEGRADED}


def _is_worse(kind: Kind | None, than: Kind) -> bool:
    return kind is not None and _FROM_BAD_TO_WORSE.index(kind) > _FROM_BAD_TO_WORSE.index(than)


def status(health: Health, rules: Rules) -> Literal["up", "degraded", "partial", "down", "unknown"]:
    """Return how the monitor is, as of its newest result."""
    locations = _decided(health.locations, health.last_at - rules.reach_s)
    if health.no_data or not locations:
        return "unknown"
    if health.outage:
        return _STATUSES[health.outage.kind]
    degraded = sum(state.status == "degraded" for state in locations.values())
    return "degraded" if degraded >= quorum(rules, len(locations)) else "up"


def _decided(locations: Mapping[str, LocationState], since: float) -> dict[str, LocationState]:
    return {name: state for name, state in reporting(locations, since).items() if state.is_decided}


class _Course:
    """The health of a monitor while results are applied to it."""

    def __init__(self, health: Health, rules: Rules, now: float) -> None:
        self._changes: list[Change] = []
        self._superseded: list[tuple[str, UptimePoint, float]] = []
        self._late: list[CheckResult] = []
        self._ahead: list[CheckResult] = []
        self._health = health
        self._locations = dict(health.locations)
        self._outage = health.outage
        self._alone = dict(health.alone)
        self._no_data = health.no_data
        self._flapping = health.flapping
        self._turned_at = health.turned_at
        self._ended_at = health.ended_at
        self._last_at = min(health.last_at, now)
        self._rules = rules
        self._reach_s = rules.reach_s
        self._now = now
        self._news_at = now - max(_FRESH_S, rules.reach_s)
        self._fresh = False
        self._worst = 0  # of the results that count now
        self._worst_news = 0  # of those of this moment

    def observed(self) -> Observed:
        health = msgspec.structs.replace(
            self._health,
            locations=self._locations,
            outage=self._outage,
            alone=self._alone,
            no_data=self._no_data,
            flapping=self._flapping,
            turned_at=self._turned_at,
            ended_at=self._ended_at,
        )
        return Observed(health, self._changes, self._superseded, self._late, self._ahead)

    def apply(self, result: CheckResult) -> None:
        before, at = self._locations.get(result.location), result.scheduled_at
        if at > self._now + _SKEW_S:
            self._ahead.append(result)
            return
        if before and at <= before.at:
            self._late.append(result)
            return
        after = self._locations[result.location] = next_state(before, result, self._rules)
        if before:
            self._superseded.append((result.location, before.point, at))
        if at > self._last_at:
            self._last_at = min(at, self._now)
        badness, is_fresh = self._badness(result), self._is_fresh(result)
        if is_fresh:
            self._worst_news = max(self._worst_news, badness)
        turned = turned_at(before, after)
        alone = self._alone.pop(result.location, None)
        if alone and turned is not None:
            self._changes.append(alone.ended(turned, quiet=self._flapping is not None))
            alone = None
        if at < self._last_at - self._reach_s:
            self._follow_alone(alone, result, after, turned)
        elif result.up is not None and (after.level or self._outage or self._no_data or self._flapping):
            self._worst = max(self._worst, badness)
            self._fresh = self._fresh or is_fresh
            self._update_incidents(result, after, alone.started_at if alone else turned)

    def _follow_alone(
        self, alone: Episode | None, result: CheckResult, state: LocationState, turned_at: float | None
    ) -> None:
        """Follow a location whose results come long after those of the others; it counts for itself only."""
        if state.level and not alone:
            locations = _decided(self._locations, self._last_at - self._reach_s).keys() | {result.location}
            at, names = result.scheduled_at, (result.location,)
            started_at = at if turned_at is None else turned_at
            if kind := _kind(int(state.down), 1, quorum(self._rules, len(locations))):
                alone = Episode(kind, started_at, at, self._now, result.reason, result.detail, names)
        if alone:
            self._alone[result.location] = alone

    def _badness(self, result: CheckResult) -> int:
        if result.up is False:
            return _FAILED
        return _SLOW if result.degraded and self._rules.degraded else 0

    def _is_fresh(self, result: CheckResult) -> bool:
        return result.timestamp + result.response_time >= self._news_at

    def _update_incidents(self, result: CheckResult, state: LocationState, turned_at: float | None) -> None:
        at = result.scheduled_at
        if self._no_data and self._fresh:
            self._changes.append(self._no_data.ended(at))
            self._no_data = None
        if self._outage or state.level:
            self._update_outage(result, turned_at)
        if self._flapping and len(self._turned_within(at)) <= _FLAPPING_CHANGES // 2:
            self._changes.append(self._flapping.ended(at))
            self._flapping = None

    def _update_outage(self, result: CheckResult, turned_at: float | None) -> None:
        locations = _decided(self._locations, self._last_at - self._reach_s)
        if not locations:
            return
        down = {name: state.since for name, state in locations.items() if state.down}
        bad = down or {name for name, state in locations.items() if state.level}
        enough = quorum(self._rules, len(locations))
        kind, was = _kind(len(down), len(bad), enough), self._outage
        if kind == (was and was.kind):
            if was:
                self._follow_cause(was, result, down)
            return
        at = result.scheduled_at if turned_at is None else turned_at
        if kind is Kind.DOWN and turned_at is not None:
            at = sorted(down.values())[enough - 1]
        at = max(at, self._ended_at, was.started_at if was else at)
        if _is_up(kind) is not _is_up(was.kind if was else None):
            self._note_turn(at)
        if was:
            self._ended_at = at
            self._end(was, at, escalates=_is_worse(kind, was.kind))
        self._outage = None
        if kind:
            cause = was if was and result.up and kind is not Kind.DEGRADED else result
            self._outage = Episode(
                kind, at, result.scheduled_at, self._now, cause.reason, cause.detail, tuple(sorted(bad))
            )

    def _follow_cause(self, outage: Episode, result: CheckResult, down: Mapping[str, float]) -> None:
        self._outage, change = follow_cause(outage, result, down)
        if change:
            self._changes.append(change)

    def _end(self, outage: Episode, at: float, *, escalates: bool) -> None:
        if outage.was_opened or (at > outage.started_at and self._is_certain(outage)):
            self._changes.append(outage.ended(at, quiet=escalates or self._flapping is not None))

    def _is_certain(self, outage: Episode) -> bool:
        """Return whether the other locations had the time to see it as well."""
        return outage.kind is not Kind.PARTIAL or self._last_at > outage.decided_at + self._rules.interval_s

    def _note_turn(self, at: float) -> None:
        self._turned_at = (*self._turned_within(at), at)[-_FLAPPING_CHANGES - 1 :]
        if len(self._turned_at) > _FLAPPING_CHANGES and not self._flapping:
            self._flapping = Episode(Kind.FLAPPING, self._turned_at[0], at, self._now, detail=_FLAPS)

    def _turned_within(self, at: float) -> list[float]:
        return [turned_at for turned_at in self._turned_at if turned_at > at - _FLAPPING_S]

    def open_incidents(self) -> None:
        """Open what is certain and is news; an incident that began long ago must be seen to go on."""
        outage, flapping = self._outage, self._flapping
        if outage and not outage.was_opened and self._is_certain(outage) and self._goes_on(outage):
            self._outage = self._open(outage, quiet=flapping is not None)
        if flapping and not flapping.was_opened and self._fresh:
            self._flapping = self._open(flapping, quiet=False)

    def _goes_on(self, outage: Episode) -> bool:
        """Return whether the monitor fails now, or is slow if that is what it is about.

        A clock that is behind makes all results look old, but they go on coming.
        """
        bad = _SLOW if outage.kind is Kind.DEGRADED else _FAILED
        return self._worst_news >= bad or (self._worst >= bad and outage.observed_at <= self._news_at)

    def _open(self, episode: Episode, *, quiet: bool) -> Episode:
        change, opened = episode.opened(quiet=quiet)
        self._changes.append(change)
        return opened
