"""A TCP proxy on a loopback port that can fail like a network."""

import asyncio
from contextlib import suppress


class TcpProxy:
    """Passes bytes to and from a port, until it is interrupted; keeps its own port all the time."""

    def __init__(self, port: int, target_port: int) -> None:
        self.port = port
        self.accepted = 0
        self._target_port = target_port
        self._server: asyncio.Server | None = None
        self._requests_flow = asyncio.Event()
        self._replies_flow = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Pass everything, old connections (if they live) and new ones."""
        self._requests_flow.set()
        self._replies_flow.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    def hold_replies(self) -> None:
        """Pass requests, but nothing that comes back."""
        self._replies_flow.clear()

    def black_hole(self) -> None:
        """Accept and swallow, in both directions."""
        self._requests_flow.clear()
        self._replies_flow.clear()

    def cut(self) -> None:
        """Break all connections; new ones are accepted."""
        for writer in self._writers:
            writer.transport.abort()

    async def refuse(self) -> None:
        """Break all connections and refuse new ones."""
        if self._server:
            self._server.close()
            self._server = None
        self.cut()

    async def stop(self) -> None:
        await self.refuse()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._writers.add(writer)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            writer.transport.abort()
            return
        self._writers.add(far_writer)
        for pipe in (
            self._pipe(reader, far_writer, self._requests_flow),
            self._pipe(far_reader, writer, self._replies_flow),
        ):
            task = asyncio.create_task(pipe)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pipe(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flow: asyncio.Event
    ) -> None:
        with suppress(OSError):
            while received := await reader.read(1 << 16):
                await flow.wait()
                writer.write(received)
                await writer.drain()
        writer.transport.abort()
        self._writers.discard(writer)
