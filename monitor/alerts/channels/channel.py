"""What a channel is, and the simplest one: a signed webhook."""

import hashlib
import hmac
from typing import Protocol

import aiohttp
import msgspec

from monitor.alerts.channels.requests import status_of, trouble_of
from monitor.alerts.message import Alert
from monitor.config.alerts import Webhook

DEADLINE_S = 60.0
_SUCCESS = range(200, 300)


class NotDeliveredError(Exception):
    """The channel did not take the alert; the text is one line without secrets."""


class Channel(Protocol):
    """Sends alerts to people or programs, one at a time."""

    async def send(self, delivery_id: int, alert: Alert) -> None:
        """Send it within a minute or raise `NotDeliveredError`; a repetition has the same `delivery_id`."""


class WebhookChannel:
    """Posts `{"id": …, "event": …, …}`; the id is the same when an alert is delivered again."""

    def __init__(self, webhook: Webhook, deadline_s: float = DEADLINE_S) -> None:
        self._url = webhook.webhook.get_secret_value()
        self._secret = webhook.secret.get_secret_value().encode()
        self._deadline_s = deadline_s

    async def send(self, delivery_id: int, alert: Alert) -> None:
        """Post it; an answer that redirects counts as not delivered."""
        body = msgspec.json.encode({"id": delivery_id, **msgspec.structs.asdict(alert)})
        signature = hmac.new(self._secret, body, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json", "X-Signature-256": f"sha256={signature}"}
        try:
            status = await status_of(
                "POST", self._url, self._deadline_s, data=body, headers=headers, allow_redirects=False
            )
        except (aiohttp.ClientError, OSError) as error:
            raise NotDeliveredError(trouble_of(error)) from None
        if status not in _SUCCESS:
            raise NotDeliveredError(f"the answer was {status}")
