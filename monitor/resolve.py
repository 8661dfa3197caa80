"""DNS look-ups that delay nothing else.

The event loop's own look-ups share a handful of threads (uvloop: 4), so a few names
that hang would hold up every check. Here each name that is being looked up has a
thread to itself. These are daemon threads: one that hangs does not hold up the
program's end.
"""

import asyncio
import queue
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

# What `socket.getaddrinfo` takes and returns.
GetAddrInfo = Callable[..., list[tuple[Any, Any, Any, Any, tuple[Any, ...]]]]

_RESOLVED = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


class Resolver(AbstractResolver):
    """Looks names up by the system's `getaddrinfo`, in at most `max_lookups` threads.

    Checks that want the same name at the same time share one look-up, so that a name
    that hangs costs one thread, however many checks give up on it.
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
        """Find the addresses of a host.

        Raises:
            OSError: a `socket.gaierror` with its `EAI_` code, or what a system call met.
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
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=_RESOLVED)
            for address in await found
        ]

    async def close(self) -> None:
        """Let the threads go; those that hang are not waited for."""
        for _ in range(self._threads):
            self._wanted.put(None)

    def _start_thread(self) -> None:
        if self._threads == self._max_lookups:
            return
        try:
            threading.Thread(target=self._look_up, name="look-up", daemon=True).start()
        except RuntimeError:
            if not self._threads:
                raise
        else:
            self._threads += 1

    def _look_up(self) -> None:
        while (key := self._wanted.get()) is not None:
            host, family = key
            answer: list[str] | OSError | MemoryError
            try:
                found = self._getaddrinfo(
                    host, None, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
                )
                answer = [_address(*place) for *_, place in found]
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


def _address(host: str, _port: int, _flow: int = 0, scope: int = 0) -> str:
    return f"{host}%{scope}" if scope else host
