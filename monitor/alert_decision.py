"""Who is told what of the changes, now. Pure: what is stored goes in, what to store comes out."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from monitor.alert_calm import has_trouble_above, is_held, is_silent
from monitor.alert_message import Alert, Event, Subject, compose, link
from monitor.alert_outage import WITHIN_S, Outage, judge
from monitor.alert_situation import Change, Incident, Plan, Situation, Told

_FORGOTTEN_S = 3_600.0  # what no process wants to tell is dropped then


class Delivery(NamedTuple):
    """One alert for one channel; those of one monitor go out in their order, and `about` goes out once."""

    channel: str
    about: str
    subject: str
    """The incident that it belongs to, or the first of those that were told together."""
    alert: Alert


class Known(NamedTuple):
    """That a channel knows of an incident; of one that it knew, only `reminded_at` is new."""

    incident_id: int
    told: Told


@dataclass(slots=True)
class Decision:
    """What to store."""

    decided: set[int] = field(default_factory=set)
    """Changes that are dealt with."""
    deliveries: list[Delivery] = field(default_factory=list)
    known: list[Known] = field(default_factory=list)

    def once(self) -> Self:
        """Leave of what one channel knows of one incident only the last."""
        self.known = list({(each.incident_id, each.told.channel): each for each in self.known}.values())
        return self


def decide(plan: Plan, situation: Situation) -> Decision:
    """Decide what can be decided now; the rest waits for the next time.

    The end of one incident is told before the beginning of the next, which goes on.
    """
    deciding = _Deciding(plan, situation)
    deciding.resolved()
    deciding.past()
    deciding.opened()
    deciding.again()
    return deciding.decision.once()


class _Deciding:
    def __init__(self, plan: Plan, situation: Situation) -> None:
        self._plan = plan
        self._situation = situation
        self._told = {number: list(told) for number, told in situation.told.items()}
        self._undecided = {change.incident.id for change in situation.changes if change.change == "opened"}
        self.decision = Decision()

    def opened(self) -> None:
        ready: dict[str, list[Change]] = defaultdict(list)
        for change in self._of("opened"):
            if is_held(change, self._plan, self._situation):
                self._let_go_if_over(change)
            elif change.incident.ended_at is not None:
                self._tell("past", [change], self._plan.channels_of(change.incident.monitor))
            elif change.incident.kind == "flapping":
                self._tell("opened", [change], self._plan.channels_of(change.incident.monitor))
            else:
                ready[change.incident.kind].append(change)
        for changes in ready.values():
            self._open(changes)

    def _let_go_if_over(self, change: Change) -> None:
        if change.incident.ended_at is not None:
            self._settle([change])

    def _open(self, changes: list[Change]) -> None:
        match judge(changes, self._plan, self._situation):
            case Outage.NONE:
                for change in changes:
                    self._tell("opened", [change], self._plan.channels_of(change.incident.monitor))
            case Outage.MASS:
                by_channel = defaultdict(list)
                for change in changes:
                    for channel in self._plan.channels_of(change.incident.monitor):
                        by_channel[channel].append(change)
                outage = min(change.incident.id for change in changes)
                for channel, its in by_channel.items():
                    self._tell("opened", its, [channel], together=outage)
                self._settle(changes)

    def resolved(self) -> None:
        together: dict[int, list[Change]] = defaultdict(list)
        for change in self._of("resolved"):
            told = self._told.get(change.incident.id, ())
            heir = self._heir(change)
            if heir or not told:
                self._hand_over(told, heir)
                self._settle([change])
            elif self._situation.may_go_on(change):
                continue
            elif told[0].together is None:
                self._tell("resolved", [change], [each.channel for each in told])
            else:
                together[told[0].together].append(change)
        for outage, changes in together.items():
            self._resolve_together(outage, changes)

    def _heir(self, change: Change) -> Incident | None:
        """Find the incident whose end will be told instead of this one's."""
        flapping = self._situation.flapping(change.incident.monitor) if change.quiet else None
        return self._situation.heir(change) or flapping

    def _hand_over(self, told: Sequence[Told], heir: Incident | None) -> None:
        """Let those who know of an incident know the end of what it goes on as."""
        if heir:
            those_of_heir = self._told.setdefault(heir.id, [])
            known = {each.channel for each in those_of_heir}
            new = [each._replace(together=None) for each in told if each.channel not in known]
            those_of_heir += new
            self.decision.known += [Known(heir.id, each) for each in new]

    def _resolve_together(self, outage: int, changes: list[Change]) -> None:
        is_over = not any(
            told.together == outage
            for incident in self._situation.open
            for told in self._situation.told.get(incident.id, ())
        )
        first_at = min(change.noticed_at for change in changes)
        begin_again = {each.incident.monitor for each in self._of("opened")}
        is_news = begin_again.isdisjoint(change.incident.monitor for change in changes)
        if not is_over and is_news and self._situation.now < first_at + WITHIN_S:
            return
        by_channel = defaultdict(list)
        for change in changes:
            for told in self._told[change.incident.id]:
                by_channel[told.channel].append(change)
        for channel, its in by_channel.items():
            self._tell("resolved", its, [channel], together=outage)

    def past(self) -> None:
        for change in self._of("past"):
            if is_held(change, self._plan, self._situation):
                self._settle([change])
            else:
                self._tell("past", [change], self._plan.channels_of(change.incident.monitor))

    def again(self) -> None:
        """Remind of what is still open, and escalate it."""
        due: dict[tuple[Event, str, int, bool], list[Incident]] = defaultdict(list)
        for incident in self._situation.open:
            if not self._is_quiet(incident):
                told = self._situation.told.get(incident.id, ())
                together = next((each.together for each in told), None)
                for event, channel in (*self._reminders(incident, told), *self._escalations(incident, told)):
                    due[event, channel, together or incident.id, together is None].append(incident)
        for (event, channel, subject, is_alone), incidents in due.items():
            about = f"{subject} {self._situation.now}" if event == "reminder" else None
            self._send(event, incidents, [channel], together=None if is_alone else subject, about=about)

    def _is_quiet(self, incident: Incident) -> bool:
        return (
            incident.monitor not in self._plan.monitors
            or incident.kind == "flapping"
            or incident.id in self._undecided
            or incident.id in self._situation.acknowledged
            or is_silent(incident.monitor, self._situation)
            or self._plan.in_maintenance(incident.monitor, self._situation.now, self._situation.made)
            or has_trouble_above(incident, self._plan, self._situation)
        )

    def _reminders(self, incident: Incident, told: Sequence[Told]) -> Iterator[tuple[Event, str]]:
        every_s = self._plan.notify(incident.monitor).remind_every_s
        for each in told:
            if every_s is not None and self._situation.now >= each.reminded_at + every_s:
                yield "reminder", each.channel

    def _escalations(self, incident: Incident, told: Sequence[Told]) -> Iterator[tuple[Event, str]]:
        notify = self._plan.notify(incident.monitor)
        since = min((each.told_at for each in told), default=incident.noticed_at)
        if notify.escalate_after_s is not None and self._situation.now >= since + notify.escalate_after_s:
            known = {each.channel for each in told}
            yield from (("escalation", channel) for channel in notify.escalate_to if channel not in known)

    def _of(self, kind: str) -> Iterable[Change]:
        """Go through what is to be decided of one kind.

        A process that does not know the monitor, or has no channels, leaves it to others for a while; what
        goes on for as long as it does, since they may hold it back.
        """
        for change in self._situation.changes:
            if change.change != kind:
                continue
            is_known = (
                change.incident.monitor in self._plan.monitors or change.incident.id in self._situation.told
            )
            if is_known and self._plan.channels:
                yield change
            elif change.incident.ended_at and self._situation.now > change.noticed_at + _FORGOTTEN_S:
                self._settle([change])

    def _settle(self, changes: Sequence[Change]) -> None:
        self.decision.decided.update(change.id for change in changes)

    def _tell(
        self, event: Event, changes: Sequence[Change], channels: Sequence[str], *, together: int | None = None
    ) -> None:
        incidents = [
            change.incident._replace(reason=change.reason, detail=change.detail) for change in changes
        ]
        self._send(event, incidents, channels, together=together)
        self._settle(changes)

    def _send(
        self,
        event: Event,
        incidents: Sequence[Incident],
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
            of_monitors=len(self._plan.monitors),
            held_back=self._held_back(event, incidents),
        )
        subject = f"incident {min(incident.id for incident in incidents) if together is None else together}"
        about = about or str(min(incident.id for incident in incidents))
        for channel in channels:
            self.decision.deliveries.append(Delivery(channel, f"{event} {about}", subject, alert))
            if event in {"opened", "escalation", "reminder"}:
                told = Told(channel, now, now, together)
                self.decision.known += [Known(incident.id, told) for incident in incidents]

    def _subject(self, incident: Incident) -> Subject:
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
        )

    def _held_back(self, event: Event, incidents: Sequence[Incident]) -> list[str]:
        """Name the monitors that are down too, and whose alerts wait for these."""
        if event in {"resolved", "past"}:
            return []
        names = {incident.monitor for incident in incidents if incident.kind == "down"}
        failing = {name for name, newest in self._situation.newest.items() if newest.failed}
        failing |= {incident.monitor for incident in self._situation.open}
        return sorted(name for name in failing - names if names & self._plan.above(name))
