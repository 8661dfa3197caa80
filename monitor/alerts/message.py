"""The text of alerts, for people, and what programs get of them. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal
from urllib.parse import quote

import msgspec

from monitor.result import why
from monitor.runtime.text import duration, instant

Event = Literal[
    "opened",
    "resolved",
    "past",
    "reminder",
    "escalation",
    "certificate",
    "domain",
    "own_trouble",
    "own_trouble_over",
    "test",
]

_MAX_LISTED = 50  # in the text; `monitors` has all

# By kind: when it begins, afterwards (past), when it is over (resolved), and while it lasts.
_TITLES = {
    "down": ("{} is down", "{} was down", "{} is up again", "{} has been down for {}"),
    "partial": (
        "{} is down from some locations",
        "{} was down from some locations",
        "{} is up everywhere again",
        "{} has been down from some locations for {}",
    ),
    "degraded": (
        "{} is degraded",
        "{} was degraded",
        "{} is no longer degraded",
        "{} has been degraded for {}",
    ),
    "no_data": ("{}: no data", "{}: there was no data", "{}: there is data again", "{}: no data for {}"),
    "flapping": ("{} is flapping", "{} was flapping", "{} has settled", "{} has been flapping for {}"),
}

_TITLES_OF_MANY = {
    "down": ("{} are down", "{} were down", "{} are up again", "{} have been down for {}"),
    "partial": (
        "{} are down from some locations",
        "{} were down from some locations",
        "{} are up everywhere again",
        "{} have been down from some locations for {}",
    ),
    "degraded": (
        "{} are degraded",
        "{} were degraded",
        "{} are no longer degraded",
        "{} have been degraded for {}",
    ),
    "no_data": _TITLES["no_data"],
    "flapping": (
        "{} are flapping",
        "{} were flapping",
        "{} have settled",
        "{} have been flapping for {}",
    ),
}

_WORDS = {
    "down": "Down",
    "partial": "Down from some locations",
    "degraded": "Degraded",
    "no_data": "No data",
    "flapping": "Flapping",
}

_MEANINGS = {
    "no_data": "Nobody has checked it, or no result arrives: that says nothing about the site.",
    "degraded": "It is up, but slow.",
    "partial": "From the other locations it is up.",
    "flapping": "It goes up and down often: no more alerts about that until it settles.",
}


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """One monitor and its incident; instants are Unix seconds."""

    monitor: str
    url: str
    link: str | None
    """To the monitor's page."""
    kind: Literal["down", "partial", "degraded", "no_data", "flapping", "certificate", "domain"]
    started_at: float
    """For a certificate or a domain: when it was seen."""
    noticed_at: float
    ended_at: float | None = None
    expires_at: float | None = None
    """For a certificate or a domain."""
    reason: str | None = None
    detail: str | None = None
    locations: Sequence[str] = ()
    is_checked: bool = True
    """False if it is no longer in the configuration, or is paused."""
    labels: Mapping[str, str] = {}
    runbook: str | None = None


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One message, as every channel gets it."""

    event: Event
    at: float
    title: str
    text: str
    monitors: Sequence[Subject]
    held_back: Sequence[str] = ()
    """Monitors that depend on these, and whose alerts are held back while these are down."""


def link(page_url: str | None, monitor: str) -> str | None:
    """Return the address of a monitor's page."""
    return None if page_url is None else f"{page_url.rstrip('/')}/monitors/{quote(monitor, safe='')}"


def compose(
    event: Event,
    subjects: Sequence[Subject],
    now: float,
    *,
    among: str = "",
    held_back: Sequence[str] = (),
) -> Alert:
    """Return the alert of one incident, or of several of one kind; they are `among` "30 monitors"."""
    first = subjects[0]
    single = len(subjects) == 1
    name = first.monitor if single else _several(len(subjects), among)
    lasted_s = now - min(subject.started_at for subject in subjects)
    title = (_TITLES if single else _TITLES_OF_MANY)[first.kind][_tense(event)]
    title = title.format(name, _seconds(lasted_s))
    if event == "resolved" and not first.is_checked:
        title = f"{name}: no longer checked"
    lines = _of_one(first, event) if single else _of_many(subjects, event)
    if event == "escalation":
        lines.append("Nobody has acknowledged it so far.")
    if held_back:
        them = "it" if single else "these"
        lines.append(f"Alerts held back, since they depend on {them}: {_listed(held_back)}")
    return Alert(
        event=event, at=now, title=title, text="\n".join(lines), monitors=subjects, held_back=held_back
    )


def compose_expiry(subjects: Sequence[Subject], now: float) -> Alert:
    """Return the warning of one certificate, or of one domain, which several monitors may have."""
    first = subjects[0]
    is_domain = first.kind == "domain"
    event: Event = "domain" if is_domain else "certificate"
    what = f"the domain {first.detail}" if is_domain else "a certificate of the chain"
    expires_at = first.expires_at or 0.0
    names = _listed([subject.monitor for subject in subjects])
    left_s = expires_at - now
    when = f"expires in {_seconds(left_s)}" if left_s > 0 else f"expired {_seconds(-left_s)} ago"
    lines = [
        f"{names}: {what} {when}",
        f"Expires: {_utc(expires_at)}",
        *([f"{'Domain' if is_domain else 'Certificate'}: {first.detail}"] if first.detail else []),
        *[line for subject in subjects[:_MAX_LISTED] for line in (subject.url, subject.link) if line],
        *_runbooks(subjects, event),
    ]
    return Alert(event=event, at=now, title=lines[0], text="\n".join(lines), monitors=subjects)


def compose_test(channel: str, location: str, now: float) -> Alert:
    """Return the message that shows whether people get what is sent to a channel."""
    lines = [
        f"This is a test of the channel {channel}.",
        "No monitor has trouble, and there is nothing to do.",
        f"Sent from: {location}",
    ]
    title = "A test of the website health monitor"
    return Alert(event="test", at=now, title=title, text="\n".join(lines), monitors=())


def _several(number: int, among: str) -> str:
    return f"All {among}" if among.startswith(f"{number} ") else f"{number} of {among}"


def _tense(event: Event) -> int:
    return {"past": 1, "resolved": 2, "reminder": 3, "escalation": 3}.get(event, 0)


def _of_one(subject: Subject, event: Event) -> list[str]:
    ended_at = subject.ended_at
    lines = [subject.url]
    if ended_at is None:
        lines.append(f"Since: {_utc(subject.started_at)}")
    else:
        lasted = _seconds(ended_at - subject.started_at)
        span = f"{_utc(subject.started_at)} to {_utc(ended_at)}, {lasted}"
        lines.append(f"{_WORDS[subject.kind]}: {span}")
    lines.append(f"Why: {_why(subject)}")
    if event != "resolved":
        lines.append(f"Noticed after: {_seconds(subject.noticed_at - subject.started_at)}")
    if event == "past":
        lines.append("It was over before an alert could be sent.")
    elif ended_at is None and subject.kind in _MEANINGS:
        lines.append(_MEANINGS[subject.kind])
    if subject.locations:
        lines.append(f"Seen from: {', '.join(subject.locations)}")
    if subject.labels:
        lines.append(f"Labels: {_labels(subject)}")
    lines += _runbooks([subject], event)
    if subject.link:
        lines.append(subject.link)
    return lines


def _of_many(subjects: Sequence[Subject], event: Event) -> list[str]:
    lines = []
    for subject in subjects[:_MAX_LISTED]:
        until = "" if subject.ended_at is None else f" to {_utc(subject.ended_at)}"
        reason = "" if event == "resolved" else f": {_why(subject)}"
        labels = f" ({_labels(subject)})" if subject.labels else ""
        lines.append(f"- {subject.monitor}{labels}, {_utc(subject.started_at)}{until}{reason}")
    if len(subjects) > _MAX_LISTED:
        lines.append(f"and {len(subjects) - _MAX_LISTED} more")
    locations = sorted({location for subject in subjects for location in subject.locations})
    if locations:
        lines.append(f"Seen from: {', '.join(locations)}")
    lines += _runbooks(subjects, event)
    page = next((subject.link for subject in subjects if subject.link), None)
    if page:
        lines.append(page.rpartition("/monitors/")[0] + "/")
    return lines


def _labels(subject: Subject) -> str:
    return ", ".join(f"{name}={value}" for name, value in subject.labels.items())


def _runbooks(subjects: Sequence[Subject], event: Event) -> Iterator[str]:
    """Yield a line for each runbook, once; none when there is nothing more to do."""
    if event not in {"resolved", "past"}:
        runbooks = dict.fromkeys(subject.runbook for subject in subjects[:_MAX_LISTED] if subject.runbook)
        yield from (f"Runbook: {runbook}" for runbook in runbooks)


def _why(subject: Subject) -> str:
    return why(subject.reason, subject.detail) or "no reason is known"


def _seconds(duration_s: float) -> str:
    return duration(duration_s, whole=True)


def _utc(at: float) -> str:
    return f"{instant(at)} UTC"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MAX_LISTED
    return ", ".join(names[:_MAX_LISTED]) + (f" and {more} more" if more > 0 else "")
