"""A site that numbers every request that it answers, and remembers when it did."""

import asyncio
import time
from collections import defaultdict


class Site:
    """`GET /<monitor>` is answered with `<monitor> <n>`, n counting from 1 for each monitor."""

    def __init__(self) -> None:
        self.answered: dict[str, list[float]] = defaultdict(list)
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0, backlog=2048)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        if self._server:
            self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            monitor = head.split(b" ", 2)[1].decode().strip("/")
            times = self.answered[monitor]
            times.append(time.time())
            body = f"{monitor} {len(times)}".encode()
            writer.write(
                b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\n"
                b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
            )
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the program, or the run, was ended in the middle of a request
        finally:
            writer.close()
