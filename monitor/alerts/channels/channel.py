"""The ways to people: a signed webhook, and the services that apprise knows.

apprise blocks, and trusts services: each alert has a process of its own, which is ended at the deadline.
"""

import asyncio
import hashlib
import hmac
import os
import sys
from collections.abc import Sequence
from typing import Protocol

import aiohttp
import msgspec
from pydantic import SecretStr

from monitor.alerts.channels import apprise_process
from monitor.alerts.channels.apprise_process import Order, Outcome
from monitor.alerts.channels.failures import Failure, is_permanent
from monitor.alerts.channels.requests import status_of, trouble_of
from monitor.alerts.message import Alert, Event
from monitor.config.alerts import Webhook

_DEADLINE_S = 60.0
_SUCCESS = range(200, 300)
_SEND = (sys.executable, "-P", "-m", apprise_process.__name__)

_NOTIFY_TYPES: dict[Event, str] = {
    "resolved": "success",
    "past": "warning",
    "certificate": "warning",
    "domain": "warning",
    "own_trouble_over": "success",
    "test": "info",
}


class NotDeliveredError(Exception):
    """The channel did not take the alert; the text is one line without secrets."""

    def __init__(self, text: str, *, permanent: bool) -> None:
        super().__init__(text)
        self.permanent = permanent
        """Whether another attempt would end in the same way."""


class Channel(Protocol):
    """Sends alerts to people or programs, one at a time."""

    async def send(self, delivery_id: int, alert: Alert) -> None:
        """Send it within a minute or raise `NotDeliveredError`; a repetition has the same `delivery_id`."""


def open_channel(settings: SecretStr | Webhook) -> Channel:
    return WebhookChannel(settings) if isinstance(settings, Webhook) else AppriseChannel(settings)


class WebhookChannel:
    """Posts `{"id": …, "event": …, …}`; the id is the same when an alert is delivered again."""

    def __init__(self, webhook: Webhook, deadline_s: float = _DEADLINE_S) -> None:
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
            raise NotDeliveredError(trouble_of(error), permanent=False) from None
        if status not in _SUCCESS:
            raise NotDeliveredError(f"the answer was {status}", permanent=is_permanent(status))


class AppriseChannel:
    """One URL of apprise."""

    def __init__(self, url: SecretStr, deadline_s: float = _DEADLINE_S) -> None:
        self._url = url
        self._deadline_s = deadline_s
        self._free_at = 0.0  # of the event loop: when the service takes the next one

    async def send(self, delivery_id: int, alert: Alert) -> None:  # noqa: ARG002 - apprise has no place for it
        """Send it in a process, which has ended when this returns, raises or is cancelled."""
        kind = _NOTIFY_TYPES.get(alert.event, "failure")
        order = Order(self._url.get_secret_value(), alert.title, alert.text, kind, self._deadline_s)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._deadline_s):
                await asyncio.sleep(self._free_at - loop.time())
                output = await _output(_SEND, msgspec.json.encode(order))
        except TimeoutError:
            raise NotDeliveredError("no answer in time", permanent=False) from None
        except OSError as error:
            raise NotDeliveredError(f"no process: {error.strerror}", permanent=False) from None
        outcome = msgspec.json.decode(output, type=Outcome) if output else Outcome(Failure())
        self._free_at = loop.time() + outcome.pause_s
        if outcome.failure is not None:
            raise NotDeliveredError(outcome.failure.text, permanent=outcome.failure.permanent)


async def _output(command: Sequence[str], order: bytes) -> bytes:
    """Return what the command prints; nothing if it was ended. When cancelled, end it."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        start_new_session=True,  # Ctrl-C is for the program, which may deliver this alert to the end
    )
    try:
        output, _ = await process.communicate(order)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return b"" if process.returncode else output
