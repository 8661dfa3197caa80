"""The ways to people: a signed webhook, and the services that apprise knows.

apprise blocks: each channel has a thread, and the program ends without waiting for it. The library returns
only whether an alert was delivered. What went wrong is read from its log lines: only the codes in them, since
the rest may show secrets.
"""

import asyncio
import hashlib
import hmac
import logging
import re
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, Protocol

import aiohttp
import msgspec
from pydantic import SecretStr

from monitor.alerts.message import Alert, Event
from monitor.alerts.requests import status_of
from monitor.config.alerts import Webhook
from monitor.config.apprise import load_apprise

_DEADLINE_S = 60.0
_SUCCESS = range(200, 300)
_TEMPORARY = frozenset({408, 425, 429})
_PERMANENT_FOR_SMTP = 500

# The codes in apprise's log lines.
_HTTP_CODE = re.compile(r"\berror=(\d{3})\b")
_SMTP_CODE = re.compile(r"\((\d{3}), b['\"]|was refused: (\d{3})\b")

_NOTIFY_TYPES: dict[Event, str] = {
    "resolved": "success",
    "past": "warning",
    "certificate": "warning",
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
        except TimeoutError:
            raise NotDeliveredError("no answer in time", permanent=False) from None
        except (aiohttp.ClientError, OSError) as error:
            raise NotDeliveredError(f"no connection: {type(error).__name__}", permanent=False) from None
        if status not in _SUCCESS:
            raise NotDeliveredError(f"the answer was {status}", permanent=_is_permanent(status))


class AppriseChannel:
    """One URL of apprise; an alert that hangs blocks only its own channel."""

    def __init__(self, url: SecretStr, deadline_s: float = _DEADLINE_S) -> None:
        self._url = url
        self._deadline_s = deadline_s
        self._service: Any = None
        self._is_sending = False

    async def send(self, delivery_id: int, alert: Alert) -> None:  # noqa: ARG002 - apprise has no place for it
        """Send it in the channel's thread."""
        if self._is_sending:
            raise NotDeliveredError("an earlier alert still hangs", permanent=False)
        loop = asyncio.get_running_loop()
        done = asyncio.Event()
        errors: list[NotDeliveredError] = []

        def work() -> None:
            errors.extend(self._notify(alert))
            self._is_sending = False
            with suppress(RuntimeError):  # the program has ended meanwhile
                loop.call_soon_threadsafe(done.set)

        self._is_sending = True
        threading.Thread(target=work, name="alert", daemon=True).start()
        try:
            async with asyncio.timeout(self._deadline_s):
                await done.wait()
        except TimeoutError:
            raise NotDeliveredError("no answer in time", permanent=False) from None
        if errors:
            raise errors[0]

    def _notify(self, alert: Alert) -> Sequence[NotDeliveredError]:
        apprise = load_apprise()
        if self._service is None:
            # It must use neither threads nor a time limit of its own.
            asset = apprise.AppriseAsset(app_id="Website health monitor", async_mode=False, service_timeout=0)
            self._service = apprise.Apprise(asset=asset)
            self._service.add(self._url.get_secret_value())
            for each in self._service:
                if each.request_rate_per_sec == apprise.NotifyBase.request_rate_per_sec:
                    each.request_rate_per_sec = (
                        0.0  # the default is a guess; those of single services are not
                    )
        with self._service.notify(
            alert.text,
            title=alert.title,
            notify_type=_NOTIFY_TYPES.get(alert.event, "failure"),
            body_format="text",
            log_level=logging.DEBUG,
        ) as result:
            return [] if result else [failure_in(entry.message for entry in result.logs())]


def failure_in(lines: Iterable[str]) -> NotDeliveredError:
    """Return the error that log lines show; it is permanent only if all codes in them are."""
    permanent_by_text = {}
    for line in lines:
        for code in map(int, _HTTP_CODE.findall(line)):
            permanent_by_text[f"the answer was {code}"] = _is_permanent(code)
        for code in (int(first or second) for first, second in _SMTP_CODE.findall(line)):
            permanent_by_text[f"the mail server answered {code}"] = code >= _PERMANENT_FOR_SMTP
    if not permanent_by_text:
        return NotDeliveredError("no connection, or it was not accepted", permanent=False)
    return NotDeliveredError(", ".join(permanent_by_text), permanent=all(permanent_by_text.values()))


def _is_permanent(http_status: int) -> bool:
    """Return whether another attempt would get the same answer, given one that is no success."""
    return http_status < 500 and http_status not in _TEMPORARY  # noqa: PLR2004 - the server's own trouble
