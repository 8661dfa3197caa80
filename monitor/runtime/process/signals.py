"""The signals that end the program, or make it read its configuration again."""

import asyncio
import logging
import os
import signal
from collections.abc import Callable

from monitor.runtime.waiting import within

log = logging.getLogger(__name__)


class Signals:
    """SIGTERM and SIGINT set `end`; SIGHUP asks for a reload of the configuration.

    A second SIGTERM or SIGINT ends the program at once, with exit code 0: what it had
    accepted is in the outbox. The first one calls `on_end`.
    """

    def __init__(self, on_end: Callable[[], object] = lambda: None) -> None:
        self._on_end = on_end
        self.end = asyncio.Event()
        self._hangup = False
        self._wake = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)

    async def wait(self, limit_s: float) -> None:
        """Wait for the next signal, for `limit_s` at most."""
        await within(limit_s, self._wake.wait())
        self._wake.clear()

    def take_hangup(self) -> bool:
        """Return whether SIGHUP came since the last call."""
        hangup, self._hangup = self._hangup, False
        return hangup

    def _end(self) -> None:
        if self.end.is_set():
            os._exit(0)
        log.info("stopping; a second signal ends the program at once")
        self.end.set()
        self._on_end()
        self._wake.set()

    def _hang_up(self) -> None:
        self._hangup = True
        self._wake.set()
