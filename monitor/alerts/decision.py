"""Which alerts are sent now, and to whom. Pure: what is stored goes in, what to store comes out."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from monitor.alerts.holding import is_held, is_silenced, waits_for_dependency
from monitor.alerts.mass_outage import MassOutage, judge_outage
from monitor.alerts.message import Alert, Event, Subject, compose, link
from monitor.alerts.situation import IncidentRow, Notified, Plan, Situation, UndecidedChange
from monitor.runtime.text import HOUR_S

_FORGOTTEN_S = HOUR_S  # an ended incident that no process can alert of is dropped then


class Delivery(NamedTuple):
    """One alert for one channel, which never gets two of one `about`."""

    channel: str
    about: str
    subject: str
    """The incident that it belongs to, or the first of those that were in one message."""
    alert: Alert


@dataclass(slots=True)
class Decision:
    """What to store: deliveries, and what was decided by them."""

    decided: set[int] = field(default_factory=set)
    """Changes that need no further decision."""
    deliveries: list[Delivery] = field(default_factory=list)
    notified: dict[tuple[int, str], Notified] = field(default_factory=dict)
    """By incident and channel, as it is from now on."""


def decide(plan: Plan, situation: Situation) -> Decision:
    """Decide what can be decided now; the rest waits for the next time.

    Ends of incidents come before beginnings, so that a channel's last alert shows how the monitor is now.
    """
    deciding = _Deciding(plan, situation)
    deciding.decide_resolved()
    deciding.decide_past()
    deciding.decide_opened()
    deciding.remind_and_escalate()
    return deciding.decision


class _Deciding:
    def __init__(self, plan: Plan, situation: Situation) -> None:
        self._plan = plan
        self._situation = situation
        self._notified = {number: list(its) for number, its in situation.notified.items()}
        self._undecided = {change.incident.id for change in situation.changes if change.change == "opened"}
        self.decision = Decision()

    def decide_resolved(self) -> None:
        together: dict[int, list[UndecidedChange]] = defaultdict(list)
        for change in self._undecided_of("resolved"):
            notified = self._notified.get(change.incident.id, ())
            continuation = self._continuation(change)
            if continuation or not notified:
                self._hand_over(notified, continuation)
                self._mark_decided([change])
            elif change.incident.monitor in self._plan.monitors and self._situation.may_go_on(change):
                continue
            elif notified[0].together is None:
                self._alert("resolved", [change], [each.channel for each in notified])
            else:
                together[notified[0].together].append(change)
        for outage, changes in together.items():
            self._resolve_together(outage, changes)

    def _continuation(self, change: UndecidedChange) -> IncidentRow | None:
        """Return the incident whose end people will be alerted of, instead of this one's."""
        flapping = self._situation.flapping(change.incident.monitor) if change.quiet else None
        return self._situation.continuation(change) or flapping

    def _hand_over(self, notified: Sequence[Notified], continuation: IncidentRow | None) -> None:
        """Note that the channels of an incident will be alerted of the end of its continuation."""
        if continuation:
            its = self._notified.setdefault(continuation.id, [])
            known = {each.channel for each in its}
            new = [each._replace(together=None) for each in notified if each.channel not in known]
            its += new
            self.decision.notified |= {(continuation.id, each.channel): each for each in new}

    def _resolve_together(self, outage: int, changes: list[UndecidedChange]) -> None:
        is_over = not any(
            each.together == outage
            for incident in self._situation.open
            for each in self._situation.notified.get(incident.id, ())
        )
        first_at = min(change.noticed_at for change in changes)
        begin_again = {each.incident.monitor for each in self._undecided_of("opened")}
        is_news = begin_again.isdisjoint(change.incident.monitor for change in changes)
        if not is_over and is_news and self._situation.now < first_at + self._plan.mass_outage.within_s:
            return
        by_channel = defaultdict(list)
        for change in changes:
            for each in self._notified[change.incident.id]:
                by_channel[each.channel].append(change)
        self._alert_together("resolved", by_channel, outage)

    def decide_past(self) -> None:
        for change in self._undecided_of("past"):
            if is_held(change, self._plan, self._situation):
                self._mark_decided([change])
            else:
                self._alert_alone("past", change)

    def decide_opened(self) -> None:
        ready: dict[str, list[UndecidedChange]] = defaultdict(list)
        for change in self._undecided_of("opened"):
            is_over = change.incident.ended_at is not None
            if is_held(change, self._plan, self._situation):
                if is_over:
                    self._mark_decided([change])
            elif is_over or change.incident.kind == "flapping":
                self._alert_alone("past" if is_over else "opened", change)
            else:
                ready[change.incident.kind].append(change)
        for changes in ready.values():
            self._open(changes)

    def _open(self, changes: Sequence[UndecidedChange]) -> None:
        """Alert of incidents of one kind: of all at once, of those of a group, or of each for itself."""
        if self._open_together(changes, self._plan.monitors.keys()):
            return
        by_group: dict[str | None, list[UndecidedChange]] = defaultdict(list)
        for change in changes:
            by_group[self._plan.group_of(change.incident.monitor)].append(change)
        for group, its in by_group.items():
            if group is None or not self._open_together(its, self._plan.groups[group]):
                for change in its:
                    self._alert_alone("opened", change)

    def _open_together(self, changes: Sequence[UndecidedChange], among: Collection[str]) -> bool:
        """Alert of them in one message, or wait with it; return whether one of both was right."""
        outcome = judge_outage(changes, among, self._plan, self._situation)
        if outcome is MassOutage.YES:
            by_channel = defaultdict(list)
            for change in changes:
                for channel in self._plan.channels_of(change.incident.monitor):
                    by_channel[channel].append(change)
            self._alert_together("opened", by_channel, min(change.incident.id for change in changes))
            self._mark_decided(changes)
        return outcome is not MassOutage.NO

    def remind_and_escalate(self) -> None:
        due: dict[tuple[Event, str, int, bool], list[IncidentRow]] = defaultdict(list)
        for incident in self._situation.open:
            if not self._is_quiet(incident):
                notified = self._situation.notified.get(incident.id, ())
                together = next((each.together for each in notified), None)
                for event, channel in self._repeats(incident, notified):
                    due[event, channel, together or incident.id, together is None].append(incident)
        for (event, channel, subject, is_alone), incidents in due.items():
            about = f"{subject} {self._situation.now}" if event == "reminder" else None
            self._send(event, incidents, [channel], together=None if is_alone else subject, about=about)

    def _is_quiet(self, incident: IncidentRow) -> bool:
        """Return whether there are no reminders and no escalation of the incident now."""
        return (
            incident.monitor not in self._plan.monitors
            or incident.kind == "flapping"
            or incident.id in self._undecided
            or incident.id in self._situation.acknowledged
            or is_silenced(incident.monitor, self._situation)
            or self._plan.in_maintenance(incident.monitor, self._situation.now, self._situation.made_windows)
            or waits_for_dependency(incident, self._plan, self._situation)
        )

    def _repeats(self, incident: IncidentRow, notified: Sequence[Notified]) -> Iterator[tuple[Event, str]]:
        """Yield the channels that get a reminder, then those that the incident escalates to."""
        notify, now = self._plan.notify(incident.monitor), self._situation.now
        for each in notified:
            if notify.remind_every_s is not None and now >= each.reminded_at + notify.remind_every_s:
                yield "reminder", each.channel
        since = min((each.alerted_at for each in notified), default=incident.noticed_at)
        if notify.escalate_after_s is not None and now >= since + notify.escalate_after_s:
            known = {each.channel for each in notified}
            yield from (("escalation", channel) for channel in notify.escalate_to if channel not in known)

    def _undecided_of(self, kind: str) -> Iterable[UndecidedChange]:
        """Return the changes of one kind that this process can decide on.

        If it does not know the monitor, or has no channels, it leaves the change to other processes: for as
        long as the incident is open, since they may hold it back, and then for an hour.
        """
        for change in self._situation.changes:
            if change.change != kind:
                continue
            is_known = (
                change.incident.monitor in self._plan.monitors
                or change.incident.id in self._situation.notified
            )
            if is_known and self._plan.channels:
                yield change
            elif change.incident.ended_at and self._situation.now > change.noticed_at + _FORGOTTEN_S:
                self._mark_decided([change])

    def _mark_decided(self, changes: Sequence[UndecidedChange]) -> None:
        self.decision.decided.update(change.id for change in changes)

    def _alert_alone(self, event: Event, change: UndecidedChange) -> None:
        self._alert(event, [change], self._plan.channels_of(change.incident.monitor))

    def _alert_together(
        self, event: Event, by_channel: Mapping[str, Sequence[UndecidedChange]], outage: int
    ) -> None:
        for channel, changes in by_channel.items():
            self._alert(event, changes, [channel], together=outage)

    def _alert(
        self,
        event: Event,
        changes: Sequence[UndecidedChange],
        channels: Sequence[str],
        *,
        together: int | None = None,
    ) -> None:
        incidents = [
            change.incident._replace(reason=change.reason, detail=change.detail) for change in changes
        ]
        self._send(event, incidents, channels, together=together)
        self._mark_decided(changes)

    def _send(
        self,
        event: Event,
        incidents: Sequence[IncidentRow],
        channels: Sequence[str],
        *,
        together: int | None = None,
        about: str | None = None,
    ) -> None:
        if not channels:
            return
        now = self._situation.now
        alert = compose(
            event,
            [self._subject(incident) for incident in incidents],
            now,
            among=self._among(incidents),
            held_back=self._held_back(event, incidents),
        )
        subject = f"incident {min(incident.id for incident in incidents) if together is None else together}"
        about = about or str(min(incident.id for incident in incidents))
        for channel in channels:
            self.decision.deliveries.append(Delivery(channel, f"{event} {about}", subject, alert))
            if event in {"opened", "escalation", "reminder"}:
                self._note(event, incidents, channel, together)

    def _note(
        self, event: Event, incidents: Sequence[IncidentRow], channel: str, together: int | None
    ) -> None:
        """Note when the channel was alerted; the time until an escalation goes on after a reminder."""
        now = self._situation.now
        for incident in incidents:
            notified = Notified(channel, now, now, together)
            if event == "reminder":
                its = self._situation.notified[incident.id]
                notified = next(each._replace(reminded_at=now) for each in its if each.channel == channel)
            self.decision.notified[incident.id, channel] = notified

    def _among(self, incidents: Sequence[IncidentRow]) -> str:
        """Return of how many monitors these are, and of which group if all are of one."""
        groups = {self._plan.group_of(incident.monitor) for incident in incidents}
        group = groups.pop() if len(groups) == 1 else None
        if group is None:
            return f"{len(self._plan.monitors)} monitors"
        return f"{len(self._plan.groups[group])} monitors of {group}"

    def _subject(self, incident: IncidentRow) -> Subject:
        monitor = self._plan.monitors.get(incident.monitor)
        return Subject(
            monitor=incident.monitor,
            url=monitor.public_url if monitor else "",
            link=link(self._plan.page_url, incident.monitor),
            kind=incident.kind,
            started_at=incident.started_at,
            noticed_at=incident.noticed_at,
            ended_at=incident.ended_at,
            reason=incident.reason,
            detail=incident.detail,
            locations=incident.locations,
            is_checked=monitor is not None,
            labels=monitor.labels if monitor else {},
            runbook=monitor.runbook if monitor else None,
        )

    def _held_back(self, event: Event, incidents: Sequence[IncidentRow]) -> list[str]:
        """Return the monitors that fail too, and whose alerts are held back while these are down."""
        if event in {"resolved", "past"}:
            return []
        names = {incident.monitor for incident in incidents if incident.kind == "down"}
        failing = {name for name, newest in self._situation.newest.items() if newest.failed}
        failing |= {incident.monitor for incident in self._situation.open}
        return sorted(name for name in failing - names if names & self._plan.dependencies_of(name))
