"""A channel of the apprise library: mail, chats, phones.

The library blocks, so each alert is sent in a daemon thread, which can keep nobody from ending. It also reads
whatever a service answers, to its end: so a thread may read only so much, and only until its deadline, and
nothing is decompressed.
"""

import asyncio
import logging
import re
import socket
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from types import ModuleType
from typing import Any

from pydantic import SecretStr

from monitor.alerts.channels.channel import DEADLINE_S, NotDeliveredError
from monitor.alerts.message import Alert, Event
from monitor.config.apprise import load_apprise

MAX_ANSWER_BYTES = 256 << 10
"""Of all answers to one alert."""

_NOTIFY_TYPES: dict[Event, str] = {
    "resolved": "success",
    "past": "warning",
    "certificate": "warning",
    "domain": "warning",
    "own_trouble_over": "success",
    "test": "info",
}

# The codes in apprise's log lines.
_HTTP_CODE = re.compile(r"\berror=(\d{3})\b")
_SMTP_CODE = re.compile(r"\((\d{3}), b['\"]|was refused: (\d{3})\b")
_NO_CODE = "no connection, or it was not accepted"


class AppriseChannel:
    """One URL of apprise."""

    def __init__(self, url: SecretStr, deadline_s: float = DEADLINE_S) -> None:
        self._url = url
        self._deadline_s = deadline_s
        self._apprise = _bounded_apprise()
        self._service: Any = None
        self._last: asyncio.Future[str | None] | None = None

    async def send(self, delivery_id: int, alert: Alert) -> None:  # noqa: ARG002 - apprise has no place for it
        """Send it in a thread; as long as the thread of an earlier alert hangs, no other one is started."""
        ends_at = time.monotonic() + self._deadline_s
        try:
            async with asyncio.timeout(self._deadline_s):
                if self._last is not None:
                    await asyncio.wait([self._last])
                self._last = self._start(alert, ends_at)
                await asyncio.wait([self._last])
        except TimeoutError:
            raise NotDeliveredError("no answer in time") from None
        failure = self._last.result()
        if failure is not None:
            raise NotDeliveredError(failure)

    def _start(self, alert: Alert, ends_at: float) -> "asyncio.Future[str | None]":
        """Start the thread, and return what becomes `None` at its end, or why the alert was not delivered."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[str | None] = loop.create_future()

        def run() -> None:
            try:
                failure = self._deliver(alert, ends_at)
            except Exception as error:  # noqa: BLE001 - its text may show secrets, and the alert is tried again
                failure = f"{type(error).__name__} in apprise"
            with suppress(RuntimeError):  # the loop is closed: the program ends
                loop.call_soon_threadsafe(ended.set_result, failure)

        threading.Thread(target=run, name="an alert by apprise", daemon=True).start()
        return ended

    def _deliver(self, alert: Alert, ends_at: float) -> str | None:
        """Send it now; return why it was not delivered, `None` if it was.

        The service is kept: it knows when it was last sent something, and waits if it has to. After a
        failure it is made anew, as a login may have become invalid.
        """
        _reading.left, _reading.ends_at = MAX_ANSWER_BYTES, ends_at
        if self._service is None:
            # It must use neither threads nor a time limit of its own.
            asset = self._apprise.AppriseAsset(
                app_id="Website health monitor", async_mode=False, service_timeout=0
            )
            self._service = self._apprise.Apprise(asset=asset)
            self._service.add(self._url.get_secret_value())
        kind = _NOTIFY_TYPES.get(alert.event, "failure")
        with self._service.notify(
            alert.text, title=alert.title, notify_type=kind, body_format="text", log_level=logging.DEBUG
        ) as result:
            if result:
                return None
            self._service = None
            return failure_in(entry.message for entry in result.logs())


def failure_in(lines: Iterable[str]) -> str:
    """Return the codes in apprise's log lines, as a reason: the rest of the lines may show secrets."""
    texts: dict[str, None] = {}
    for line in lines:
        texts |= dict.fromkeys(f"the answer was {code}" for code in _HTTP_CODE.findall(line))
        codes = (first or second for first, second in _SMTP_CODE.findall(line))
        texts |= dict.fromkeys(f"the mail server answered {code}" for code in codes)
    return ", ".join(texts) or _NO_CODE


class _Reading(threading.local):
    """How much the current thread may still read from sockets; without limits in threads that set none."""

    left: float = float("inf")
    ends_at: float = float("inf")


_reading = _Reading()
_read = socket.SocketIO.readinto


def _read_within_limits(self: socket.SocketIO, b: Any) -> int | None:
    if _reading.left <= 0 or time.monotonic() >= _reading.ends_at:
        raise OSError("the answer is too long, or takes too long")
    size = _read(self, b)
    _reading.left -= size or 0
    return size


@cache
def _bounded_apprise() -> ModuleType:
    """Return the library, after those beneath it have got limits.

    HTTP and SMTP of the standard library read all that comes through `SocketIO`; aiohttp does not use it.
    """
    apprise = load_apprise()
    import requests.utils  # noqa: PLC0415 - apprise has just loaded them
    import urllib3.response  # noqa: PLC0415

    socket.SocketIO.readinto = _read_within_limits  # type: ignore[method-assign] # there is no other way in
    requests.utils.DEFAULT_ACCEPT_ENCODING = "identity"  # type: ignore[misc] # a constant to others
    urllib3.response.BaseHTTPResponse.CONTENT_DECODERS = []
    urllib3.disable_warnings()  # they name hosts on stderr
    # The default is a guess; those of single services are not.
    apprise.NotifyBase.request_rate_per_sec = 0
    return apprise
