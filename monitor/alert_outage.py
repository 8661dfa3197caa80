"""When many monitors go down at once, that is one outage and one message. Pure."""

from collections.abc import Sequence
from enum import Enum

from monitor.alert_situation import Change, Plan, Situation

LEAST = 5
WITHIN_S = 60.0
_CALM_S = 10.0  # nothing new for so long: the outage is complete


class Outage(Enum):
    """What several incidents that begin at the same time are."""

    NONE = "each for itself"
    GATHERING = "maybe one outage: wait for the rest"
    MASS = "one outage"


def judge(opened: Sequence[Change], plan: Plan, situation: Situation) -> Outage:
    """Judge incidents of one kind of which nobody was told yet."""
    kind = opened[0].incident.kind
    first_at = min(change.incident.noticed_at for change in opened)
    joined = {change.incident.monitor: change.incident.noticed_at for change in opened} | {
        incident.monitor: incident.noticed_at
        for incident in situation.open
        if incident.kind == kind
        and incident.id in situation.told
        and abs(incident.noticed_at - first_at) <= WITHIN_S
    }
    waiting = _failing(plan, situation) - joined.keys() if kind == "down" else set()
    needed = max(LEAST, len(plan.monitors) // 2 + 1)
    if len(joined) + len(waiting) < needed:
        return Outage.NONE
    is_complete = not waiting and situation.now >= max(joined.values()) + _CALM_S
    is_all = len(joined) == len(plan.monitors)
    if situation.now < first_at + WITHIN_S and not (is_complete or is_all):
        return Outage.GATHERING
    return Outage.MASS if len(joined) >= needed else Outage.NONE


def _failing(plan: Plan, situation: Situation) -> set[str]:
    """Give the monitors that fail and are not down yet, but for those that wait for what is above them."""
    down = {incident.monitor for incident in situation.open if incident.kind == "down"}
    failing = {name for name, newest in situation.newest.items() if newest.failed and name in plan.monitors}
    return {name for name in failing - down if plan.above(name).isdisjoint(failing | down)}
