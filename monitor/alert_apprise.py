"""Alerts by apprise, which blocks: each channel has a thread, and the program ends without waiting for it.

The library returns only whether an alert was delivered. What went wrong is read from its log lines: only the
codes in them, since the rest may show secrets.
"""

import asyncio
import logging
import re
import threading
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from pydantic import SecretStr

from monitor.alert_channel import DEADLINE_S, NotDeliveredError, is_permanent
from monitor.alert_message import Alert, Event
from monitor.config.apprise import load_apprise

_NOTIFY_TYPES: dict[Event, str] = {"resolved": "success", "past": "warning", "certificate": "warning"}
_HTTP = re.compile(r"\berror=(\d{3})\b")
_SMTP = re.compile(r"\((\d{3}), b['\"]|was refused: (\d{3})\b")
_SMTP_PERMANENT = 500


class AppriseChannel:
    """One URL of apprise; an alert that hangs blocks only its own channel."""

    def __init__(self, url: SecretStr, deadline_s: float = DEADLINE_S) -> None:
        self._url = url
        self._deadline_s = deadline_s
        self._service: Any = None
        self._is_sending = False

    async def send(self, delivery_id: int, alert: Alert) -> None:  # noqa: ARG002 - apprise has no place for it
        """Send it in the channel's thread."""
        if self._is_sending:
            raise NotDeliveredError("an earlier alert still hangs", permanent=False)
        loop = asyncio.get_running_loop()
        done: asyncio.Future[NotDeliveredError | None] = loop.create_future()

        def work() -> None:
            outcome = self._notify(alert)
            self._is_sending = False
            with suppress(RuntimeError):  # the program has ended meanwhile
                loop.call_soon_threadsafe(_resolve, done, outcome)

        self._is_sending = True
        threading.Thread(target=work, name="alert", daemon=True).start()
        try:
            async with asyncio.timeout(self._deadline_s):
                error = await done
        except TimeoutError:
            raise NotDeliveredError("no answer in time", permanent=False) from None
        if error:
            raise error

    def _notify(self, alert: Alert) -> NotDeliveredError | None:
        apprise = load_apprise()
        if self._service is None:
            # It must use neither threads nor a time limit of its own.
            asset = apprise.AppriseAsset(app_id="Website health monitor", async_mode=False, service_timeout=0)
            self._service = apprise.Apprise(asset=asset)
            self._service.add(self._url.get_secret_value())
        with self._service.notify(
            alert.text,
            title=alert.title,
            notify_type=_NOTIFY_TYPES.get(alert.event, "failure"),
            body_format="text",
            log_level=logging.DEBUG,
        ) as result:
            return None if result else failure_in(entry.message for entry in result.logs())


def _resolve(done: "asyncio.Future[NotDeliveredError | None]", outcome: NotDeliveredError | None) -> None:
    if not done.done():
        done.set_result(outcome)


def failure_in(lines: Iterable[str]) -> NotDeliveredError:
    """Return the error that log lines show; it is permanent only if all codes in them are."""
    permanent_by_text = {}
    for line in lines:
        for code in map(int, _HTTP.findall(line)):
            permanent_by_text[f"the answer was {code}"] = is_permanent(code)
        for code in (int(first or second) for first, second in _SMTP.findall(line)):
            permanent_by_text[f"the mail server said {code}"] = code >= _SMTP_PERMANENT
    if not permanent_by_text:
        return NotDeliveredError("no connection, or it was not accepted", permanent=False)
    return NotDeliveredError(", ".join(permanent_by_text), permanent=all(permanent_by_text.values()))
