"""DNS look-ups that delay nothing else, by the system or by servers of the monitor's choice."""

import asyncio
import queue
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

from monitor.one_address import resolved

# What `socket.getaddrinfo` takes and returns.
GetAddrInfo = Callable[..., list[tuple[Any, Any, Any, Any, tuple[Any, ...]]]]


class Resolver(AbstractResolver):
    """Looks names up with the system's `getaddrinfo`, in at most `max_lookups` threads.

    The event loop's own look-ups share a few threads (uvloop: 4), so that a few names that hang
    would hold up every check. Here each name has a thread of its own while it is looked up.
    They are daemon threads: one that hangs does not delay the end of the program.

    Checks that need the same name at the same time share one look-up: a name that hangs
    takes one thread, however many checks wait for it and time out.
    """

    def __init__(self, max_lookups: int, getaddrinfo: GetAddrInfo = socket.getaddrinfo) -> None:
        self._max_lookups = max_lookups
        self._getaddrinfo = getaddrinfo
        self._loop = asyncio.get_running_loop()
        self._wanted: queue.SimpleQueue[tuple[str, int] | None] = queue.SimpleQueue()
        self._waiting: dict[tuple[str, int], list[asyncio.Future[list[str]]]] = {}
        self._threads = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a host, in the system's order.

        Cancelling leaves the look-up running, for others that need it.

        Raises:
            OSError: a `socket.gaierror` with its `EAI_` code, or the error of a system call.
            RuntimeError: there is no thread, and none can be started.

        """
        key = (host, int(family))
        if key not in self._waiting:
            if self._threads <= len(self._waiting):
                self._start_thread()
            self._waiting[key] = []
            self._wanted.put(key)
        found: asyncio.Future[list[str]] = self._loop.create_future()
        self._waiting[key].append(found)
        return [resolved(host, address, port) for address in await found]

    async def close(self) -> None:
        """End the threads, without waiting for those that hang."""
        for _ in range(self._threads):
            self._wanted.put(None)

    def _start_thread(self) -> None:
        if self._threads == self._max_lookups:
            return
        try:
            threading.Thread(target=self._run_look_ups, name="look-up", daemon=True).start()
        except RuntimeError:
            if not self._threads:
                raise
        else:
            self._threads += 1

    def _run_look_ups(self) -> None:
        while (key := self._wanted.get()) is not None:
            host, family = key
            answer: list[str] | OSError | MemoryError
            try:
                found = self._getaddrinfo(
                    host, None, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
                )
                answer = [_with_scope(*place) for *_, place in found]
            except UnicodeError:
                answer = socket.gaierror(socket.EAI_NONAME, "not a host name")
            except (OSError, MemoryError) as error:
                answer = error
            with suppress(RuntimeError):  # the event loop has closed
                self._loop.call_soon_threadsafe(self._answer, key, answer)

    def _answer(self, key: tuple[str, int], answer: list[str] | OSError | MemoryError) -> None:
        for found in self._waiting.pop(key):
            if found.done():
                continue
            if isinstance(answer, list):
                found.set_result(answer)
            else:
                found.set_exception(answer)


def _with_scope(host: str, _port: int, _flow: int = 0, scope: int = 0) -> str:
    return f"{host}%{scope}" if scope else host
