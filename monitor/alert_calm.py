"""When an alert has to wait: maintenance, silence, something above that is down, flapping. Pure."""

from monitor.alert_situation import Change, Incident, Plan, Situation
from monitor.config import Monitor


def is_held(change: Change, plan: Plan, situation: Situation) -> bool:
    """Tell whether this is not to be told for now; what is over already is judged by its own time."""
    incident = change.incident
    is_over = incident.ended_at is not None
    at = change.at if is_over else situation.now
    instants = (incident.started_at, at) if change.change == "past" else (at,)
    return (
        all(plan.in_maintenance(incident.monitor, each, situation.made) for each in instants)
        or is_silent(incident.monitor, situation)
        or (change.quiet and (is_over or situation.flapping(incident.monitor) is not None))
        or has_trouble_above(incident, plan, situation, change)
    )


def is_silent(monitor: str, situation: Situation) -> bool:
    """Tell whether somebody silenced the monitor."""
    return situation.silent_until.get(monitor, 0) > situation.now


def has_trouble_above(
    incident: Incident, plan: Plan, situation: Situation, opened: Change | None = None
) -> bool:
    """Tell whether something that the monitor depends on is down, or may be for all that is known yet."""
    above = plan.above(incident.monitor)
    if not above:
        return False
    at = opened.at if opened and incident.ended_at is not None else situation.now
    settling_s = _settling_s(plan.monitors[incident.monitor])
    if any(
        each.kind == "down" and _covers(each, at, settling_s)
        for parent in above
        for each in situation.by_monitor.get(parent, ())
    ):
        return True
    is_news = opened is not None and incident.ended_at is None
    return is_news and any(_is_uncertain(parent, incident, plan, situation) for parent in above)


def _covers(parent: Incident, at: float, settling_s: float) -> bool:
    return parent.started_at <= at and (parent.ended_at is None or at < parent.ended_at + settling_s)


def _settling_s(child: Monitor) -> float:
    """Say how long a monitor needs to be seen up again after what it depends on is."""
    return (child.successes_to_resolve + 1) * child.interval_s + child.timeout_s


def _is_uncertain(parent: str, child: Incident, plan: Plan, situation: Situation) -> bool:
    """Tell whether the parent fails but is not down yet, or was not checked since the child was seen down."""
    newest = situation.newest.get(parent)
    if newest is None or parent not in plan.monitors:
        return False
    monitor = plan.monitors[parent]
    if newest.failed:
        patience_s = (monitor.failures_to_open + 1) * monitor.interval_s + monitor.timeout_s
    else:
        patience_s = monitor.interval_s + monitor.timeout_s if newest.at < child.started_at else 0.0
    return situation.now < child.noticed_at + patience_s
