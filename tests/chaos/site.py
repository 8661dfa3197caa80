"""A site that numbers every request that it answers, and remembers when it did, and with what."""

import asyncio
import time
from collections import defaultdict
from typing import NamedTuple


class Outage(NamedTuple):
    """So many answers of one monitor in a row that were 500, from the one with this number on."""

    first: int
    checks: int


class Site:
    """`GET /<monitor>` is answered with `<monitor> <n>`, n counting from 1 for each monitor."""

    def __init__(self) -> None:
        self.answered: dict[str, list[float]] = defaultdict(list)
        self.outages: dict[str, list[Outage]] = defaultdict(list)
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0, backlog=2048)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        if self._server:
            self._server.close()

    def fail(self, monitor: str, checks: int) -> None:
        """Answer its next requests, so many, with 500; the one before it must be over."""
        self.outages[monitor].append(Outage(len(self.answered[monitor]) + 1, checks))

    def good_since(self, monitor: str) -> int:
        """Return how many good answers there were after the last outage; negative while it goes on."""
        return (
            len(self.answered[monitor]) + 1 - sum(self.outages[monitor][-1]) if self.outages[monitor] else 0
        )

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            monitor = head.split(b" ", 2)[1].decode().strip("/")
            times = self.answered[monitor]
            times.append(time.time())
            status = b"500 Internal Server Error" if self._fails(monitor, len(times)) else b"200 OK"
            body = f"{monitor} {len(times)}".encode()
            writer.write(
                b"HTTP/1.1 %s\r\nConnection: close\r\nContent-Type: text/plain\r\n"
                b"Content-Length: %d\r\n\r\n%s" % (status, len(body), body)
            )
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the program, or the run, was ended in the middle of a request
        finally:
            writer.close()

    def _fails(self, monitor: str, number: int) -> bool:
        last = self.outages.get(monitor, [])[-1:]
        return any(first <= number < first + checks for first, checks in last)
