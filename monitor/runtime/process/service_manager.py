"""What a service manager such as systemd is told: that the program has started, lives, and ends.

The protocol is that of sd_notify(3): datagrams to the socket that `NOTIFY_SOCKET` names.
"""

import asyncio
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

_FEEDS = 3  # in the time in which the watchdog wants one


class ServiceManager:
    """The manager that has started this process; where there is none, nothing is sent."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        is_watched = environ.get("WATCHDOG_PID") == str(os.getpid())
        self._feed_every_s = int(environ["WATCHDOG_USEC"]) / 1e6 / _FEEDS if is_watched else None

    def ready(self) -> None:
        """Send that the program has started."""
        self._send("READY=1")

    @contextmanager
    def running(self, *, is_ready: bool = True) -> Iterator[None]:
        """Send that the program has started, if it `is_ready`, and on leaving that it ends in order.

        From then on, the watchdog is fed as long as the running loop turns.
        """
        if is_ready:
            self.ready()
        if self._feed_every_s is not None:
            self._feed(asyncio.get_running_loop(), self._feed_every_s)
        yield
        self._send("STOPPING=1")

    def _feed(self, loop: asyncio.AbstractEventLoop, every_s: float) -> None:
        self._send("WATCHDOG=1")
        loop.call_later(every_s, self._feed, loop, every_s)

    def _send(self, state: str) -> None:
        """Send it; a manager that does not take it now is not waited for, nor is a file handle."""
        if self._address:
            with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(0)
                sender.sendto(state.encode(), self._address)
