"""From stored changes to people: decides which alerts are needed, and sends those that wait.

Both go through the database, so any of several processes may do either, and a crash in between can repeat
an alert but lose none. Each channel sends one alert at a time; a channel that hangs delays only its own.
"""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from pydantic import SecretStr

from monitor.alerts.certificates import warnings
from monitor.alerts.channels import AppriseChannel, Channel, NotDeliveredError, WebhookChannel
from monitor.alerts.decision import decide
from monitor.alerts.situation import Plan
from monitor.alerts.store import LEASE_S, AlertStore, Claimed
from monitor.config.alerts import Webhook
from monitor.config.model import Config
from monitor.runtime.progress import Progress
from monitor.runtime.tasks import Tasks
from monitor.runtime.text import DAY_S, HOUR_S
from monitor.runtime.waiting import first_of, within
from monitor.storage.database import StoreUnavailableError

_LOOK_S = 1.0
_UNAVAILABLE_S = 5.0  # between attempts while the database is unavailable
_WARN_S = 60.0
_WARN_OF_S = 300.0  # certificates in older results were looked at before, but for late results
_FIRST_RETRY_S, _LAST_RETRY_S = 5.0, 600.0

log = logging.getLogger(__name__)

T = TypeVar("T")


def retry_after_s(attempts: int) -> float:
    return float(min(_FIRST_RETRY_S * 2 ** min(attempts - 1, 10), _LAST_RETRY_S))


def open_channel(settings: SecretStr | Webhook) -> Channel:
    return WebhookChannel(settings) if isinstance(settings, Webhook) else AppriseChannel(settings)


async def send_alerts(
    store: AlertStore,
    config: Callable[[], Config],
    stop: asyncio.Event,
    progress: Progress,
    *,
    clock: Callable[[], float] = time.time,
    retry_after_s: Callable[[int], float] = retry_after_s,
    look_s: float = _LOOK_S,
    lease_s: float = LEASE_S,
) -> None:
    """Decide on alerts and send them until `stop` is set; sends that run then are not cut short.

    A database that is unavailable is waited for. When cancelled, what was being sent may be sent again later.
    """
    async with Tasks() as sending:
        sender = _Sender(store, sending, stop, clock, retry_after_s, lease_s, progress)
        while not stop.is_set():
            sender.follow(config())
            progress.begin("PostgreSQL")
            try:
                await sender.look()
            except StoreUnavailableError as error:
                log.warning("no alerts for now: %s", error)
                await within(_UNAVAILABLE_S, stop.wait())
            else:
                progress.end()
                await within(look_s, sender.wait())


class _Sender:
    """The decisions and deliveries of one process."""

    def __init__(
        self,
        store: AlertStore,
        sending: Tasks,
        stop: asyncio.Event,
        clock: Callable[[], float],
        retry_after_s: Callable[[int], float],
        lease_s: float,
        progress: Progress,
    ) -> None:
        self._store = store
        self._sending = sending
        self._stop = stop
        self._clock = clock
        self._retry_after_s = retry_after_s
        self._lease_s = lease_s
        self._progress = progress
        self._config: Config | None = None
        self._plan = Plan({}, (), None)
        self._channels: Mapping[str, tuple[SecretStr | Webhook, Channel]] = {}
        self._busy: set[str] = set()
        self._done = asyncio.Event()
        self._warned_at = self._tidied_at = -math.inf

    def follow(self, config: Config) -> None:
        """Use a configuration; channels that did not change stay as they are."""
        if config is self._config:
            return
        self._config = config
        self._plan = Plan.of(config)
        self._channels = {
            name: self._channels[name]
            if name in self._channels and self._channels[name][0] == settings
            else (settings, open_channel(settings))
            for name, settings in config.alerts.channels.items()
        }

    async def look(self) -> None:
        """Decide on new changes, and start sending what is due."""
        self._done.clear()
        now = self._clock()
        await self._store.decide(self._plan, now, decide)
        await self._store.count_waiting()
        if _is_due(self._warned_at, _WARN_S, now):
            await self._upkeep(now)
            self._warned_at = now
        idle = [name for name in self._channels if name not in self._busy]
        if idle:
            for claimed in await self._store.claim(idle, self._lease_s):
                self._busy.add(claimed.channel)
                _, channel = self._channels[claimed.channel]
                self._sending.start(f"the alert to {claimed.channel}", self._send(claimed, channel))

    async def wait(self) -> None:
        """Return when a channel is free again, or at `stop`."""
        await first_of(self._done, self._stop)

    async def _upkeep(self, now: float) -> None:
        """Warn of certificates; once an hour also of those in late results, and then tidy the store."""
        is_hourly = _is_due(self._tidied_at, HOUR_S, now)
        every = self._plan.monitors
        https = [name for name, each in every.items() if each.url.lower().startswith("https:")]
        if is_hourly:  # a day of results without any certificate takes long to go through
            seen = await self._store.chains(https, now - DAY_S)
        else:
            seen = await self._store.chains(list(every), now - _WARN_OF_S)
        await self._store.add(warnings(self._plan, seen, now), now)
        if is_hourly:
            given_up = await self._store.tidy()
            self._tidied_at = now
            if given_up:
                log.error("%d alerts could not be sent for a day, and are given up", given_up)

    async def _send(self, claimed: Claimed, channel: Channel) -> None:
        """Send it, and then all that the channel has after it."""
        name = claimed.channel
        waiting = [claimed]
        while waiting:
            await self._send_one(waiting[0], channel)
            goes_on = not self._stop.is_set() and self._channels.get(name, (None, None))[1] is channel
            waiting = (
                await _until_available(lambda: self._store.claim([name], self._lease_s)) if goes_on else []
            )
        self._busy.discard(name)
        self._done.set()

    async def _send_one(self, claimed: Claimed, channel: Channel) -> None:
        self._progress.begin(f"the channel {claimed.channel}", claimed.channel, self._lease_s)
        try:
            await channel.send(claimed.id, claimed.alert)
        except NotDeliveredError as error:
            self._progress.end(claimed.channel)
            await self._note_failure(claimed, error)
        else:
            self._progress.end(claimed.channel)
            log.info("alert sent to %s: %s", claimed.channel, claimed.alert.title)
            await _until_available(lambda: self._store.mark_sent(claimed))

    async def _note_failure(self, claimed: Claimed, error: NotDeliveredError) -> None:
        if error.permanent:
            title = claimed.alert.title
            log.error("alert not sent to %s, and it never will be: %s: %s", claimed.channel, title, error)
            await _until_available(lambda: self._store.fail(claimed, str(error)))
        else:
            delay_s = self._retry_after_s(claimed.attempts)
            log.warning(
                "alert not sent to %s, trying again in %g s: %s: %s",
                claimed.channel,
                delay_s,
                claimed.alert.title,
                error,
            )
            if await _until_available(lambda: self._store.postpone(claimed, str(error), delay_s)):
                log.error(
                    "alert to %s given up, as it takes others: %s", claimed.channel, claimed.alert.title
                )


async def _until_available(attempt: Callable[[], Awaitable[T]]) -> T:
    """Attempt it until the database is available, and return the result."""
    while True:
        try:
            return await attempt()
        except StoreUnavailableError as error:
            log.warning("the outcome of an alert cannot be stored for now: %s", error)
            await asyncio.sleep(_LOOK_S)


def _is_due(last_at: float, every_s: float, now: float) -> bool:
    return abs(now - last_at) >= every_s  # nothing waits for long if the clock is set back
