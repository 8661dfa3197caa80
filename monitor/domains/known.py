"""What is known of the registrations of domains, for checks, pages, metrics and alerts. In memory only."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from monitor.config.model import Monitor
from monitor.runtime.hosts.registered import registered_domain
from monitor.runtime.text import DAY_S

KNOWN_S = 3 * DAY_S
"""A date is good for so long: a registration may be renewed while its registry does not answer."""


class Key(NamedTuple):
    """A domain, and who is asked about it."""

    domain: str
    server: str
    """The `rdap_server`; empty: the registry's own."""


@dataclass(slots=True, eq=False)
class Domain:
    """What is known of one registration. Instants are Unix seconds."""

    name: str
    expires_at: float | None = None
    seen_at: float | None = None
    """When a registry said so last."""
    asked_at: float | None = None
    why: str | None = None
    """Why the newest request brought no date."""

    def expiry(self, now: float) -> float | None:
        """Return when it expires, where that is known."""
        is_known = self.seen_at is not None and now - self.seen_at < KNOWN_S
        return self.expires_at if is_known else None

    def learn(
        self, expires_at: float | None, seen_at: float | None, asked_at: float | None, why: str | None
    ) -> None:
        """Take what is newer than what was known."""
        self.expires_at, self.seen_at, self.asked_at, self.why = expires_at, seen_at, asked_at, why


def expiry_of(domain: Domain | None, now: float) -> float | None:
    """Return when the registration of a domain expires, where there is one and that is known."""
    return None if domain is None else domain.expiry(now)


class Watched(NamedTuple):
    """A domain, and the first monitor that has it: its connection is used to ask."""

    domain: Domain
    monitor: Monitor


class Domains:
    """The domains of monitors with `min_domain_days`; those of one domain share what is known of it."""

    def __init__(self) -> None:
        self.watched: Mapping[Key, Watched] = {}
        self._by_monitor: dict[str, Domain] = {}

    def follow(self, monitors: Iterable[Monitor]) -> None:
        """Watch the domains of these monitors, without those that are paused; forget all others."""
        before, self.watched, self._by_monitor = self.watched, {}, {}
        watched: dict[Key, Watched] = {}
        for monitor in monitors:
            key = _key(monitor)
            if key is not None:
                known = before[key].domain if key in before else Domain(key.domain)
                domain = watched.setdefault(key, Watched(known, monitor)).domain
                self._by_monitor[monitor.name] = domain
        self.watched = watched

    def of(self, monitor: str) -> Domain | None:
        """Return the domain of a monitor that is watched."""
        return self._by_monitor.get(monitor)


def _key(monitor: Monitor) -> Key | None:
    if monitor.min_domain_days is None or monitor.paused:
        return None
    domain = registered_domain(monitor.url)
    return None if domain is None else Key(domain, monitor.rdap_server or "")
