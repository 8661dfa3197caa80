"""Warnings of certificates that expire: each once at each of a few numbers of days. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from monitor.alerts.decision import Delivery
from monitor.alerts.message import Subject, compose_certificate, link
from monitor.alerts.situation import Plan
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
    """Return the warnings that are due; the store sends none that was sent before.

    A certificate is known by its fingerprint and the expiry of its chain: for a new certificate the warnings
    start again. When several monitors see the same one, each channel gets one warning.
    """
    chains = defaultdict(list)
    for each in seen:
        chains[each.sha256 or "unknown", round(each.expires_at)].append(each)
    for (sha256, expires_at), its in chains.items():
        days = next((days for days in DAYS if expires_at - now <= days * DAY_S), None)
        if days is not None:
            for channel in plan.channels:
                interested = [each for each in its if channel in plan.channels_of(each.monitor)]
                if interested:
                    alert = compose_certificate([_subject(each, plan) for each in interested], now)
                    name = f"certificate {sha256} {expires_at}"
                    yield Delivery(channel, f"{name} {days}", name, alert)


def _subject(seen: SeenChain, plan: Plan) -> Subject:
    monitor = plan.monitors[seen.monitor]
    return Subject(
        monitor=seen.monitor,
        url=monitor.public_url,
        link=link(plan.page_url, seen.monitor),
        kind="certificate",
        started_at=seen.at,
        noticed_at=seen.at,
        expires_at=seen.expires_at,
        detail=seen.subject,
        labels=monitor.labels,
        runbook=monitor.runbook,
    )
