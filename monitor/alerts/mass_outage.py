"""When many monitors go down at once, people get one message instead of many. Pure."""

from collections.abc import Sequence
from enum import Enum

from monitor.alerts.situation import Plan, Situation, UndecidedChange

LEAST = 5
WITHIN_S = 60.0
_COMPLETE_S = 10.0  # without a further incident for so long, the outage is complete


class MassOutage(Enum):
    """Whether several incidents that begin at the same time are one outage."""

    NO = "one message for each"
    MAYBE = "wait for further ones"
    YES = "one message for all"


def judge_outage(opened: Sequence[UndecidedChange], plan: Plan, situation: Situation) -> MassOutage:
    """Judge incidents of one kind of which nobody was alerted yet."""
    kind = opened[0].incident.kind
    first_at = min(change.incident.noticed_at for change in opened)
    joined = {change.incident.monitor: change.incident.noticed_at for change in opened} | {
        incident.monitor: incident.noticed_at
        for incident in situation.open
        if incident.kind == kind
        and incident.id in situation.notified
        and abs(incident.noticed_at - first_at) <= WITHIN_S
    }
    waiting = _failing(plan, situation) - joined.keys() if kind == "down" else set()
    needed = max(LEAST, len(plan.monitors) // 2 + 1)
    if len(joined) + len(waiting) < needed:
        return MassOutage.NO
    is_complete = not waiting and situation.now >= max(joined.values()) + _COMPLETE_S
    is_all = len(joined) == len(plan.monitors)
    if situation.now < first_at + WITHIN_S and not (is_complete or is_all):
        return MassOutage.MAYBE
    return MassOutage.YES if len(joined) >= needed else MassOutage.NO


def _failing(plan: Plan, situation: Situation) -> set[str]:
    """Return the monitors that fail and are not down yet, except those whose dependency fails or is down."""
    down = {incident.monitor for incident in situation.open if incident.kind == "down"}
    failing = {name for name, newest in situation.newest.items() if newest.failed and name in plan.monitors}
    return {name for name in failing - down if plan.dependencies_of(name).isdisjoint(failing | down)}
