"""When many monitors go down at once, people get one message instead of many. Pure."""

import math
from collections.abc import Collection, Mapping, Sequence
from enum import Enum

from monitor.alerts.situation import Plan, Situation, UndecidedChange

_PATIENCE_S = 10.0  # a single alert waits so long for others; and so long after the last one it is complete


class MassOutage(Enum):
    """Whether several incidents that begin at the same time are one outage."""

    NO = "one message for each"
    MAYBE = "wait for further ones"
    YES = "one message for all"


def judge_outage(
    opened: Sequence[UndecidedChange], among: Collection[str], plan: Plan, situation: Situation
) -> MassOutage:
    """Judge incidents of one kind of which nobody was alerted yet, `among` monitors that include theirs.

    It is a mass outage when enough of those that were up go down within the time that the plan sets. Until
    that is clear, the first of them waits 10 s at most; then the message waits for those that fail as well.
    """
    rule, first_at = plan.mass_outage, min(change.incident.noticed_at for change in opened)
    joined = _joined(opened, among, plan, situation)
    were_up = set(among) - _down_before(joined, situation)
    needed = max(rule.at_least, math.ceil(rule.share * len(were_up)))
    failing, unchecked = set[str](), set[str]()
    if opened[0].incident.kind == "down":
        since = min(change.incident.started_at for change in opened)
        failing, unchecked = _undecided(were_up - joined.keys(), since, plan, situation)
    if len(joined) + len(failing) + len(unchecked) < needed:
        return MassOutage.NO
    has_waited = situation.now >= first_at + _PATIENCE_S
    if len(joined) < needed:
        return MassOutage.NO if has_waited else MassOutage.MAYBE
    is_complete = not failing and situation.now >= max(joined.values()) + _PATIENCE_S
    if is_complete or were_up <= joined.keys() or situation.now >= first_at + rule.within_s:
        return MassOutage.YES
    is_later_part = len(opened) < needed
    return MassOutage.YES if is_later_part and has_waited else MassOutage.MAYBE


def _joined(
    opened: Sequence[UndecidedChange], among: Collection[str], plan: Plan, situation: Situation
) -> Mapping[str, float]:
    """Return when each incident was noticed, by monitor; also of those that were alerted of just now."""
    kind, within_s = opened[0].incident.kind, plan.mass_outage.within_s
    noticed = [change.incident.noticed_at for change in opened]
    sent = {
        incident.monitor: incident.noticed_at
        for incident in situation.open
        if incident.kind == kind
        and incident.monitor in among
        and incident.id in situation.notified
        and abs(incident.noticed_at - min(noticed)) <= within_s
    }
    return sent | {change.incident.monitor: change.incident.noticed_at for change in opened}


def _down_before(joined: Collection[str], situation: Situation) -> set[str]:
    """Return the monitors that are down or without data, and did not become so just now."""
    out = {incident.monitor for incident in situation.open if incident.kind in {"down", "no_data"}}
    return out - set(joined)


def _undecided(
    names: Collection[str], since: float, plan: Plan, situation: Situation
) -> tuple[set[str], set[str]]:
    """Return which of the monitors fail, and which were not checked since then and may fail, too.

    Those whose dependency fails or is down are left out: their alerts are held back.
    """
    down = {incident.monitor for incident in situation.open if incident.kind == "down"}
    failing = {name for name, newest in situation.newest.items() if newest.failed and name in plan.monitors}
    unchecked = {name for name, newest in situation.newest.items() if newest.at < since}
    free = {name for name in names if plan.dependencies_of(name).isdisjoint(failing | down)}
    return free & failing, free & (unchecked - failing)
