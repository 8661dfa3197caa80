"""Incidents and what is known of them, as the tests of alerting write them down."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from monitor.alerts.decision import Decision, decide
from monitor.alerts.situation import IncidentRow, Notified, Plan, Situation, UndecidedChange
from monitor.config.alerts import Alerts
from monitor.config.model import Config, Monitor

NOW = 1_800_000_000.0
"""2027-01-15 08:00:00 UTC, a Friday."""


def monitor(name: str, **settings: Any) -> Monitor:
    return Monitor.model_validate({"name": name, "url": f"https://{name}.example/", **settings})


def plan(
    *monitors: Monitor,
    channels: tuple[str, ...] = ("mail", "chat"),
    mass_outage: Mapping[str, float] = MappingProxyType({}),
    **settings: Any,
) -> Plan:
    every = dict.fromkeys(channels, "json://alerts.example/")
    alerts = Alerts.model_validate({"channels": every, "mass_outage": dict(mass_outage)})
    return Plan(Config(monitors=monitors, alerts=alerts, **settings))


def incident(number: int = 1, monitor: str = "shop", **facts: Any) -> IncidentRow:
    given = {
        "kind": "down",
        "started_at": NOW - 130,
        "noticed_at": NOW - 1,
        "ended_at": None,
        "reason": "status",
        "detail": "status 500, expected 200-399",
        "locations": ("Vienna",),
    }
    return IncidentRow(id=number, monitor=monitor, **{**given, **facts})


def change(of: IncidentRow, kind: str = "opened", **facts: Any) -> UndecidedChange:
    given = {
        "id": 10 * of.id + ("opened", "resolved", "past").index(kind),
        "change": kind,
        "at": of.ended_at or NOW - 10,
        "noticed_at": of.noticed_at,
        "reason": of.reason,
        "detail": of.detail,
        "quiet": False,
    }
    return UndecidedChange(incident=of, **{**given, **facts})


def alerted(
    *channels: str, at: float = NOW - 3_600, reminded_at: float = 0, together: int | None = None
) -> list[Notified]:
    return [Notified(channel, at, reminded_at or at, together) for channel in channels]


def situation(
    *changes: UndecidedChange, now: float = NOW, incidents: tuple[IncidentRow, ...] = (), **known: Any
) -> Situation:
    of_changes = {each.incident.id: each.incident for each in changes}
    known_incidents = of_changes | {each.id: each for each in incidents}
    return Situation(now=now, changes=changes, incidents=tuple(known_incidents.values()), **known)


def messages(decision: Decision) -> list[tuple[str, str]]:
    """Return who gets which title."""
    return [(delivery.channel, delivery.alert.title) for delivery in decision.deliveries]


def outcome(plan: Plan, situation: Situation) -> list[tuple[str, str]]:
    return messages(decide(plan, situation))
