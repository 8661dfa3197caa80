"""Results of one shop as a line of signs, and what is made of them."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from monitor.config.alerts import Maintenance
from monitor.incidents.course import observe
from monitor.incidents.model import Change, Health, Kind
from monitor.incidents.rules import MonitorRules, Rules
from monitor.result import CheckResult, result_id

START = 1_795_000_000.0
RULES, HEALTHY = Rules(), Health()
SLOW_COUNTS = Rules(degraded=True)
DOWN, PARTIAL, DEGRADED = Kind.DOWN, Kind.PARTIAL, Kind.DEGRADED
NO_DATA, FLAPPING = Kind.NO_DATA, Kind.FLAPPING
SIGNS: dict[str, dict[str, Any]] = {
    "+": {"up": True},
    "~": {"up": True, "degraded": True, "detail": "took 2 s, degraded after 1 s"},
    "-": {"up": False, "reason": "status", "detail": "status 500, expected 200-399"},
    "3": {"up": False, "reason": "status", "detail": "status 503, expected 200-399; took 9 s, expected 2 s"},
    "t": {"up": False, "reason": "response_timeout", "detail": "no response within 10 s"},
    "?": {"up": None, "reason": "monitor_offline"},
}


class SameRules(MonitorRules):
    """The same rules for each monitor but some, which have the default ones."""

    def __init__(self, rules: Rules, but: str = "") -> None:
        super().__init__()
        self._same = rules
        self._but = but

    def rules(self, name: str) -> Rules:
        return Rules() if name == self._but else self._same


def check(slot: float, sign: str = "+", location: str = "here", monitor: str = "shop") -> CheckResult:
    at = START + 60 * slot
    return CheckResult(
        timestamp=at,
        response_data="",
        response_status=None,
        response_time=0.5,
        id=result_id(location, monitor, at),
        monitor=monitor,
        url="",
        location=location,
        scheduled_at=at,
        **SIGNS[sign],
    )


def checks(signs: str, location: str = "here", first: float = 0, monitor: str = "shop") -> list[CheckResult]:
    return [check(first + slot, sign, location, monitor) for slot, sign in enumerate(signs) if sign != " "]


def together(**locations: str) -> list[CheckResult]:
    """The results of several locations, in the order of their slots."""
    found = [each for location, signs in locations.items() for each in checks(signs, location)]
    return sorted(found, key=lambda each: each.scheduled_at)


def once(start: float, end: float) -> Maintenance:
    """Make a window of Unix seconds."""
    starts_at, ends_at = (datetime.fromtimestamp(at, UTC).isoformat() for at in (start, end))
    return Maintenance.model_validate({"starts_at": starts_at, "ends_at": ends_at})


def slot_of(at: float) -> float:
    return (at - START) / 60


def live(
    results: Iterable[CheckResult], rules: Rules = RULES, health: Health = HEALTHY
) -> tuple[Health, list[Change]]:
    """Observe each result when it is made."""
    changes: list[Change] = []
    for result in results:
        health, new, *_ = observe(health, [result], rules, result.timestamp + 1)
        changes += new
    return health, changes


def in_slots(changes: Iterable[Change]) -> list[tuple[str, Kind, float, float]]:
    """Return change and kind, and when the incident began and when this was, in slots."""
    return [(each.change, each.kind, slot_of(each.started_at), slot_of(each.at)) for each in changes]
