"""All channels of the configuration: monitors' alerts, the program's own and tests go through them."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import NamedTuple

from pydantic import SecretStr

from monitor.alerts.channels.apprise import AppriseChannel
from monitor.alerts.channels.channel import Channel, NotDeliveredError, WebhookChannel
from monitor.alerts.message import Alert
from monitor.config.alerts import Webhook
from monitor.runtime.text import DAY_S

LONGEST_WAIT_S = 600.0
"""No alert waits longer for its next attempt."""
GIVE_UP_S = DAY_S
"""After so long without success an alert is given up."""
_FIRST_RETRY_S = 5.0

log = logging.getLogger(__name__)


def retry_after_s(attempts: int) -> float:
    return float(min(_FIRST_RETRY_S * 2 ** min(attempts - 1, 10), LONGEST_WAIT_S))


class Refusal(NamedTuple):
    """An alert was not delivered."""

    why: str
    """One line without secrets."""
    retry_after_s: float


class Channels:
    """Sends alerts to channels by their names: to each channel one at a time, and none waits for another.

    `settings` are read for each alert; a channel whose settings stay the same is kept.
    """

    def __init__(
        self,
        settings: Callable[[], Mapping[str, SecretStr | Webhook]],
        retry_after_s: Callable[[int], float] = retry_after_s,
    ) -> None:
        self._settings = settings
        self._retry_after_s = retry_after_s
        self._open: dict[str, tuple[SecretStr | Webhook, Channel, asyncio.Lock]] = {}

    @property
    def names(self) -> list[str]:
        return list(self._settings())

    async def send(self, name: str, delivery_id: int, alert: Alert) -> None:
        """Send it within a minute, or raise `NotDeliveredError`; earlier alerts to the channel come first."""
        settings = self._settings().get(name)
        if settings is None:
            raise NotDeliveredError("the channel is no longer configured")
        if name not in self._open or self._open[name][0] != settings:
            opened = WebhookChannel(settings) if isinstance(settings, Webhook) else AppriseChannel(settings)
            self._open[name] = settings, opened, asyncio.Lock()
        _, channel, turn = self._open[name]
        async with turn:
            await channel.send(delivery_id, alert)

    async def deliver(self, name: str, delivery_id: int, alert: Alert, attempts: int) -> Refusal | None:
        """Send it for the `attempts`th time and log what became of it; return `None` if it was delivered."""
        try:
            await self.send(name, delivery_id, alert)
        except NotDeliveredError as error:
            delay_s = self._retry_after_s(attempts)
            log.warning(
                "alert not sent to %s, trying again in %g s: %s: %s", name, delay_s, alert.title, error
            )
            return Refusal(str(error), delay_s)
        log.info("alert sent to %s: %s", name, alert.title)
        return None
