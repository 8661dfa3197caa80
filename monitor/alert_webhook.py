"""Alerts as JSON to a URL, signed so that the receiver can recognize them."""

import hashlib
import hmac

import aiohttp
import msgspec

from monitor.alert_channel import DEADLINE_S, NotDeliveredError, is_permanent
from monitor.alert_message import Alert
from monitor.config.alerts import Webhook

_SUCCESS = range(200, 300)


class WebhookChannel:
    """Posts `{"id": …, "event": …, …}`; the id is the same when an alert is delivered again."""

    def __init__(self, webhook: Webhook, deadline_s: float = DEADLINE_S) -> None:
        self._url = webhook.webhook.get_secret_value()
        self._secret = webhook.secret.get_secret_value().encode()
        self._timeout = aiohttp.ClientTimeout(total=deadline_s)

    async def send(self, delivery_id: int, alert: Alert) -> None:
        """Post it; an answer that redirects counts as not delivered."""
        body = msgspec.json.encode({"id": delivery_id, **msgspec.structs.asdict(alert)})
        signature = hmac.new(self._secret, body, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json", "X-Signature-256": f"sha256={signature}"}
        try:
            async with (
                aiohttp.ClientSession(timeout=self._timeout) as session,
                session.post(self._url, data=body, headers=headers, allow_redirects=False) as response,
            ):
                status = response.status
        except TimeoutError:
            raise NotDeliveredError("no answer in time", permanent=False) from None
        except (aiohttp.ClientError, OSError) as error:
            raise NotDeliveredError(f"no connection: {type(error).__name__}", permanent=False) from None
        if status not in _SUCCESS:
            raise NotDeliveredError(f"the answer was {status}", permanent=is_permanent(status))
