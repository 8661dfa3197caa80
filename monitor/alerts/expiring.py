"""Warnings of certificates and domains that expire: each once at each of a few numbers of days. Pure."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from monitor.alerts.decision import Delivery
from monitor.alerts.message import Subject, compose_expiry, link
from monitor.alerts.situation import Plan
from monitor.domains.known import Domain, expiry_of
from monitor.runtime.text import DAY_S

DAYS = (1, 7, 14, 30)


class SeenChain(NamedTuple):
    """The chain that a monitor's newest check saw; `expires_at` is the earliest expiry in it."""

    monitor: str
    at: float
    expires_at: float
    sha256: str | None
    subject: str | None


def warnings(plan: Plan, seen: Sequence[SeenChain], now: float) -> Iterator[Delivery]:
    """Return the warnings of certificates that are due; the store sends none that was sent before.

    A certificate is known by its fingerprint and the expiry of its chain: for a new certificate the warnings
    start again. When several monitors see the same one, each channel gets one warning.
    """
    chains = defaultdict(list)
    for each in seen:
        expiry = {"expires_at": each.expires_at, "detail": each.subject}
        subject = _subject(plan, each.monitor, each.at, kind="certificate", **expiry)
        chains[each.sha256 or "unknown", round(each.expires_at)].append(subject)
    for (sha256, expires_at), its in chains.items():
        yield from _due(plan, f"certificate {sha256} {expires_at}", its, now)


def domain_warnings(plan: Plan, domain_of: Callable[[str], Domain | None], now: float) -> Iterator[Delivery]:
    """Return those of domains. For another date of expiry the warnings start again."""
    domains = defaultdict(list)
    for name in plan.monitors:
        domain = domain_of(name)
        expires_at = expiry_of(domain, now)
        if domain is not None and expires_at is not None:
            expiry = {"expires_at": expires_at, "detail": domain.name}
            subject = _subject(plan, name, domain.seen_at or now, kind="domain", **expiry)
            domains[domain.name, round(expires_at)].append(subject)
    for (name, date), its in domains.items():
        yield from _due(plan, f"domain {name} {date}", its, now)


def _due(plan: Plan, name: str, subjects: Sequence[Subject], now: float) -> Iterator[Delivery]:
    left_s = (subjects[0].expires_at or now) - now
    days = next((days for days in DAYS if left_s <= days * DAY_S), None)
    if days is None:
        return
    for channel in plan.channels:
        interested = [each for each in subjects if channel in plan.channels_of(each.monitor)]
        if interested:
            yield Delivery(channel, f"{name} {days}", name, compose_expiry(interested, now))


def _subject(plan: Plan, name: str, at: float, **facts: Any) -> Subject:
    monitor = plan.monitors[name]
    return Subject(
        monitor=name,
        url=monitor.public_url,
        link=link(plan.page_url, name),
        started_at=at,
        noticed_at=at,
        labels=monitor.labels,
        runbook=monitor.runbook,
        **facts,
    )
