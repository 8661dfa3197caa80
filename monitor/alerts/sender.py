"""From stored changes to people: decides which alerts are needed, and sends those that wait.

Both go through the database, so any of several processes may do either, and a crash in between can repeat
an alert but lose none. Each channel sends one alert at a time; a channel that hangs delays only its own.
"""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import chain
from typing import TypeVar

from monitor.alerts.channels.channels import Channels
from monitor.alerts.decision import decide
from monitor.alerts.expiring import domain_warnings, warnings
from monitor.alerts.situation import Plan
from monitor.alerts.store import LEASE_S, AlertStore, Claimed
from monitor.config.model import Config
from monitor.runtime.progress import Progress
from monitor.runtime.tasks import Tasks
from monitor.runtime.text import DAY_S, HOUR_S, counted
from monitor.runtime.waiting import first_of, within
from monitor.storage.database import StoreUnavailableError

_LOOK_S = 1.0
_UNAVAILABLE_S = 5.0  # between attempts while the database is unavailable
_WARN_S = 60.0
_WARN_OF_S = 300.0  # certificates in older results were looked at before, except in late results
_WARN_AMONG = 5  # results of each monitor: most of those without a certificate never have one

_T = TypeVar("_T")

log = logging.getLogger(__name__)


async def send_alerts(
    store: AlertStore,
    channels: Channels,
    config: Callable[[], Config],
    stop: asyncio.Event,
    progress: Progress,
    *,
    clock: Callable[[], float] = time.time,
    look_s: float = _LOOK_S,
    lease_s: float = LEASE_S,
) -> None:
    """Decide on alerts and send them until `stop` is set; sends that run then are not cut short.

    A database that is unavailable is waited for. When cancelled, what was being sent may be sent again later.
    """
    async with Tasks() as sending:
        sender = _Sender(store, channels, sending, stop, clock, lease_s)
        while not stop.is_set():
            sender.follow(config())
            progress.begin("PostgreSQL")
            try:
                await sender.look()
            except StoreUnavailableError as error:
                why = store.availability.failed(error)
                log.warning("no alerts for now: PostgreSQL is unavailable: %s", why)
                await within(_UNAVAILABLE_S, stop.wait())
            else:
                store.availability.succeeded()
                progress.end()
                await within(look_s, first_of(sender.one_free, stop))


@dataclass
class _Sender:
    """The decisions and deliveries of one process."""

    store: AlertStore
    channels: Channels
    sending: Tasks
    stop: asyncio.Event
    clock: Callable[[], float]
    lease_s: float
    config: Config | None = None
    plan: Plan = field(init=False)
    busy: set[str] = field(default_factory=set)
    one_free: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a channel has nothing more to send."""
    warned_at: float = -math.inf
    tidied_at: float = -math.inf

    def follow(self, config: Config) -> None:
        if config is not self.config:
            self.config = config
            self.plan = Plan(config)

    async def look(self) -> None:
        """Decide on new changes, and start sending what is due."""
        self.one_free.clear()
        now = self.clock()
        await self.store.decide(self.plan, now, decide)
        await self.store.count_waiting()
        if _is_due(self.warned_at, _WARN_S, now):
            await self._upkeep(now)
            self.warned_at = now
        idle = [name for name in self.channels.names if name not in self.busy]
        if idle:
            for claimed in await self.store.claim(idle, self.lease_s):
                self.busy.add(claimed.channel)
                self.sending.start(f"the alert to {claimed.channel}", self._send(claimed))

    async def _upkeep(self, now: float) -> None:
        """Warn of what expires; once an hour also of certificates in late results. Then tidy the store."""
        is_hourly = _is_due(self.tidied_at, HOUR_S, now)
        every = self.plan.monitors.items()
        if is_hourly:  # a day of results without any certificate takes long to go through
            https = [name for name, monitor in every if monitor.has_https]
            seen = await self.store.chains(https, now - DAY_S)
        else:
            seen = await self.store.chains([name for name, _ in every], now - _WARN_OF_S, _WARN_AMONG)
        domains = domain_warnings(self.plan, self.store.domain_of, now)
        await self.store.add(chain(warnings(self.plan, seen, now), domains), now)
        if is_hourly:
            given_up = await self.store.tidy()
            self.tidied_at = now
            if given_up:
                log.error("%s given up, after a day of attempts", counted(given_up, "alert"))

    async def _send(self, claimed: Claimed) -> None:
        """Send it, then the later ones of the channel."""
        name = claimed.channel
        waiting = [claimed]
        while waiting:
            await self._send_one(waiting[0])
            if self.stop.is_set() or name not in self.channels.names:
                break
            waiting = await _until_available(lambda: self.store.claim([name], self.lease_s))
        self.busy.discard(name)
        self.one_free.set()

    async def _send_one(self, claimed: Claimed) -> None:
        name, alert = claimed.channel, claimed.alert
        refusal = await self.channels.deliver(name, claimed.id, alert, claimed.attempts)
        if refusal is None:
            await _until_available(lambda: self.store.mark_sent(claimed))
        elif await _until_available(lambda: self.store.postpone(claimed, *refusal)):
            log.error("alert to %s given up, as it takes others: %s", name, alert.title)


async def _until_available(attempt: Callable[[], Awaitable[_T]]) -> _T:
    """Attempt it until the database is available, and return the result."""
    while True:
        try:
            return await attempt()
        except StoreUnavailableError as error:
            log.warning("the outcome of an alert cannot be stored for now: %s", error)
            await asyncio.sleep(_LOOK_S)


def _is_due(last_at: float, every_s: float, now: float) -> bool:
    return abs(now - last_at) >= every_s  # nothing waits for long if the clock is set back
