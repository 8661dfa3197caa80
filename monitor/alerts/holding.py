"""Why an alert is held back: maintenance, a silence, a dependency that is down, flapping. Pure."""

from monitor.alerts.situation import IncidentRow, Plan, Situation, UndecidedChange
from monitor.config.model import Monitor


def is_held(change: UndecidedChange, plan: Plan, situation: Situation) -> bool:
    """Return whether no alert of the change may be sent now.

    An ended incident is judged by its own time: when it was opened, or began, and when it ended.
    """
    incident = change.incident
    is_over = incident.ended_at is not None
    first_at = incident.started_at if change.change == "past" else change.at
    instants = (situation.now,) if incident.ended_at is None else (first_at, incident.ended_at)
    return (
        all(plan.in_maintenance(incident.monitor, each, situation.made_windows) for each in instants)
        or is_silenced(incident.monitor, situation)
        or (change.quiet and (is_over or situation.flapping(incident.monitor) is not None))
        or waits_for_dependency(incident, plan, situation, change)
    )


def is_silenced(monitor: str, situation: Situation) -> bool:
    return situation.silenced_until.get(monitor, 0) > situation.now


def waits_for_dependency(
    incident: IncidentRow, plan: Plan, situation: Situation, opened: UndecidedChange | None = None
) -> bool:
    """Return whether a monitor that this one depends on is down, or may turn out to be."""
    dependencies = plan.dependencies_of(incident.monitor)
    if not dependencies:
        return False
    instants: tuple[float, ...] = (situation.now,)
    if opened is not None and incident.ended_at is not None:
        instants = (opened.at, incident.ended_at)
    settling_s = _settling_s(plan.monitors[incident.monitor])
    outages = [
        each
        for parent in dependencies
        for each in situation.by_monitor.get(parent, ())
        if each.kind == "down"
    ]
    if all(any(_covers(each, at, settling_s) for each in outages) for at in instants):
        return True
    is_news = opened is not None and incident.ended_at is None
    return is_news and any(_is_uncertain(parent, incident, plan, situation) for parent in dependencies)


def _covers(parent: IncidentRow, at: float, settling_s: float) -> bool:
    return parent.started_at <= at and (parent.ended_at is None or at < parent.ended_at + settling_s)


def _settling_s(child: Monitor) -> float:
    """Return how long a monitor may be down after its dependency is up again."""
    return (child.successes_to_resolve + 1) * child.interval_s + child.timeout_s


def _is_uncertain(parent: str, child: IncidentRow, plan: Plan, situation: Situation) -> bool:
    """Return whether the parent fails but is not down, or was not checked since the child began to fail."""
    newest = situation.newest.get(parent)
    if newest is None or parent not in plan.monitors:
        return False
    monitor = plan.monitors[parent]
    if newest.failed:
        patience_s = (monitor.failures_to_open + 1) * monitor.interval_s + monitor.timeout_s
    else:
        patience_s = monitor.interval_s + monitor.timeout_s if newest.at < child.started_at else 0.0
    return situation.now < child.noticed_at + patience_s
