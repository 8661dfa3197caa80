"""When failed checks become an incident, and when it is over.

Pure: results in, changes out; storing them and telling people are done elsewhere. A monitor is down when a
quorum of the locations that reported within `REACH` intervals is, partial when fewer are and the others had
an interval to agree. Instants are those of the results' slots, so an incident has the same beginning and end
whenever its results come, and however they are cut into batches. What is over when this program first hears
of it is told as past.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Literal, NamedTuple

import msgspec

from monitor.health import Change, Episode, Health, Kind
from monitor.result import CheckResult
from monitor.standing import Rules, Standing, is_long_after, needed, reporting, stand
from monitor.uptime import REACH, Point

_FRESH_S = 60.0  # what is not older is news, however short the interval
_SKEW_S = 60.0  # by which a clock may be ahead
_FLAPPING_S = 3_600.0
_FLAPPING_CHANGES = 6  # more than these within an hour is flapping, half as many is not
_FLAPS = f"more than {_FLAPPING_CHANGES} changes between up and down within an hour"
_SILENT = f"no result for {REACH} intervals"


class Doubt(NamedTuple):
    """A stretch in which results that came late may change what was said."""

    first: float
    last: float
    passed: bool = False
    """Whether it matters only where an incident was recorded."""


class Observed(NamedTuple):
    """What new results changed."""

    health: Health
    changes: list[Change]
    spoken: list[tuple[str, Point, float]]
    """Locations whose standing gave way to another, and the slot of the result that brought it."""
    overtaken: list[CheckResult]
    """Results whose slots lie before one that their location had."""
    doubts: list[Doubt]
    failing: bool
    """Whether the monitor failed just now."""


def observe(health: Health, results: Iterable[CheckResult], rules: Rules, now: float) -> Observed:
    """Take new results into account, at `now` (Unix seconds).

    Those of one location are in the order in which they were made; late ones change nothing that goes on.
    Cutting them into other batches changes only whether an incident is told as past.
    """
    course = _Course(health, rules, now)
    for result in results:
        course.take(result)
    course.tell()
    return course.observed()


def retrace(health: Health, results: Iterable[CheckResult], rules: Rules) -> tuple[Health, list[Change]]:
    """Go through a stretch of the past, in the order of its slots; give how it ends, and its outages."""
    course = _Course(health, rules, now=math.inf)
    for result in results:
        course.take(result)
    seen = course.observed()
    return seen.health, [change for change in seen.changes if change.kind is not Kind.FLAPPING]


def silent(health: Health, since: float, now: float) -> tuple[Health, Change]:
    """Open an incident for want of results; the next one that is news resolves it.

    `since` stands for the newest result where there was none.
    """
    started_at = health.last_at if health.locations else since
    episode = Episode(Kind.NO_DATA, started_at, decided_at=now, heard_at=now, detail=_SILENT, told=True)
    return msgspec.structs.replace(health, silence=episode), episode.change("opened", now)


def unwatched(health: Health, now: float) -> tuple[Health, list[Change]]:
    """End all that is open, since nobody checks the monitor any more; later results begin afresh."""
    open_ones = [episode for episode in (health.outage, health.flapping, health.silence) if episode]
    changes = [_let_go(episode.ended(now)) for episode in open_ones]
    rested = {
        name: msgspec.structs.replace(standing, down=False, since=0.0, streak=0, streak_at=0.0, failed=())
        for name, standing in health.locations.items()
    }
    return Health(rested, rested_at=max(health.rested_at, health.last_at)), changes


def _let_go(change: Change) -> Change:
    return replace(change, reason=None, detail="no longer checked") if change.change == "resolved" else change


def status(health: Health, rules: Rules) -> Literal["up", "degraded", "partial", "down", "unknown"]:
    """Say in a word how the monitor is, as of its newest result."""
    speaking = _decided(health.locations, health.last_at - rules.reach_s)
    if health.silence or not speaking:
        return "unknown"
    if health.outage:
        return "down" if health.outage.kind is Kind.DOWN else "partial"
    degraded = sum(standing.status == "degraded" for standing in speaking.values())
    return "degraded" if degraded >= needed(rules, len(speaking)) else "up"


def _decided(locations: Mapping[str, Standing], since: float) -> dict[str, Standing]:
    return {name: each for name, each in reporting(locations, since).items() if each.is_decided}


class _Course:
    """Health while results are applied to it."""

    def __init__(self, health: Health, rules: Rules, now: float) -> None:
        self.changes: list[Change] = []
        self.spoken: list[tuple[str, Point, float]] = []
        self.overtaken: list[CheckResult] = []
        self.doubts: list[Doubt] = []
        self._health = health
        self._locations = dict(health.locations)
        self._outage = health.outage
        self._silence = health.silence
        self._flapping = health.flapping
        self._turned_at = health.turned_at
        self._last_at = min(health.last_at, now)
        self._rules = rules
        self._reach_s = rules.reach_s
        self._now = now
        self._believed_until = now + _SKEW_S  # a newer result from the future is no measure
        self._news_at = now - max(_FRESH_S, rules.reach_s)
        self._fresh = self._failing = self._failing_news = False

    def observed(self) -> Observed:
        health = msgspec.structs.replace(
            self._health,
            locations=self._locations,
            outage=self._outage,
            silence=self._silence,
            flapping=self._flapping,
            turned_at=self._turned_at,
        )
        return Observed(
            health, self.changes, self.spoken, self.overtaken, self.doubts, failing=self._failing_news
        )

    def take(self, result: CheckResult) -> None:
        before = self._locations.get(result.location)
        at = result.scheduled_at
        self._failing_news = self._failing_news or (result.up is False and self._is_fresh(result))
        if before and before.at <= self._believed_until and not before.precedes(result):
            self.overtaken.append(result)
            if result.up is not None:
                self.doubts.append(Doubt(at, at, passed=result.up and not before.may_turn))
            if result.up and before.unproven and not is_long_after(before.at, at + self._reach_s):
                self._locations[result.location] = msgspec.structs.replace(before, unproven=False)
            return
        after = stand(before, result, self._rules)
        if before:
            after = self._account(before, after, result)
        self._locations[result.location] = after
        if at > self._last_at:
            self._last_at = min(at, self._now)
        is_old, was_down = at < self._last_at - self._reach_s, before is not None and before.down
        if before and was_down and not after.down and (is_old or self._turned_after(after.since)):
            self.doubts.append(Doubt(before.since, after.since))
        if not is_old and result.up is not None and self._has_to_weigh(after):
            self._weigh(result, after, turned=after.down != was_down)

    def _has_to_weigh(self, standing: Standing) -> bool:
        return bool(standing.down or self._outage or self._silence or self._flapping)

    def _account(self, before: Standing, after: Standing, result: CheckResult) -> Standing:
        """Hand on what the time until this result was; the slot tells where that is."""
        latest = before.latest
        if not result.scheduled_at <= latest.at <= self._believed_until:
            self.spoken.append((result.location, latest, result.scheduled_at))
        else:
            self.overtaken.append(result)
            after = msgspec.structs.replace(after, ahead=latest)
        return after if result.scheduled_at > before.at else self._set_back(after)

    def _set_back(self, after: Standing) -> Standing:
        """Forget the instants that the clock had reached before it was set back."""
        at = after.at
        self._last_at = at
        self._turned_at = tuple(turned_at for turned_at in self._turned_at if turned_at <= at)
        if self._outage:
            self._outage = msgspec.structs.replace(
                self._outage,
                started_at=min(self._outage.started_at, at),
                decided_at=min(self._outage.decided_at, at),
            )
        return msgspec.structs.replace(after, since=min(after.since, at), streak_at=min(after.streak_at, at))

    def _is_fresh(self, result: CheckResult) -> bool:
        return result.timestamp + result.response_time >= self._news_at

    def _weigh(self, result: CheckResult, standing: Standing, *, turned: bool) -> None:
        """Compare what the locations say now with what was said before."""
        at = result.scheduled_at
        self._fresh = self._fresh or self._is_fresh(result)
        self._failing = self._failing or not result.up
        if self._silence and self._fresh:
            self.changes.append(self._silence.ended(at))
            self._silence = None
        if self._outage or standing.down:
            self._judge(result, standing.since if turned else None)
        if self._flapping and len(self._turned_within(at)) <= _FLAPPING_CHANGES // 2:
            self.changes.append(self._flapping.ended(at))
            self._flapping = None

    def _judge(self, result: CheckResult, turned_at: float | None) -> None:
        speaking = _decided(self._locations, self._last_at - self._reach_s)
        if not speaking:
            return
        down = {name: standing.since for name, standing in speaking.items() if standing.down}
        quorum = needed(self._rules, len(speaking))
        kind = None if not down else Kind.DOWN if len(down) >= quorum else Kind.PARTIAL
        was = self._outage
        if kind == (was and was.kind):
            return
        at = result.scheduled_at if turned_at is None else turned_at
        if kind is Kind.DOWN and turned_at is not None:
            at = sorted(down.values())[quorum - 1]
        at = max(at, *self._turned_at[-1:], was.started_at if was else at)
        if not was or not kind:
            self._turn(at)
        if was:
            self._end(was, at, escalates=kind is Kind.DOWN)
        self._outage = None
        if kind:
            locations = tuple(sorted(down))
            decided_at = result.scheduled_at
            self._outage = Episode(kind, at, decided_at, self._now, result.reason, result.detail, locations)

    def _end(self, outage: Episode, at: float, *, escalates: bool) -> None:
        if outage.told or (at > outage.started_at and self._is_certain(outage)):
            self.changes.append(outage.ended(at, quiet=escalates or self._flapping is not None))

    def _is_certain(self, outage: Episode) -> bool:
        """Whether the other locations had the time to see it as well."""
        return outage.kind is Kind.DOWN or self._last_at > outage.decided_at + self._rules.interval_s

    def _turn(self, at: float) -> None:
        self._turned_at = (*self._turned_within(at), at)[-_FLAPPING_CHANGES - 1 :]
        if len(self._turned_at) > _FLAPPING_CHANGES and not self._flapping:
            self._flapping = Episode(Kind.FLAPPING, self._turned_at[0], at, self._now, detail=_FLAPS)

    def _turned_after(self, at: float) -> bool:
        return any(turned_at > at for turned_at in self._turned_at[-1:])

    def _turned_within(self, at: float) -> list[float]:
        return [turned_at for turned_at in self._turned_at if turned_at > at - _FLAPPING_S]

    def tell(self) -> None:
        """Open what is certain, and is news: what began long ago must be seen to go on."""
        outage, flapping = self._outage, self._flapping
        if outage and not outage.told and self._is_certain(outage) and self._goes_on(outage):
            self._outage = self._told(outage, quiet=flapping is not None)
        if flapping and not flapping.told and self._fresh:
            self._flapping = self._told(flapping, quiet=False)

    def _goes_on(self, outage: Episode) -> bool:
        """Whether it fails now; a clock that is behind makes all results old, but they go on coming."""
        return self._failing_news or (self._failing and outage.heard_at <= self._news_at)

    def _told(self, episode: Episode, *, quiet: bool) -> Episode:
        change, told = episode.opened(quiet=quiet)
        self.changes.append(change)
        return told
